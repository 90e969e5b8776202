"""What a parser returns: the structure of a document, independent of its format.

Every block keeps its text as the document has it. `Span` ties a part of that text to the place on a
page where it stands, so that a citation of any part of a block can be drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator

from zhiku_platform.contracts.ingestion import NoteCode


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page: points from the top left corner of the page as shown, pages from 1."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` of a block stands in `box`; one span a line, ordered and not overlapping."""

    start: int
    end: int
    box: Box


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` counts from 1, the outermost."""

    text: str
    level: int
    page: int | None = None
    spans: tuple[Span, ...] = ()
    kind: Literal["heading"] = "heading"


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    page: int | None = None
    spans: tuple[Span, ...] = ()
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True, slots=True)
class ListItem:
    """`text` begins with the item's marker; `depth` counts from 0."""

    text: str
    depth: int = 0
    page: int | None = None
    spans: tuple[Span, ...] = ()
    kind: Literal["list_item"] = "list_item"


@dataclass(frozen=True, slots=True)
class Code:
    text: str
    page: int | None = None
    spans: tuple[Span, ...] = ()
    kind: Literal["code"] = "code"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first `header_rows` are repeated when the table is split.

    `row_boxes` is empty, or has one box a row. `title` is what stands above the table and names it.
    """

    rows: tuple[tuple[str, ...], ...]
    header_rows: int = 1
    title: str = ""
    page: int | None = None
    row_boxes: tuple[Box, ...] = ()
    title_boxes: tuple[Box, ...] = ()
    kind: Literal["table"] = "table"


TextBlock = Heading | Paragraph | ListItem | Code
Block = Annotated[TextBlock | Table, Discriminator("kind")]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the reader of the result should know: an attachment left out, or a hidden sheet, by `name`."""

    code: NoteCode
    name: str = ""
    page: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """`pages` counts pages, slides or sheets; None where the format has none."""

    media_type: str
    blocks: tuple[Block, ...]
    title: str | None = None
    pages: int | None = None
    notes: tuple[Note, ...] = ()


def row_text(cells: Sequence[str]) -> str:
    """Write one table row: cells joined by ` | `, line breaks in a cell as spaces."""
    return " | ".join(" ".join(cell.split()) for cell in cells).rstrip(" |")


def block_text(block: Block) -> str:
    """Write a block as plain text, a table with one line a row."""
    if block.kind != "table":
        return block.text
    lines = [block.title, *(row_text(row) for row in block.rows)]
    return "\n".join(line for line in lines if line)


def document_text(document: ParsedDocument) -> str:
    """Write the whole document as plain text in reading order."""
    return "\n\n".join(filter(None, (block_text(block) for block in document.blocks)))
