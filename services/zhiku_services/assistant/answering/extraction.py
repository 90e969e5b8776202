"""Find the sentences that answer a question, and quote them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

from zhiku_platform.contracts.knowledge import FoundPassage
from zhiku_services.assistant.answering.expectation import Expected, expected_answer, fits
from zhiku_services.assistant.answering.units import Unit, quotable_units
from zhiku_services.assistant.answering.words import Rarity, numbers, terms

FEATURES: Final = (
    "own",
    "near",
    "context",
    "best_term",
    "fits",
    "rank",
    "score",
    "length",
    "heading",
    "row",
    "new",
    "cosine",
)
_WEIGHTS: Final = (3.0, 1.0, 1.0, 0.6, 1.2, -0.25, 0.8, 0.2, -2.0, 0.0, 0.5, 0.0)
_MAX_QUOTES: Final = 3


@dataclass(frozen=True, slots=True)
class ScoredUnit:
    """`score` is the log-odds that the unit holds the answer; `features` are in the order of `FEATURES`."""

    unit: Unit
    score: float
    features: tuple[float, ...]
    coverage: float


def score_units(
    question: str,
    passages: Sequence[FoundPassage],
    *,
    cosines: Sequence[float] | None = None,
    emphasised: frozenset[str] = frozenset(),
) -> list[ScoredUnit]:
    """Score every quotable unit of the passages against a question, in reading order.

    `cosines` are similarities of question and unit, in the order of `quotable_units`; `emphasised` are
    terms that count twice, such as the new topic of a follow-up question.
    """
    units = quotable_units(passages)
    if not units:
        return []
    own = [terms(unit.text) for unit in units]
    under = [terms(unit.context) for unit in units]
    rarity = Rarity.of([a | b for a, b in zip(own, under, strict=True)])
    asked = terms(question)
    if emphasised:
        rarity = Rarity(
            {**rarity.weights, **{t: 2 * rarity.weights.get(t, rarity.unseen) for t in emphasised}},
            rarity.unseen,
        )
    expected = expected_answer(question)
    asked_numbers = numbers(question)
    top = max((found.score for found in passages), default=1.0) or 1.0
    scored: list[ScoredUnit] = []
    for index, unit in enumerate(units):
        near = own[index] | (_neighbours(units, own, index))
        features = _features(
            question, unit, own[index], near, under[index], asked, rarity, expected, asked_numbers
        )
        found = passages[unit.passage]
        extra = (
            float(unit.passage) / 10,
            found.score / top,
            min(len(unit.text), 120) / 120,
            float(unit.kind == "heading"),
            float(unit.kind == "row"),
            _news(own[index], asked),
            0.0 if cosines is None else cosines[index],
        )
        whole = (*features, *extra)
        total = sum(weight * value for weight, value in zip(_WEIGHTS, whole, strict=True))
        scored.append(ScoredUnit(unit, total, whole, rarity.coverage(asked, near | under[index])))
    return scored


def _neighbours(units: Sequence[Unit], own: Sequence[frozenset[str]], index: int) -> frozenset[str]:
    """The terms of the sentences before and after, of the same passage."""
    near: frozenset[str] = frozenset()
    for other in (index - 1, index + 1):
        if 0 <= other < len(units) and units[other].passage == units[index].passage:
            near |= own[other]
    return near


def _features(
    question: str,
    unit: Unit,
    own: frozenset[str],
    near: frozenset[str],
    under: frozenset[str],
    asked: frozenset[str],
    rarity: Rarity,
    expected: Expected,
    asked_numbers: frozenset[str],
) -> tuple[float, ...]:
    covered = rarity.coverage(asked, own)
    rarest = max(asked, key=lambda term: (rarity.weights.get(term, 0.0), term), default="")
    return (
        covered,
        rarity.coverage(asked, near) - covered,
        rarity.coverage(asked - own, under) if asked - own else 1.0,
        float(rarest in own),
        fits(question, expected, unit.text, asked_numbers=asked_numbers),
    )


def _news(own: frozenset[str], asked: frozenset[str]) -> float:
    """How much a sentence says beyond the question, 0..1: a heading that repeats it says nothing."""
    return min(len(own - asked), 6) / 6


def probability(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds))


def choose_quotes(scored: Sequence[ScoredUnit], question: str) -> list[ScoredUnit]:
    """Pick the units to quote, best first, with what the best one needs to be understood."""
    ranked = sorted((item for item in scored if item.unit.kind != "heading"), key=lambda item: -item.score)
    if not ranked:
        return []
    best = ranked[0]
    chosen = [best]
    budget = 220 if any("\u4e00" <= char <= "\u9fff" for char in best.unit.text) else 480
    used = len(best.unit.text)
    for item in ranked[1:]:
        if len(chosen) == _MAX_QUOTES or item.score < best.score - 1.0:
            break
        if used + len(item.unit.text) > budget or _repeats(item, chosen):
            continue
        chosen.append(item)
        used += len(item.unit.text)
    return chosen


def _repeats(item: ScoredUnit, chosen: Sequence[ScoredUnit]) -> bool:
    own = terms(item.unit.text)
    return any(len(own & terms(other.unit.text)) >= 0.8 * max(1, len(own)) for other in chosen)
