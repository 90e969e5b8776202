"""Bind a model's sentence to the passages that say the same, or find that none does.

A sentence is supported by a passage if the passage holds most of its words, all of its numbers with
their units, all of its names, and if the place that says it affirms or denies alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from zhiku_platform.contracts.knowledge import FoundPassage
from zhiku_platform.text.language import detect_language
from zhiku_services.assistant.answering.translation import known_keywords
from zhiku_services.assistant.answering.units import Unit, quotable_units
from zhiku_services.assistant.answering.words import (
    Rarity,
    all_terms,
    denials,
    fold,
    names,
    quantities,
    states,
    terms,
)

# The share of a sentence's words, by rarity, that its source must hold; chosen on hand-written pairs.
_MIN_COVERAGE: Final = 0.6
_HINTED_COVERAGE: Final = 0.5
_SURE: Final = 0.9
_MAX_SOURCES: Final = 2
# Across languages, of the words that the glossary knows; chosen by us.
_LEAST_KEYWORDS: Final = 2
_KEYWORD_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Support:
    """One source of a sentence: the unit that says it, and the share of the sentence's words it covers."""

    unit: Unit
    coverage: float


class Binder:
    """Finds the sources of sentences among the passages that a model was given."""

    def __init__(self, passages: Sequence[FoundPassage]) -> None:
        self._units = quotable_units(passages)
        self._words = [all_terms(unit.text) for unit in self._units]
        self._contexts = [all_terms(unit.context) for unit in self._units]
        self._rarity = Rarity.of([a | b for a, b in zip(self._words, self._contexts, strict=True)])
        self.passages = tuple(passages)

    def bind(self, sentence: str, *, named: Sequence[int] = ()) -> list[Support]:
        """Find what supports a sentence, best first; empty if nothing does.

        `named` are the passage numbers, from 1, that the model put behind the sentence.
        """
        wanted = terms(sentence)
        if not wanted:
            return []
        best = (
            self._best_of(number, sentence, wanted, hinted=number + 1 in named) for number in range(len(self.passages))
        )
        supports = [support for support in best if support is not None]
        # Where several passages say it, the one that the model named comes first.
        supports.sort(key=lambda support: (support.unit.passage + 1 not in named, -support.coverage))
        return supports[:_MAX_SOURCES] if supports and supports[0].coverage < _SURE else supports[:1]

    def across_languages(self, sentence: str) -> Unit | None:
        """The unit that says best what a sentence in another language says; None if none does.

        It holds every number of the sentence, affirms or denies alike, and shares words that the glossary knows; of a
        sentence without a number most of those.
        """
        wanted = all_terms(" ".join(known_keywords(sentence)))
        has_numbers = bool(quantities(sentence))
        if not has_numbers and (names(sentence) or len(wanted) < _LEAST_KEYWORDS):
            return None
        shares: list[tuple[float, int]] = []
        for index, unit in enumerate(self._units):
            if unit.kind == "heading" or not _numbers_agree(sentence, f"{unit.context} {unit.text}"):
                continue
            if denials(sentence) != denials(unit.text):
                continue
            held = self._words[index] | self._contexts[index]
            shares.append((len(wanted & held) / len(wanted) if wanted else 0.0, -index))
        share, place = max(shares, default=(0.0, 0))
        if not shares or (share < _KEYWORD_SHARE and not has_numbers):
            return None
        return self._units[-place]

    def _best_of(self, number: int, sentence: str, wanted: frozenset[str], *, hinted: bool) -> Support | None:
        least = _HINTED_COVERAGE if hinted else _MIN_COVERAGE
        candidates: list[Support] = []
        for index, unit in enumerate(self._units):
            if unit.passage != number or unit.kind == "heading":
                continue
            neighbour = self._neighbour(index)
            near = frozenset[str]() if neighbour is None else self._words[neighbour]
            held = self._words[index] | self._contexts[index] | near
            coverage = self._rarity.coverage(wanted, held)
            own = self._rarity.coverage(wanted, self._words[index])
            if coverage >= least and own >= 0.5 * least and self._agrees(sentence, index):
                candidates.append(Support(unit, 0.5 * coverage + 0.5 * own))
        return max(candidates, key=lambda support: support.coverage, default=None)

    def _neighbour(self, index: int) -> int | None:
        """The unit before, of the same passage."""
        before = index - 1
        return before if before >= 0 and self._units[before].passage == self._units[index].passage else None

    def _agrees(self, sentence: str, index: int) -> bool:
        unit, neighbour = self._units[index], self._neighbour(index)
        source = f"{unit.context}\n{unit.text}"
        return (
            _numbers_agree(sentence, f"{unit.text} {_years(unit.context)}")
            and _names_agree(sentence, source, self.passages[unit.passage].passage.text)
            and _denies_alike(sentence, unit.text, "" if neighbour is None else self._units[neighbour].text)
        )


def _numbers_agree(sentence: str, source: str) -> bool:
    """Every number of the sentence stands in the source, and no unit contradicts."""
    return all(states(source, number, unit) for number, unit in quantities(sentence))


def _years(heading: str) -> str:
    """The years that a heading names; its other figures number chapters and say nothing."""
    return " ".join(re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", heading))


def _names_agree(sentence: str, source: str, passage: str) -> bool:
    whole = fold(f"{source}\n{passage}")
    return all(name in whole for name in names(sentence))


def _denies_alike(sentence: str, unit: str, neighbour: str) -> bool:
    """Compare affirmation with the clauses of the source that share words with the sentence.

    Where the text before the unit has the clause that shares most, that one has to deny alike, too.
    """
    wanted, denied = terms(sentence), denials(sentence)
    clauses = [clause for clause in _clauses(unit) if terms(clause) & wanted] or [unit]
    nearest = max(clauses, key=lambda clause: len(terms(clause) & wanted))
    if denied not in (frozenset().union(*(denials(clause) for clause in clauses)), denials(nearest)):
        return False
    before = max(_clauses(neighbour), key=lambda clause: len(terms(clause) & wanted), default="")
    return len(terms(before) & wanted) <= len(terms(nearest) & wanted) or denied == denials(before)


def _clauses(text: str) -> list[str]:
    for mark in "，；;,：:":
        text = text.replace(mark, "\n")
    return [clause for clause in text.split("\n") if clause.strip()]


def speaks_other_language(sentence: str, passages: Sequence[FoundPassage]) -> bool:
    """Whether word overlap can tell nothing, because sentence and passages are in different languages."""
    own = detect_language(sentence)
    return all(found.passage.language != own for found in passages)
