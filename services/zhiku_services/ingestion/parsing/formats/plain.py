"""Plain text: paragraphs, and the headings of statutes and manuals."""

import re

from zhiku_platform.text.document import Block, Heading, Paragraph, ParsedDocument
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.reading import read_text
from zhiku_services.ingestion.parsing.wire import Job

_NUMERAL = "[一二三四五六七八九十百千零〇0-9]+"
# The divisions of Chinese statutes and handbooks, outermost first. An article (条) is a paragraph.
_DIVISIONS = tuple(re.compile(rf"第{_NUMERAL}{unit}(?:[ \u3000：:]|$)") for unit in ("编", "分编", "章", "节"))
_CHAPTER = re.compile(r"(?:chapter|part|appendix|article)\s+(?:\d+|[ivxlc]+|[a-z])\b[.:]?", re.IGNORECASE)
_SECTION = re.compile(r"(\d+(?:\.\d+){1,3})\.?\s+[A-Z\u4e00-\u9fff]")
_HEADING_CHARS = 80
_ENDS_SENTENCE = ("。", "；", ";", ".", "，", ",", ":", "：")
# Without blank lines, lines of at least this many characters on average are paragraphs.
_PARAGRAPH_LINE_CHARS = 40


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read a text file; line breaks inside a paragraph stay."""
    return ParsedDocument(job.media_type, tuple(text_blocks(read_text(job.path))))


def text_blocks(text: str) -> list[Block]:
    """Cut plain text into headings and paragraphs."""
    blocks: list[Block] = []
    for paragraph in _paragraphs(text):
        lines: list[str] = []
        for line in paragraph.split("\n"):
            level = heading_level(line.strip())
            if level is None:
                lines.append(line.rstrip())
                continue
            _append(blocks, lines)
            lines = []
            blocks.append(Heading(line.strip(), level))
        _append(blocks, lines)
    return blocks


def heading_level(line: str) -> int | None:
    """Tell the level of a line that is a numbered heading; None for any other."""
    if not line or len(line) > _HEADING_CHARS or line.endswith(_ENDS_SENTENCE):
        return None
    for level, division in enumerate(_DIVISIONS, start=1):
        if division.match(line):
            return level
    if _CHAPTER.match(line) and len(line) <= _HEADING_CHARS // 2:
        return 1
    section = _SECTION.match(line)
    return 1 + section[1].count(".") if section else None


def _append(blocks: list[Block], lines: list[str]) -> None:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        blocks.append(Paragraph(text))


def _paragraphs(text: str) -> list[str]:
    lines = text.split("\n")
    filled = [line for line in lines if line.strip()]
    blank = len(lines) - len(filled)
    average = sum(map(len, filled)) / max(1, len(filled))
    if blank * 30 < len(lines) and average >= _PARAGRAPH_LINE_CHARS:
        return filled
    return [part for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
