"""From the lines of all pages to blocks: paragraphs, headings, lists; page headers and footers removed."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from zhiku_platform.text.document import Block, Box, Heading, ListItem, Paragraph, Span, Table
from zhiku_platform.text.normalisation import normalise
from zhiku_services.ingestion.parsing.formats.pdf.glyphs import PageContent, Rect
from zhiku_services.ingestion.parsing.formats.pdf.layout import (
    CJK,
    Row,
    Segment,
    bounds,
    flows,
    line_pitch,
    rows,
    segments,
    two_up,
)
from zhiku_services.ingestion.parsing.formats.pdf.tables import FoundTable, aligned_tables, ruled_tables
from zhiku_services.ingestion.parsing.formats.plain import heading_level

_MARGIN = 0.13
_EDGE_LINES = 4
_NUMBERS = re.compile(r"\d+|^[ivxl]+\b|\b[ivxl]+$")
_PAGE_NUMBER = re.compile(
    r"(?:page|p\.)?\s*[-–—|·]*\s*(?:[A-Z]-)?(?:\d{1,4}|[ivxl]{1,6})\s*[-–—|·]*(?:\s*(?:of|/)\s*\d{1,4})?"
    r"|第\s*\d{1,4}\s*页(?:\s*[,，/]?\s*共\s*\d{1,4}\s*页)?",
    re.IGNORECASE,
)
_BULLET = re.compile(r"[•●○◦▪■□▶►✓✔➢◆◇\uf0b7\uf0a7]\s*|[-–—*·]\s+")
_NUMBERED = re.compile(r"(?:\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]|[（(][一二三四五六七八九十\d]{1,3}[)）])\s*(?=\S)")
_ENDS = tuple('.!?:;。！？：；…"”」』）)')
_CAPTION = re.compile(r"(?:table|tab\.|表|附表|exhibit)\s*[\dIVX一二三四五六七八九十]*[\s.:：\-–—]", re.IGNORECASE)
_UNIT = re.compile(
    r"\(?(?:(?:amounts?|dollars?|shares)\s+)?in (?:millions|thousands|billions)|[(（]?\s*(?:金额)?单位[:：]",
    re.IGNORECASE,
)
_UNIT_CHARS = 80
_HEADING_CHARS = 160
_LARGER = 1.12


@dataclass(slots=True)
class Line:
    """One line of text with its place in the layout."""

    text: str
    rect: Rect
    size: float
    bold: bool


@dataclass(slots=True)
class TextRun:
    """Lines that make one paragraph, heading or list item."""

    lines: list[Line]
    level: int | None = None


@dataclass(slots=True)
class PageLayout:
    """A page in reading order; `flow_starts` has the positions at which a new flow begins."""

    number: int
    content: PageContent
    items: list[list[Line | FoundTable]] = field(default_factory=list)


def lay_out(number: int, content: PageContent) -> PageLayout:
    """Find the tables, columns and lines of one page."""
    words = content.words
    grids = ruled_tables(content.rules, words)
    if grids:
        inside = {id(word) for _, held in grids for word in held}
        words = [word for word in words if id(word) not in inside]
    parts = segments(words) if words else []
    parts += [Segment([], table.rect, "", 0.0, bold=False, table=table) for table, _ in grids]
    layout = PageLayout(number, content)
    for flow in (flow for sheet in two_up(parts, content.width, content.height) for flow in flows(sheet)):
        layout.items.append([_item(found) for found in aligned_tables(rows(flow))])
    return layout


def _item(found: Row | FoundTable) -> Line | FoundTable:
    if isinstance(found, FoundTable):
        return found
    table = found.segments[0].table
    if isinstance(table, FoundTable):
        return table
    text = found.segments[0].text
    for one, two in pairwise(found.segments):
        near = two.rect.x0 - one.rect.x1 < 0.6 * one.size
        text += ("" if near and CJK.match(one.text[-1]) and CJK.match(two.text[0]) else " ") + two.text
    widest = max(found.segments, key=lambda s: len(s.text))
    return Line(normalise(text).strip(), found.rect, widest.size, all(s.bold for s in found.segments))


# Page headers and footers


def without_furniture(pages: Sequence[PageLayout]) -> None:
    """Take out of each page the lines at its edges that come again on other pages, and page numbers."""
    edges = [_edge_lines(page) for page in pages]
    seen = Counter(key for page in edges for key in {key for key, _ in page})
    numbered = sum(any(_is_page_number(line) for _, line in page) for page in edges)
    needed = max(3, min(len(pages) // 10, 12)) if len(pages) > 4 else 2
    for page, lines in zip(pages, edges, strict=True):
        drop = {
            id(line)
            for key, line in lines
            if (seen[key] >= needed and not key.startswith("?")) or (numbered > 2 and _is_page_number(line))
        }
        if all(id(item) in drop for flow in page.items for item in flow):
            # A page that holds nothing else keeps it: to lose a page's whole text is worse than a repetition.
            continue
        for flow in page.items:
            flow[:] = [item for item in flow if id(item) not in drop]


def _is_page_number(line: Line) -> bool:
    return _PAGE_NUMBER.fullmatch(line.text) is not None


def _edge_lines(page: PageLayout) -> list[tuple[str, Line]]:
    """The outermost lines of the top and bottom margin, each with what makes it the same on other pages.

    The first and the last line of a page count even outside the margin (marked `?`): as page numbers only.
    """
    height = page.content.height
    lines = sorted(
        (item for flow in page.items for item in flow if isinstance(item, Line)),
        key=lambda line: line.rect.y0,
    )
    top = [line for line in lines if line.rect.y1 < _MARGIN * height][:_EDGE_LINES]
    bottom = [line for line in lines if line.rect.y0 > (1 - _MARGIN) * height][-_EDGE_LINES:]
    outer = [line for line in (*lines[:1], *lines[-1:]) if line not in top and line not in bottom]
    return [
        (side + _NUMBERS.sub("#", line.text), line)
        for side, found in (("^", top), ("_", bottom), ("?", outer))
        for line in found
    ]


# Paragraphs


def text_runs(flow: Sequence[Line | FoundTable], width: float) -> Iterator[TextRun | FoundTable]:
    """Join the lines of a flow to paragraphs; tables pass through."""
    lines = [item for item in flow if isinstance(item, Line)]
    pitch = line_pitch([Row([Segment([], line.rect, line.text, line.size, line.bold)]) for line in lines])
    right = max((line.rect.x1 for line in lines), default=width)
    left = min((line.rect.x0 for line in lines), default=0.0)
    current: list[Line] = []
    for item in flow:
        if isinstance(item, FoundTable):
            if current:
                yield TextRun(current)
            current = []
            yield item
            continue
        if not item.text:
            continue
        if current and not _goes_on(current, item, pitch=pitch, left=left, right=right):
            yield TextRun(current)
            current = []
        current.append(item)
    if current:
        yield TextRun(current)


def _goes_on(current: Sequence[Line], line: Line, *, pitch: float, left: float, right: float) -> bool:
    """Tell whether a line belongs to the paragraph before it."""
    last = current[-1]
    if abs(last.size - line.size) > 0.09 * max(last.size, line.size) or _starts_item(line.text):
        return False
    if last.bold != line.bold and (len(last.text) < 60 or line.bold):
        return False
    step, height = line.rect.y0 - last.rect.y0, line.rect.y1 - line.rect.y0
    if step < -height or step > max(1.28 * pitch if pitch else 0.0, 1.2 * height) or step > 2.6 * height:
        return False
    return not _ended(current, line, left=left, right=right)


def _ended(current: Sequence[Line], line: Line, *, left: float, right: float) -> bool:
    """Tell from indents and short last lines that a new paragraph begins."""
    last, size = current[-1], max(line.size, 4.0)
    begin = min(item.rect.x0 for item in current[1:] or current)
    short = right - last.rect.x1 > max(3 * size, 0.12 * (right - left))
    if short and last.text.endswith(_ENDS):
        return True
    indented = line.rect.x0 - begin
    if len(current) > 1 and indented > 0.9 * size and last.text.endswith(_ENDS):
        return True
    return short and right - last.rect.x1 > 0.45 * (right - left) and len(last.text) < 60


def _starts_item(text: str) -> bool:
    return bool(_BULLET.match(text) or _NUMBERED.match(text) or heading_level(text))


# Blocks


class Assembler:
    """Turns the laid out pages of a document into blocks."""

    def __init__(self, pages: Sequence[PageLayout], outline: dict[tuple[int, str], int]) -> None:
        self.pages = pages
        self.outline = outline
        self.words = _vocabulary(pages)
        self.body_size = _body_size(pages)
        self.sizes: list[float] = []

    def blocks(self) -> list[Block]:
        """List the blocks in reading order."""
        found: list[tuple[PageLayout, TextRun | FoundTable]] = []
        for page in self.pages:
            for flow in page.items:
                found += [(page, run) for run in text_runs(flow, page.content.width)]
        self._rank_headings(found)
        blocks: list[Block] = []
        for page, run in found:
            if isinstance(run, FoundTable):
                blocks.append(self._table(page, run, blocks))
            else:
                self._add_text(blocks, page, run)
        return blocks

    def _rank_headings(self, found: Sequence[tuple[PageLayout, TextRun | FoundTable]]) -> None:
        """Give each heading a level: by the document's outline, else by size, larger ones outside."""
        headings = [(p, r) for p, r in found if isinstance(r, TextRun) and self._is_heading(p, r)]
        larger = {round(r.lines[0].size * 2) / 2 for _, r in headings}
        self.sizes = sorted((size for size in larger if size >= self.body_size * _LARGER), reverse=True)[:4]
        for page, run in headings:
            run.level = self._level(page, run)

    def _is_heading(self, page: PageLayout, run: TextRun) -> bool:
        text = " ".join(line.text for line in run.lines)
        if (page.number, _key(text)) in self.outline:
            return True
        first = run.lines[0]
        letters = sum(char.isalpha() for char in text)
        if (
            len(text) > _HEADING_CHARS
            or len(run.lines) > 3
            or letters < 2
            or letters < 0.4 * len(text.replace(" ", ""))
        ):
            return False
        if _BULLET.match(text) or (text.endswith((",", ";", "，", "；", "、")) and first.size < 1.3 * self.body_size):
            return False
        if first.size >= self.body_size * _LARGER:
            return not text.endswith((".", "。")) or first.size >= 1.3 * self.body_size
        if heading_level(text) is not None and len(run.lines) == 1:
            return first.bold or text.startswith("第") or not self._is_bold_used
        return (
            all(line.bold for line in run.lines) and not text.endswith((".", "。", ":", "：")) and len(run.lines) <= 2
        )

    @property
    def _is_bold_used(self) -> bool:
        return any(
            isinstance(item, Line) and item.bold for page in self.pages[:20] for flow in page.items for item in flow
        )

    def _level(self, page: PageLayout, run: TextRun) -> int:
        text = " ".join(line.text for line in run.lines)
        outlined = self.outline.get((page.number, _key(text)))
        if outlined is not None:
            return outlined
        size = round(run.lines[0].size * 2) / 2
        by_size = next((n for n, large in enumerate(self.sizes, start=1) if size >= large - 0.25), len(self.sizes) + 1)
        numbered = heading_level(text)
        return by_size if numbered is None or by_size <= len(self.sizes) else by_size + numbered - 1

    def _add_text(self, blocks: list[Block], page: PageLayout, run: TextRun) -> None:
        text, spans = self._joined(page, run.lines)
        if not text:
            return
        if run.level is not None:
            blocks.append(Heading(" ".join(text.split()), run.level, page.number, spans))
        elif _BULLET.match(text) or _NUMBERED.match(text):
            blocks.append(ListItem(text, page=page.number, spans=spans))
        elif self._continues(blocks, page, run):
            last = blocks[-1]
            assert isinstance(last, Paragraph | ListItem)
            blocks[-1] = self._extended(last, text, spans)
        else:
            blocks.append(Paragraph(text, page.number, spans))

    def _continues(self, blocks: Sequence[Block], page: PageLayout, run: TextRun) -> bool:
        """Tell whether a paragraph goes on from the column or page before."""
        last = blocks[-1] if blocks else None
        if not isinstance(last, Paragraph | ListItem) or not last.spans or last.text.endswith(_ENDS):
            return False
        box, first = last.spans[-1].box, page.content.frame.shown(run.lines[0].rect)
        moved = box.page == page.number - 1 or (box.page == page.number and first.y0 < box.y0 - 20)
        text = run.lines[0].text
        goes_on = text[0].islower() or bool(CJK.match(text[0]) and len(text) > 15) or _breaks_off(last.spans)
        return moved and len(last.text) > 40 and goes_on

    def _extended(self, last: Paragraph | ListItem, text: str, spans: tuple[Span, ...]) -> Block:
        start, joint = self._joint(last.text, text)
        whole = last.text[:start] + joint + text
        offset = start + len(joint)
        kept = [Span(s.start, min(s.end, start), s.box) for s in last.spans if s.start < start]
        moved = [Span(s.start + offset, s.end + offset, s.box) for s in spans]
        kind = Paragraph if isinstance(last, Paragraph) else ListItem
        return kind(text=whole, page=last.page, spans=(*kept, *moved))

    def _joined(self, page: PageLayout, lines: Sequence[Line]) -> tuple[str, tuple[Span, ...]]:
        """Join lines to one text, hyphenated words made whole, with the place of each line."""
        text = ""
        spans: list[Span] = []
        for line in lines:
            if text:
                start, joint = self._joint(text, line.text)
                if spans and spans[-1].end > start:
                    spans[-1] = Span(spans[-1].start, start, spans[-1].box)
                text = text[:start] + joint
            spans.append(Span(len(text), len(text) + len(line.text), self._box(page, line.rect)))
            text += line.text
        return text, tuple(spans)

    def _joint(self, before: str, after: str) -> tuple[int, str]:
        """Say where to cut `before` and what to put between it and `after`."""
        if before.endswith("-") and len(before) > 1 and before[-2].isalpha() and after[0].isalpha():
            head = re.search(r"[\w'-]*$", before[:-1])
            tail = re.match(r"\w+", after)
            one, two = (head[0] if head else "").lower(), (tail[0] if tail else "").lower()
            compound = self.words[f"{one}-{two}"] > self.words[one + two]
            return (len(before), "") if compound or not after[0].islower() else (len(before) - 1, "")
        if CJK.match(before[-1]) and CJK.match(after[0]):
            return len(before), ""
        return len(before), " "

    def _box(self, page: PageLayout, rect: Rect) -> Box:
        shown = page.content.frame.shown(rect)
        return Box(page.number, *(round(value, 1) for value in shown))

    def _table(self, page: PageLayout, found: FoundTable, blocks: list[Block]) -> Table:
        """Build a table; a caption or the unit right above it becomes its title."""
        above = _title_blocks(blocks, page.number)
        del blocks[len(blocks) - len(above) :]
        title = "\n".join(block.text for block in above)
        places = tuple(span.box for block in above for span in block.spans)
        boxes = tuple(self._box(page, rect) for rect in found.row_rects)
        return Table(found.cells, found.header_rows, title, page.number, boxes, places)


def _breaks_off(spans: Sequence[Span]) -> bool:
    """Tell whether a paragraph of several lines ends with a full one, as where its column ends."""
    ends = [span.box.x1 for span in spans if span.box.page == spans[-1].box.page]
    width = max(ends) - min(span.box.x0 for span in spans)
    return len(ends) > 1 and max(ends) - ends[-1] < 0.12 * width


def _title_blocks(blocks: Sequence[Block], page: int) -> list[Paragraph | Heading]:
    """The last blocks, at most three, from the one on that reads as a caption or as a unit."""
    taken: list[Paragraph | Heading] = []
    for block in reversed(blocks[-3:]):
        if not isinstance(block, Paragraph | Heading) or block.page != page:
            break
        if len(block.text) > (_UNIT_CHARS if not _CAPTION.match(block.text) else 2 * _HEADING_CHARS):
            break
        taken.insert(0, block)
        if _CAPTION.match(block.text) or _UNIT.match(block.text):
            return taken
    return []


def _vocabulary(pages: Sequence[PageLayout]) -> Counter[str]:
    """Count the words inside lines: they tell whether a hyphen at a line's end belongs to its word."""
    words: Counter[str] = Counter()
    for page in pages:
        for flow in page.items:
            for item in flow:
                if isinstance(item, Line):
                    words.update(re.findall(r"[a-z][\w'-]*\w", item.text.lower()))
    return words


def _body_size(pages: Sequence[PageLayout]) -> float:
    """The font size, to half a point, that most characters have."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for flow in page.items:
            for item in flow:
                if isinstance(item, Line):
                    sizes[round(item.size * 2) / 2] += len(item.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _key(text: str) -> str:
    return re.sub(r"\W+", "", text).lower()


def outline_key(title: str) -> str:
    """What a bookmark and the heading it points to have in common."""
    return _key(normalise(title))


__all__ = ["Assembler", "PageLayout", "bounds", "lay_out", "outline_key", "without_furniture"]
