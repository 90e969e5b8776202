"""Text as a reader understands it, whatever it was dressed up as: what the lexicon is matched against.

Width, case, traditional forms, letters of other scripts that look Latin, accents and what cannot be seen are folded
away. Separators leave the text and are remembered as gaps, so a word whose letters stand apart reads like the word,
while the end of a sentence stays an end. Every folded character knows its place in the text.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import opencc

BREAK: Final = -1
"""The gap that no term reaches across."""

_BREAKS: Final = frozenset('。！？；，、：…—\n\r\u2028\u2029“”‘’「」『』《》〈〉【】（）()[]{}<>"!?;')
_LOOK_LATIN: Final = dict(
    zip(
        "авекмнорстухіјѕԁԛԝɡαβεικνορτυχγωϲı",
        "abekmhopctyxijsdqwgabeiknoptuxywci",
        strict=True,
    )
)
"""Small letters of other alphabets that cannot be told from Latin ones."""


class Reading(Enum):
    """How digits and signs in a word are read: as themselves, or as the letters that they stand for in leet."""

    PLAIN = "plain"
    ONE_IS_I = "one_is_i"
    ONE_IS_L = "one_is_l"


_LEET: Final = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "!": "i"}
_READINGS: Final = {
    Reading.PLAIN: {},
    Reading.ONE_IS_I: {**_LEET, "1": "i"},
    Reading.ONE_IS_L: {**_LEET, "1": "l"},
}


@dataclass(frozen=True, slots=True)
class Folded:
    """`chars[n]` stands for the character of the text at `places[n]`.

    `gaps[n]` is how many separators stand before it, 0 if it touches the one before, or `BREAK`; `tail` is the same for
    what follows the last one.
    """

    chars: str
    places: list[int]
    gaps: list[int]
    tail: int


class _Table(dict[str, str]):
    """What each character folds to in one reading, worked out when it is first met."""

    def __init__(self, instead: Mapping[str, str]) -> None:
        self._instead = instead

    def __missing__(self, character: str) -> str:
        pieces = "".join(self._instead.get(piece, piece) for piece in _pieces(character))
        self[character] = folds_to = "".join(map(_kind, pieces))
        return folds_to


def _kind(piece: str) -> str:
    """The piece itself if it is read; else what it does between those that are."""
    if piece in _BREAKS:
        return "\n"
    return piece if piece.isalnum() else " "


_TABLES: Final = {reading: _Table(instead) for reading, instead in _READINGS.items()}


def fold(text: str, reading: Reading = Reading.PLAIN) -> Folded:
    """Fold a text; what it gives does not depend on what stands before or after, but for the first gap and the tail."""
    table = _TABLES[reading]
    letters: list[str] = []
    places: list[int] = []
    gaps: list[int] = []
    gap = 0
    for place, character in enumerate(text):
        for piece in table[character]:
            if piece == "\n":
                gap = BREAK
            elif piece == " ":
                gap = gap if gap == BREAK else gap + 1
            else:
                letters.append(piece)
                places.append(place)
                gaps.append(gap)
                gap = 0
    return Folded("".join(letters), places, gaps, gap)


def is_latin(letter: str) -> bool:
    """Whether it belongs to words that are written apart, digits included."""
    return letter.isascii()


def _pieces(character: str) -> str:
    """What one character folds to; nothing for what cannot be seen."""
    if character in "\n\r\t":
        return character
    plain = unicodedata.normalize("NFKD", character).casefold()
    seen = [piece for piece in plain if unicodedata.category(piece) not in {"Mn", "Me", "Cf", "Cc"}]
    # A syllable of Hangul or a kana with its mark is decomposed as well, and so are the terms.
    return "".join(_SIMPLIFIED.get(piece, _LOOK_LATIN.get(piece, piece)) for piece in seen)


def _read_simplified() -> dict[str, str]:
    """Traditional characters and their simplified forms, from OpenCC's table."""
    table = Path(opencc.__file__).parent / "dictionary" / "TSCharacters.txt"
    lines = (line.split() for line in table.read_text(encoding="utf-8").splitlines())
    return {line[0]: line[1] for line in lines if len(line) > 1 and len(line[0]) == len(line[1]) == 1}


_SIMPLIFIED: Final = _read_simplified()
