"""Split Chinese and English text into sentences, keeping offsets."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_CLOSERS = "\"'”’»)]}）】」』》〉"
_BOUNDARY = re.compile(
    rf"(?P<cjk>[。！？；｡]+|…{{2,}}|[!?](?=[\u3400-\u9fff]))[{re.escape(_CLOSERS)}]*"
    rf"|(?P<latin>(?<![.!?])[.!?]++|…)[{re.escape(_CLOSERS)}]*+(?=\s|$)"
    r"|(?P<blank>\n[ \t]*(?=\n))"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABBREVIATIONS = _words(
    "mr mrs ms dr prof sr jr st vs etc inc ltd co corp llc no nos vol fig figs eq sec ch art pp p ed eds "
    "al cf approx dept est gen gov hon rep sen rev capt col lt sgt jan feb mar apr jun jul aug sep sept oct "
    "nov dec mon tue wed thu fri sat sun e.g i.e u.s u.k u.n a.m p.m ph.d m.d b.a m.a "
    "d.c n.a op cit ibid ca viz"
)
# Some abbreviations do end sentences; when the next word begins with a capital, these are taken to.
_MAY_END = frozenset({"etc", "inc", "ltd", "co", "corp", "llc", "u.s", "u.k", "a.m", "p.m", "jr", "sr", "al", "d.c"})
_LOOK_AHEAD = 80
_LAST_WORD = re.compile(r"([A-Za-z][A-Za-z.]*|\d+)$")
_STARTS_SENTENCE = re.compile(r"[A-Z0-9\u00c0-\u00de\u3400-\u9fff\"'“‘(\[（【「『《•\-–—*#$]")


class Extent(NamedTuple):
    """A half-open range of characters, `text[start:end]`."""

    start: int
    end: int


def sentence_extents(text: str) -> Iterator[Extent]:
    """Find the sentences of a text, in order, in time linear in its length.

    Extents cover every character that is not white space between sentences; closing quotes and brackets
    stay with their sentence. Decimals, abbreviations, initials and list numbers do not end a sentence.
    """
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.lastgroup == "latin" and not _ends_sentence(text, start, match):
            continue
        yield from _stripped(text, start, match.end())
        start = match.end()
    yield from _stripped(text, start, len(text))


def split_sentences(text: str) -> list[str]:
    """List the sentences of a text, without the white space between them."""
    return [text[start:end] for start, end in sentence_extents(text)]


def _stripped(text: str, start: int, end: int) -> Iterator[Extent]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Extent(start, end)


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    following = text[match.end() : match.end() + _LOOK_AHEAD].lstrip()
    if not following:
        return True
    if not _STARTS_SENTENCE.match(following):
        return False
    if match["latin"] != ".":
        return True
    before = _LAST_WORD.search(text, max(start, match.start() - 24), match.start())
    if before is None:
        return True
    if before[1].isdigit():
        # "3." at the start of a sentence numbers what follows.
        return len(before[1]) > 3 or bool(text[start : before.start()].strip())
    return not _is_abbreviation(before[1])


def _is_abbreviation(word: str) -> bool:
    lowered = word.lower().strip(".")
    if len(lowered) == 1 and lowered != "i":
        return word.isupper()
    return lowered in _ABBREVIATIONS and lowered not in _MAY_END
