"""Erasing a person: their conversations go, others' where that was decided, and nothing that is held."""

from pathlib import Path

import httpx2
import pytest

from zhiku_platform.access import service_principal
from zhiku_platform.contracts.identity import Principal

from ..local_holds import LocalHolds
from .conftest import LIN, ZHAO, Assistant

pytestmark = pytest.mark.anyio

LEAVE = "How many days of annual leave do I get?"
ABOUT_LIN = "How many days of annual leave does 林晓 (13800138000) get?"
WHO = {"sub": "lin", "values": ["林晓", "138 0013 8000"]}
DESK = service_principal("governance", "acme")


async def call(assistant: Assistant, what: str, body: object, principal: Principal = DESK) -> httpx2.Response:
    return await assistant.client(principal).post(f"/internal/personal-data/{what}", json=body)


async def report(assistant: Assistant) -> dict[str, list[str]]:
    response = await call(assistant, "find", WHO)
    assert response.status_code == 200, response.text
    # Events on their way have no ids, and no relay takes them away here.
    return {line["kind"]: line["ids"] for line in response.json()["found"] if line["ids"]}


async def test_own_conversations_go_and_a_mention_is_for_decision(assistant: Assistant) -> None:
    own = await assistant.ask(LEAVE)
    about = await assistant.ask(ABOUT_LIN, ZHAO)
    other = await assistant.ask(LEAVE, ZHAO)
    before = await report(assistant)
    assert before == {
        "conversation": [own.conversation_id],
        "receipt": [own.id],
        "conversation_of_another": [about.conversation_id],
    }
    order = {**WHO, "erasure_id": "era_1"}
    first = await call(assistant, "erase", order)
    assert first.json()["counts"] == {"conversation": 1, "receipt": 1}
    assert await report(assistant) == {"conversation_of_another": [about.conversation_id]}
    again = await call(assistant, "erase", order)
    assert again.json()["counts"] == {"conversation": 0, "receipt": 0}
    decided = await call(assistant, "erase", {**order, "decided": [about.conversation_id, other.conversation_id]})
    assert decided.json()["counts"] == {"conversation": 1, "receipt": 1}
    assert await report(assistant) == {}
    [kept] = (await assistant.client(ZHAO).get("/api/v1/conversations")).json()["items"]
    assert kept["id"] == other.conversation_id


async def test_a_rating_goes_with_its_conversation_and_one_that_names_the_person_is_for_decision(
    assistant: Assistant,
) -> None:
    own, other = await assistant.ask(LEAVE), await assistant.ask(LEAVE, ZHAO)
    for answer, principal in ((own, LIN), (other, ZHAO)):
        rating = {"rating": "down", "correction": "林晓 gets ten days."}
        response = await assistant.client(principal).put(f"/api/v1/answers/{answer.id}/feedback", json=rating)
        assert response.is_success, response.text
    assert (await report(assistant))["conversation_of_another"] == [other.conversation_id]
    await call(assistant, "erase", {**WHO, "erasure_id": "era_1", "decided": [other.conversation_id]})
    with assistant.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM feedback").scalar() == 0


async def test_no_byte_of_it_is_left_in_the_file(assistant: Assistant) -> None:
    about = await assistant.ask("Does canary-7731 get annual leave?", ZHAO)
    who = {"sub": "lin", "values": ["canary-7731"], "erasure_id": "era_1", "decided": [about.conversation_id]}
    with assistant.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit_outbox")
    database = assistant.database.engine.url.database
    assert database is not None
    files = [Path(database), Path(f"{database}-wal")]
    assert any(b"canary-7731" in each.read_bytes() for each in files)
    assert (await call(assistant, "erase", who)).json()["counts"] == {"conversation": 1, "receipt": 1}
    assert not any(b"canary-7731" in each.read_bytes() for each in files if each.exists())


@pytest.mark.parametrize("held", ["lin", "zhao"])
async def test_a_hold_on_any_owner_keeps_everything(assistant: Assistant, holds: LocalHolds, held: str) -> None:
    await assistant.ask(LEAVE)
    about = await assistant.ask(ABOUT_LIN, ZHAO)
    holds.held.add(held)
    before = await report(assistant)
    order = {**WHO, "erasure_id": "era_1", "decided": [about.conversation_id]}
    refused = await call(assistant, "erase", order)
    assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert await report(assistant) == before


async def test_only_the_desk_may_ask(assistant: Assistant) -> None:
    for other in (LIN, service_principal("knowledge", "acme")):
        assert (await call(assistant, "find", WHO, other)).status_code == 403
        assert (await call(assistant, "erase", {**WHO, "erasure_id": "era_1"}, other)).status_code == 403
    elsewhere = service_principal("governance", "other")
    await assistant.ask(LEAVE)
    assert (await call(assistant, "find", WHO, elsewhere)).json()["found"] == []
