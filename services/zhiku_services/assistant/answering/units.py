"""Cut passages into what can be quoted: sentences, list items and table rows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from zhiku_platform.contracts.knowledge import FoundPassage, Passage, PassageKind
from zhiku_platform.text.normalisation import one_line
from zhiku_platform.text.sentences import sentence_extents

_CELL = " | "
_ENDS = tuple("。！？；：.!?;:…”’」』）)")
_LIST_MARK = re.compile(
    r"\s*(?:[-•*·▪●○]|\(?\d{1,2}[.)、．）]|[一二三四五六七八九十]{1,3}[、.]|[（(][一二三四五六七八九十\d]{1,3}[）)])\s*"
)
_BULLETS = "-•*·▪●○"
_SECTION = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+(?=[A-Z\u4e00-\u9fff])")
_CLOSERS = "”’」』）)\"' "
_HEADING_CHARS = 60
# Lines of running text that were wrapped are at least this wide, in Latin characters.
_FULL_LINE = 60


@dataclass(frozen=True, slots=True)
class Unit:
    """A quotable piece of a passage: `quote` is `passage.text[start:end]`, verbatim.

    `text` is how it reads in an answer: on one line, a table row as `header: value`. `context` is what it
    stands under: title, headings, table head. `passage` counts from 0 in the order given.
    """

    passage: int
    position: int
    start: int
    end: int
    quote: str
    text: str
    context: str
    kind: Literal["sentence", "item", "row", "heading"]


def quotable_units(passages: Sequence[FoundPassage]) -> list[Unit]:
    """Cut passages into units in reading order, headings included."""
    return [unit for number, found in enumerate(passages) for unit in _cut(number, found.passage)]


def _cut(number: int, passage: Passage) -> Iterator[Unit]:
    context = " ".join([passage.document_title, *passage.heading_path])
    cut = _rows if passage.kind is PassageKind.TABLE else _sentences
    yield from cut(number, passage.text, context)


def _sentences(number: int, text: str, context: str) -> Iterator[Unit]:
    heading = ""
    for position, (start, end) in enumerate(_extents(text)):
        quote = text[start:end]
        if _CELL in quote and quote.count(_CELL) >= 2:
            kind: Literal["sentence", "item", "row", "heading"] = "row"
        elif _is_heading(text, start, end):
            kind, heading = "heading", one_line(quote)
        else:
            kind = "item" if _LIST_MARK.match(quote) else "sentence"
        under = f"{context} {heading}" if kind != "heading" else context
        yield Unit(number, position, start, end, quote, one_line(quote), under, kind)


def _extents(text: str) -> Iterator[tuple[int, int]]:
    """Yield sentence ranges that also end at the end of a line, unless the next goes on with it."""
    for start, end in sentence_extents(text):
        begin = start
        for match in re.finditer(r"\s*\n\s*", text[start:end]):
            at, after = start + match.start(), start + match.end()
            if _goes_on(text[begin:at], text[after:end]):
                continue
            if begin < at:
                yield begin, at
            begin = after
        if begin < end:
            yield begin, end


def _goes_on(before: str, after: str) -> bool:
    """Tell whether a line break stands within a sentence: a full line without an end, and no new item after it."""
    if not after or not before or before.endswith(_ENDS) or _LIST_MARK.match(after):
        return False
    width = sum(2 if char > "\u2e7f" else 1 for char in before)
    return width >= _FULL_LINE or (after[0].islower() and width > _FULL_LINE // 2)


def _is_heading(text: str, start: int, end: int) -> bool:
    """A short line of its own without an end mark or figures, with something longer or marked under it."""
    if end >= len(text) or text[end] != "\n" or (start and text[start - 1] != "\n"):
        return False
    line, following = text[start:end], text[end:].lstrip("\n").split("\n", 1)[0]
    one, two = _SECTION.match(line), _SECTION.match(following)
    if one and two and two[1].startswith(f"{one[1]}."):
        return _is_heading_like(line[one.end() :])
    return _is_heading_like(line) and bool(following) and not _is_heading_like(following)


def _is_heading_like(line: str) -> bool:
    mark = _LIST_MARK.match(line)
    if mark and line.lstrip()[0] in _BULLETS:
        return False
    section = _SECTION.match(line)
    if section and "." in section[1]:
        mark = section
    words = line[mark.end() :] if mark else line
    return (
        len(line) <= _HEADING_CHARS
        and not line.rstrip(_CLOSERS).endswith(_ENDS)
        and not any(char in "，,；;|0123456789" for char in words)
    )


def _rows(number: int, text: str, context: str) -> Iterator[Unit]:
    lines = list(re.finditer(r"[^\n]*\S[^\n]*", text))
    head: list[str] | None = None
    title: list[str] = []
    for position, line in enumerate(lines):
        cells = [cell.strip() for cell in line[0].split(_CELL.strip())]
        if head is None and len(cells) < 2:
            title.append(one_line(line[0]))
            yield Unit(number, position, line.start(), line.end(), line[0], one_line(line[0]), context, "heading")
        elif head is None:
            head = cells
            yield Unit(number, position, line.start(), line.end(), line[0], one_line(line[0]), context, "heading")
        else:
            under = " ".join([context, *title, *head])
            rendered = _render_row(head, cells) if len(cells) > 1 else one_line(line[0])
            yield Unit(number, position, line.start(), line.end(), line[0], rendered, under, "row")


def _render_row(head: Sequence[str], cells: Sequence[str]) -> str:
    """Write a row as `header: value` pairs; the first cell names the row where its header says little."""
    chinese = any("\u4e00" <= char <= "\u9fff" for char in "".join(cells) + "".join(head))
    colon, comma = ("：", "；") if chinese else (": ", "; ")
    pairs = [
        f"{name}{colon}{cell}" if name and name != cell else cell
        for name, cell in zip([*head, *[""] * len(cells)], cells, strict=False)
        if cell
    ]
    return comma.join(pairs)
