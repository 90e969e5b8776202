"""Measure answers: are they right, are they cited, and does the assistant refuse when it should.

A set is JSON lines of `{id, question, answers[], answerable, documents[{title, text}]}`; each question is
asked against its own documents and nothing else.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from zhiku_platform.contracts.assistant import Answer, AnswerMode
from zhiku_services.assistant.answering.words import terms

# A gold answer of more characters than this is a sentence, which no answer repeats letter by letter: it
# counts as given when this share of its content words is there. Both numbers are our choice.
_LONG_ANSWER_CHARS: Final = 40
_LONG_ANSWER_SHARE: Final = 0.6


class EvaluationDocument(BaseModel):
    model_config = ConfigDict(frozen=True)

    title: str = ""
    text: str


class EvaluationItem(BaseModel):
    """One question; `answers` are alternatives, each right by itself."""

    model_config = ConfigDict(frozen=True)

    id: str
    question: str
    answers: tuple[str, ...] = ()
    answerable: bool = True
    documents: tuple[EvaluationDocument, ...]


Ask = Callable[[EvaluationItem], Answer]
"""Answers the item's question from the item's documents."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    id: str
    answerable: bool
    mode: str | None
    is_correct: bool
    right_citations: int
    citations: int
    answer: str


@dataclass(frozen=True, slots=True)
class AnswersReport:
    """What `zhiku eval answers --json` prints; shares are 0..1, None where nothing was counted."""

    results: tuple[ItemResult, ...]

    def as_json(self) -> dict[str, Any]:
        results = self.results
        answerable = [result for result in results if result.answerable]
        unanswerable = [result for result in results if not result.answerable]
        refused = [result for result in results if result.mode == AnswerMode.NO_EVIDENCE]
        rightly_refused = [result for result in refused if not result.answerable]
        refusal_recall = _share(len(rightly_refused), len(unanswerable))
        answer_recall = _share(len(answerable) - (len(refused) - len(rightly_refused)), len(answerable))
        both = [value for value in (refusal_recall, answer_recall) if value is not None]
        given = [result for result in answerable if result.mode != AnswerMode.NO_EVIDENCE]
        return {
            "items": len(results),
            "answered_correct": _share(sum(result.is_correct for result in answerable), len(answerable)),
            "refusal": {
                "precision": _share(len(rightly_refused), len(refused)),
                "recall": refusal_recall,
                "balanced_accuracy": sum(both) / len(both) if len(both) == 2 else None,
            },
            "citation": {
                "precision": _share(
                    sum(result.right_citations for result in given), sum(result.citations for result in given)
                ),
                "recall": _share(sum(result.right_citations > 0 for result in answerable), len(answerable)),
            },
            "per_item": [
                {
                    "id": result.id,
                    "answerable": result.answerable,
                    "mode": result.mode,
                    "correct": result.is_correct,
                    "right_citations": result.right_citations,
                    "citations": result.citations,
                    "answer": result.answer,
                }
                for result in results
            ],
        }


def load_items(path: Path) -> list[EvaluationItem]:
    """Read a set of JSON lines.

    Raises:
        pydantic.ValidationError: a line does not have the form of an item.
    """
    adapter = TypeAdapter(EvaluationItem)
    with path.open(encoding="utf-8") as lines:
        return [adapter.validate_json(line) for line in lines if line.strip()]


def evaluate(items: Iterable[EvaluationItem], ask: Ask) -> AnswersReport:
    """Ask every question, in order, and compare.

    An answerable question is answered correctly if the answer is no refusal and holds a gold answer. A
    citation is right if its quote holds a gold answer.
    """
    return AnswersReport(tuple(_judge(item, ask(item)) for item in items))


def _judge(item: EvaluationItem, answer: Answer) -> ItemResult:
    is_refusal = answer.mode is AnswerMode.NO_EVIDENCE
    citations = [] if is_refusal else answer.citations
    return ItemResult(
        id=item.id,
        answerable=item.answerable,
        mode=answer.mode.value if answer.mode else None,
        is_correct=item.answerable and not is_refusal and holds_answer(answer.text, item.answers),
        right_citations=sum(holds_answer(citation.quote, item.answers) for citation in citations),
        citations=len(citations),
        answer=answer.text,
    )


def holds_answer(text: str, answers: Sequence[str]) -> bool:
    """Whether a text holds a gold answer: letter by letter but for marks and spaces, a long one by its words."""
    plain = _plain(text)
    return any(_holds(text, plain, answer) for answer in answers)


def _holds(text: str, plain: str, answer: str) -> bool:
    wanted = _plain(answer)
    if not wanted:
        return False
    if wanted in plain:
        return True
    words = terms(answer)
    return len(answer) > _LONG_ANSWER_CHARS and len(words & terms(text)) >= _LONG_ANSWER_SHARE * len(words)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum() or char in "%.")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
