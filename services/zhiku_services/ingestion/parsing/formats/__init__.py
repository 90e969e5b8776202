"""One module a format, loaded when first used. Everything here runs in the child only."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Protocol, cast

from zhiku_platform.text.document import Note, ParsedDocument, block_text
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.preflight import Format
from zhiku_services.ingestion.parsing.wire import Job

Report = Callable[[int, int], None]

_MODULES = {
    Format.PDF: "pdf",
    Format.DOCX: "docx",
    Format.PPTX: "pptx",
    Format.XLSX: "xlsx",
    Format.CSV: "csv",
    Format.HTML: "html",
    Format.MARKDOWN: "markdown",
    Format.TEXT: "plain",
    Format.EML: "eml",
}


class Parser(Protocol):
    """Reads a file of one format.

    Blocks come in reading order. Raises ParsingError; never returns text in place of an error.
    """

    def __call__(self, job: Job, report: Report, /) -> ParsedDocument: ...


def parse_file(job: Job, report: Report) -> ParsedDocument:
    """Parse a file in this process. A document without text is an error; characters that are lost, a note."""
    module = import_module(f"{__name__}.{_MODULES[job.format]}")
    document = cast("Parser", module.parse)(job, report)
    texts = [block_text(block) for block in document.blocks]
    if not any(text.strip() for text in texts):
        raise errors.NoTextLayerError("No text was found in the file.")
    if lost := sum(text.count("\ufffd") for text in texts):
        return replace(document, notes=(*document.notes, Note("unreadable_characters", count=lost)))
    return document
