"""PDF: text in reading order with the place of every line, by pdfium and our own layout analysis."""

import re

import pypdfium2 as pdfium
from pypdfium2 import raw

from zhiku_platform.text.document import Note, ParsedDocument
from zhiku_platform.text.normalisation import one_line
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.pdf.glyphs import read_page
from zhiku_services.ingestion.parsing.formats.pdf.structure import (
    Assembler,
    PageLayout,
    lay_out,
    outline_key,
    without_furniture,
)
from zhiku_services.ingestion.parsing.limits import ParseLimits
from zhiku_services.ingestion.parsing.wire import Job

_MAX_BOOKMARKS = 5_000
_WRITTEN = frozenset({raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP})


def parse(job: Job, report: Report) -> ParsedDocument:
    """Read a PDF. A page that shows something but holds no text is named in the notes."""
    document = _open(job)
    try:
        total = _page_count(document, job.limits)
        pages: list[PageLayout] = []
        notes: list[Note] = []
        for index in range(total):
            page = _page(document, index, notes)
            if page is not None:
                pages.append(page)
            report(index + 1, total)
        outline = _outline(document)
        title = _title(document)
    finally:
        document.close()
    if not any(page.content.words for page in pages):
        raise errors.NoTextLayerError("No page of the PDF holds text.")
    without_furniture(pages)
    blocks = Assembler(pages, outline).blocks()
    return ParsedDocument(job.media_type, tuple(blocks), title, total, tuple(notes))


def _open(job: Job) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(job.path)
    except pdfium.PdfiumError as error:
        if raw.FPDF_GetLastError() in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY} or "assword" in str(error):
            raise errors.EncryptedError("The PDF is protected by a password.") from error
        raise errors.CorruptFileError("The PDF is damaged and cannot be opened.") from error


def _page_count(document: pdfium.PdfDocument, limits: ParseLimits) -> int:
    total = len(document)
    if total > limits.max_pages:
        raise errors.TooManyPagesError(f"The PDF has {total} pages; at most {limits.max_pages} are read.", pages=total)
    if total == 0:
        raise errors.CorruptFileError("The PDF has no pages.")
    return total


def _page(document: pdfium.PdfDocument, index: int, notes: list[Note]) -> PageLayout | None:
    try:
        page = _with_fields(document, index)
    except pdfium.PdfiumError:
        notes.append(Note("page_left_out", page=index + 1))
        return None
    try:
        content = read_page(page)
    finally:
        page.close()
    if not content.words and content.drawn:
        notes.append(Note("page_without_text", page=index + 1))
    return lay_out(index + 1, content)


def _with_fields(document: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    """Get a page with what was filled into its form and typed onto it: by itself, that is no part of its text."""
    page = document[index]
    if not any(_annotation_kind(page, number) in _WRITTEN for number in range(raw.FPDFPage_GetAnnotCount(page.raw))):
        return page
    raw.FPDFPage_Flatten(page.raw, raw.FLAT_NORMALDISPLAY)
    page.close()
    return document[index]


def _annotation_kind(page: pdfium.PdfPage, number: int) -> int:
    annotation = raw.FPDFPage_GetAnnot(page.raw, number)
    kind = raw.FPDFAnnot_GetSubtype(annotation)
    raw.FPDFPage_CloseAnnot(annotation)
    return int(kind)


def _title(document: pdfium.PdfDocument) -> str | None:
    """The title in the metadata, unless it is a number or a file name that the producer put there."""
    title = one_line(document.get_metadata_value("Title"))
    letters = sum(char.isalpha() for char in title)
    is_file = re.search(
        r"\.(?:docx?|pdf|pptx?|xlsx?|indd|tex|html?)$|^(?:microsoft word|untitled|无标题)",
        title,
        re.IGNORECASE,
    )
    return title if 2 * letters >= len(title) > 1 and not is_file else None


def _outline(document: pdfium.PdfDocument) -> dict[tuple[int, str], int]:
    """Map (page, title) of the bookmarks to heading levels from 1."""
    levels: dict[tuple[int, str], int] = {}
    for number, bookmark in enumerate(document.get_toc(max_depth=6)):
        if number >= _MAX_BOOKMARKS:
            break
        destination = bookmark.get_dest()
        page = destination.get_index() if destination is not None else None
        if page is not None:
            levels[page + 1, outline_key(bookmark.get_title())] = bookmark.level + 1
    return levels
