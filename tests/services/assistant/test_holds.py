"""Conversations that a legal hold keeps are not deleted, and its owner is not told why."""

import pytest

from ..local_holds import LocalHolds
from .conftest import Assistant

pytestmark = pytest.mark.anyio

LEAVE = "How many days of annual leave do I get?"


async def test_a_held_conversation_stays_with_its_answers(assistant: Assistant, holds: LocalHolds) -> None:
    await assistant.ask(LEAVE)
    client = assistant.client()
    [conversation] = (await client.get("/api/v1/conversations")).json()["items"]
    path = f"/api/v1/conversations/{conversation['id']}"
    before = (await client.get(path)).json()
    holds.held.add("lin")
    refused = await client.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert (await client.get(path)).json() == before
    holds.held.clear()
    assert (await client.delete(path)).status_code == 204


async def test_without_governance_no_conversation_is_deleted(assistant: Assistant, holds: LocalHolds) -> None:
    await assistant.ask(LEAVE)
    client = assistant.client()
    [conversation] = (await client.get("/api/v1/conversations")).json()["items"]
    path = f"/api/v1/conversations/{conversation['id']}"
    holds.is_down = True
    assert (await client.delete(path)).status_code == 503
    assert (await client.get(path)).status_code == 200


async def test_a_hold_that_comes_while_an_answer_is_stopped_still_keeps_it(
    assistant: Assistant, holds: LocalHolds, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assistant.ask(LEAVE)
    client = assistant.client()
    [conversation] = (await client.get("/api/v1/conversations")).json()["items"]
    path = f"/api/v1/conversations/{conversation['id']}"
    running = assistant.app.state.assistant.running
    stop = running.stop_conversation

    async def stop_and_hold(*given: object) -> None:
        await stop(*given)
        holds.held.add("lin")

    monkeypatch.setattr(running, "stop_conversation", stop_and_hold)
    assert (await client.delete(path)).json()["code"] == "held"
    assert (await client.get(path)).status_code == 200
