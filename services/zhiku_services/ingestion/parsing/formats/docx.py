"""DOCX: headings, numbered lists, tables and notes, as Word shows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from zhiku_platform.text.document import Block, Code, Heading, ListItem, Paragraph, ParsedDocument, Table
from zhiku_platform.text.normalisation import normalise, one_line
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.charts import chart_blocks
from zhiku_services.ingestion.parsing.formats.drawings import diagram_texts
from zhiku_services.ingestion.parsing.formats.numbering import Numbering
from zhiku_services.ingestion.parsing.formats.ooxml import Package, chosen, is_on
from zhiku_services.ingestion.parsing.formats.plain import heading_level
from zhiku_services.ingestion.parsing.wire import Job

_WRAPPERS = frozenset({"ins", "moveTo", "smartTag", "customXml", "hyperlink", "fldSimple", "sdtContent", "dir", "bdo"})
# `rt` tells how the characters under it are pronounced: read along, it would tear the word apart.
_DROPPED = frozenset({"del", "moveFrom", "pPr", "rPr", "instrText", "delText", "sdtPr", "tblPr", "sectPr", "rt"})
_BREAKS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": " "}
_FORMULAS = {
    "f": "({num})/({den})",
    "sSup": "{e}^{sup}",
    "sSub": "{e}_{sub}",
    "sSubSup": "{e}_{sub}^{sup}",
    "rad": "√({e})",
    "nary": "{sign}_{sub}^{sup} {e}",
}
_HEADING_CHARS = 120
# Beyond as many columns a cell is one wide whatever it says; none is left out.
_MAX_SPANNED = 200
_MAX_DEPTH = 100


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read a DOCX, remarks last. Deleted and hidden text, headers and footers, and the contents are left out."""
    with Package.open(job.path) as package:
        reader = _Reader(package)
        blocks = [*reader.body(), *reader.notes(), *reader.comments()]
        title = reader.title or _core_title(package)
    if not any(block.kind == "heading" for block in blocks):
        blocks = [_guess_heading(block, reader.bold) for block in blocks]
    return ParsedDocument(job.media_type, tuple(blocks), title=title)


def _core_title(package: Package) -> str | None:
    root = package.tree_or_none(package.related("", "/core-properties"))
    title = root.findtext("title") if root is not None else None
    return one_line(title or "") or None


def _guess_heading(block: Block, bold: set[str]) -> Block:
    """In a document without heading styles, take numbered divisions and short bold lines for headings."""
    if not isinstance(block, Paragraph | ListItem) or "\n" in block.text:
        return block
    level = heading_level(block.text)
    if level is None and block.text in bold and len(block.text) <= _HEADING_CHARS // 2:
        level = 3
    return block if level is None else Heading(block.text, level)


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str | None
    outline: int | None
    numbering: tuple[str, int] | None


class _Reader:
    def __init__(self, package: Package) -> None:
        self.package = package
        self.main = package.main_part()
        self.root = package.tree(self.main)
        self.relations = package.relations(self.main)
        self.styles = _styles(package.tree_or_none(package.related(self.main, "/styles")))
        self.numbering = Numbering(package.tree_or_none(package.related(self.main, "/numbering")))
        self.title: str | None = None
        self.bold: set[str] = set()
        self.boxes: list[Element] = []
        self.depth = 0

    def body(self) -> Iterator[Block]:
        body = self.root.find("body")
        if body is None:
            raise errors.CorruptFileError("The document has no body.")
        yield from self._blocks(body)

    def notes(self) -> Iterator[Block]:
        """Yield footnotes and endnotes, each under the mark it has in the text."""
        for kind in ("footnote", "endnote"):
            root = self.package.tree_or_none(self.package.related(self.main, f"/{kind}s"))
            for note in root if root is not None else ():
                text = " ".join(text for child in note.iter("p") if (text := self._paragraph_text(child)))
                if text and note.get("type") not in {"separator", "continuationSeparator"}:
                    yield Paragraph(f"[{note.get('id')}] {text}")

    def comments(self) -> Iterator[Block]:
        """Yield what is written beside the text, in its order, with who wrote it."""
        root = self.package.tree_or_none(self.package.related(self.main, "/comments"))
        for comment in root.iter("comment") if root is not None else ():
            text = " ".join(text for child in comment.iter("p") if (text := self._paragraph_text(child)))
            if text:
                yield Paragraph(f"{one_line(comment.get('author') or '')}: {text}".removeprefix(": "))

    def _blocks(self, parent: Element) -> Iterator[Block]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise errors.CorruptFileError("The document is nested too deeply.")
        for element in parent:
            match element.tag:
                case "p":
                    yield from self._paragraph(element)
                case "tbl":
                    yield from self._table(element)
                case "sdt" | "customXml" | "ins" | "moveTo" | "sdtContent":
                    yield from self._blocks(element)
                case "AlternateContent":
                    for child in chosen(element):
                        yield from self._blocks(child)
                case _:
                    pass
        self.depth -= 1

    # Paragraphs

    def _paragraph(self, element: Element) -> Iterator[Block]:
        properties = element.find("pPr")
        style_id = _value(properties, "pStyle")
        name = self.styles[style_id].name if style_id in self.styles else ""
        if name.startswith("toc ") or (style_id or "").upper().startswith("TOC"):
            return
        outer, self.boxes = self.boxes, []
        text = self._paragraph_text(element)
        boxes, self.boxes = self.boxes, outer
        yield from self._styled(element, properties, style_id, name, text)
        for box in boxes:
            yield from self._blocks(box) if box.tag == "txbxContent" else self._drawn(box)

    def _drawn(self, element: Element) -> Iterator[Block]:
        """Yield a chart or a diagram."""
        is_chart = element.tag == "chart"
        relation = self.relations.get(element.get("r:id" if is_chart else "r:dm", ""))
        root = self.package.tree_or_none(relation[1]) if relation else None
        if root is not None and is_chart:
            yield from chart_blocks(root)
        elif root is not None:
            yield from (ListItem(f"- {text}") for text in diagram_texts(root))

    def _styled(
        self, element: Element, properties: Element | None, style_id: str | None, name: str, text: str
    ) -> Iterator[Block]:
        if not text:
            return
        level = self._outline(properties, style_id)
        marker, depth = self._marker(properties, style_id)
        if name == "title":
            self.title = self.title or one_line(text)
            level = 0
        if level is not None and len(text) <= 3 * _HEADING_CHARS:
            yield Heading(one_line(f"{marker} {text}"), max(1, level + (0 if name == "title" else 1)))
        elif marker:
            yield ListItem(f"{marker} {text}", depth=depth)
        elif "code" in name or "preformatted" in name:
            yield Code(text)
        else:
            if _is_bold(element):
                self.bold.add(text)
            yield Paragraph(text)

    def _outline(self, properties: Element | None, style_id: str | None) -> int | None:
        """The outline level from 0, of the paragraph or else of its style; None for body text."""
        own = _value(properties, "outlineLvl")
        if own is not None and own.isdigit():
            return int(own) if int(own) < 9 else None
        for style in self._chain(style_id):
            if style.outline is not None:
                return style.outline if style.outline < 9 else None
            kind, _, number = style.name.rpartition(" ")
            if kind in {"heading", "标题"} and number.isdigit():
                return int(number) - 1
        return None

    def _chain(self, style_id: str | None) -> Iterator[_Style]:
        seen: set[str] = set()
        while style_id in self.styles and style_id not in seen:
            assert style_id is not None
            seen.add(style_id)
            yield self.styles[style_id]
            style_id = self.styles[style_id].based_on

    def _marker(self, properties: Element | None, style_id: str | None) -> tuple[str, int]:
        """Number the paragraph; an empty marker for one that is in no list."""
        place = _num_pr(properties)
        inherited = next((style.numbering for style in self._chain(style_id) if style.numbering), None)
        if place is None or place[0] == "":
            place = inherited if place is None or inherited is None else (inherited[0], place[1])
        if place is None:
            return "", 0
        return self.numbering.next_marker(*place), place[1]

    def _paragraph_text(self, element: Element) -> str:
        lines = "".join(self._runs(element)).split("\n")
        return "\n".join(normalise(line).strip() for line in lines).strip()

    def _runs(self, parent: Element) -> Iterator[str]:
        for element in parent:
            tag = element.tag
            if tag in _DROPPED or (tag == "r" and is_on(element.find("rPr/vanish"))):
                continue
            if tag == "t":
                yield element.text or ""
            elif tag in _BREAKS:
                yield _BREAKS[tag]
            elif tag in {"oMath", "oMathPara"}:
                yield f" {_math(element)} "
            elif tag in {"footnoteReference", "endnoteReference"}:
                yield f"[{element.get('id')}]"
            elif tag in {"txbxContent", "chart", "relIds"}:
                self.boxes.append(element)
            elif tag == "AlternateContent":
                for child in chosen(element):
                    yield from self._runs(_wrapped(child))
            else:
                yield from self._runs(element)

    # Tables

    def _table(self, element: Element) -> Iterator[Block]:
        rows: list[list[str]] = []
        header_rows = 0
        trs = list(_rows(element))
        if all(len(list(_cells(tr))) <= 1 for tr in trs):
            # A frame around text, not a table.
            for tr in trs:
                for cell in _cells(tr):
                    yield from self._blocks(cell)
            return
        for tr in trs:
            row = self._row(tr, rows[-1] if rows else [])
            if not any(row):
                continue
            if header_rows == len(rows) and is_on(tr.find("trPr/tblHeader")):
                header_rows += 1
            rows.append(row)
        if rows:
            width = max(map(len, rows))
            padded = tuple(tuple(row + [""] * (width - len(row))) for row in rows)
            yield Table(padded, header_rows=header_rows or min(1, len(rows) - 1))

    def _row(self, tr: Element, above: list[str]) -> list[str]:
        """Write one row: a cell that goes on from above repeats its text, a wide one stands once."""
        skipped = _value(tr.find("trPr"), "gridBefore") or "0"
        row = [""] * min(int(skipped) if skipped.isdigit() else 0, _MAX_SPANNED)
        for cell in _cells(tr):
            properties = cell.find("tcPr")
            merge = properties.find("vMerge") if properties is not None else None
            span = _value(properties, "gridSpan") or "1"
            if merge is not None and merge.get("val", "continue") == "continue":
                row.append(above[len(row)] if len(row) < len(above) else "")
            else:
                row.append(self._cell(cell))
            row += [""] * (min(int(span) - 1, _MAX_SPANNED - len(row)) if span.isdigit() else 0)
        return row

    def _cell(self, cell: Element) -> str:
        parts: list[str] = []
        for block in self._blocks(cell):
            if block.kind == "table":
                # A table inside a cell stays with its row: cells by commas, rows by semicolons.
                parts.append("; ".join(", ".join(filter(None, row)) for row in block.rows))
            else:
                parts.append(block.text)
        return "\n".join(parts)


def _styles(root: Element | None) -> dict[str, _Style]:
    if root is None:
        return {}
    styles: dict[str, _Style] = {}
    for style in root.iter("style"):
        properties = style.find("pPr")
        outline = _value(properties, "outlineLvl")
        styles[style.get("styleId", "")] = _Style(
            (_value(style, "name") or "").lower(),
            _value(style, "basedOn"),
            int(outline) if outline is not None and outline.isdigit() else None,
            _num_pr(properties),
        )
    return styles


def _num_pr(properties: Element | None) -> tuple[str, int] | None:
    """Read (list id, level); the id is empty where only the level is given."""
    numbers = properties.find("numPr") if properties is not None else None
    if numbers is None:
        return None
    level = _value(numbers, "ilvl") or "0"
    return _value(numbers, "numId") or "", min(int(level), 8) if level.isdigit() else 0


def _value(parent: Element | None, name: str) -> str | None:
    child = parent.find(name) if parent is not None else None
    return child.get("val") if child is not None else None


def _is_bold(paragraph: Element) -> bool:
    runs = [run for run in paragraph.iter("r") if "".join(t.text or "" for t in run.iter("t")).strip()]
    return bool(runs) and all(is_on(run.find("rPr/b")) for run in runs)


def _wrapped(element: Element) -> Element:
    holder = Element("holder")
    holder.append(element)
    return holder


def _rows(table: Element) -> Iterator[Element]:
    yield from _children(table, "tr")


def _cells(row: Element) -> Iterator[Element]:
    yield from _children(row, "tc")


def _children(parent: Element, tag: str) -> Iterator[Element]:
    """Yield children of one kind, also from within content controls and tracked insertions."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS or child.tag == "sdt":
            yield from _children(child, tag)


def _math(element: Element) -> str:
    """Write a formula on one line, in the manner of LaTeX without its commands."""
    if element.tag == "t":
        return element.text or ""
    if element.tag == "d":
        return "(" + ", ".join(_math(child) for child in element.findall("e")) + ")"
    pattern = _FORMULAS.get(element.tag)
    if pattern is None:
        return "".join(_math(child) for child in element)
    sign = element.find("naryPr/chr")
    parts = {name: _math_of(element, name) for name in ("num", "den", "e", "sup", "sub")}
    return pattern.format(**parts, sign=sign.get("val", "∫") if sign is not None else "∫")


def _math_of(element: Element, name: str) -> str:
    child = element.find(name)
    return _math(child).strip() if child is not None else ""
