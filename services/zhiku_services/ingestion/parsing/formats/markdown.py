"""Markdown (CommonMark with tables), with YAML front matter."""

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from zhiku_platform.text.document import Block, Code, Heading, ListItem, Paragraph, ParsedDocument, Table
from zhiku_platform.text.normalisation import one_line
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.html import html_blocks, html_text
from zhiku_services.ingestion.parsing.formats.reading import decoded, read_text
from zhiku_services.ingestion.parsing.wire import Job

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
# A key with what follows it: lines that are indented, or items of a list.
_ENTRY = re.compile(
    r"(?P<key>[\w.-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*:(?P<value>(?:[ \t][^\n]*)?(?:\n(?:[ \t-][^\n]*)?)*)(?:\n|\Z)"
)
_IGNORED = re.compile(r"(?:#[^\n]*|[ \t]*)(?:\n|\Z)")
_BLOCK = re.compile(r"(?P<style>[|>])[-+\d]*[ \t]*(?:\n|\Z)")
_SHOWN_FIELDS = ("title", "description", "summary")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read a Markdown file. Code keeps its indentation; other text is as a reader sees it, without markup."""
    read_text(job.path)
    text = decoded(job.path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    front = _FRONT_MATTER.match(text)
    fields = _fields(front[1]) if front else {}
    if front and fields:
        text = text[front.end() :]
    blocks = _front_blocks(fields) + list(_Walker(text).blocks())
    title = fields.get("title") or next((b.text for b in blocks if b.kind == "heading" and b.level == 1), None)
    return ParsedDocument(job.media_type, tuple(blocks), title=title)


def _fields(front: str) -> dict[str, str]:
    """Read the keys of front matter with their values; none where it is anything else, as text between two rules."""
    fields: dict[str, str] = {}
    place = 0
    while place < len(front):
        if ignored := _IGNORED.match(front, place):
            place = max(ignored.end(), place + 1)
            continue
        entry = _ENTRY.match(front, place)
        if entry is None:
            return {}
        fields[entry["key"].strip("'\"")] = _value(entry["value"])
        place = entry.end()
    return fields


def _value(text: str) -> str:
    """Read a value of YAML: a block as it is folded, any other without its quotes; lists and maps as written."""
    text = text.strip()
    block = _BLOCK.match(text)
    if block is None:
        return html_text(text[1:-1] if text[:1] == text[-1:] and text[:1] in {"'", '"'} else text)
    folded = html_text(text[block.end() :])
    return folded if block["style"] == "|" else " ".join(folded.split())


def _front_blocks(fields: dict[str, str]) -> list[Block]:
    """Show title, description and summary as the text that they are; what else is known of the document, by line."""
    shown = {name: fields[name] for name in _SHOWN_FIELDS if fields.get(name)}
    blocks: list[Block] = [
        Heading(one_line(text), 1) if name == "title" else Paragraph(text) for name, text in shown.items()
    ]
    rest = [f"{name}: {text}" for name, text in fields.items() if text and name not in shown]
    return [*blocks, Paragraph("\n".join(rest))] if rest else blocks


class _Walker:
    """Turns the flat token list of markdown-it into blocks."""

    def __init__(self, text: str) -> None:
        parser = MarkdownIt("commonmark", {"maxNesting": 50}).enable(["table", "strikethrough"])
        self.tokens: Sequence[Token] = parser.parse(text)
        self.lists: list[int | None] = []
        self.marker = ""

    def blocks(self) -> Iterator[Block]:
        index = 0
        while index < len(self.tokens):
            token = self.tokens[index]
            if token.type == "table_open":
                end = next(n for n in range(index, len(self.tokens)) if self.tokens[n].type == "table_close")
                yield self._table(self.tokens[index:end])
                index = end
            else:
                yield from self._block(token, index)
            index += 1

    def _block(self, token: Token, index: int) -> Iterator[Block]:
        match token.type:
            case "bullet_list_open":
                self.lists.append(None)
            case "ordered_list_open":
                self.lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
            case "list_item_open":
                self.marker = self._next_marker()
            case "fence" | "code_block" if token.content.strip():
                yield Code(token.content.rstrip("\n"))
            case "html_block":
                yield from html_blocks(_COMMENT.sub("", token.content))
            case "inline":
                yield from self._inline(token, self.tokens[index - 1])
            case _:
                pass

    def _next_marker(self) -> str:
        number = self.lists[-1]
        if number is None:
            return "- "
        self.lists[-1] = number + 1
        return f"{number}. "

    def _inline(self, token: Token, opener: Token) -> Iterator[Block]:
        text = _plain(token)
        if not text:
            return
        if opener.type == "heading_open":
            yield Heading(" ".join(text.split()), int(opener.tag[1]))
        elif self.lists and self.marker:
            yield ListItem(self.marker + text, depth=len(self.lists) - 1)
            self.marker = ""
        elif self.lists:
            yield ListItem(text, depth=len(self.lists) - 1)
        else:
            yield Paragraph(text)

    def _table(self, tokens: Sequence[Token]) -> Table:
        rows: list[list[str]] = []
        header_rows = 0
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(" ".join(_plain(token).split()))
            elif token.type == "thead_close":
                header_rows = len(rows)
        return Table(tuple(map(tuple, rows)), header_rows=header_rows)


def _plain(token: Token) -> str:
    """Write inline content as a reader sees it."""
    parts: list[str] = []
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline":
                parts.append(child.content)
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(child.content)
            case "html_inline" if child.content.lower().startswith("<br"):
                parts.append("\n")
            case _:
                pass
    return html_text("".join(parts))
