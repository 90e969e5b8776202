"""Conversations belong to one user, and stored answers are read under the rights of that moment."""

from collections.abc import Callable

import pytest
from sqlalchemy import inspect, text

from zhiku_platform.contracts.assistant import AnswerMode, AnswerState
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_services.assistant import running

from .conftest import LIN, ZHAO, Assistant

pytestmark = pytest.mark.anyio

BONUS = "How large is the bonus pool for 2026?"
LEAVE = "How many days of annual leave do I get?"


async def test_nobody_sees_the_conversations_of_another(assistant: Assistant) -> None:
    conversation_id = await assistant.open(ZHAO)
    answer = await assistant.ask(BONUS, ZHAO, conversation_id)
    lin = assistant.client(LIN)
    missing = await lin.get("/api/v1/conversations/conv_missing")
    attempts = [
        await lin.get(f"/api/v1/conversations/{conversation_id}"),
        await lin.patch(f"/api/v1/conversations/{conversation_id}", json={"title": "mine"}),
        await lin.delete(f"/api/v1/conversations/{conversation_id}"),
        await lin.post(f"/api/v1/conversations/{conversation_id}/questions", json={"text": "hello"}),
    ]
    for response in attempts:
        assert response.status_code == 404
        assert {**response.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
    for response in (
        await lin.get(f"/api/v1/answers/{answer.id}"),
        await lin.get(f"/api/v1/answers/{answer.id}/stream"),
        await lin.post(f"/api/v1/answers/{answer.id}/stop"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert (await assistant.get("/api/v1/conversations", LIN))["items"] == []
    assert len((await assistant.get("/api/v1/conversations", ZHAO))["items"]) == 1


async def test_the_same_name_in_another_tenant_is_somebody_else(assistant: Assistant) -> None:
    conversation_id = await assistant.open(LIN)
    rival = LIN.model_copy(update={"tenant": "rival"})
    assert (await assistant.client(rival).get(f"/api/v1/conversations/{conversation_id}")).status_code == 404


async def test_a_withdrawn_source_takes_its_sentences_with_it(assistant: Assistant) -> None:
    assistant.inference.says("Employees get 15 days of annual leave [1]. Unused days expire on 31 March [1].")
    conversation_id = await assistant.open()
    answer = await assistant.ask(LEAVE, conversation_id=conversation_id)
    assert "15 days" in answer.text
    assistant.knowledge.set_readers("Leave policy", ["group:finance"])
    stored = await assistant.get(f"/api/v1/answers/{answer.id}")
    assert stored["text"] == "The sources of this answer are no longer available to you."
    for body in (
        await assistant.get(f"/api/v1/conversations/{conversation_id}"),
        [event.model_dump(mode="json") for _, event in await assistant.resume(answer.id, 0)],
        stored,
    ):
        assert "15 days" not in str(body)
        assert "31 March" not in str(body)
        assert "Leave policy" not in str(body)
    assistant.knowledge.set_readers("Leave policy", ["everyone"])
    assert (await assistant.get(f"/api/v1/answers/{answer.id}"))["text"] == answer.text


async def test_only_the_withdrawn_part_is_hidden(assistant: Assistant) -> None:
    assistant.knowledge.add("Leave in Berlin", "In Berlin every employee gets 30 days of annual leave a year.")
    assistant.inference.says(
        "Employees get 15 days of annual leave. In Berlin every employee gets 30 days of annual leave."
    )
    answer = await assistant.ask("How many days of annual leave do employees get, and in Berlin?")
    assert len(answer.sentences) == 2
    assistant.knowledge.set_readers("Leave in Berlin", [])
    stored = await assistant.get(f"/api/v1/answers/{answer.id}")
    assert stored["text"] == "Employees get 15 days of annual leave."
    assert [citation["document"] for citation in stored["citations"]] == ["Leave policy"]


async def test_a_refusal_names_only_what_may_still_be_named(assistant: Assistant) -> None:
    answer = await assistant.ask("What is the budget of the moon base for annual leave?", ZHAO)
    assert answer.mode is AnswerMode.NO_EVIDENCE
    assert answer.searched == ["Finance", "Handbook"]
    assistant.knowledge.set_readers("Bonus plan", [])
    stored = await assistant.get(f"/api/v1/answers/{answer.id}", ZHAO)
    assert stored["searched"] == ["Handbook"]
    assert "Finance" not in str(stored)


async def test_questions_and_answers_leave_an_audit_trail_without_text(assistant: Assistant) -> None:
    answer = await assistant.ask("年假有几天？")
    asked, given = assistant.audit()
    assert (asked["action"], asked["subject"]) == ("question.asked", answer.id)
    assert (given["action"], given["subject"]) == ("answer.given", answer.id)
    assert "extractive" in given["details"]
    assert answer.citations[0].passage_id in given["details"]
    assert "年假" not in f"{asked}{given}"


async def test_a_question_that_cannot_be_recorded_is_not_answered(assistant: Assistant) -> None:
    conversation_id = await assistant.open()
    with assistant.database.engine.begin() as connection:
        connection.execute(text("DROP TABLE audit_outbox"))
    response = await assistant.client().post(
        f"/api/v1/conversations/{conversation_id}/questions", json={"text": "年假有几天？"}
    )
    assert (response.status_code, response.json()["code"]) == (503, "not_recorded")
    detail = await assistant.get(f"/api/v1/conversations/{conversation_id}")
    assert detail["answers"] == []


async def test_an_answer_whose_readers_cannot_be_checked_is_kept_and_said_to_be(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ServiceUnavailableError("Knowledge is away.", remedy="Wait.")

    conversation_id = await assistant.open()
    with monkeypatch.context() as patched:
        patched.setattr(running, "look", away)
        answer = await assistant.ask("年假有几天？", conversation_id=conversation_id)
    assert answer.problem is not None
    assert (answer.state, answer.problem.code, answer.text) == (AnswerState.DONE, "rights_not_checked", "")
    assert assistant.audit()[-1]["action"] == "answer.given"
    detail = await assistant.get(f"/api/v1/conversations/{conversation_id}")
    assert "15天" in detail["answers"][0]["text"]


@pytest.mark.parametrize("cursor", ["9" * 40 + "-a", "²-a", "-a", "1-"])
async def test_a_cursor_of_nobody_is_refused(assistant: Assistant, cursor: str) -> None:
    response = await assistant.client().get("/api/v1/conversations", params={"cursor": cursor})
    assert response.status_code == 422


async def test_conversations_are_listed_by_last_use_page_by_page(assistant: Assistant) -> None:
    ids = [await assistant.open() for _ in range(5)]
    await assistant.ask("年假有几天？", conversation_id=ids[1])
    seen: list[str] = []
    cursor = ""
    while True:
        page = await assistant.get(f"/api/v1/conversations?limit=2&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == [ids[1], ids[4], ids[3], ids[2], ids[0]]
    strange = await assistant.client().get("/api/v1/conversations?cursor=strange")
    assert strange.status_code == 422


async def test_a_conversation_takes_its_first_question_as_title_until_it_is_renamed(
    assistant: Assistant,
) -> None:
    conversation_id = await assistant.open()
    await assistant.ask("年假有几天？", conversation_id=conversation_id)
    await assistant.ask("那病假呢？", conversation_id=conversation_id)
    path = f"/api/v1/conversations/{conversation_id}"
    assert (await assistant.get(path))["conversation"]["title"] == "年假有几天？"
    renamed = await assistant.client().patch(path, json={"title": "休假"})
    assert renamed.json()["title"] == "休假"
    assert [answer["question"] for answer in (await assistant.get(path))["answers"]] == [
        "年假有几天？",
        "那病假呢？",
    ]


async def test_a_deleted_conversation_is_gone_with_its_answers(assistant: Assistant) -> None:
    conversation_id = await assistant.open()
    answer = await assistant.ask("年假有几天？", conversation_id=conversation_id)
    response = await assistant.client().delete(f"/api/v1/conversations/{conversation_id}")
    assert response.status_code == 204
    assert (await assistant.client().get(f"/api/v1/answers/{answer.id}")).status_code == 404
    with assistant.database.engine.connect() as connection:
        for table in ("conversation", "answer", "answer_event"):
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            assert count == 0, table


def test_the_migrations_make_the_tables_that_the_code_declares(
    make_assistant: Callable[[], Assistant],
) -> None:
    database = make_assistant().database
    found = inspect(database.engine)
    for table in database.metadata.sorted_tables:
        declared = {column.name: column.nullable for column in table.columns}
        actual = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert actual == declared, table.name
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
