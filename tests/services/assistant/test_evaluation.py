"""The measures, checked against answers counted by hand."""

from datetime import UTC, datetime

import pytest

from zhiku_platform.contracts.assistant import Answer, AnswerMode, AnswerState, Citation
from zhiku_services.assistant.evaluation import EvaluationDocument, EvaluationItem, evaluate, holds_answer

DOCUMENT = EvaluationDocument(title="d", text="Leave is 15 days.")
ITEMS = [
    EvaluationItem(id="right", question="q1", answers=("15 days",), documents=(DOCUMENT,)),
    EvaluationItem(id="wrong", question="q2", answers=("20 days",), documents=(DOCUMENT,)),
    EvaluationItem(id="refused", question="q3", answers=("15 days",), documents=(DOCUMENT,)),
    EvaluationItem(id="rightly refused", question="q4", answerable=False, documents=(DOCUMENT,)),
    EvaluationItem(id="invented", question="q5", answerable=False, documents=(DOCUMENT,)),
]


def answered(text: str, mode: AnswerMode, *quotes: str) -> Answer:
    citations = [
        Citation(
            n=n,
            passage_id="p",
            document_id="d",
            document="d",
            knowledge_base_id="k",
            heading_path=[],
            page=None,
            regions=[],
            quote=quote,
            score=1.0,
        )
        for n, quote in enumerate(quotes, 1)
    ]
    return Answer(
        id="a",
        conversation_id="",
        question="q",
        rewritten_question=None,
        state=AnswerState.DONE,
        mode=mode,
        text=text,
        sentences=[],
        citations=citations,
        searched=[],
        timings_ms={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


ANSWERS = {
    "right": answered("You get 15 days.", AnswerMode.EXTRACTIVE, "Leave is 15 days.", "Ask your manager."),
    "wrong": answered("You get 15 days.", AnswerMode.EXTRACTIVE, "Leave is 15 days."),
    "refused": answered("I found nothing.", AnswerMode.NO_EVIDENCE, "Leave is 15 days."),
    "rightly refused": answered("I found nothing.", AnswerMode.NO_EVIDENCE),
    "invented": answered("It is 15 days.", AnswerMode.GENERATED, "Leave is 15 days."),
}


def test_the_report_counts_as_by_hand() -> None:
    report = evaluate(ITEMS, lambda item: ANSWERS[item.id]).as_json()
    assert report["answered_correct"] == pytest.approx(1 / 3)
    assert report["refusal"] == {
        "precision": pytest.approx(1 / 2),
        "recall": pytest.approx(1 / 2),
        "balanced_accuracy": pytest.approx((1 / 2 + 2 / 3) / 2),
    }
    assert report["citation"] == {"precision": pytest.approx(1 / 3), "recall": pytest.approx(1 / 3)}
    assert [item["correct"] for item in report["per_item"]] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("text", "answers", "holds"),
    [
        ("年假为 15 天。", ("15天",), True),
        ("It costs CNY 1,200 a night.", ("1200",), True),
        ("It costs CNY 1,200 a night.", ("1300", "cny 1,200"), True),
        ("It costs CNY 1,200 a night.", ("1300",), False),
        ("anything", ("",), False),
        (
            "Tap Settings, then Lock screen, to show notifications.",
            ("From Settings, tap Lock screen to show your notifications there",),
            True,
        ),
    ],
)
def test_a_gold_answer_is_found_whatever_its_spaces_and_marks(text: str, answers: tuple[str, ...], holds: bool) -> None:
    assert holds_answer(text, answers) is holds


def test_a_set_without_unanswerable_questions_has_no_balanced_accuracy() -> None:
    report = evaluate(ITEMS[:1], lambda item: ANSWERS[item.id]).as_json()
    assert report["refusal"]["balanced_accuracy"] is None
