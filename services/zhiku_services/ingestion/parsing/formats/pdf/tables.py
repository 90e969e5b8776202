"""Tables on a page: those drawn with ruling lines, and those held together by alignment alone."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median

from zhiku_platform.text.normalisation import one_line
from zhiku_services.ingestion.parsing.formats.pdf.glyphs import Rect, Word
from zhiku_services.ingestion.parsing.formats.pdf.layout import CJK, Row, bounds, rows, segments

_SNAP = 2.5
_MAX_RULES = 1_500
_MAX_SLOTS = 5_000
_NUMERIC = re.compile(
    r"[(\-–—+$¥€£￥]*\s*(?:[\d][\d,.\s]*|[—–-]+)\s*(?:%|％|x|bps|pts?|万|亿|元)?\)?[*†‡]*", re.IGNORECASE
)
_CURRENCY = re.compile(r"[$¥€£￥(]{1,2}|US\$|RMB|\$\s*\(")
_SUFFIX = re.compile(r"[)%％]{1,2}|pts?\.?|bps")
_MARKER = re.compile(
    r"(?:[•●○◦▪■□▶►✓✔·–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|[（(][一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、|\[\d+\])"
)
_SHORT = 28


@dataclass(frozen=True, slots=True)
class FoundTable:
    """Cells of rows from top to bottom, with the rectangle of each row."""

    cells: tuple[tuple[str, ...], ...]
    row_rects: tuple[Rect, ...]
    header_rows: int
    rect: Rect


# Ruled tables


@dataclass(frozen=True, slots=True)
class _Line:
    """A ruling line at `at` (y of a horizontal one, x of a vertical one), from `start` to `end`."""

    at: float
    start: float
    end: float


def ruled_tables(rules: Sequence[Rect], words: Sequence[Word]) -> list[tuple[FoundTable, list[Word]]]:
    """Find tables whose lines form a grid, each with the words it holds."""
    if not 4 <= len(rules) <= _MAX_RULES:
        return []
    across = _merged(_Line((r.y0 + r.y1) / 2, r.x0, r.x1) for r in rules if r.x1 - r.x0 >= r.y1 - r.y0)
    down = _merged(_Line((r.x0 + r.x1) / 2, r.y0, r.y1) for r in rules if r.x1 - r.x0 < r.y1 - r.y0)
    found: list[tuple[FoundTable, list[Word]]] = []
    for horizontals, verticals in _grids(across, down):
        table = _grid_table(horizontals, verticals, words)
        if table is not None:
            found.append(table)
    return found


def _merged(lines: "Iterator[_Line]") -> list[_Line]:
    """Join pieces of one line: same place, touching ends."""
    result: list[_Line] = []
    for line in sorted(lines, key=lambda item: (round(item.at / _SNAP), item.start)):
        last = result[-1] if result else None
        if last and abs(last.at - line.at) <= _SNAP and line.start <= last.end + 2 * _SNAP:
            result[-1] = _Line(last.at, last.start, max(last.end, line.end))
        else:
            result.append(line)
    return result


def _grids(across: list[_Line], down: list[_Line]) -> Iterator[tuple[list[_Line], list[_Line]]]:
    """Yield groups of lines that cross or touch each other."""
    free_across, free_down = set(range(len(across))), set(range(len(down)))
    while free_across:
        group_a, group_d = {free_across.pop()}, set[int]()
        queue = [(True, next(iter(group_a)))]
        while queue:
            is_across, number = queue.pop()
            line = across[number] if is_across else down[number]
            free, others = (free_down, down) if is_across else (free_across, across)
            touched = {other for other in free if _cross(line, others[other])}
            free -= touched
            (group_d if is_across else group_a).update(touched)
            queue += [(not is_across, other) for other in touched]
        if len(group_a) >= 2 and len(group_d) >= 2:
            yield [across[n] for n in group_a], [down[n] for n in group_d]


def _cross(one: _Line, two: _Line) -> bool:
    return one.start - _SNAP <= two.at <= one.end + _SNAP and two.start - _SNAP <= one.at <= two.end + _SNAP


def _places(values: Sequence[float]) -> list[float]:
    """Distinct coordinates, those within the snapping distance taken as one."""
    result: list[float] = []
    for value in sorted(values):
        if not result or value - result[-1] > 2 * _SNAP:
            result.append(value)
    return result


def _grid_table(
    across: Sequence[_Line], down: Sequence[_Line], words: Sequence[Word]
) -> tuple[FoundTable, list[Word]] | None:
    ys = _places([line.at for line in across])
    # Sides that are not drawn end where the horizontal lines do.
    xs = _places([*(line.at for line in down), min(a.start for a in across), max(a.end for a in across)])
    if len(ys) < 3 or len(xs) < 3 or len(ys) * len(xs) > _MAX_SLOTS:
        return None
    inside = [w for w in words if _contains(xs, ys, w)]
    slots: dict[tuple[int, int], list[Word]] = {}
    owner = _owners(xs, ys, across, down)
    for word in inside:
        slot = _slot(ys, (word.rect.y0 + word.rect.y1) / 2), _slot(xs, (word.rect.x0 + word.rect.x1) / 2)
        slots.setdefault(owner[slot], []).append(word)
    if len(slots) < 3 or len({column for _, column in slots}) < 2 or len({row for row, _ in slots}) < 2:
        return None
    return _filled(slots, ys, xs), inside


def _contains(xs: Sequence[float], ys: Sequence[float], word: Word) -> bool:
    x, y = (word.rect.x0 + word.rect.x1) / 2, (word.rect.y0 + word.rect.y1) / 2
    return xs[0] <= x < xs[-1] and ys[0] <= y < ys[-1]


def _slot(places: Sequence[float], value: float) -> int:
    return next((n for n in range(len(places) - 1) if value < places[n + 1]), len(places) - 2)


def _owners(
    xs: Sequence[float], ys: Sequence[float], across: Sequence[_Line], down: Sequence[_Line]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Map each slot to the first slot of its cell: slots without a line between them are one cell."""
    owner: dict[tuple[int, int], tuple[int, int]] = {}
    for row in range(len(ys) - 1):
        for column in range(len(xs) - 1):
            middle_x, middle_y = (xs[column] + xs[column + 1]) / 2, (ys[row] + ys[row + 1]) / 2
            first = (row, column)
            if column and not _has_line(down, xs[column], middle_y):
                first = owner[row, column - 1]
            elif row and not _has_line(across, ys[row], middle_x):
                first = owner[row - 1, column]
            owner[row, column] = first
    return owner


def _has_line(lines: Sequence[_Line], at: float, middle: float) -> bool:
    return any(abs(line.at - at) <= 2 * _SNAP and line.start - _SNAP <= middle <= line.end + _SNAP for line in lines)


def _filled(slots: dict[tuple[int, int], list[Word]], ys: Sequence[float], xs: Sequence[float]) -> FoundTable:
    columns = sorted({column for _, column in slots})
    cells: list[tuple[str, ...]] = []
    rects: list[Rect] = []
    for row in sorted({row for row, _ in slots}):
        in_row = {column: slots[row, column] for column in columns if (row, column) in slots}
        for part in _sub_rows(in_row):
            cells.append(tuple(cell_text(part.get(column, [])) for column in columns))
            held = bounds(word.rect for words in part.values() for word in words)
            rects.append(Rect(xs[0], min(held.y0, max(ys[0], held.y0 - 2)), xs[-1], held.y1))
    return FoundTable(tuple(cells), tuple(rects), min(1, len(cells) - 1), Rect(xs[0], ys[0], xs[-1], ys[-1]))


def _sub_rows(cells: dict[int, list[Word]]) -> Iterator[dict[int, list[Word]]]:
    """Cut a drawn row in which every column holds the same number of lines, and no line drawn between."""
    lines = {column: rows(segments(words)) for column, words in cells.items()}
    counts = {len(found) for found in lines.values()}
    numeric = [
        all(_NUMERIC.fullmatch(row.text) for row in found) for column, found in lines.items() if column != min(lines)
    ]
    if len(lines) < 2 or counts == {1} or len(counts) != 1 or not any(numeric):
        yield cells
        return
    for number in range(counts.pop()):
        yield {column: [w for s in found[number].segments for w in s.words] for column, found in lines.items()}


def cell_text(words: Sequence[Word]) -> str:
    """Write the words of a cell on one line."""
    return one_line("\n".join(row.text for row in rows(segments(words)))) if words else ""


# Tables without lines


@dataclass(slots=True)
class _Cell:
    text: str
    rect: Rect

    @property
    def is_numeric(self) -> bool:
        return bool(_NUMERIC.fullmatch(self.text))

    @property
    def is_short(self) -> bool:
        return len(self.text) + len(CJK.findall(self.text)) <= _SHORT


def aligned_tables(lines: Sequence[Row]) -> Iterator[Row | FoundTable]:
    """Pass rows on in order, runs of them that form a table replaced by it."""
    cells = [_cells(row) for row in lines]
    number = 0
    while number < len(lines):
        end = _run_end(lines, cells, number)
        table = _aligned_table(lines[number:end], cells[number:end]) if end - number >= 2 else None
        if table is None:
            yield lines[number]
            number += 1
        else:
            yield table
            number = end


def _cells(row: Row) -> list[_Cell]:
    """Cells of a row: segments, with currency signs, closing brackets and list markers joined to theirs."""
    cells: list[_Cell] = []
    glue = False
    for part in row.segments:
        if part.table is not None:
            return []
        joins = cells and (
            glue or (_SUFFIX.fullmatch(part.text) and part.rect.x0 - cells[-1].rect.x1 < 1.5 * part.size)
        )
        if joins:
            cells[-1] = _Cell(f"{cells[-1].text} {part.text}", bounds((cells[-1].rect, part.rect)))
        else:
            cells.append(_Cell(part.text, part.rect))
        marker = len(cells) == 1 and _MARKER.fullmatch(cells[-1].text)
        glue = bool(_CURRENCY.fullmatch(part.text) or marker)
    for cell in cells:
        cell.text = re.sub(r"(?<=[$¥€£(])\s+(?=[\d(])|(?<=\d)\s+(?=[)%])", "", cell.text)
    return cells


def _is_tabular(cells: Sequence[_Cell]) -> bool:
    return len(cells) >= 2 and any(cell.is_numeric or cell.is_short for cell in cells[1:])


def _run_end(lines: Sequence[Row], cells: Sequence[Sequence[_Cell]], start: int) -> int:
    """The end of the run of rows from `start` that may form one table; `start` if there is none."""
    if not _is_tabular(cells[start]):
        return start
    end, number = start + 1, start + 1
    while number < len(lines) and cells[number]:
        gap = lines[number].rect.y0 - lines[number - 1].rect.y1
        height = lines[number].rect.y1 - lines[number].rect.y0
        if gap > 2.6 * height or number - end > 3:
            break
        if len(cells[number]) >= 2:
            end = number + 1
        number += 1
    return end


def _aligned_table(lines: Sequence[Row], cells: Sequence[Sequence[_Cell]]) -> FoundTable | None:
    tabular = [row for row in cells if _is_tabular(row)]
    numeric = sum(any(cell.is_numeric for cell in row[1:]) for row in tabular)
    if len(tabular) < (2 if numeric >= 2 else 3) or len(tabular) * 3 < len(cells):
        return None
    others = [cell for row in tabular for cell in row[1:]]
    if numeric < len(tabular) / 3 and mean(len(cell.text) for cell in others) > 1.6 * _SHORT:
        return None
    columns = _columns(tabular)
    if len(columns) < 2 or not _fits(tabular, columns):
        return None
    grid = [_assign(row, columns) for row in cells]
    rects = [row.rect for row in lines]
    grid, rects = _unwrapped(grid, rects)
    header = _header_rows(grid)
    return FoundTable(tuple(map(tuple, grid)), tuple(rects), header, bounds(rects))


def _columns(tabular: Sequence[Sequence[_Cell]]) -> list[tuple[float, float]]:
    """The horizontal ranges of the columns, from rows that have most of the cells."""
    most = sorted(len(row) for row in tabular)[-max(1, len(tabular) // 10) - 1 if len(tabular) > 3 else -1]
    spans = sorted((cell.rect.x0, cell.rect.x1) for row in tabular if len(row) >= max(2, 0.6 * most) for cell in row)
    columns: list[tuple[float, float]] = []
    for x0, x1 in spans:
        if columns and x0 < columns[-1][1] + 1.0:
            columns[-1] = (columns[-1][0], max(columns[-1][1], x1))
        else:
            columns.append((x0, x1))
    return columns


def _fits(tabular: Sequence[Sequence[_Cell]], columns: Sequence[tuple[float, float]]) -> bool:
    """Tell whether the rows agree on the columns: few cells share one, and few columns stand nearly empty."""
    shared = sum(len(row) - len({_column(cell, columns) for cell in row}) for row in tabular)
    return shared <= 0.2 * sum(map(len, tabular)) and len(columns) <= 2.2 * median(map(len, tabular)) + 1


def _column(cell: _Cell, columns: Sequence[tuple[float, float]]) -> int:
    def distance(number: int) -> tuple[float, float]:
        x0, x1 = columns[number]
        overlap = min(x1, cell.rect.x1) - max(x0, cell.rect.x0)
        return (-overlap, abs((x0 + x1) / 2 - (cell.rect.x0 + cell.rect.x1) / 2))

    return min(range(len(columns)), key=distance)


def _assign(row: Sequence[_Cell], columns: Sequence[tuple[float, float]]) -> list[str]:
    values = [""] * len(columns)
    for cell in row:
        number = _column(cell, columns)
        # A heading over several columns stands in the first of them.
        covered = [n for n, (x0, x1) in enumerate(columns) if min(x1, cell.rect.x1) - max(x0, cell.rect.x0) > 2]
        number = number if len(covered) < 2 else covered[0]
        values[number] = f"{values[number]} {cell.text}".strip()
    return [one_line(value) for value in values]


def _unwrapped(grid: Sequence[list[str]], rects: Sequence[Rect]) -> tuple[list[list[str]], list[Rect]]:
    """Join a row that only goes on with the words of the one above: no first cell, no number, no gap."""
    result: list[list[str]] = []
    places: list[Rect] = []
    started = False
    for values, rect in zip(grid, rects, strict=True):
        words = [value for value in values[1:] if value]
        numeric = any(_NUMERIC.fullmatch(value) for value in words)
        started = started or (bool(values[0]) and bool(words))
        tight = bool(places) and rect.y0 - places[-1].y1 < 0.3 * (rect.y1 - rect.y0)
        if started and not values[0] and words and not numeric and tight and len(words) < len(values):
            above = result[-1]
            above[:] = [f"{old} {new}".strip() for old, new in zip(above, values, strict=True)]
            places[-1] = bounds((places[-1], rect))
        else:
            result.append(list(values))
            places.append(rect)
    return result, places


_YEAR = re.compile(r"(?:19|20)\d\d(?:\s*年.*)?|.*\b(?:19|20)\d\d")


def _header_rows(grid: Sequence[Sequence[str]]) -> int:
    """Count the rows on top that name columns: without numbers other than years."""
    count = 0
    for row in grid[: min(4, len(grid) - 1)]:
        values = [value for value in row[1:] if value]
        figures = [value for value in values if _NUMERIC.fullmatch(value) and not _YEAR.fullmatch(value)]
        if figures or (not values and count):
            break
        count += 1
    return count
