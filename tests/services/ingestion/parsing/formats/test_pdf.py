"""Reading order, tables, page furniture and places of PDFs that are written by hand."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest

from zhiku_platform.text.document import (
    Box,
    Heading,
    ListItem,
    Paragraph,
    ParsedDocument,
    Table,
    document_text,
)
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.limits import ParseLimits

Parse = Callable[..., ParsedDocument]
MakePdf = Callable[..., Path]
Mark = Callable[..., Any]

LEFT = [f"left column line {n} has enough words" for n in range(8)]
RIGHT = [f"right column line {n} has enough words" for n in range(8)]


def ink(path: Path, box: Box) -> tuple[bool, bool]:
    """Render the page as shown: is there ink inside the box, and is there any outside of it?"""
    document = pdfium.PdfDocument(path)
    bitmap = document[box.page - 1].render(scale=1, grayscale=True)
    width, height, stride = bitmap.width, bitmap.height, bitmap.stride
    pixels = bytes((ctypes.c_ubyte * (stride * height)).from_address(ctypes.addressof(bitmap.buffer)))
    document.close()
    inside = outside = False
    for y in range(height):
        for x in range(width):
            if pixels[y * stride + x] < 128:
                within = box.x0 - 1.5 <= x <= box.x1 + 1.5 and box.y0 - 1.5 <= y <= box.y1 + 3
                inside, outside = inside or within, outside or not within
    return inside, outside


def texts(document: ParsedDocument) -> list[str]:
    return [block.text for block in document.blocks if not isinstance(block, Table)]


def tables(document: ParsedDocument) -> list[Table]:
    return [block for block in document.blocks if isinstance(block, Table)]


def test_two_columns_are_read_one_after_the_other(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    marks = [text_mark(50, 60, "A title above both of the columns of this page", 18)]
    for n, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        # Written line by line across the page, as a naive producer does.
        marks += [text_mark(50, 100 + 13 * n, left), text_mark(310, 100 + 13 * n, right)]
    document = parsed(make_pdf(marks))
    assert texts(document) == [marks[0].text, f"{' '.join(LEFT)} {' '.join(RIGHT)}"] or texts(document) == [
        marks[0].text,
        " ".join(LEFT),
        " ".join(RIGHT),
    ]


def test_text_below_the_columns_comes_after_them(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    marks = [text_mark(50, 100 + 13 * n, line) for n, line in enumerate(LEFT)]
    marks += [text_mark(310, 100 + 13 * n, line) for n, line in enumerate(RIGHT)]
    marks.append(text_mark(50, 400, "A full line that crosses the gutter and closes the page for good, below both."))
    text = document_text(parsed(make_pdf(marks)))
    assert text.index("left column line 7") < text.index("right column line 0") < text.index("A full line")


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_stand_on_the_ink_of_the_page_as_shown(
    make_pdf: MakePdf, text_mark: Mark, parsed: Parse, rotate: int
) -> None:
    path = make_pdf([text_mark(72, 200, "A line of text somewhere on the page")], rotate=rotate, size=(400, 600))
    (block,) = parsed(path).blocks
    assert isinstance(block, Paragraph)
    (span,) = block.spans
    assert block.text[span.start : span.end] == "A line of text somewhere on the page"
    assert ink(path, span.box) == (True, False)


def test_boxes_count_from_the_corner_of_a_cropped_page(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    path = make_pdf([text_mark(172, 300, "Cropped text")], size=(400, 600), crop=(100, 100, 350, 500))
    (block,) = parsed(path).blocks
    assert isinstance(block, Paragraph)
    assert ink(path, block.spans[0].box) == (True, False)


def test_hyphenated_words_are_joined_but_compounds_keep_their_hyphen(
    make_pdf: MakePdf, text_mark: Mark, parsed: Parse
) -> None:
    lines = [
        "Our long-term plan is an invest-",
        "ment in research, and it is a long-",
        "term plan for everybody here.",
    ]
    (block,) = parsed(make_pdf([text_mark(50, 100 + 12 * n, line) for n, line in enumerate(lines)])).blocks
    assert isinstance(block, Paragraph)
    assert block.text == (
        "Our long-term plan is an investment in research, and it is a long-term plan for everybody here."
    )


def test_chinese_lines_join_without_spaces(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    lines = [
        "员工每年享有十五天带薪年假，入职不满一年的按比例",
        "计算，未休完的年假可以顺延到下一年第一季度末。",
    ]
    (block,) = parsed(make_pdf([text_mark(50, 100 + 14 * n, line) for n, line in enumerate(lines)])).blocks
    assert isinstance(block, Paragraph)
    assert block.text == "".join(lines)


def test_headers_footers_and_page_numbers_are_left_out(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    pages: list[Sequence[Any]] = [
        [
            text_mark(50, 30, "Annual report 2023"),
            text_mark(50, 200, f"This is the text of chapter number {n} of the report."),
            text_mark(50, 800, "Confidential"),
            text_mark(290, 815, str(n + 1)),
        ]
        for n in range(6)
    ]
    document = parsed(make_pdf(*pages))
    assert texts(document) == [f"This is the text of chapter number {n} of the report." for n in range(6)]
    assert [block.page for block in document.blocks] == [1, 2, 3, 4, 5, 6]


def test_larger_and_bold_lines_are_headings_with_levels(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    body = "Body text runs on for a while so that it is clear what the usual size on this page is."
    marks = [
        text_mark(50, 80, "Handbook", 22),
        text_mark(50, 120, "Leave", 15),
        text_mark(50, 150, body),
        text_mark(50, 180, "Sick leave", 10, bold=True),
        text_mark(50, 200, body),
    ]
    headings = [(b.text, b.level) for b in parsed(make_pdf(marks)).blocks if isinstance(b, Heading)]
    assert headings == [("Handbook", 1), ("Leave", 2), ("Sick leave", 3)]


def test_bullets_and_numbers_are_list_items(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    lines = ["- first thing to do", "- second thing to do", "1. one more", "2. and another"]
    document = parsed(make_pdf([text_mark(60, 100 + 12 * n, line) for n, line in enumerate(lines)]))
    assert [block.text for block in document.blocks if isinstance(block, ListItem)] == lines


def test_a_table_without_lines_is_found_by_its_columns(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    rows = [
        ("", "2023", "2022"),
        ("Net sales", "$ 574,785", "$ 513,983"),
        ("Cost of sales", "304,739", "288,831"),
        ("Fulfillment", "90,619", "84,299"),
        ("Total", "$ 395,358", "$ 373,130"),
    ]
    marks = [text_mark(50, 80, "(In millions)")]
    for n, (label, one, two) in enumerate(rows):
        y = 100 + 14 * n
        marks += [text_mark(50, y, label)] if label else []
        marks += [text_mark(300, y, one), text_mark(420, y, two)]
    (table,) = tables(parsed(make_pdf(marks)))
    assert [row[0] for row in table.rows][-4:] == ["Net sales", "Cost of sales", "Fulfillment", "Total"]
    assert table.rows[-1] == ("Total", "$395,358", "$373,130")
    assert table.title == "(In millions)" or table.rows[0][0] == "(In millions)"
    assert len(table.row_boxes) == len(table.rows)


def test_a_ruled_table_keeps_cells_of_several_lines(
    make_pdf: MakePdf, text_mark: Mark, rule_mark: Mark, parsed: Parse
) -> None:
    xs, ys = (50, 200, 400), (100, 120, 160, 180)
    marks: list[Any] = [rule_mark(xs[0], y, xs[-1], y) for y in ys] + [rule_mark(x, ys[0], x, ys[-1]) for x in xs]
    marks += [
        text_mark(55, 114, "Role"),
        text_mark(205, 114, "May do"),
        text_mark(55, 140, "Editor"),
        text_mark(205, 134, "Write and delete the documents"),
        text_mark(205, 148, "of a knowledge base"),
        text_mark(55, 174, "Viewer"),
        text_mark(205, 174, "Read"),
    ]
    (table,) = tables(parsed(make_pdf(marks)))
    assert table.rows == (
        ("Role", "May do"),
        ("Editor", "Write and delete the documents of a knowledge base"),
        ("Viewer", "Read"),
    )
    assert table.header_rows == 1


def test_a_caption_above_a_table_is_its_title(
    make_pdf: MakePdf, text_mark: Mark, rule_mark: Mark, parsed: Parse
) -> None:
    marks: list[Any] = [text_mark(50, 90, "Table 1. Roles and what they may do")]
    marks += [rule_mark(50, y, 400, y) for y in (100, 120, 140)] + [rule_mark(x, 100, x, 140) for x in (50, 200, 400)]
    marks += [
        text_mark(55, 114, "Role"),
        text_mark(205, 114, "May"),
        text_mark(55, 134, "A"),
        text_mark(205, 134, "B"),
    ]
    (table,) = tables(parsed(make_pdf(marks)))
    assert table.title == "Table 1. Roles and what they may do"


def test_a_paragraph_goes_on_over_the_page_break(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    first = "The first page ends in the middle of a sentence that is long enough to go"
    document = parsed(
        make_pdf([text_mark(50, 400, first)], [text_mark(50, 100, "on over the break, as sentences do.")])
    )
    (block,) = document.blocks
    assert isinstance(block, Paragraph)
    assert block.text == f"{first} on over the break, as sentences do."
    assert [span.box.page for span in block.spans] == [1, 2]
    assert [block.text[s.start : s.end] for s in block.spans] == [
        first,
        "on over the break, as sentences do.",
    ]


def test_a_page_that_is_drawn_but_holds_no_text_is_noted(
    make_pdf: MakePdf, text_mark: Mark, rule_mark: Mark, parsed: Parse
) -> None:
    document = parsed(make_pdf([text_mark(50, 100, "Some text")], [rule_mark(50, 50, 300, 300)], []))
    assert [(note.code, note.page) for note in document.notes] == [("page_without_text", 2)]
    assert document.pages == 3


def test_a_pdf_without_text_is_an_error_and_not_empty(make_pdf: MakePdf, rule_mark: Mark, parsed: Parse) -> None:
    with pytest.raises(errors.NoTextLayerError) as caught:
        parsed(make_pdf([rule_mark(50, 50, 300, 300)]))
    assert "OCR" in caught.value.remedy


def test_a_password_is_asked_for_by_name(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    path = make_pdf([text_mark(50, 100, "Secret")], password="opensesame")
    assert len(pdfium.PdfDocument(path, password="opensesame")) == 1
    with pytest.raises(errors.EncryptedError):
        parsed(path)


def test_an_empty_password_is_no_hindrance(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    assert document_text(parsed(make_pdf([text_mark(50, 100, "Open")], password=""))) == "Open"


def test_20000_pages_are_refused(make_pdf: MakePdf, parsed: Parse) -> None:
    path = make_pdf(*([[]] * 20_000))
    with pytest.raises(errors.TooManyPagesError, match="20000 pages; at most 5000"):
        parsed(path)


def test_the_page_limit_itself_is_allowed(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    path = make_pdf(*[[text_mark(50, 100, f"Text of page {n}.")] for n in range(3)])
    assert parsed(path, limits=replace(ParseLimits(), max_pages=3)).pages == 3


def test_garbage_between_head_and_tail_is_corrupt(tmp_path: Path, parsed: Parse) -> None:
    path = tmp_path / "garbage.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20 + b"\n%%EOF\n")
    with pytest.raises(errors.CorruptFileError):
        parsed(path)


def test_a_section_under_two_columns_belongs_to_neither(make_pdf: MakePdf, text_mark: Mark, parsed: Parse) -> None:
    left = [text_mark(50, 100, "1.1 What we make", bold=True)]
    left += [text_mark(50, 120 + 14 * n, f"the left column goes on over line number {n} of") for n in range(9)]
    right = [text_mark(320, 100 + 14 * n, f"Xiamen and the right column has line number {n}") for n in range(7)]
    below = [
        text_mark(50, 270, "2 Working time", size=14, bold=True),
        text_mark(50, 290, "2.1 Hours", bold=True),
        text_mark(
            50,
            310,
            "A full-time week has forty hours, and everyone can be reached from ten to four on each of its days.",
        ),
        text_mark(
            50,
            324,
            "Shifts in the plant follow the calendar of the plant, which says when they begin and when they end.",
        ),
    ]
    blocks = parsed(make_pdf([*left, *right, *below])).blocks
    assert [block.kind for block in blocks] == ["heading", "paragraph", "heading", "heading", "paragraph"]
    body = blocks[1]
    assert isinstance(body, Paragraph)
    assert body.text.startswith("the left column")
    assert body.text.endswith("line number 6")
    assert [block.text for block in blocks if isinstance(block, Heading)] == [
        "1.1 What we make",
        "2 Working time",
        "2.1 Hours",
    ]


def test_what_was_filled_into_a_form_is_read(tmp_path: Path, parsed: Parse) -> None:
    path = tmp_path / "form.pdf"
    path.write_text(
        """%PDF-1.7
1 0 obj << /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 400 400] /Contents 4 0 R /Annots [6 0 R]
 /Resources << /Font << /F1 5 0 R >> >> >> endobj
4 0 obj << /Length 42 >> stream
BT /F1 12 Tf 50 300 Td (Days asked:) Tj ET
endstream endobj
5 0 obj << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> endobj
6 0 obj << /Type /Annot /Subtype /Widget /FT /Tx /F 4 /T (days) /V (seventeen) /Rect [130 295 300 315]
 /AP << /N 7 0 R >> >> endobj
7 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 170 20] /Resources << /Font << /F1 5 0 R >> >> /Length 38 >> stream
BT /F1 12 Tf 2 5 Td (seventeen) Tj ET
endstream endobj
trailer << /Root 1 0 R >>
%%EOF
"""
    )
    assert " ".join(document_text(parsed(path)).split()) == "Days asked: seventeen"
