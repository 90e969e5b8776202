"""Split Chinese and English text into sentences, keeping offsets."""

import re
from typing import NamedTuple

_CLOSERS = "\"'”’»)]}）】」』》〉"
_BOUNDARY = re.compile(
    rf"(?P<cjk>[。！？；｡]+|…{{2,}}|[!?](?=[\u3400-\u9fff]))[{re.escape(_CLOSERS)}]*"
    rf"|(?P<latin>[.!?]+|…)[{re.escape(_CLOSERS)}]*(?=\s|$)"
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
_LAST_WORD = re.compile(r"([A-Za-z][A-Za-z.]*|\d+)$")
_STARTS_SENTENCE = re.compile(r"[A-Z0-9\u00c0-\u00de\u3400-\u9fff\"'“‘(\[（【「『《•\-–—*#$]")


class Extent(NamedTuple):
    """A half-open range of characters, `text[start:end]`."""

    start: int
    end: int


def sentence_extents(text: str) -> list[Extent]:
    """Find the sentences of a text, in order.

    Extents cover every character that is not white space between sentences; closing quotes and brackets
    stay with their sentence. Decimals, abbreviations, initials and list numbers do not end a sentence.
    """
    extents: list[Extent] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.lastgroup == "latin" and not _ends_sentence(text, start, match):
            continue
        _append_stripped(extents, text, start, match.end())
        start = match.end()
    _append_stripped(extents, text, start, len(text))
    return extents


def split_sentences(text: str) -> list[str]:
    """List the sentences of a text, without the white space between them."""
    return [text[start:end] for start, end in sentence_extents(text)]


def _append_stripped(extents: list[Extent], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        extents.append(Extent(start, end))


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    following = text[match.end() :].lstrip() if match.end() + 80 > len(text) else text[match.end() :][:80].lstrip()
    if not following:
        return True
    if not _STARTS_SENTENCE.match(following):
        return False
    if match["latin"] != ".":
        return True
    before = _LAST_WORD.search(text, max(start, match.start() - 24), match.start())
    return before is None or not _is_abbreviation(before[1], text[start : before.start()])


def _is_abbreviation(word: str, sentence_before: str) -> bool:
    lowered = word.lower().strip(".")
    if word.isdigit():
        # "3." at the start of a line numbers what follows.
        return not sentence_before.strip() and len(word) <= 3
    if len(lowered) == 1 and lowered != "i":
        return word.isupper()
    return lowered in _ABBREVIATIONS and lowered not in _MAY_END
