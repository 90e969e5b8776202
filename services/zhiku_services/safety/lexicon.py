"""Terms that must not pass, and what is known about each."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pypinyin import Style, lazy_pinyin

from zhiku_platform.contracts.safety import Category, Severity
from zhiku_platform.contracts.wire import Message
from zhiku_services.safety.errors import LexiconError
from zhiku_services.safety.folding import fold

_MOST_SPELT: Final = 4
"""Longer terms are not looked for in pinyin: each character doubles the ways to write them."""
LEAST_CHARS: Final = 2
"""A shorter term would fire everywhere."""
_LEAST_SPELT_OUT: Final = 3


class Term(Message):
    """Something to look for. It does not count within one of the phrases of `unless`."""

    text: str = Field(min_length=1, max_length=100)
    category: Category
    severity: Severity
    unless: list[str] = []


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a phrase, folded: `starts` are the places in it where a new word or syllable begins.

    At a place in `apart` a separator must stand; between syllables one may.
    """

    chars: str
    starts: frozenset[int]
    apart: frozenset[int]


def read_terms(path: Path) -> list[Term]:
    """Read terms, one JSON object a line.

    Raises:
        LexiconError: the file cannot be read, or a line is no term; the message names it.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LexiconError(f"{path} cannot be read.", remedy="Name a file of terms in UTF-8.") from error
    terms: list[Term] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            term = Term.model_validate(json.loads(line))
        except (ValueError, ValidationError) as error:
            raise LexiconError(
                f"Line {number} of {path.name} is no term.", remedy="Correct or remove the line."
            ) from error
        _check(term, number, path.name)
        terms.append(term)
    return terms


def own_terms() -> list[Term]:
    """The small list that Zhiku ships."""
    return read_terms(Path(__file__).parent / "terms.jsonl")


def forms(phrase: str) -> Iterator[Form]:
    """Every way to write a phrase that is looked for: folded, and a short Chinese one with some of it in pinyin."""
    folded = fold(phrase)
    words = frozenset(place for place, gap in enumerate(folded.gaps) if gap != 0 or place == 0)
    yield Form(folded.chars, words, words - {0})
    if not 2 <= len(phrase) <= _MOST_SPELT or folded.chars != phrase or not all(map(_is_chinese, phrase)):
        return
    spelt = lazy_pinyin(phrase, style=Style.NORMAL)
    for choice in itertools.product((False, True), repeat=len(phrase)):
        # Two syllables alone are too often another word, as `bingdu` is a virus as well.
        if not any(choice) or (all(choice) and len(phrase) < _LEAST_SPELT_OUT):
            continue
        pieces = [spelt[n] if is_spelt else phrase[n] for n, is_spelt in enumerate(choice)]
        places = frozenset(itertools.accumulate((len(piece) for piece in pieces[:-1]), initial=0))
        yield Form("".join(pieces), places, frozenset())


def _check(term: Term, number: int, name: str) -> None:
    if len(fold(term.text).chars) < LEAST_CHARS:
        raise LexiconError(
            f"Line {number} of {name} has a term of fewer than two characters; it would fire everywhere.",
            remedy="Use a longer phrase.",
        )
    for phrase in term.unless:
        if fold(term.text).chars not in fold(phrase).chars:
            raise LexiconError(
                f"Line {number} of {name} has an exception that does not hold the term.",
                remedy="Write the whole phrase.",
            )


def _is_chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"
