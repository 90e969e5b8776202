"""XLSX: one page a sheet, cells as shown, blocks of cells as tables.

Sheets are read as a stream of rows: a spreadsheet library holds a cell in some hundred bytes, and a
sheet may have millions.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from zhiku_platform.text.document import Block, Heading, Note, Paragraph, ParsedDocument, Table
from zhiku_platform.text.normalisation import normalise
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.cell_formats import BUILTIN, plain, shown
from zhiku_services.ingestion.parsing.formats.charts import chart_blocks, chart_title
from zhiku_services.ingestion.parsing.formats.drawings import shape_texts
from zhiku_services.ingestion.parsing.formats.ooxml import Package
from zhiku_services.ingestion.parsing.wire import Job

_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
# As many as the program that made the format allows.
_MAX_COLUMNS = 16_384
_MAX_CELLS = 5_000_000
# A merged cell is repeated over at most so many rows; a larger one is a frame.
_MAX_MERGED_ROWS = 1_000
# What stands for a thread where a program knows notes only.
_THREAD_STUB = "[Threaded comment]"
_NUMERIC = re.compile(r"[-+(]?[$¥€£]?[\d,.]+%?\)?")

Grid = dict[int, dict[int, str]]


def parse(job: Job, report: Report) -> ParsedDocument:
    """Read a workbook: cells, remarks on them, and drawings.

    Formulas give their stored result, or their own text if nothing is stored.
    """
    blocks: list[Block] = []
    notes: list[Note] = []
    with Package.open(job.path) as package:
        book = _Book(package)
        if len(book.sheets) > job.limits.max_pages:
            raise errors.TooManyPagesError(f"The workbook has {len(book.sheets)} sheets.")
        for page, sheet in enumerate(book.sheets, start=1):
            grid = book.grid(sheet)
            drawn = [*book.remarks(sheet, page), *book.drawn(sheet, page)]
            if grid or drawn:
                blocks += [Heading(sheet.name, 1, page=page), *_tables(grid, page), *drawn]
            if sheet.is_hidden:
                notes.append(Note("hidden_content", sheet.name, page))
            report(page, len(book.sheets))
    if all(block.kind == "heading" for block in blocks):
        blocks = []
    return ParsedDocument(job.media_type, tuple(blocks), pages=len(book.sheets), notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """`is_chart`: it holds nothing but a chart."""

    name: str
    part: str
    is_hidden: bool
    is_chart: bool


@dataclass(slots=True)
class _Book:
    package: Package
    sheets: list[_Sheet] = field(init=False)
    strings: list[str] = field(init=False)
    formats: list[str] = field(init=False)
    from_1904: bool = field(init=False)
    cells: int = 0

    def __post_init__(self) -> None:
        main = self.package.main_part()
        relations = self.package.relations(main)
        root = self.package.tree(main)
        properties = root.find("workbookPr")
        self.from_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
        entries = root.find("sheets")
        self.sheets = [
            _Sheet(
                entry.get("name", ""),
                relations[entry.get("r:id", "")][1],
                entry.get("state", "visible") != "visible",
                relations[entry.get("r:id", "")][0].endswith("/chartsheet"),
            )
            for entry in (entries if entries is not None else ())
            if relations[entry.get("r:id", "")][0].endswith(("/worksheet", "/chartsheet"))
        ]
        self.strings = _strings(self.package.tree_or_none(self.package.related(main, "/sharedStrings")))
        self.formats = _formats(self.package.tree_or_none(self.package.related(main, "/styles")))

    def grid(self, sheet: _Sheet) -> Grid:
        """Read the cells that show something, by row and column from 1."""
        grid: Grid = {}
        merged: list[str] = []
        number = 0
        for element in self.package.stream(sheet.part, ("row", "mergeCell")):
            if element.tag == "mergeCell":
                merged.append(element.get("ref", ""))
                continue
            number = int(element.get("r") or number + 1)
            if row := self._row(element):
                grid[number] = row
                self.cells += len(row)
                if self.cells > _MAX_CELLS:
                    raise errors.OutputTooLargeError(f"The workbook has more than {_MAX_CELLS} filled cells.")
        for reference in merged:
            _spread(grid, reference)
        return grid

    def remarks(self, sheet: _Sheet, page: int) -> Iterator[Block]:
        """Yield what is written beside cells; of a thread, each entry in its order."""
        for kind, tag in (("/threadedComment", "threadedComment"), ("/comments", "comment")):
            root = self.package.tree_or_none(self.package.related(sheet.part, kind))
            for remark in root.iter(tag) if root is not None else ():
                text = _rich_text(remark.find("text")) or normalise(remark.findtext("text") or "").strip()
                if text and not text.startswith(_THREAD_STUB):
                    yield Paragraph(f"{remark.get('ref', '')}: {text}", page=page)

    def drawn(self, sheet: _Sheet, page: int) -> Iterator[Block]:
        """Yield the text boxes and charts of a sheet; of a chart whose values stand in cells, its title."""
        part = self.package.related(sheet.part, "/drawing")
        root = self.package.tree_or_none(part)
        if part is None or root is None:
            return
        for text in shape_texts(root):
            yield Paragraph(text, page=page)
        for kind, target in self.package.relations(part).values():
            chart = self.package.tree_or_none(target) if kind.endswith("/chart") else None
            if chart is None:
                continue
            if sheet.is_chart:
                yield from chart_blocks(chart, page)
            elif title := chart_title(chart):
                yield Paragraph(title, page=page)

    def _row(self, element: Element) -> dict[int, str]:
        row: dict[int, str] = {}
        column = 0
        for cell in element.findall("c"):
            place = _REFERENCE.fullmatch(cell.get("r", ""))
            column = _column(place[1]) if place else column + 1
            if column <= _MAX_COLUMNS and (text := self._text(cell)):
                row[column] = text
        return row

    def _text(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _rich_text(cell.find("is"))
        value = cell.findtext("v")
        if not value:
            formula = cell.findtext("f")
            return f"={formula}" if formula and kind != "str" else ""
        if kind == "s":
            return self.strings[int(value)] if int(value) < len(self.strings) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind != "n":
            return normalise(value).strip()
        return self._number(value, int(cell.get("s") or 0))

    def _number(self, value: str, style: int) -> str:
        try:
            number = float(value)
        except ValueError:
            return value
        code = self.formats[style] if style < len(self.formats) else "General"
        if code in {"General", "@", ""}:
            return plain(number)
        return shown(number, code, from_1904=self.from_1904)


def _strings(root: Element | None) -> list[str]:
    return [_rich_text(item) for item in root.findall("si")] if root is not None else []


def _rich_text(item: Element | None) -> str:
    """Join the runs of a string, without phonetic hints."""
    if item is None:
        return ""
    parts = [item.findtext("t") or "", *(run.findtext("t") or "" for run in item.findall("r"))]
    return normalise("".join(parts)).strip()


def _formats(root: Element | None) -> list[str]:
    """List the number format of each cell style."""
    if root is None:
        return []
    codes = dict(BUILTIN)
    for entry in root.iter("numFmt"):
        codes[int(entry.get("numFmtId", "0"))] = entry.get("formatCode", "General")
    styles = root.find("cellXfs")
    return [codes.get(int(xf.get("numFmtId", "0")), "General") for xf in (styles if styles is not None else ())]


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _spread(grid: Grid, reference: str) -> None:
    """Repeat a merged cell downwards, so that each row stands by itself; to the right it stands once."""
    places = [(int(row), _column(letters)) for letters, row in _REFERENCE.findall(reference)]
    if len(places) != 2:
        return
    (top, left), (bottom, right) = places
    text = grid.get(top, {}).get(left)
    if text is None or bottom - top > _MAX_MERGED_ROWS or (right > left and bottom > top):
        return
    for row in range(top + 1, bottom + 1):
        if row in grid:
            grid[row].setdefault(left, text)


# From cells to tables


def _tables(grid: Grid, page: int) -> Iterator[Block]:
    """Cut a sheet into tables at empty rows and columns; a lone cell above a table is its title."""
    title = ""
    for region in _regions(grid):
        rows = list(region)
        while rows and len(rows) > 1 and len(rows[0]) == 1 and _width(rows) > 1 and min(rows[0]) == _left(rows):
            title = "\n".join(filter(None, (title, *rows.pop(0).values())))
        if _width(rows) == 1 and sum(len(row) for row in rows) <= 2:
            title = "\n".join(filter(None, (title, *(text for row in rows for text in row.values()))))
            continue
        yield _table(rows, title, page)
        title = ""
    if title:
        yield Paragraph(title, page=page)


def _table(rows: Sequence[dict[int, str]], title: str, page: int) -> Table:
    columns = sorted(set().union(*rows))
    cells = tuple(tuple(row.get(column, "") for column in columns) for row in rows)
    return Table(cells, header_rows=_header_rows(cells), title=title, page=page)


def _header_rows(cells: Sequence[Sequence[str]]) -> int:
    """Take the first row for a header unless it holds numbers that those below hold too."""
    if len(cells) < 2:
        return 0
    first = [cell for cell in cells[0] if cell]
    numbers = sum(bool(_NUMERIC.fullmatch(cell)) for cell in first)
    return 0 if first and numbers > len(first) / 2 and numbers > 1 and not _years(first) else 1


def _years(cells: Sequence[str]) -> bool:
    return any(re.fullmatch(r"(?:19|20)\d\d", cell) for cell in cells)


def _left(rows: Sequence[dict[int, str]]) -> int:
    return min(min(row) for row in rows)


def _width(rows: Sequence[dict[int, str]]) -> int:
    return len(set().union(*rows)) if rows else 0


def _regions(grid: Grid) -> Iterator[list[dict[int, str]]]:
    """Yield the rows of each region: bands between empty rows, cut at empty columns if all parts are wide."""
    for band in _bands(grid):
        columns = sorted(set().union(*band))
        groups: list[list[int]] = [[columns[0]]]
        for column in columns[1:]:
            if column > groups[-1][-1] + 1:
                groups.append([column])
            else:
                groups[-1].append(column)
        if len(groups) > 1 and all(len(group) > 1 for group in groups):
            for group in groups:
                part = [{column: row[column] for column in group if column in row} for row in band]
                yield [row for row in part if row]
        else:
            yield band


def _bands(grid: Grid) -> Iterator[list[dict[int, str]]]:
    band: list[dict[int, str]] = []
    previous = 0
    for number in sorted(grid):
        if band and number > previous + 1:
            yield band
            band = []
        band.append(grid[number])
        previous = number
    if band:
        yield band
