"""Finds the terms of a lexicon in texts, and in streams that may be cut anywhere."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import ahocorasick

from zhiku_services.safety.folding import BREAK, Folded, Reading, fold, is_latin
from zhiku_services.safety.lexicon import Form, Term, forms

_WIDEST_GAP: Final = 3
"""Separators between two characters of a term; more are no disguise but a table."""
_LEET: Final = re.compile(r"[0134578@$!０１３４５７８＠＄！]")
"""What may be a letter in leet, be it in full width."""
_LEAST_LEET: Final = 4
"""A shorter word in leet is more often a part number."""


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """A term from `start` to `end` of the text."""

    start: int
    end: int
    term: Term


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a form stands for: a term, or a phrase in which some terms do not count."""

    form: Form
    term: Term | None
    spares: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int
    entry: _Entry


class Matcher:
    """A lexicon, ready to be looked for. Safe to share between threads."""

    def __init__(self, terms: Iterable[Term]) -> None:
        entries: dict[str, list[_Entry]] = {}
        for term in terms:
            for form in forms(term.text):
                entries.setdefault(form.chars, []).append(_Entry(form, term))
            for phrase in term.unless:
                form = next(forms(phrase))
                entries.setdefault(form.chars, []).append(_Entry(form, None, frozenset({term.text})))
        self._automaton = ahocorasick.Automaton()
        for chars, of_chars in entries.items():
            self._automaton.add_word(chars, of_chars)
        self._longest = max(map(len, entries), default=0)
        self._is_empty = not entries
        if entries:
            self._automaton.make_automaton()

    def find(self, text: str) -> list[Match]:
        """Every term in a whole text, in order; they may overlap."""
        hits, _ = self.look(text, is_end=True)
        return self.matches(hits)

    def matches(self, hits: Sequence[_Hit]) -> list[Match]:
        """The terms among hits that no exception covers."""
        spared = [hit for hit in hits if hit.entry.term is None]
        found = {
            (hit.start, hit.end, hit.entry.term.text): Match(hit.start, hit.end, hit.entry.term)
            for hit in hits
            if hit.entry.term is not None
            and not any(
                one.start <= hit.start and hit.end <= one.end and hit.entry.term.text in one.entry.spares
                for one in spared
            )
        }
        return [found[key] for key in sorted(found)]

    def look(self, text: str, *, is_end: bool) -> tuple[list[_Hit], int]:
        """All hits in a text, and from where on what follows may still change them; its length if it cannot."""
        hits: list[_Hit] = []
        settled = len(text)
        if self._is_empty or not text:
            return hits, settled
        for reading in _readings(text):
            folded = fold(text, reading)
            hits += self._hits(folded, reading, text)
            if not is_end:
                settled = min(settled, self._open_from(folded, len(text)))
        return hits, _whole(hits, settled) if not is_end else settled

    def _hits(self, folded: Folded, reading: Reading, text: str) -> Iterator[_Hit]:
        for last, entries in self._automaton.iter(folded.chars):
            for entry in entries:
                first = last - len(entry.form.chars) + 1
                if not _is_written(folded, first, last, entry.form):
                    continue
                start, end = folded.places[first], folded.places[last] + 1
                if reading is Reading.PLAIN or _is_leet(text[start:end], entry.form):
                    yield _Hit(start, end, entry)

    def _open_from(self, folded: Folded, length: int) -> int:
        """Where the longest end of the text begins that may be the beginning of a form."""
        if folded.tail == BREAK or folded.tail > _WIDEST_GAP:
            return length
        size = len(folded.chars)
        for first in range(max(0, size - self._longest), size):
            if _goes_on(folded, first):
                continue
            if self._automaton.match(folded.chars[first:]) and _is_near(folded, first, size - 1):
                return folded.places[first]
        return length


class StreamGuard:
    """Lets a text through piece by piece, and no piece of a term before the whole of it was seen.

    However the text is cut into pieces, the same text comes out with the same matches.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._before = ""
        self._held = ""
        self._passed = 0

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> tuple[str, list[Match]]:
        """Take in a piece; return what may go out now, and the terms in it, by their places in the whole text."""
        self._held += piece
        return self._release(is_end=False)

    def finish(self) -> tuple[str, list[Match]]:
        """Return what is still held, and the terms in it."""
        return self._release(is_end=True)

    def _release(self, *, is_end: bool) -> tuple[str, list[Match]]:
        # What went out last stands before, since a word begins only where none goes on.
        text, margin = self._before + self._held, len(self._before)
        hits, settled = self._matcher.look(text, is_end=is_end)
        settled = max(settled, margin)
        shift = self._passed - margin
        matches = [
            Match(match.start + shift, match.end + shift, match.term)
            for match in self._matcher.matches([hit for hit in hits if hit.start >= margin and hit.end <= settled])
        ]
        released = text[margin:settled]
        self._held = text[settled:]
        self._passed += len(released)
        self._before = _from_last_letter(text[:settled])
        return released, matches


def _from_last_letter(text: str) -> str:
    """The end of a text from its last letter on, which says whether a word goes on."""
    for place in range(len(text) - 1, -1, -1):
        if fold(text[place]).chars:
            return text[place:]
    return text


def _is_written(folded: Folded, first: int, last: int, form: Form) -> bool:
    """Whether the characters stand together as the form wants it, as words of their own."""
    if not _is_near(folded, first, last):
        return False
    if _goes_on(folded, first) or _goes_on(folded, last + 1):
        return False
    bounds = [*sorted(form.starts), len(form.chars)]
    if any(folded.gaps[first + place] == 0 for place in form.apart):
        return False
    return all(_is_one_word(folded, first + start, first + end) for start, end in itertools.pairwise(bounds))


def _is_one_word(folded: Folded, start: int, end: int) -> bool:
    """Whether the letters from `start` to `end` stand together, or all of them apart; Chinese ones may do either."""
    between = [
        folded.gaps[place]
        for place in range(start + 1, end)
        if is_latin(folded.chars[place]) and is_latin(folded.chars[place - 1])
    ]
    return all(between) or not any(between)


def _goes_on(folded: Folded, place: int) -> bool:
    """Whether a word goes on from the character before this place to the one here."""
    if not 0 < place < len(folded.chars) or folded.gaps[place] != 0:
        return False
    return is_latin(folded.chars[place]) and is_latin(folded.chars[place - 1])


def _is_near(folded: Folded, first: int, last: int) -> bool:
    return all(0 <= gap <= _WIDEST_GAP for gap in folded.gaps[first + 1 : last + 1])


def _readings(text: str) -> Sequence[Reading]:
    return tuple(Reading) if _LEET.search(text) else (Reading.PLAIN,)


def _is_leet(written: str, form: Form) -> bool:
    """Whether a word was written with digits or signs among its letters, and still with letters for the most part."""
    letters = [letter for letter in fold(written).chars if letter.isalpha()]
    is_long = len(form.chars) >= _LEAST_LEET and form.chars.isascii()
    return is_long and len(form.chars) > len(letters) >= len(form.chars) / 2


def _whole(hits: Sequence[_Hit], settled: int) -> int:
    """Draw the line so that it cuts no hit in two."""
    while (earlier := min((hit.start for hit in hits if hit.start < settled < hit.end), default=settled)) < settled:
        settled = earlier
    return settled
