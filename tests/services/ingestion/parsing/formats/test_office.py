"""DOCX, PPTX and XLSX as the usual libraries write them, and parts written by hand."""

import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import OxmlElement
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.utils.cell import get_column_letter
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.shapes.placeholder import SlidePlaceholder
from pptx.util import Inches

from zhiku_platform.text.document import (
    Heading,
    ListItem,
    Note,
    Paragraph,
    ParsedDocument,
    Table,
    document_text,
)
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats.cell_formats import shown
from zhiku_services.ingestion.parsing.formats.numbering import written

Parse = Callable[..., ParsedDocument]


def test_docx_headings_lists_and_tables_come_in_order(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    document.add_heading("员工手册", 0)
    document.add_heading("Leave", 1)
    document.add_paragraph("You have 15 days.")
    document.add_paragraph("Ask early", style="List Bullet")
    document.add_paragraph("First", style="List Number")
    document.add_paragraph("Second", style="List Number")
    table = document.add_table(rows=3, cols=2)
    for row, values in enumerate((("Kind", "Days"), ("Paid", "15"), ("", "20"))):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    table.cell(1, 0).merge(table.cell(2, 0))
    document.add_paragraph("The end.")
    path = tmp_path / "a.docx"
    document.save(str(path))
    result = parsed(path)
    assert result.title == "员工手册"
    assert result.blocks == (
        Heading("员工手册", 1),
        Heading("Leave", 1),
        Paragraph("You have 15 days."),
        ListItem("- Ask early"),
        ListItem("1. First"),
        ListItem("2. Second"),
        Table((("Kind", "Days"), ("Paid", "15"), ("Paid", "20"))),
        Paragraph("The end."),
    )


def test_docx_keeps_nested_tables_with_their_row(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    outer = document.add_table(rows=1, cols=2)
    outer.cell(0, 0).text = "Contacts"
    inner = outer.cell(0, 1).add_table(rows=2, cols=2)
    for n, cell in enumerate(inner._cells):
        cell.text = f"v{n}"
    path = tmp_path / "a.docx"
    document.save(str(path))
    assert "Contacts | v0, v1; v2, v3" in document_text(parsed(path))


def test_docx_leaves_out_deleted_and_hidden_text(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("kept ")
    paragraph.add_run("hidden").font.hidden = True
    deleted = OxmlElement("w:del")
    run = paragraph.add_run("deleted")._r
    deleted.append(run)
    paragraph._p.append(deleted)
    paragraph.add_run("too")
    path = tmp_path / "a.docx"
    document.save(str(path))
    assert document_text(parsed(path)) == "kept too"


def test_docx_without_heading_styles_takes_chapters_and_bold_lines(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    document.add_paragraph("第一章 总则")
    document.add_paragraph("本规定适用于全体员工。")
    document.add_paragraph().add_run("Overtime").bold = True
    document.add_paragraph("Ask before.")
    path = tmp_path / "a.docx"
    document.save(str(path))
    assert [b.text for b in parsed(path).blocks if isinstance(b, Heading)] == ["第一章 总则", "Overtime"]


@pytest.mark.parametrize(
    ("number", "style", "expected"),
    [
        (4, "lowerRoman", "iv"),
        (1999, "upperRoman", "MCMXCIX"),
        (27, "lowerLetter", "aa"),
        (3, "chineseCounting", "三"),
        (10, "chineseCounting", "十"),
        (21, "chineseCountingThousand", "二十一"),
        (105, "chineseCounting", "一百零五"),
        (112, "chineseCounting", "一百一十二"),
        (7, "decimalZero", "07"),
        (5, "decimal", "5"),
    ],
)
def test_list_numbers_are_written_as_word_writes_them(number: int, style: str, expected: str) -> None:
    assert written(number, style) == expected


def test_docx_that_declares_entities_is_refused(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    document.add_paragraph("x")
    path, evil = tmp_path / "a.docx", tmp_path / "b.docx"
    document.save(str(path))
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(evil, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "word/document.xml":
                start = data.index(b"<w:document")
                data = data[:start] + b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + data[start:]
            target.writestr(name, data)
    with pytest.raises(errors.ArchiveBombError, match="entities"):
        parsed(evil)


def test_docx_with_a_damaged_part_is_corrupt(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    document.add_paragraph("x" * 5000)
    path, cut = tmp_path / "a.docx", tmp_path / "b.docx"
    document.save(str(path))
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(cut, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:-100] if name == "word/document.xml" else data)
    with pytest.raises(errors.CorruptFileError):
        parsed(cut)


def test_docx_without_text_is_an_error(tmp_path: Path, parsed: Parse) -> None:
    path = tmp_path / "a.docx"
    docx.Document().save(str(path))
    with pytest.raises(errors.NoTextLayerError):
        parsed(path)


def test_pptx_slides_are_pages_with_titles_tables_charts_and_notes(tmp_path: Path, parsed: Parse) -> None:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    assert first.shapes.title is not None
    first.shapes.title.text = "季度回顾"
    body, spoken = first.shapes.placeholders[1], first.notes_slide.notes_text_frame
    assert isinstance(body, SlidePlaceholder)
    assert spoken is not None
    body.text_frame.text = "Sales rose"
    body.text_frame.add_paragraph().text = "Costs fell"
    spoken.text = "Say thanks"
    second = deck.slides.add_slide(deck.slide_layouts[5])
    assert second.shapes.title is not None
    second.shapes.title.text = "Figures"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for n, value in enumerate(("Year", "Sales", "2023", "10")):
        table.cell(n // 2, n % 2).text = value
    data = CategoryChartData()  # type: ignore[no-untyped-call]  # the library has half its types
    data.categories = ["Q1", "Q2"]
    data.add_series("Profit", (1.5, 2.5))  # type: ignore[no-untyped-call]  # as above
    place = (Inches(1), Inches(4), Inches(4), Inches(2))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)  # pyright: ignore[reportArgumentType]
    path = tmp_path / "a.pptx"
    deck.save(str(path))
    result = parsed(path)
    assert (result.title, result.pages) == ("季度回顾", 2)
    assert result.blocks == (
        Heading("季度回顾", 1, page=1),
        ListItem("- Sales rose", page=1),
        ListItem("- Costs fell", page=1),
        Paragraph("Notes: Say thanks", page=1),
        Heading("Figures", 1, page=2),
        Table((("Year", "Sales"), ("2023", "10")), page=2),
        Table((("", "Profit"), ("Q1", "1.5"), ("Q2", "2.5")), page=2),
    )


def test_xlsx_sheets_are_pages_and_cells_read_as_shown(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "工资表"
    sheet.append(["2023 年度"])
    sheet.append(["姓名", "日期", "金额", "比例"])
    sheet.append(["张三", date(2023, 4, 1), 12345.5, 0.125])
    sheet.append(["李四", datetime(2023, 5, 2, 13, 30), -7, 1])  # noqa: DTZ001
    for row in (3, 4):
        sheet[f"B{row}"].number_format = "yyyy-mm-dd"
        sheet[f"C{row}"].number_format = "#,##0.00"
        sheet[f"D{row}"].number_format = "0.0%"
    hidden = book.create_sheet("Rates")
    hidden["B3"], hidden["C3"], hidden["B4"], hidden["C4"] = "Code", "Rate", "A", "=1+1"
    hidden.sheet_state = "hidden"
    path = tmp_path / "a.xlsx"
    book.save(path)
    result = parsed(path)
    assert result.pages == 2
    assert result.blocks == (
        Heading("工资表", 1, page=1),
        Table(
            (
                ("姓名", "日期", "金额", "比例"),
                ("张三", "2023-04-01", "12,345.50", "12.5%"),
                ("李四", "2023-05-02", "-7.00", "100.0%"),
            ),
            title="2023 年度",
            page=1,
        ),
        Heading("Rates", 1, page=2),
        Table((("Code", "Rate"), ("A", "=1+1")), page=2),
    )
    assert result.notes == (Note("hidden_content", "Rates", 2),)


def test_xlsx_tables_are_cut_at_empty_rows_and_merged_cells_repeat_downwards(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Team", "Name"], ["Sales", "Ann"], [None, "Bob"], [], ["Key", "Value"], ["a", "b"]):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    path = tmp_path / "a.xlsx"
    book.save(path)
    tables = [block.rows for block in parsed(path).blocks if isinstance(block, Table)]
    assert tables == [(("Team", "Name"), ("Sales", "Ann"), ("Sales", "Bob")), (("Key", "Value"), ("a", "b"))]


@pytest.mark.slow
def test_a_large_sheet_is_read_in_full(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Big")
    for n in range(20_000):
        sheet.append([n, f"row {n}", n / 4])
    path = tmp_path / "a.xlsx"
    book.save(path)
    (table,) = [block for block in parsed(path).blocks if isinstance(block, Table)]
    assert table.rows[-1] == ("19999", "row 19999", "4999.75")
    assert len(table.rows) == 20_000


def test_xlsx_without_cells_is_an_error(tmp_path: Path, parsed: Parse) -> None:
    path = tmp_path / "a.xlsx"
    openpyxl.Workbook().save(path)
    with pytest.raises(errors.NoTextLayerError):
        parsed(path)


def test_columns_are_named_as_spreadsheets_name_them(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet[f"{get_column_letter(26)}1"], sheet[f"{get_column_letter(27)}1"] = "Z", "AA"
    path = tmp_path / "a.xlsx"
    book.save(path)
    assert document_text(parsed(path)).endswith("Z | AA")


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (1234.5, "#,##0.00", "1,234.50"),
        (-1234.5, "#,##0;(#,##0)", "(1,235)"),
        (0.256, "0%", "26%"),
        (1500000, '0.0,,"M"', "1.5M"),
        (99, "¥#,##0.00", "¥99.00"),
        (99, "[$€-407] #,##0", "€ 99"),
        (12345, "0.00E+00", "1.23E+04"),
        (7, "000", "007"),
        (1.5, "0.0##", "1.5"),
        (45017, "yyyy-mm-dd", "2023-04-01"),
        (45017.75, "yyyy/m/d h:mm AM/PM", "2023/4/1 6:00 PM"),
        (45017, 'yyyy"年"m"月"d"日"', "2023年4月1日"),
        (45017, "d-mmm-yy", "1-Apr-23"),
        (1.25, "[h]:mm", "30:00"),
        (1e300, "0.0", f"{10**300}.0"),
        (2.675, "0.00", "2.68"),
        (0.5, "h:mm:ss", "12:00:00"),
        (3, "General", "3"),
        (0.1 + 0.2, "General", "0.3"),
        (-5, "0;[Red]-0", "-5"),
        (1e12, "yyyy-mm-dd", "1000000000000"),
    ],
)
def test_numbers_read_as_the_spreadsheet_shows_them(value: float, code: str, expected: str) -> None:
    assert shown(value, code) == expected


def rewritten(path: Path, changed: Callable[[str, bytes], bytes], more: dict[str, str] | None = None) -> Path:
    """Write an Office file anew, part by part."""
    target = path.with_stem("rewritten")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, changed(name, source.read(name)))
        for name, text in (more or {}).items():
            archive.writestr(name, text)
    return target


def test_docx_reads_diagrams_and_leaves_out_how_characters_are_pronounced(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    document.add_paragraph("MARK")
    document.save(str(tmp_path / "a.docx"))
    body = (
        "<w:r><w:ruby><w:rt><w:r><w:t>nián</w:t></w:r></w:rt>"
        "<w:rubyBase><w:r><w:t>年</w:t></w:r></w:rubyBase></w:ruby><w:t>假</w:t></w:r>"
        '<w:r><w:drawing><d:relIds xmlns:d="urn:d" r:dm="rIdD"/></w:drawing></w:r>'
    )

    def changed(name: str, data: bytes) -> bytes:
        if name == "word/document.xml":
            return data.replace(b"<w:r><w:t>MARK</w:t></w:r>", body.encode())
        if name == "word/_rels/document.xml.rels":
            relation = b'<Relationship Id="rIdD" Type="urn:x/diagramData" Target="diagrams/data1.xml"/></Relationships>'
            return data.replace(b"</Relationships>", relation)
        return data

    data = "<dataModel><ptLst><pt><t><p><r><t>Ask your manager</t></r></p></t></pt><pt/></ptLst></dataModel>"
    path = rewritten(tmp_path / "a.docx", changed, {"word/diagrams/data1.xml": data})
    assert parsed(path).blocks == (Paragraph("年假"), ListItem("- Ask your manager"))


def test_xlsx_reads_text_boxes_and_the_titles_of_charts(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Year", "Sales"], ["2023", 10], ["2024", 12]):
        sheet.append(row)
    chart = BarChart()
    chart.title = "Sales by year"
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
    sheet.add_chart(chart, "D2")  # pyright: ignore[reportCallIssue]  # typed as if it drew shapes only
    own = BarChart()
    own.title = "Sales alone"
    book.create_chartsheet("Chart").add_chart(own)
    book.save(tmp_path / "a.xlsx")

    def changed(name: str, data: bytes) -> bytes:
        box = b"<sp><txBody><p><r><t>Numbers before audit.</t></r></p></txBody></sp>"
        return data.replace(b"<graphicFrame>", box + b"<graphicFrame>") if name == "xl/drawings/drawing1.xml" else data

    result = parsed(rewritten(tmp_path / "a.xlsx", changed))
    assert result.pages == 2
    assert result.blocks[2:] == (
        Paragraph("Numbers before audit.", page=1),
        Paragraph("Sales by year", page=1),
        Heading("Chart", 1, page=2),
        Paragraph("Sales alone", page=2),
    )


def test_xlsx_that_names_a_row_wrongly_is_corrupt(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "x"
    book.save(tmp_path / "a.xlsx")
    path = rewritten(tmp_path / "a.xlsx", lambda name, data: data.replace(b'<row r="1"', b'<row r="one"'))
    with pytest.raises(errors.CorruptFileError):
        parsed(path)


def test_xlsx_reads_what_is_written_beside_cells(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Rate", "Limit"])
    sheet.append(["1.5", "300"])
    sheet["B2"].comment = Comment("Per person and year.", "Ann")
    sheet["A2"].comment = Comment("[Threaded comment]\n\nYour version of Excel allows you to read this.", "tc=1")
    book.save(tmp_path / "a.xlsx")
    assert parsed(tmp_path / "a.xlsx").blocks[2:] == (Paragraph("B2: Per person and year.", page=1),)


def test_xlsx_reads_a_thread_beside_a_cell(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Rate", "Limit"])
    sheet["A1"].comment = Comment("[Threaded comment]\n\nYour version of Excel allows you to read this.", "tc=1")
    book.save(tmp_path / "a.xlsx")
    thread = (
        '<ThreadedComments><threadedComment ref="A1"><text>Is it gross?</text></threadedComment>'
        '<threadedComment ref="A1"><text>Net.</text></threadedComment></ThreadedComments>'
    )

    def changed(name: str, data: bytes) -> bytes:
        relation = b'<Relationship Id="t" Type="urn:x/threadedComment" Target="/xl/threads/t.xml"/></Relationships>'
        return data.replace(b"</Relationships>", relation) if name.endswith("sheet1.xml.rels") else data

    result = parsed(rewritten(tmp_path / "a.xlsx", changed, {"xl/threads/t.xml": thread}))
    assert [block.text for block in result.blocks if isinstance(block, Paragraph)] == ["A1: Is it gross?", "A1: Net."]


def test_docx_reads_what_is_written_beside_the_text(tmp_path: Path, parsed: Parse) -> None:
    document = docx.Document()
    run = document.add_paragraph("The limit is 300 yuan.").runs[0]
    document.add_comment([run], text="Per person and year.", author="Ann")
    document.save(str(tmp_path / "a.docx"))
    assert parsed(tmp_path / "a.docx").blocks == (
        Paragraph("The limit is 300 yuan."),
        Paragraph("Ann: Per person and year."),
    )


@pytest.mark.parametrize(
    "remarks",
    [
        "<cmLst><cm><text>Is it gross?</text></cm><cm><text>Net.</text></cm></cmLst>",
        (
            "<cmLst><cm><txBody><p><r><t>Is it gross?</t></r></p></txBody>"
            "<replyLst><reply><txBody><p><r><t>Net.</t></r></p></txBody></reply></replyLst></cm></cmLst>"
        ),
    ],
)
def test_pptx_reads_what_is_written_beside_a_slide(tmp_path: Path, parsed: Parse, remarks: str) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    assert slide.shapes.title is not None
    slide.shapes.title.text = "Figures"
    deck.save(str(tmp_path / "a.pptx"))

    def changed(name: str, data: bytes) -> bytes:
        relation = b'<Relationship Id="c" Type="urn:x/relationships/comments" Target="/ppt/c.xml"/></Relationships>'
        return data.replace(b"</Relationships>", relation) if name.endswith("slide1.xml.rels") else data

    result = parsed(rewritten(tmp_path / "a.pptx", changed, {"ppt/c.xml": remarks}))
    said = [block.text for block in result.blocks if isinstance(block, Paragraph)]
    assert said == ["Is it gross?", "Net."]


def test_no_column_of_a_wide_table_is_lost(tmp_path: Path, parsed: Parse) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["XFD1"] = "first", "last"
    book.save(tmp_path / "a.xlsx")
    assert document_text(parsed(tmp_path / "a.xlsx")).endswith("first | last")

    document = docx.Document()
    table = document.add_table(2, 230)
    for n, cell in enumerate(table.rows[0].cells):
        cell.text = f"c{n}"
    document.save(str(tmp_path / "a.docx"))
    assert "c229" in document_text(parsed(tmp_path / "a.docx"))

    cells = "".join(f"<td>c{n}</td>" for n in range(230))
    (tmp_path / "a.html").write_text(f"<table><tr>{cells}</tr><tr><td colspan=1000>wide</td><td>x</td></tr></table>")
    assert "c229" in document_text(parsed(tmp_path / "a.html"))
