"""Build the handbook's binary documents from the readable texts in `source/`.

`TARGETS` says what each source becomes. Everything else in `handbook/` is
text that is edited in place. The same sources give the same bytes.

    python -m zhiku_services.embedded.demo.build

Needs what the running system does not: `chromium` (PDF), the Noto CJK fonts and fonttools.
"""

# A tool of ours over fontTools, openpyxl and python-pptx, which have no complete types.
# mypy: disable-error-code="import-untyped"
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import io
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from docx import Document
from docx.oxml.ns import qn
from docx.shared import Pt
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont, newTable
from markdown_it import MarkdownIt
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet
from pptx import Presentation
from pptx.util import Inches
from pptx.util import Pt as SlidePt

HERE = Path(__file__).parent
TARGETS = {
    "general/employee-handbook.html": "pdf",
    "general/考勤与休假制度.html": "pdf",
    "general/travel-and-expense-policy.md": "docx",
    "general/信息安全管理办法.md": "docx",
    "finance/2026年度奖金方案.md": "docx",
    "general/新员工入职指南.md": "pptx",
    "general/offices-and-rooms.md": "xlsx",
    "engineering/on-call-rota.md": "xlsx",
    "general/实验室安全须知.txt": "txt",
}
MADE_AT = datetime(2026, 11, 20, tzinfo=UTC)
NOTO = Path("/usr/share/fonts/opentype/noto")
SIMPLIFIED_CHINESE = 2  # the face's number in Noto's font collections


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Item:
    text: str


@dataclass(frozen=True)
class Table:
    rows: list[list[str]]


Block = Heading | Paragraph | Item | Table


def blocks(markdown: str) -> Iterator[Block]:
    """Read headings, paragraphs, flat lists and tables, in order; nothing else is used."""
    rows: list[list[str]] = []
    opened: list[str] = []
    level = 0
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "inline":
            if "heading_open" in opened[-1:]:
                yield Heading(level, token.content)
            elif rows:
                rows[-1].append(token.content)
            elif "list_item_open" in opened:
                yield Item(token.content)
            else:
                yield Paragraph(token.content)
        elif token.nesting == 1:
            opened.append(token.type)
            if token.type == "heading_open":
                level = int(token.tag[1])
            elif token.type == "tr_open":
                rows.append([])
        elif token.nesting == -1:
            opened.pop()
            if token.type == "table_close":
                yield Table(rows)
                rows = []


def word(text: str) -> bytes:
    """Build a Word document; `#` becomes the title, `##` heading 1."""
    document = Document()
    normal = document.styles["Normal"]
    normal.font.size = Pt(10.5)
    for name in ("Normal", "Title", "Heading 1"):
        style = document.styles[name]
        style.font.name = "Arial"
        style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), "Noto Sans CJK SC")
    for block in blocks(text):
        match block:
            case Heading(level, title):
                document.add_heading(title, level - 1)
            case Paragraph(words):
                document.add_paragraph(words.replace("\n", " "))
            case Item(words):
                document.add_paragraph(words, style="List Bullet")
            case Table(rows):
                table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
                for row, values in zip(table.rows, rows, strict=True):
                    for cell, value in zip(row.cells, values, strict=True):
                        cell.text = value
                for cell in table.rows[0].cells:
                    cell.paragraphs[0].runs[0].bold = True
                document.add_paragraph()
    document.core_properties.title = title_of(text)
    document.core_properties.author = "Luyu Instruments"
    return saved(document)


def slides(text: str) -> bytes:
    """Build a presentation: a title slide, then one slide for each `##`."""
    show = Presentation()
    titles, bullets = show.slide_layouts[0], show.slide_layouts[1]
    slide = show.slides.add_slide(titles)
    for block in blocks(text):
        match block:
            case Heading(level, title):
                slide = slide if level == 1 else show.slides.add_slide(bullets)
                slide.shapes.title.text = title
            case Paragraph(words):
                slide.placeholders[1].text = words
            case Item(words):
                frame = slide.placeholders[1].text_frame
                line = frame.paragraphs[0] if not frame.text else frame.add_paragraph()
                line.text = words
                line.font.size = SlidePt(24)
            case Table(rows):
                body = slide.placeholders[1].element
                body.getparent().remove(body)
                size = (Inches(0.7), Inches(1.8), Inches(8.6), Inches(0.6 * len(rows)))
                table = slide.shapes.add_table(len(rows), len(rows[0]), *size).table
                for y, values in enumerate(rows):
                    for x, value in enumerate(values):
                        table.cell(y, x).text = value
    show.core_properties.title = title_of(text)
    show.core_properties.author = "Luyu Instruments"
    return saved(show)


def workbook(text: str) -> bytes:
    """Build a workbook with one sheet for each `##` and its table."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for block in blocks(text):
        match block:
            case Heading(2, title):
                book.create_sheet(title)
            case Table(rows):
                fill(book.worksheets[-1], rows)
            case _:
                continue
    book.properties.title = title_of(text)
    book.properties.creator = "Luyu Instruments"
    return saved(book)


def fill(sheet: Worksheet, rows: list[list[str]]) -> None:
    """Write the rows: plain numbers as numbers, ISO dates as dates, the first row in bold."""
    for values in rows:
        sheet.append([typed(value) for value in values])
    for column in sheet.iter_cols():
        column[0].font = Font(bold=True)
        widest = max(len(str(cell.value)) for cell in column)
        sheet.column_dimensions[column[0].column_letter].width = min(widest + 4, 48)
    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            if isinstance(cell.value, datetime):
                cell.number_format = "yyyy-mm-dd"
    sheet.freeze_panes = "A2"


def typed(value: str) -> str | int | datetime:
    if value.isdecimal():
        return int(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return datetime.fromisoformat(value)
    return value


def printed_page(text: str) -> bytes:
    """Print an HTML page with Chromium, with the fonts that its text needs embedded."""
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder, "page.html"), Path(folder, "page.pdf")
        if "Handbook CJK" in text:
            faces = [("Regular", 400), ("Bold", 700)]
            for name, _ in faces:
                Path(folder, f"{name}.ttf").write_bytes(subset(NOTO / f"NotoSansCJK-{name}.ttc", text))
            rules = "".join(
                f'@font-face {{ font-family: "Handbook CJK"; font-weight: {weight}; src: url({name}.ttf) }}'
                for name, weight in faces
            )
            text = text.replace("<style>", f"<style>{rules}", 1)
        page.write_text(text, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        flags += ["--generate-pdf-document-outline", f"--print-to-pdf={printed}"]
        subprocess.run(["chromium", *flags, page.as_uri()], check=True, capture_output=True, timeout=120)
        stamp = MADE_AT.strftime("D:%Y%m%d%H%M%S+00'00'").encode()
        return re.sub(rb"D:\d{14}\+00'00'", stamp, printed.read_bytes())


def subset(collection: Path, text: str) -> bytes:
    """Cut a font down to the text's characters, with TrueType outlines.

    Chromium embeds OpenType/CFF fonts as Type 3, and maps a glyph that two characters share (工 and the
    radical ⼯) back to the wrong one; a TrueType subset has neither trouble.
    """
    font = TTFont(collection, fontNumber=SIMPLIFIED_CHINESE, recalcTimestamp=False)
    cutter = Subsetter(Options(layout_features=[], notdef_outline=True, hinting=False))
    cutter.populate(text=text + "0123456789")
    cutter.subset(font)
    shapes = font.getGlyphSet()
    glyphs = {}
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(None)
        shapes[name].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
        glyphs[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = font.getGlyphOrder(), glyphs
    font["maxp"].tableVersion = 0x00010000
    for field in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs",
                  "maxStackElements", "maxSizeOfInstructions", "maxComponentElements"):  # fmt: skip
        setattr(font["maxp"], field, 0)
    font["post"].formatType = 3.0
    for table in ("CFF ", "VORG", "GSUB", "GPOS", "BASE"):
        if table in font:
            del font[table]
    font.sfntVersion = "\x00\x01\x00\x00"
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()


def plain_text(text: str) -> bytes:
    """Encode as GB18030, as older Chinese office software saves plain text."""
    return text.replace("\n", "\r\n").encode("gb18030")


def title_of(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


class OfficeDocument(Protocol):
    def save(self, target: io.BytesIO, /) -> None: ...


def saved(document: OfficeDocument) -> bytes:
    """Save an office document so that its bytes do not depend on the clock."""
    raw, out = io.BytesIO(), io.BytesIO()
    document.save(raw)
    stamp = MADE_AT.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return out.getvalue()


BUILDERS = {"pdf": printed_page, "docx": word, "pptx": slides, "xlsx": workbook, "txt": plain_text}


def main() -> None:
    """Write every target of `TARGETS` into the handbook."""
    for name, kind in TARGETS.items():
        target = (HERE / "handbook" / name).with_suffix(f".{kind}")
        target.write_bytes(BUILDERS[kind]((HERE / "source" / name).read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
