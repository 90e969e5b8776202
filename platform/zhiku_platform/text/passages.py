"""Cut a parsed document into passages: what is indexed, found and cited.

Passages follow the document's structure. A section is packed into pieces of even size, sentences stay
whole, small neighbouring sections share a passage, and a table is one passage where it fits and is
otherwise split between rows with its title and header repeated. `text` is verbatim: it consists of
slices of the blocks' text; only the white space between them and the bars between table cells are ours.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Protocol

from zhiku_platform.contracts.knowledge import PassageDraft, PassageKind, Region
from zhiku_platform.text.document import Block, Box, ParsedDocument, Span, Table, TextBlock, row_text
from zhiku_platform.text.language import detect_language
from zhiku_platform.text.sentences import Extent, sentence_extents

_TITLE_CHARS = 80
_PATH_CHARS = 160
_SEPARATOR = " › "
_MAX_REGIONS_PER_PAGE = 8
# No text of a language has so many characters a token; some have without end, as runs of unknown characters.
_CHARS_PER_TOKEN = 16
# A tokenizer takes some hundred bytes a token: long texts are counted by stretches of so many characters.
_STRETCH_CHARS = 30_000
# A section of more pieces than this is packed in parts, so that not all its pieces are held at once.
_MAX_PIECES = 50_000


class CountTokens(Protocol):
    """Counts the tokens of a text as the embedding model does, without its special tokens."""

    def __call__(self, text: str, /) -> int: ...


@dataclass(frozen=True, slots=True)
class PassageSizes:
    """Sizes in tokens of the embedding model.

    `target` is what a long section is cut into; up to `keep_whole` it is not cut at all; sections below
    `small` are joined with the next. `limit` bounds the indexed text: passage, title and heading path. 480
    leaves room in a model of 512 for its prefix and special tokens.
    """

    target: int = 280
    keep_whole: int = 360
    small: int = 100
    limit: int = 480


@dataclass(frozen=True, slots=True)
class _Atom:
    """A piece that is not cut further: a slice of a block, or a heading (`is_heading`)."""

    block: int
    start: int
    end: int
    tokens: int
    is_heading: bool = False


def passages(
    document: ParsedDocument, *, count_tokens: CountTokens, title: str = "", sizes: PassageSizes | None = None
) -> list[PassageDraft]:
    """Cut `document` into passages in reading order, ordinals from 0.

    `title` is the one later given to `index_text`; the room it takes is reserved. No text is lost: every
    word of every block stands in the text or in the heading path of a passage. The time taken is linear in
    the length of the text, whatever it is; `count_tokens` is called with at most some thousand characters.
    """
    cutter = _Cutter(document.blocks, _by_stretches(count_tokens), title, sizes or PassageSizes())
    return [draft.model_copy(update={"ordinal": ordinal}) for ordinal, draft in enumerate(cutter.drafts())]


def index_text(title: str, heading_path: Sequence[str], text: str) -> str:
    """Write what is embedded for a passage: title and heading path, then its text."""
    return "\n".join(part for part in (_prefix(title, heading_path), text) if part)


def _by_stretches(count: CountTokens) -> CountTokens:
    """Count a long text by stretches: up to a token too many at each seam."""

    def counted(text: str, /) -> int:
        if len(text) <= _STRETCH_CHARS:
            return count(text)
        starts = range(0, len(text), _STRETCH_CHARS)
        return sum(count(text[start : start + _STRETCH_CHARS]) for start in starts)

    return counted


def _prefix(title: str, path: Sequence[str]) -> str:
    """Join title and heading path, both cut to a bounded length; inner headings go before outer ones."""
    kept: list[str] = []
    room = _PATH_CHARS
    for heading in reversed(path):
        kept.insert(0, _clip(heading, room))
        room -= len(kept[0]) + len(_SEPARATOR)
        if room < 8:
            break
    head = _clip(title, _TITLE_CHARS)
    if kept and kept[0] == head:
        head = ""
    return _SEPARATOR.join(part for part in (head, *kept) if part)


def _clip(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1].rstrip() + "…"


class _Cutter:
    def __init__(self, blocks: Sequence[Block], count: CountTokens, title: str, sizes: PassageSizes) -> None:
        self.blocks = blocks
        self.count = count
        self.title = title
        self.sizes = sizes
        self.paths = list(_heading_paths(blocks))
        self.rooms: dict[tuple[str, ...], int] = {}

    def drafts(self) -> Iterator[PassageDraft]:
        """Yield passages without their final ordinal."""
        waiting: list[_Atom] = []
        for section in self._sections():
            if isinstance(section, _TableSection):
                lead = self._lead(waiting)
                if lead:
                    del waiting[-len(lead) :]
                yield from self._pack(waiting)
                waiting = []
                yield from self._table(section.block, lead)
                continue
            if waiting and not self._may_join(waiting, section):
                yield from self._pack(waiting)
                waiting = []
            waiting += section
        yield from self._pack(waiting)

    # Sections

    def _sections(self) -> "Iterator[list[_Atom] | _TableSection]":
        """Group blocks into runs under one heading, each beginning with the heading; tables stand alone."""
        run: list[_Atom] = []
        for number, block in enumerate(self.blocks):
            if block.kind == "table" and not self._is_small(block):
                if run:
                    yield run
                run = []
                yield _TableSection(number)
                continue
            if block.kind == "heading" and run and not run[-1].is_heading:
                yield run
                run = []
            for atom in self._atoms(number):
                if len(run) >= _MAX_PIECES:
                    yield run
                    run = []
                run.append(atom)
        if run:
            yield run

    def _is_small(self, table: Table) -> bool:
        rows = [row_text(row) for row in table.rows]
        return len(rows) <= 3 and self.count("\n".join([table.title, *rows])) <= self.sizes.small // 2

    def _may_join(self, waiting: Sequence[_Atom], section: Sequence[_Atom]) -> bool:
        """Tell whether a section is joined to what waits: one of them is small and both fit together."""
        body, more = _tokens(waiting), _tokens(section)
        if all(atom.is_heading for atom in waiting):
            return True
        if not self._shares_top(waiting[-1], section[0]):
            return False
        return min(body, more) <= self.sizes.small and body + more <= self.sizes.target

    def _shares_top(self, first: _Atom, second: _Atom) -> bool:
        """A passage does not straddle two top-level sections, except where there is only one level."""
        one, two = self.paths[first.block], self.paths[second.block]
        return len(two) > 1 or not two or one == two or len(one) <= 1

    # Text

    def _text(self, number: int) -> str:
        block = self.blocks[number]
        return _table_text(block) if block.kind == "table" else block.text

    def _atom(self, number: int, extent: Extent, *, is_heading: bool = False) -> _Atom:
        """Make an atom; one that has no token weighs one all the same, so that not endless many share a passage."""
        tokens = self.count(self._text(number)[extent.start : extent.end])
        return _Atom(number, extent.start, extent.end, max(1, tokens), is_heading)

    def _atoms(self, number: int) -> Iterator[_Atom]:
        """Yield the pieces of a block: a heading or a small table is one, other text what it has to be cut into."""
        kind, text = self.blocks[number].kind, self._text(number)
        if kind == "heading":
            yield self._atom(number, Extent(0, len(text)), is_heading=True)
        elif kind == "table":
            if text.strip():
                yield self._atom(number, Extent(0, len(text)))
        else:
            for extent in self._extents(text, self._room_for(self.paths[number])):
                yield self._atom(number, extent)

    def _room_for(self, path: Sequence[str]) -> int:
        """Tokens left for the text of a passage under these headings, at least half the limit."""
        key = tuple(path)
        if key not in self.rooms:
            prefix = self.count(_prefix(self.title, path))
            self.rooms[key] = max(self.sizes.limit // 2, self.sizes.limit - prefix - 2)
        return self.rooms[key]

    def _extents(self, text: str, room: int) -> Iterator[Extent]:
        """Yield a short text whole, and a long one by sentences, each at most `room` tokens."""
        whole = _stripped(text, 0, len(text))
        if whole is None:
            return
        if _fits(text[whole.start : whole.end], self.sizes.small, self.count):
            yield whole
            return
        for sentence in sentence_extents(text):
            yield from _fit(text, sentence, room, self.count)

    def _pack(self, atoms: Sequence[_Atom]) -> Iterator[PassageDraft]:
        """Pack the atoms of a run into passages of even size."""
        atoms = list(atoms)
        total = _tokens(atoms)
        if not atoms:
            return
        parts = 1 if total <= self.sizes.keep_whole else ceil(total / self.sizes.target)
        goal = total / parts
        current: list[_Atom] = []
        bodies = False
        used = 0
        done = 0
        for atom in atoms:
            # Closing before or after this atom: whichever leaves the running total nearer to its share.
            over, under = used + atom.tokens - goal, goal - used
            if bodies and parts > 1 and over > 0 and over > under and used >= goal / 2:
                yield from self._emit(current)
                done += used
                current, bodies, used, parts = [], False, 0, max(1, parts - 1)
                goal = (total - done) / parts
            current.append(atom)
            bodies = bodies or not atom.is_heading
            used += atom.tokens
        yield from self._emit(current)

    def _emit(self, atoms: Sequence[_Atom]) -> Iterator[PassageDraft]:
        """Build a passage; where it exceeds the limit, build two. Trailing headings open the next one."""
        path = self._common_path(atoms)
        text = self._join(atoms, path)
        room = self._room_for(path)
        fits = _fits(text, room, self.count)
        if not fits and len(atoms) > 1:
            middle = _middle(atoms)
            yield from self._emit(atoms[:middle])
            yield from self._emit(atoms[middle:])
            return
        # One atom exceeds the limit only if it is a heading: others were made to fit.
        pieces = [text] if fits else [text[a:b] for a, b in _fit(text, Extent(0, len(text)), room, self.count)]
        page, regions = self._page(atoms), self._regions(atoms)
        for piece in filter(str.strip, pieces):
            yield _draft(PassageKind.TEXT, piece, self.count(piece), path=path, page=page, regions=regions)

    def _common_path(self, atoms: Sequence[_Atom]) -> list[str]:
        """The heading path that all atoms share; a passage of headings alone keeps its last one as text."""
        bodies = [atom for atom in atoms if not atom.is_heading]
        if not bodies:
            return self.paths[atoms[0].block][:-1]
        common = self.paths[bodies[0].block]
        for atom in bodies[1:]:
            path = self.paths[atom.block]
            length = next((n for n, (a, b) in enumerate(zip(common, path, strict=False)) if a != b), None)
            common = common[: min(len(common), len(path)) if length is None else length]
        return common

    def _join(self, atoms: Sequence[_Atom], path: Sequence[str]) -> str:
        """Write the atoms as one text; a heading is left out where the path says it already."""
        pieces: list[str] = []
        previous: _Atom | None = None
        for atom in atoms:
            if atom.is_heading and self._is_in_path(atom, path):
                continue
            text = self._text(atom.block)
            if previous is not None and previous.block == atom.block:
                pieces.append(text[previous.end : atom.end])
            else:
                pieces += [self._gap(previous, atom), text[atom.start : atom.end]]
            previous = atom
        return "".join(pieces).strip()

    def _is_in_path(self, atom: _Atom, path: Sequence[str]) -> bool:
        own = self.paths[atom.block]
        return len(own) <= len(path) and list(path[: len(own)]) == own

    def _gap(self, previous: _Atom | None, atom: _Atom) -> str:
        if previous is None:
            return ""
        kinds = (self.blocks[previous.block].kind, self.blocks[atom.block].kind)
        return "\n" if kinds == ("list_item", "list_item") or kinds[0] == "heading" else "\n\n"

    # Tables

    def _lead(self, waiting: Sequence[_Atom]) -> list[_Atom]:
        """Find the short paragraph that introduces a table, at the end of what waits."""
        if not waiting or waiting[-1].is_heading:
            return []
        last = waiting[-1]
        text = self._text(last.block)
        opens = text.rstrip().endswith((":", "：")) and last.start == 0
        return [last] if opens and last.tokens <= self.sizes.small // 2 else []

    def _table(self, number: int, lead: Sequence[_Atom]) -> Iterator[PassageDraft]:
        table = self.blocks[number]
        assert table.kind == "table"
        path = self.paths[number]
        room = self._room_for(path)
        rows = [row_text(row) for row in table.rows]
        head_rows = [row for row in rows[: table.header_rows] if row]
        top = [part for part in (self._join(lead, path) if lead else "", table.title.strip()) if part]
        if self.count("\n".join([*top, *head_rows])) > room // 3:
            # A header this long would leave no room for rows: it is written once, as ordinary rows.
            head_rows, first = [], 0
        else:
            first = min(table.header_rows, len(rows))
        if self.count("\n".join(top)) > room // 3:
            yield from self._long_top(number, lead, table, path)
            top = []
        groups = list(self._row_groups(rows, first, [*top, *head_rows], room))
        if all(isinstance(end, Extent) for _, end in groups):
            # Every row is cut up, so that none stands under the header: it is written by itself.
            groups.insert(0, (first, first))
        for begin, end in groups:
            if isinstance(end, Extent):
                text = rows[begin][end.start : end.end]
                boxes = table.row_boxes[begin : begin + 1]
            else:
                body = [row for row in rows[begin:end] if row]
                text = "\n".join([*top, *head_rows, *body])
                boxes = (*table.title_boxes, *table.row_boxes[:first], *table.row_boxes[begin:end])
            if not text.strip():
                continue
            tokens = self.count(text)
            regions = _merge([*(box for atom in lead for box in self._boxes(atom)), *boxes])
            page = regions[0].page if regions else table.page
            yield _draft(PassageKind.TABLE, text, tokens, path=path, page=page, regions=regions)

    def _long_top(self, number: int, lead: Sequence[_Atom], table: Table, path: list[str]) -> Iterator[PassageDraft]:
        """Write a title too long to repeat as passages of its own."""
        yield from self._pack(lead)
        regions = _merge(table.title_boxes)
        for extent in self._extents(table.title, self._room_for(self.paths[number])):
            text = table.title[extent.start : extent.end]
            yield _draft(PassageKind.TEXT, text, self.count(text), path=path, page=table.page, regions=regions)

    def _row_groups(
        self, rows: Sequence[str], first: int, top: Sequence[str], room: int
    ) -> Iterator[tuple[int, int | Extent]]:
        """Yield row ranges (begin, end) that fit under `top`; a row too long by itself as extents of it."""
        begin = first
        if first == len(rows):
            yield first, first
            return
        overhead = self.count("\n".join(top)) if top else 0
        sizes = [self.count(row) + 1 for row in rows]
        total = sum(sizes[first:])
        goal = total if overhead + total <= room else self._goal(total, room - overhead)
        used = 0
        for row in range(first, len(rows)):
            if overhead + sizes[row] > room or len(rows[row]) > _CHARS_PER_TOKEN * (room - overhead):
                if begin < row:
                    yield begin, row
                whole = Extent(0, len(rows[row]))
                for extent in _fit(rows[row], whole, room, self.count):
                    yield row, extent
                begin, used = row + 1, 0
                continue
            if row > begin and (overhead + used + sizes[row] > room or used >= goal):
                yield from self._checked(rows, begin, row, top, room)
                begin, used = row, 0
            used += sizes[row]
        if begin < len(rows):
            yield from self._checked(rows, begin, len(rows), top, room)

    def _checked(
        self, rows: Sequence[str], begin: int, end: int, top: Sequence[str], room: int
    ) -> Iterator[tuple[int, int | Extent]]:
        """Halve a range whose joined text counts more tokens than its rows did one by one."""
        if _fits("\n".join([*top, *rows[begin:end]]), room, self.count):
            yield begin, end
        elif end - begin > 1:
            middle = (begin + end) // 2
            yield from self._checked(rows, begin, middle, top, room)
            yield from self._checked(rows, middle, end, top, room)
        else:
            for extent in _fit(rows[begin], Extent(0, len(rows[begin])), room, self.count):
                yield begin, extent

    def _goal(self, total: int, room: int) -> float:
        usable = max(1, min(room, self.sizes.keep_whole))
        return total / ceil(total / usable)

    # Places

    def _boxes(self, atom: _Atom) -> list[Box]:
        block = self.blocks[atom.block]
        if block.kind == "table":
            return [*block.title_boxes, *block.row_boxes]
        return [span.box for span in _overlapping(block, atom)]

    def _regions(self, atoms: Sequence[_Atom]) -> list[Region]:
        return _merge(box for atom in atoms for box in self._boxes(atom))

    def _page(self, atoms: Sequence[_Atom]) -> int | None:
        for atom in atoms:
            boxes = self._boxes(atom)
            if boxes:
                return boxes[0].page
            if (page := self.blocks[atom.block].page) is not None:
                return page
        return None


@dataclass(frozen=True, slots=True)
class _TableSection:
    block: int


def _draft(
    kind: PassageKind, text: str, tokens: int, *, path: Sequence[str], page: int | None, regions: list[Region]
) -> PassageDraft:
    return PassageDraft(
        ordinal=0,
        kind=kind,
        text=text,
        heading_path=list(path),
        page=page,
        regions=regions,
        language=detect_language(text),
        tokens=tokens,
    )


def _heading_paths(blocks: Iterable[Block]) -> Iterator[list[str]]:
    """Yield for each block the headings it stands under, a heading's own included."""
    stack: list[tuple[int, str]] = []
    for block in blocks:
        if block.kind == "heading":
            while stack and stack[-1][0] >= block.level:
                stack.pop()
            stack.append((block.level, block.text.strip()))
        yield [text for _, text in stack]


def _tokens(atoms: Iterable[_Atom]) -> int:
    return sum(atom.tokens for atom in atoms)


def _middle(atoms: Sequence[_Atom]) -> int:
    """The cut, from 1 to len - 1, that halves the tokens best."""
    half, used = _tokens(atoms) / 2, 0
    for number, atom in enumerate(atoms[:-1]):
        used += atom.tokens
        if used >= half:
            return number + 1
    return len(atoms) - 1


def _table_text(table: Table) -> str:
    lines = [table.title.strip(), *(row_text(row) for row in table.rows)]
    return "\n".join(line for line in lines if line)


def _stripped(text: str, start: int, end: int) -> Extent | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Extent(start, end) if start < end else None


_CUT_AFTER = ("\n", "；", ";", "，", ",", "、", "：", ":", "|", ")", "）", " ")


def _fits(text: str, room: int, count: CountTokens) -> bool:
    return len(text) <= _CHARS_PER_TOKEN * room and count(text) <= room


def _fit(text: str, extent: Extent, room: int, count: CountTokens) -> Iterator[Extent]:
    """Cut an extent into pieces of at most `room` tokens: between clauses, else words, else characters."""
    rest = _stripped(text, extent.start, extent.end)
    while rest is not None:
        longest = _longest_prefix(text, rest, room, count)
        end = longest if longest == rest.end else _cut(text, rest, longest)
        piece = _stripped(text, rest.start, end)
        if piece is not None:
            yield piece
        rest = _stripped(text, end, rest.end)


def _longest_prefix(text: str, extent: Extent, room: int, count: CountTokens) -> int:
    """The greatest end (by bisection) at which the text from `extent.start` has at most `room` tokens.

    Looks no further than a piece can reach: what comes later is not counted again for each piece.
    """
    start = extent.start
    furthest = min(extent.end, start + _CHARS_PER_TOKEN * room)
    low, high = start + 1, min(furthest, start + 2 * room)
    while _fits(text[start:high], room, count):
        if high == furthest:
            return high
        low, high = high, min(furthest, start + 2 * (high - start))
    while low < high - 1:
        middle = (low + high) // 2
        if count(text[start:middle]) <= room:
            low = middle
        else:
            high = middle
    return low


def _cut(text: str, extent: Extent, end: int) -> int:
    """Move a cut back to after a mark, if there is one in the second half."""
    earliest = (extent.start + end) // 2
    for mark in _CUT_AFTER:
        found = text.rfind(mark, earliest, end)
        if found > earliest:
            return found + 1
    return end


def _overlapping(block: TextBlock, atom: _Atom) -> Sequence[Span]:
    first = bisect_right(block.spans, atom.start, key=lambda span: span.end)
    return block.spans[first : bisect_left(block.spans, atom.end, lo=first, key=lambda span: span.start)]


def _merge(boxes: Iterable[Box]) -> list[Region]:
    """Merge the boxes of lines, in reading order, into one rectangle a paragraph or column, page by page."""
    regions: list[Region] = []
    for page, on_page in groupby(boxes, key=lambda box: box.page):
        merged: list[Box] = []
        for box in on_page:
            if merged and _continues(merged[-1], box):
                merged[-1] = _union(merged[-1], box)
            else:
                merged.append(box)
        while len(merged) > _MAX_REGIONS_PER_PAGE:
            merged = _join_nearest(merged)
        regions += [
            Region(page=page, x0=round(b.x0, 2), y0=round(b.y0, 2), x1=round(b.x1, 2), y1=round(b.y1, 2))
            for b in merged
            if b.x0 < b.x1 and b.y0 < b.y1
        ]
    return regions


def _continues(above: Box, below: Box) -> bool:
    """Tell whether the next line goes on in the same paragraph or column."""
    height = below.y1 - below.y0
    near = -height <= below.y0 - above.y1 <= 1.6 * height
    overlap = min(above.x1, below.x1) - max(above.x0, below.x0)
    return near and below.y1 >= above.y0 and overlap > 0.3 * min(above.x1 - above.x0, below.x1 - below.x0)


def _union(one: Box, two: Box) -> Box:
    return Box(one.page, min(one.x0, two.x0), min(one.y0, two.y0), max(one.x1, two.x1), max(one.y1, two.y1))


def _join_nearest(boxes: Sequence[Box]) -> list[Box]:
    """Join the two neighbours in reading order whose union adds the least area."""

    def waste(number: int) -> float:
        one, two = boxes[number], boxes[number + 1]
        return _area(_union(one, two)) - _area(one) - _area(two)

    best = min(range(len(boxes) - 1), key=waste)
    return [*boxes[:best], _union(boxes[best], boxes[best + 1]), *boxes[best + 2 :]]


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)
