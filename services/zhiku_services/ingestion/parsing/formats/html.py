"""HTML: the main content with its headings, lists and tables; no scripts, styles or navigation."""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, Doctype, NavigableString, ProcessingInstruction

from zhiku_platform.text.document import Block, Code, Heading, ListItem, Paragraph, ParsedDocument, Table
from zhiku_platform.text.normalisation import normalise, one_line
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.reading import decoded
from zhiku_services.ingestion.parsing.wire import Job


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNSEEN = _names(
    "script style noscript template head svg canvas iframe object embed audio video map select datalist "
    "button input textarea dialog"
)
_AROUND = ("nav", "aside", "footer")
_AROUND_ROLES = frozenset({"navigation", "banner", "contentinfo", "complementary", "search", "menu", "toolbar"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = _names(
    "address article aside blockquote body center caption dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol "
    "p pre section summary "
    "table tbody td tfoot th thead tr ul"
)
_META_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
# Each level takes some frames of Python's stack.
_MAX_DEPTH = 150
# Beyond as many columns a cell is one wide whatever it says; none is left out.
_MAX_SPANNED = 200


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read an HTML file; what its styles hide by name is left out, links keep their text."""
    text = _decode(job.path.read_bytes())
    if not text.strip():
        raise errors.EmptyFileError("The file holds nothing but white space.")
    soup = BeautifulSoup(text, "lxml")
    title = one_line(soup.title.get_text()) if soup.title else ""
    blocks = tuple(_Reader().blocks(_main(soup)))
    if not title:
        title = next((block.text for block in blocks if block.kind == "heading"), "")
    return ParsedDocument(job.media_type, blocks, title=title or None)


def html_blocks(text: str) -> list[Block]:
    """Read a fragment of HTML."""
    return list(_Reader().blocks(BeautifulSoup(text, "lxml")))


def html_text(text: str) -> str:
    """Normalise text line by line."""
    return "\n".join(line.strip() for line in normalise(text).split("\n")).strip()


def _decode(data: bytes) -> str:
    """Decode by the declared charset where it fits, else by what the bytes say."""
    declared = _META_CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        name = declared[1].decode("ascii")
        if name.lower() in {"gb2312", "gbk"}:
            name = "gb18030"
        try:
            return data.decode(name)
        except (LookupError, UnicodeError):
            pass
    return decoded(data)


def _main(soup: BeautifulSoup) -> Tag:
    """Find the element of the main content: `main`, else the only article, else the body."""
    body = soup.body or soup
    whole = len(body.get_text())
    articles: list[Tag] = soup.find_all("article")
    outermost = [article for article in articles if article.find_parent("article") is None]
    only = outermost if len(outermost) == 1 else []
    candidates: list[Tag] = [*soup.find_all("main"), *soup.find_all(role="main"), *only]
    for candidate in candidates:
        # A teaser or an empty shell is not the main content.
        if len(candidate.get_text()) * 3 >= whole:
            return candidate
    return body


class _Reader:
    """Walks a tree and gathers inline text until a block begins or ends."""

    def __init__(self) -> None:
        self.inline: list[str] = []
        self.depth = 0

    def blocks(self, root: Tag) -> Iterator[Block]:
        yield from self._children(root)
        yield from self._flush()

    def _flush(self) -> Iterator[Block]:
        text = _squeeze("".join(self.inline))
        self.inline = []
        if text:
            yield Paragraph(text)

    def _children(self, tag: Tag) -> Iterator[Block]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise errors.CorruptFileError("The page is nested too deeply.")
        for child in tag.children:
            if isinstance(child, Tag):
                yield from self._tag(child)
            elif _is_text(child):
                self.inline.append(str(child))
        self.depth -= 1

    def _tag(self, tag: Tag) -> Iterator[Block]:
        name = tag.name
        if name in _UNSEEN or _is_hidden(tag) or _is_around(tag):
            return
        if name == "br":
            self.inline.append("\v")
        elif name == "img":
            self.inline.append(f" {tag.get('alt') or ''} ")
        elif name not in _BLOCKS:
            yield from self._children(tag)
        else:
            yield from self._flush()
            yield from self._block(tag)

    def _block(self, tag: Tag) -> Iterator[Block]:
        name = tag.name
        if name in _HEADINGS and tag.find("table") is None:
            if text := one_line(_inline_text(tag)):
                yield Heading(text, int(name[1]))
        elif name == "table" and not _is_layout(tag):
            yield from _table(tag)
        elif name == "pre":
            if (text := tag.get_text().strip("\n")).strip():
                yield Code(text)
        elif name in {"ul", "ol", "menu"}:
            yield from self._list(tag, depth=0)
        else:
            yield from self._children(tag)
            yield from self._flush()

    def _list(self, tag: Tag, depth: int) -> Iterator[Block]:
        number = _start(tag)
        for child in tag.children:
            if isinstance(child, Tag) and child.name in {"ul", "ol", "menu"}:
                yield from self._list(child, min(depth + 1, 20))
            elif isinstance(child, Tag) and child.name == "li":
                marker = f"{number}. " if tag.name == "ol" else "- "
                number += 1
                yield from self._item(child, marker, depth)
            elif isinstance(child, Tag):
                yield from self._tag(child)
                yield from self._flush()
            elif _is_text(child):
                self.inline.append(str(child))
                yield from self._flush()

    def _item(self, tag: Tag, marker: str, depth: int) -> Iterator[Block]:
        """Yield the item's own text with its marker, then what is nested in it."""
        for block in self._item_parts(tag, depth):
            if block.kind == "paragraph":
                yield ListItem(marker + block.text, depth=depth)
                marker = ""
            else:
                yield block

    def _item_parts(self, tag: Tag, depth: int) -> Iterator[Block]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise errors.CorruptFileError("The page is nested too deeply.")
        for child in tag.children:
            if isinstance(child, Tag) and child.name in {"ul", "ol", "menu"}:
                yield from self._flush()
                yield from self._list(child, min(depth + 1, 20))
            elif isinstance(child, Tag):
                yield from self._tag(child)
            elif _is_text(child):
                self.inline.append(str(child))
        yield from self._flush()
        self.depth -= 1


def _is_text(node: object) -> bool:
    return isinstance(node, NavigableString) and not isinstance(node, Comment | Doctype | ProcessingInstruction)


def _is_hidden(tag: Tag) -> bool:
    if tag.has_attr("hidden"):
        return True
    style = str(tag.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def _is_around(tag: Tag) -> bool:
    """Navigation, page footers and the like; a header or footer inside an article belongs to it."""
    if str(tag.get("role") or "").lower() in _AROUND_ROLES:
        return True
    return tag.name in _AROUND and (tag.name == "nav" or tag.find_parent(("main", "article")) is None)


def _squeeze(text: str) -> str:
    """Collapse white space as a browser does; `br` (kept as a vertical tab) breaks the line."""
    lines = (" ".join(normalise(line).split()) for line in text.split("\v"))
    return "\n".join(lines).strip()


def _inline_text(tag: Tag) -> str:
    """Text of an element, a space between its block-level parts."""
    parts: list[str] = []
    for node in tag.descendants:
        if isinstance(node, Tag):
            if node.name in _BLOCKS or node.name == "br":
                parts.append("\n" if node.name != "li" else "\n- ")
            elif node.name == "img":
                parts.append(f" {node.get('alt') or ''} ")
        elif _is_text(node) and not any(parent.name in _UNSEEN for parent in node.parents if parent is not tag):
            parts.append(str(node))
    return "".join(parts)


def _start(tag: Tag) -> int:
    start = str(tag.get("start") or "1")
    return int(start) if start.lstrip("-").isdigit() and len(start) < 9 else 1


# Tables


def _is_layout(table: Tag) -> bool:
    """A table that only arranges a page: it holds headings or other tables, or has one column."""
    if str(table.get("role") or "") in {"presentation", "none"}:
        return True
    return table.find("th") is None and (table.find("table") is not None or table.find(_HEADINGS) is not None)


def _table(table: Tag) -> Iterator[Block]:
    caption = table.find("caption", recursive=False)
    title = one_line(_inline_text(caption)) if isinstance(caption, Tag) else ""
    rows: list[list[str]] = []
    carried: dict[int, tuple[int, str]] = {}
    header_rows = 0
    for row in table.find_all("tr"):
        if row.find_parent("table") is not table:
            continue
        cells = list(row.find_all(("td", "th"), recursive=False))
        values = _row(cells, carried)
        if not any(values):
            continue
        is_header = all(cell.name == "th" for cell in cells) or row.find_parent("thead") is not None
        if is_header and header_rows == len(rows):
            header_rows += 1
        rows.append(values)
    if not rows:
        if title:
            yield Paragraph(title)
        return
    if len(rows) == header_rows:
        header_rows = 1 if len(rows) > 1 else 0
    width = max(map(len, rows))
    padded = tuple(tuple(row + [""] * (width - len(row))) for row in rows)
    yield Table(padded, header_rows=header_rows or (1 if len(padded) > 1 else 0), title=title)


def _row(cells: list[Tag], carried: dict[int, tuple[int, str]]) -> list[str]:
    """Write one row; a cell that spans rows is repeated in each, one that spans columns stands once."""
    values: list[str] = []
    waiting = list(cells)
    while waiting or len(values) in carried:
        column = len(values)
        if column in carried:
            left, text = carried.pop(column)
            if left > 1:
                carried[column] = (left - 1, text)
            values.append(text)
            continue
        cell = waiting.pop(0)
        text = one_line(_inline_text(cell))
        for offset in range(min(_span(cell, "colspan"), max(1, _MAX_SPANNED - len(values)))):
            if (down := _span(cell, "rowspan")) > 1:
                carried[len(values)] = (down - 1, text if offset == 0 else "")
            values.append(text if offset == 0 else "")
    return values


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name) or "1").strip()
    return max(1, int(value)) if value.isdigit() and len(value) < 5 else 1
