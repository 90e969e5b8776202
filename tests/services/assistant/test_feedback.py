"""What a user says of an answer is the user's alone, and bound to the answer that the log holds."""

import json
from typing import Any

import httpx2
import pytest

from zhiku_platform.access import service_principal
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_services.assistant.models import AnswerRow

from .conftest import LIN, ZHAO, Assistant

pytestmark = pytest.mark.anyio

QUESTION = "How many days of annual leave do I get?"
DOWN = {
    "rating": "down",
    "faults": ["wrong", "wrong", "outdated"],
    "comment": " It is 20 days now. ",
    "correction": "Employees get 20 days.",
    "may_train": True,
}


async def rate(assistant: Assistant, answer_id: str, body: Any, principal: Any = LIN) -> httpx2.Response:
    return await assistant.client(principal).put(f"/api/v1/answers/{answer_id}/feedback", json=body)


async def test_feedback_stands_with_its_answer_and_names_its_receipt(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    given = await rate(assistant, answer.id, DOWN)
    assert given.status_code == 200, given.text
    receipt = await assistant.get(f"/api/v1/answers/{answer.id}/receipt")
    kept = (await assistant.get(f"/api/v1/answers/{answer.id}"))["feedback"]
    assert kept == given.json()
    assert kept["receipt_sha256"] == receipt["sha256"]
    assert (kept["faults"], kept["comment"]) == (["outdated", "wrong"], "It is 20 days now.")
    conversation = await assistant.get(f"/api/v1/conversations/{answer.conversation_id}")
    assert conversation["answers"][0]["feedback"] == kept


async def test_the_log_is_told_of_it_and_its_words_are_sealed(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    await rate(assistant, answer.id, DOWN)
    told = assistant.audit()[-1]
    assert (told["action"], told["subject"]) == ("answer.rated", answer.id)
    details = json.loads(told["details"])
    hidden = details.pop("$")
    assert (details["rating"], details["is_corrected"], details["may_train"]) == ("down", True, True)
    assert "20 days" not in json.dumps(details)
    assert hidden["sealed"] == {"comment": "It is 20 days now.", "correction": "Employees get 20 days."}
    assert hidden["group"] == answer.conversation_id


async def test_saying_it_again_replaces_it_and_it_can_be_taken_back(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    await rate(assistant, answer.id, DOWN)
    again = (await rate(assistant, answer.id, {"rating": "up"})).json()
    assert (again["rating"], again["faults"], again["correction"], again["may_train"]) == ("up", [], "", False)
    path = f"/api/v1/answers/{answer.id}/feedback"
    assert (await assistant.client().delete(path)).status_code == 204
    assert (await assistant.get(f"/api/v1/answers/{answer.id}"))["feedback"] is None
    assert (await assistant.client().delete(path)).status_code == 404
    assert [event["action"] for event in assistant.audit()[-2:]] == ["answer.rated", "answer.rating_withdrawn"]


async def test_an_answer_of_another_user_does_not_exist(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    await rate(assistant, answer.id, DOWN)
    assert (await rate(assistant, answer.id, {"rating": "up"}, ZHAO)).status_code == 404
    assert (await assistant.client(ZHAO).delete(f"/api/v1/answers/{answer.id}/feedback")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"rating": "up", "faults": ["wrong"]},
        {"rating": "up", "correction": "Better."},
        {"rating": "so so"},
        {"rating": "down", "may_train": 1},
        {"rating": "down", "comment": "x" * 2001},
    ],
)
async def test_what_makes_no_sense_is_refused(assistant: Assistant, body: Any) -> None:
    answer = await assistant.ask(QUESTION)
    assert (await rate(assistant, answer.id, body)).status_code == 422


async def test_feedback_goes_with_its_conversation(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    await rate(assistant, answer.id, DOWN)
    path = f"/api/v1/conversations/{answer.conversation_id}"
    assert (await assistant.client().delete(path)).status_code == 204
    with assistant.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM feedback").scalar() == 0


FINETUNE = service_principal("finetune", "acme")


async def learnable(assistant: Assistant, principal: Principal = FINETUNE, query: str = "") -> Any:
    response = await assistant.client(principal).get(f"/internal/learnable-answers{query}")
    assert response.status_code == 200, response.text
    return response.json()


async def test_what_may_be_learnt_is_listed_with_what_it_stands_on(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    given = (await rate(assistant, answer.id, DOWN)).json()
    receipt = (await assistant.get(f"/api/v1/answers/{answer.id}/receipt"))["receipt"]
    assert await learnable(assistant) == {
        "items": [
            {
                "answer_id": answer.id,
                "asked_by": "lin",
                "question": QUESTION,
                "answer": answer.text,
                "rating": "down",
                "correction": "Employees get 20 days.",
                "document_ids": sorted({passage["document_id"] for passage in receipt["passages"]}),
                "receipt_sha256": given["receipt_sha256"],
            }
        ],
        "next_cursor": None,
    }


async def test_without_consent_or_after_it_was_taken_back_nothing_is_listed(assistant: Assistant) -> None:
    kept_to_oneself = await assistant.ask(QUESTION)
    await rate(assistant, kept_to_oneself.id, DOWN | {"may_train": False})
    taken_back = await assistant.ask(QUESTION)
    await rate(assistant, taken_back.id, DOWN)
    await assistant.client().delete(f"/api/v1/answers/{taken_back.id}/feedback")
    deleted = await assistant.ask(QUESTION)
    await rate(assistant, deleted.id, DOWN)
    await assistant.client().delete(f"/api/v1/conversations/{deleted.conversation_id}")
    assert (await learnable(assistant))["items"] == []


async def test_an_answer_that_policy_withheld_something_of_is_not_learnt(assistant: Assistant) -> None:
    answer = await assistant.ask(QUESTION)
    await rate(assistant, answer.id, DOWN)
    with assistant.database.write() as session:
        row = session.get_one(AnswerRow, answer.id)
        row.problem = {"code": "output_blocked", "detail": "-", "remedy": "-"}
    assert (await learnable(assistant))["items"] == []


async def test_what_may_be_learnt_is_listed_page_by_page_and_per_tenant(assistant: Assistant) -> None:
    ids: set[str] = set()
    for _ in range(3):
        answer = await assistant.ask(QUESTION)
        await rate(assistant, answer.id, DOWN)
        ids.add(answer.id)
    first = await learnable(assistant, query="?limit=2")
    rest = await learnable(assistant, query=f"?limit=2&cursor={first['next_cursor']}")
    assert {item["answer_id"] for item in [*first["items"], *rest["items"]]} == ids
    assert rest["next_cursor"] is None
    assert (await learnable(assistant, service_principal("finetune", "other")))["items"] == []


async def test_people_cannot_list_what_others_said(assistant: Assistant) -> None:
    for principal in (LIN, LIN.model_copy(update={"roles": frozenset({Role.ML_ENGINEER, Role.AUDIT_ADMIN})})):
        response = await assistant.client(principal).get("/internal/learnable-answers")
        assert response.status_code == 403
