"""PPTX: one page a slide, its title as heading, then text, tables, charts, diagrams, speaker notes and remarks."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from zhiku_platform.text.document import Block, Heading, ListItem, Note, Paragraph, ParsedDocument, Table
from zhiku_platform.text.normalisation import one_line
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.charts import chart_blocks
from zhiku_services.ingestion.parsing.formats.drawings import diagram_texts, paragraphs
from zhiku_services.ingestion.parsing.formats.ooxml import Package, chosen
from zhiku_services.ingestion.parsing.wire import Job

_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr"})
_SHAPES = frozenset({"sp", "grpSp", "graphicFrame", "AlternateContent", "cxnSp"})
_REMARKS = frozenset({"cm", "reply"})
_MAX_DEPTH = 50


def parse(job: Job, report: Report) -> ParsedDocument:
    """Read a presentation. Slide numbers, dates and footers are left out."""
    with Package.open(job.path) as package:
        slides = _slides(package)
        if len(slides) > job.limits.max_pages:
            raise errors.TooManyPagesError(f"The presentation has {len(slides)} slides.", pages=len(slides))
        blocks: list[Block] = []
        notes: list[Note] = []
        for page, part in enumerate(slides, start=1):
            slide = _Slide(package, part, page)
            blocks += slide.blocks()
            if slide.root.get("show") == "0":
                notes.append(Note("hidden_content", page=page))
            report(page, len(slides))
    title = next((block.text for block in blocks if block.kind == "heading"), None)
    return ParsedDocument(job.media_type, tuple(blocks), title=title, pages=len(slides), notes=tuple(notes))


def _slides(package: Package) -> list[str]:
    main = package.main_part()
    relations = package.relations(main)
    entries = package.tree(main).find("sldIdLst")
    return [relations[entry.get("r:id", "")][1] for entry in entries] if entries is not None else []


class _Slide:
    def __init__(self, package: Package, part: str, page: int) -> None:
        self.package = package
        self.part = part
        self.page = page
        self.root = package.tree(part)
        self.relations = package.relations(part)

    def blocks(self) -> list[Block]:
        """List the slide's blocks: its title, the shapes from top to bottom, the speaker notes."""
        tree = self.root.find("cSld/spTree")
        shapes = list(self._shapes(tree, 0)) if tree is not None else []
        titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
        blocks: list[Block] = []
        if heading := one_line(" ".join(text for shape in titles for _, text in paragraphs(shape))):
            blocks.append(Heading(heading, 1, page=self.page))
        for shape in _in_order([shape for shape in shapes if shape not in titles]):
            blocks += self._shape(shape)
        blocks += self._speaker_notes()
        blocks += self._remarks()
        return blocks

    def _shapes(self, parent: Element, depth: int) -> Iterator[Element]:
        if depth > _MAX_DEPTH:
            raise errors.CorruptFileError("Shapes are nested too deeply.")
        for element in parent:
            if element.tag == "grpSp":
                yield from self._shapes(element, depth + 1)
            elif element.tag == "AlternateContent":
                for child in chosen(element):
                    if child.tag == "grpSp":
                        yield from self._shapes(child, depth + 1)
                    elif child.tag in _SHAPES:
                        yield child
            elif element.tag in _SHAPES and _placeholder(element) not in _FURNITURE:
                yield element

    def _shape(self, shape: Element) -> Iterator[Block]:
        if shape.tag == "graphicFrame":
            yield from self._graphic(shape)
            return
        lines = list(paragraphs(shape))
        if _placeholder(shape) in {"body", "obj", ""} and len(lines) > 1:
            for depth, text in lines:
                yield ListItem(f"- {text}", depth=depth, page=self.page)
        elif lines:
            yield Paragraph("\n".join(text for _, text in lines), page=self.page)

    def _graphic(self, frame: Element) -> Iterator[Block]:
        data = frame.find("graphic/graphicData")
        if data is None:
            return
        if (table := data.find("tbl")) is not None:
            yield from self._table(table)
        elif (chart := data.find("chart")) is not None:
            root = self._related(chart.get("r:id"))
            if root is not None:
                yield from chart_blocks(root, self.page)
        elif (diagram := data.find("relIds")) is not None:
            root = self._related(diagram.get("r:dm"))
            for text in diagram_texts(root) if root is not None else ():
                yield ListItem(f"- {text}", page=self.page)

    def _related(self, identifier: str | None) -> Element | None:
        relation = self.relations.get(identifier or "")
        return self.package.tree_or_none(relation[1]) if relation else None

    def _table(self, table: Element) -> Iterator[Block]:
        rows: list[tuple[str, ...]] = []
        for tr in table.findall("tr"):
            cells: list[str] = []
            for tc in tr.findall("tc"):
                above = rows[-1][len(cells)] if rows and len(cells) < len(rows[-1]) else ""
                text = "\n".join(text for _, text in paragraphs(tc))
                cells.append(above if tc.get("vMerge") in {"1", "true"} else text)
            if any(cells):
                rows.append(tuple(cells))
        if rows:
            yield Table(tuple(rows), header_rows=min(1, len(rows) - 1), page=self.page)

    def _remarks(self) -> Iterator[Block]:
        """Yield what was written beside the slide; of a thread, each entry."""
        for kind, target in self.relations.values():
            root = self.package.tree_or_none(target) if kind.endswith("/comments") else None
            for remark in root.iter() if root is not None else ():
                if remark.tag in _REMARKS and (text := _remark(remark)):
                    yield Paragraph(text, page=self.page)

    def _speaker_notes(self) -> Iterator[Block]:
        targets = (target for kind, target in self.relations.values() if kind.endswith("/notesSlide"))
        root = self.package.tree_or_none(next(targets, None))
        tree = root.find("cSld/spTree") if root is not None else None
        for shape in tree if tree is not None else ():
            if _placeholder(shape) == "body" and (lines := [text for _, text in paragraphs(shape)]):
                yield Paragraph("Notes: " + "\n".join(lines), page=self.page)


def _remark(element: Element) -> str:
    """What an entry says; the older form holds plain text."""
    return one_line(element.findtext("text") or "") or "\n".join(text for _, text in paragraphs(element))


def _placeholder(shape: Element) -> str | None:
    """The placeholder's type; empty for one without type, None for a free shape."""
    for path in ("nvSpPr/nvPr/ph", "nvGraphicFramePr/nvPr/ph"):
        if (found := shape.find(path)) is not None:
            return found.get("type", "")
    return None


def _in_order(shapes: list[Element]) -> list[Element]:
    """Order shapes from top to bottom and left to right, if all say where they are."""
    places: list[tuple[int, int]] = []
    for shape in shapes:
        offset = shape.find("spPr/xfrm/off")
        if offset is None:
            offset = shape.find("xfrm/off")
        if offset is None:
            return shapes
        # Shapes whose tops differ by less than a third of an inch (in EMU) stand side by side.
        places.append((int(offset.get("y", "0")) // 304_800, int(offset.get("x", "0"))))
    return [
        shape
        for _, _, shape in sorted(
            (place, n, shape) for n, (place, shape) in enumerate(zip(places, shapes, strict=True))
        )
    ]
