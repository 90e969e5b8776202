"""Receipts: what an answer stood on, provable by the digest that the audit log carries."""

import json
from hashlib import sha256

import pytest

from zhiku_platform.contracts.identity import Principal, Role

from .conftest import LIN, ZHAO, Assistant

pytestmark = pytest.mark.anyio

LEAVE = "How many days of annual leave do I get?"
BONUS = "How large is the bonus pool for 2026?"
REVIEWER = Principal(sub="chen", tenant="acme", roles=frozenset({Role.COMPLIANCE_REVIEWER}))
RIVAL = REVIEWER.model_copy(update={"tenant": "rival"})


async def test_a_receipt_has_what_was_read_and_its_digest_stands_in_the_log(assistant: Assistant) -> None:
    assistant.inference.says("Employees get 15 days of annual leave [1].")
    answer = await assistant.ask(LEAVE)
    sealed = await assistant.get(f"/api/v1/answers/{answer.id}/receipt")
    receipt = sealed["receipt"]
    assert json.loads(sealed["canonical"]) == receipt
    assert sealed["sha256"] == sha256(sealed["canonical"].encode()).hexdigest()
    given = json.loads(assistant.audit()[-1]["details"])
    assert given["receipt"] == sealed["sha256"]
    assert set(given["documents"]) == {one["document_id"] for one in receipt["passages"]}
    assert set(given["knowledge_bases"]) == {one["knowledge_base_id"] for one in receipt["passages"]}
    assert receipt["question"] == LEAVE
    assert receipt["rights"]["groups"] == ["engineering"]
    assert receipt["model"]["id"] == "scripted"
    assert receipt["model"]["completion_tokens"] == 1
    assert [one["passage_id"] for one in receipt["passages"] if one["is_cited"]] == [answer.citations[0].passage_id]
    assert all(len(one["content_hash"]) == 64 for one in receipt["passages"])
    written = sha256(answer.sentences[0].text.encode()).hexdigest()
    assert receipt["sentences"] == [{"sha256": written, "citations": [answer.citations[0].passage_id]}]


async def test_a_question_outside_any_conversation_has_a_receipt_too(assistant: Assistant) -> None:
    response = await assistant.client().post("/internal/ask", json={"question": LEAVE})
    assert response.status_code == 200
    answer_id = assistant.audit()[-1]["subject"]
    receipt = (await assistant.get(f"/api/v1/answers/{answer_id}/receipt"))["receipt"]
    assert receipt["conversation_id"] is None
    assert receipt["mode"] == "extractive"


async def test_nobody_else_gets_a_receipt_and_reviewing_needs_the_role_and_the_tenant(assistant: Assistant) -> None:
    answer = await assistant.ask(LEAVE)
    assert (await assistant.client(ZHAO).get(f"/api/v1/answers/{answer.id}/receipt")).status_code == 404
    assert (await assistant.client(ZHAO).get(f"/api/v1/receipts/{answer.id}")).status_code == 403
    assert (await assistant.client(RIVAL).get(f"/api/v1/receipts/{answer.id}")).status_code == 404
    assert (await assistant.client(REVIEWER).get("/api/v1/receipts/ans_missing")).status_code == 404


async def test_a_reviewer_sees_neither_name_nor_question_nor_foreign_source_and_is_recorded(
    assistant: Assistant,
) -> None:
    answer = await assistant.ask(BONUS, ZHAO)
    response = await assistant.client(REVIEWER).get(f"/api/v1/receipts/{answer.id}")
    shown = response.json()
    assert shown["receipt"]["asked_by"] == "•••"
    assert shown["receipt"]["question"] == shown["answer"]["question"] == "•••"
    assert shown["receipt"]["rights"]["groups"] == ["•••"]
    assert not any(secret in response.text for secret in ("zhao", "bonus", "finance"))
    assert "18.6" not in response.text
    assert '"Finance"' not in response.text
    assert shown["answer"]["citations"] == []
    assert shown["integrity"] == "intact"
    assert answer.citations[0].passage_id not in shown["readable"]
    assert [event["action"] for event in assistant.audit()][-1] == "receipt.reviewed"


async def test_revealing_who_asked_needs_a_reason_which_is_recorded(assistant: Assistant) -> None:
    answer = await assistant.ask(LEAVE)
    client = assistant.client(REVIEWER)
    assert (await client.post(f"/api/v1/receipts/{answer.id}/reveal", json={"reason": "why"})).status_code == 422
    reveal = {"reason": "Complaint 2026-114 about this answer"}
    shown = (await client.post(f"/api/v1/receipts/{answer.id}/reveal", json=reveal)).json()
    assert shown["receipt"]["asked_by"] == "lin"
    assert shown["receipt"]["question"] == shown["answer"]["question"] == LEAVE
    assert shown["receipt"]["rights"]["groups"] == ["engineering"]
    event = assistant.audit()[-1]
    assert event["action"] == "receipt.revealed"
    assert json.loads(event["details"])["$"]["sealed"] == reveal


async def test_a_receipt_changed_in_the_database_is_seen_to_be_changed_and_not_replayed(assistant: Assistant) -> None:
    answer = await assistant.ask(LEAVE)
    with assistant.database.engine.begin() as connection:
        body: str = connection.exec_driver_sql("SELECT body FROM receipt").scalar_one()
        # Whoever may write the body may write its digest beside it.
        forged = body.replace("engineering", "finance")
        digest = sha256(forged.encode()).hexdigest()
        connection.exec_driver_sql("UPDATE receipt SET body = ?, sha256 = ?", (forged, digest))
    client = assistant.client(REVIEWER)
    shown = (await client.get(f"/api/v1/receipts/{answer.id}")).json()
    assert shown["integrity"] == "touched"
    refused = await client.post(f"/api/v1/receipts/{answer.id}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "receipt_touched")


async def test_a_receipt_that_no_checkpoint_covers_is_not_called_intact(assistant: Assistant) -> None:
    answer = await assistant.ask(LEAVE)
    assistant.log.is_proven = False
    shown = (await assistant.client(REVIEWER).get(f"/api/v1/receipts/{answer.id}")).json()
    assert shown["integrity"] == "unproven"


async def test_a_receipt_outlives_its_conversation(assistant: Assistant) -> None:
    conversation_id = await assistant.open()
    answer = await assistant.ask(LEAVE, conversation_id=conversation_id)
    assert (await assistant.client().delete(f"/api/v1/conversations/{conversation_id}")).status_code == 204
    reveal = {"reason": "Complaint 2026-114 about this answer"}
    shown = (await assistant.client(REVIEWER).post(f"/api/v1/receipts/{answer.id}/reveal", json=reveal)).json()
    assert shown["answer"] is None
    assert shown["receipt"]["question"] == LEAVE


async def test_replay_finds_the_same_until_a_document_is_closed(assistant: Assistant) -> None:
    answer = await assistant.ask(LEAVE)
    client = assistant.client(REVIEWER)
    assert (await client.post(f"/api/v1/receipts/{answer.id}/replay")).json()["is_same"]
    assistant.knowledge.set_readers("Leave policy", ["group:finance"])
    replay = (await client.post(f"/api/v1/receipts/{answer.id}/replay")).json()
    assert not replay["is_same"]
    closed = next(one for one in replay["passages"] if one["passage_id"] == answer.citations[0].passage_id)
    assert (closed["rank_then"], closed["rank_now"]) == (1, None)
    assert assistant.audit()[-1]["action"] == "receipt.replayed"


async def test_the_rights_of_a_receipt_are_those_of_who_asked(assistant: Assistant) -> None:
    mine = await assistant.ask(LEAVE, LIN)
    hers = await assistant.ask(LEAVE, ZHAO)
    first = (await assistant.get(f"/api/v1/answers/{mine.id}/receipt", LIN))["receipt"]["rights"]
    second = (await assistant.get(f"/api/v1/answers/{hers.id}/receipt", ZHAO))["receipt"]["rights"]
    assert first["fingerprint"] != second["fingerprint"]
