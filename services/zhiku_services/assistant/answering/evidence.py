"""Judge whether what was found answers a question, before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Final

from zhiku_platform.contracts.knowledge import SearchResult
from zhiku_services.assistant.answering.extraction import ScoredUnit
from zhiku_services.assistant.answering.words import Rarity, fold, names, terms

# Log-odds at which an answer is tried. A little below even: a reader sees at once that a quote does not
# answer, and cannot see what a refusal kept from him. Chosen by us.
_LEAST: Final = -0.3
# The search's own estimate counts with this weight and within these bounds, since it sees part of the same words.
_SEARCH_WEIGHT: Final = 0.4
_SEARCH_BOUND: Final = 0.05


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for the best unit as an answer, each 0..1.

    `own` and `around` are the shares of the question's words, by rarity, that the unit with its headings
    holds, alone and with its neighbours; `fits` whether it has the kind of answer asked for; `names` the share
    of the question's names in its passage; `matched` and `unseen` count words, six or more being 1.
    """

    own: float
    around: float
    fits: float
    names: float
    matched: float
    unseen: float

    @property
    def log_odds(self) -> float:
        """A logistic regression over the dev halves of cmrc2018, clapnq and rgb, each set and class weighing alike."""
        return (
            1.0 * self.own
            + 0.75 * self.around
            + 0.5 * self.fits
            + 1.5 * self.names
            + 0.95 * self.matched
            - 1.55 * self.unseen
            - 2.5
        )


def is_answerable(question: str, found: SearchResult, scored: Sequence[ScoredUnit]) -> bool:
    """Whether the passages probably answer the question."""
    evidence = weigh_evidence(question, found, scored)
    return evidence is not None and evidence.log_odds + _search_log_odds(found.relevance) >= _LEAST


def speaks_of(new: frozenset[str], found: SearchResult, scored: Sequence[ScoredUnit]) -> bool:
    """Whether the passage of the best unit holds one of the terms in which a follow-up differs; true if it has none.

    What was asked of another thing before may be answered well there, and is no answer.
    """
    bodies = [item for item in scored if item.unit.kind != "heading"]
    if not new or not bodies:
        return not new
    best = found.passages[max(bodies, key=lambda item: item.score).unit.passage].passage
    return bool(new & terms("\n".join([best.document_title, *best.heading_path, best.text])))


def answer_probability(question: str, found: SearchResult, scored: Sequence[ScoredUnit]) -> float:
    """The probability, 0..1, that the passages answer the question."""
    evidence = weigh_evidence(question, found, scored)
    if evidence is None:
        return 0.0
    return 1 / (1 + exp(-(evidence.log_odds + _search_log_odds(found.relevance))))


def _search_log_odds(relevance: float) -> float:
    bounded = min(1 - _SEARCH_BOUND, max(_SEARCH_BOUND, relevance))
    return _SEARCH_WEIGHT * log(bounded / (1 - bounded))


def weigh_evidence(question: str, found: SearchResult, scored: Sequence[ScoredUnit]) -> Evidence | None:
    """Look at the best unit; None if there is nothing to look at."""
    bodies = [item for item in scored if item.unit.kind != "heading"]
    asked = terms(question)
    if not bodies or not asked:
        return None
    best = max(bodies, key=lambda item: item.score)
    rarity = Rarity.of([_held(item) for item in scored])
    named = names(question)
    whole = fold(f"{best.unit.context} {found.passages[best.unit.passage].passage.text}")
    return Evidence(
        own=rarity.coverage(asked, _held(best)),
        around=best.coverage,
        fits=best.features.fits,
        names=sum(name in whole for name in named) / len(named) if named else 1.0,
        matched=min(len(asked & _held(best)), 6) / 6,
        unseen=min(len(asked - rarity.known(asked)), 6) / 6,
    )


def _held(item: ScoredUnit) -> frozenset[str]:
    return terms(item.unit.text) | terms(item.unit.context)
