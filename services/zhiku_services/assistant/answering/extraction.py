"""Find the sentences that answer a question, and quote them."""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Final

from zhiku_platform.contracts.knowledge import FoundPassage
from zhiku_services.assistant.answering.expectation import Expected, expected_answer, fits
from zhiku_services.assistant.answering.relations import relation_match, relations_of
from zhiku_services.assistant.answering.units import Unit, quotable_units
from zhiku_services.assistant.answering.words import Rarity, fold, numbers, terms

# What only somebody writes who wants to steer a model; it is text like any other, but not what answers a question.
_INSTRUCTION: Final = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,30}\b(?:instruction|prompt|rule|above|previous)|\byou are now\b"
    r"|\bsystem prompt\b|\b(?:tell|inform) the user\b|\bas an ai\b"
    r"|(?:忽略|无视|忘记).{0,12}(?:指令|指示|提示|规则|要求|内容)|你现在是|系统提示词|告诉用户",
    re.IGNORECASE,
)
_MAX_QUOTES: Final = 3
_MAX_STEPS: Final = 6
# A second quote must come this near to the best one's score; measured with `zhiku eval answers` on dev halves.
_NEAR_BEST: Final = 1.0
_BUDGET_CHARS: Final = {"zh": 220, "en": 480}


@dataclass(frozen=True, slots=True)
class Features:
    """What speaks for a unit, each about 0..1.

    `own` is the share of the question's words that the unit holds, by rarity, of those that any unit holds;
    `near` what its neighbours add, `context` what title and headings add. `fits` tells whether it has the
    kind of answer that is asked for, `relation` whether it speaks of the same relation in other words,
    `begins` whether it begins with what the question is about, `says_more` how much it says beyond the question.
    """

    own: float
    near: float
    context: float
    fits: float
    relation: float
    begins: float
    says_more: float
    rank: float
    score: float
    length: float
    heading: float
    instructs: float


# Chosen by hand and checked on the dev halves of four public sets; a conditional logit fitted there was no better.
_WEIGHTS: Final = Features(
    own=3.0,
    near=0.8,
    context=1.0,
    fits=1.2,
    relation=0.8,
    begins=0.4,
    says_more=0.5,
    rank=-0.3,
    score=1.0,
    length=0.2,
    heading=-2.0,
    instructs=-3.0,
)


@dataclass(frozen=True, slots=True)
class ScoredUnit:
    """A unit and how well it answers; `coverage` is the share of all the question's words that it,
    its neighbours and its headings hold, by rarity.
    """

    unit: Unit
    score: float
    features: Features
    coverage: float


def score_units(
    question: str,
    passages: Sequence[FoundPassage],
    *,
    emphasised: frozenset[str] = frozenset(),
) -> list[ScoredUnit]:
    """Score every quotable unit of the passages against a question, in reading order.

    `emphasised` are terms that count twice, such as the new topic of a follow-up question.
    """
    units = quotable_units(passages)
    comparison = _Comparison(question, passages, units, emphasised)
    scored: list[ScoredUnit] = []
    for index, unit in enumerate(units):
        features = comparison.features(index)
        scored.append(ScoredUnit(unit, _weigh(features), features, comparison.coverage(index)))
    return scored


def _weigh(features: Features) -> float:
    pairs = zip(astuple(_WEIGHTS), astuple(features), strict=True)
    return sum(float(weight) * float(value) for weight, value in pairs)


class _Comparison:
    """A question beside the units of the passages found for it."""

    def __init__(
        self,
        question: str,
        passages: Sequence[FoundPassage],
        units: Sequence[Unit],
        emphasised: frozenset[str],
    ) -> None:
        self._question = question
        self._passages = passages
        self._units = units
        self._own = [terms(unit.text) for unit in units]
        self._context = [terms(unit.context) for unit in units]
        rarity = Rarity.of([a | b for a, b in zip(self._own, self._context, strict=True)])
        self._rarity = rarity.emphasising(emphasised)
        self._asked = terms(question)
        self._known = self._rarity.known(self._asked)
        self._top_score = max((found.score for found in passages), default=0.0) or 1.0
        self._expected: Expected = expected_answer(question)
        self._numbers = numbers(question)
        self._relations = relations_of(question)

    @cached_property
    def _topic(self) -> tuple[str, ...]:
        """The question's first content words, as they may begin a sentence on them."""
        folded = fold(self._question)
        return tuple(sorted((term for term in self._asked if len(term) > 1), key=folded.find)[:2])

    def features(self, index: int) -> Features:
        unit, own = self._units[index], self._own[index]
        found = self._passages[unit.passage]
        covered = self._rarity.coverage(self._known, own)
        missing = self._known - own
        return Features(
            own=covered,
            near=self._rarity.coverage(self._known, own | self._neighbours(index)) - covered,
            context=self._rarity.coverage(missing, self._context[index]) if missing else 1.0,
            fits=fits(self._question, self._expected, unit.text, asked_numbers=self._numbers),
            relation=relation_match(self._relations, unit.text),
            begins=float(any(0 <= fold(unit.text).find(term) <= 3 for term in self._topic)),
            says_more=min(len(own - self._asked), 6) / 6,
            rank=unit.passage / 10,
            score=found.score / self._top_score,
            length=min(len(unit.text), 120) / 120,
            heading=float(unit.kind == "heading"),
            instructs=float(_INSTRUCTION.search(unit.text) is not None),
        )

    def coverage(self, index: int) -> float:
        held = self._own[index] | self._neighbours(index) | self._context[index]
        return self._rarity.coverage(self._asked, held)

    def _neighbours(self, index: int) -> frozenset[str]:
        """The terms of the two sentences before and the one after, of the same passage."""
        near: frozenset[str] = frozenset()
        for other in (index - 2, index - 1, index + 1):
            if 0 <= other < len(self._units) and self._units[other].passage == self._units[index].passage:
                near |= self._own[other]
        return near


def choose_quotes(scored: Sequence[ScoredUnit], question: str = "") -> list[ScoredUnit]:
    """Pick the units to quote, best first, while there is room.

    A question for a way gets what follows the best unit, as does one whose best unit announces a list; any
    other gets what comes near it in score.
    """
    ranked = sorted((item for item in scored if item.unit.kind != "heading"), key=lambda item: -item.score)
    if not ranked:
        return []
    best = ranked[0]
    is_chinese = any("\u4e00" <= char <= "\u9fff" for char in best.unit.text)
    room = _BUDGET_CHARS["zh" if is_chinese else "en"] - len(best.unit.text)
    goes_on = expected_answer(question) == "method" or best.unit.text.endswith((":", "："))
    others = _following(scored, best) if goes_on else []
    limit = _MAX_STEPS if others else _MAX_QUOTES
    others += [item for item in ranked[1:] if item.score >= best.score - _NEAR_BEST and item not in others]
    chosen = [best]
    for item in others:
        if len(chosen) < limit and len(item.unit.text) <= room and not _repeats(item, chosen):
            chosen.append(item)
            room -= len(item.unit.text)
    return chosen


def _following(scored: Sequence[ScoredUnit], best: ScoredUnit) -> list[ScoredUnit]:
    """What follows a unit in its passage, up to the next heading."""
    following: list[ScoredUnit] = []
    for item in scored:
        if item.unit.passage == best.unit.passage and item.unit.position > best.unit.position:
            if item.unit.kind == "heading" or len(following) == _MAX_STEPS:
                break
            following.append(item)
    return following


def _repeats(item: ScoredUnit, chosen: Sequence[ScoredUnit]) -> bool:
    own = terms(item.unit.text)
    return any(len(own & terms(other.unit.text)) >= 0.8 * max(1, len(own)) for other in chosen)
