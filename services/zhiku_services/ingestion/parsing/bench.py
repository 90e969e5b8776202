"""What becomes of the files of a folder: which formats are read, why others are not, and how much of a known text.

Reads each file as ingestion does, in the child, and cuts it into passages; nothing is embedded or stored.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zhiku_platform.text.document import document_text
from zhiku_platform.text.passages import CountTokens, passages
from zhiku_services.ingestion.parsing.errors import ParsingError
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.ingestion.parsing.preflight import EXTENSIONS
from zhiku_services.ingestion.parsing.service import parse

GROUND_TRUTH = "groundtruth"
_BINARY = frozenset({".doc", ".ppt", ".xls", ".msg", ".epub", ".png", ".jpg", ".jpeg", ".gif", ".tiff", ".zip"})
# A Chinese character is a word of its own here, so that a shifted space costs nothing.
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
# What a Markdown reference has beyond the text: links' targets, images, comments, tags, entities, rules of tables.
_MARKUP = re.compile(r"\]\([^)]*\)|<!--.*?-->|<[^>\n]{1,200}>|&[a-z]{2,6};|\|[-:| ]+\|", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file; what has no extension of its own counts as "other text".

    `code` says why it was not read; `found` is the share of the reference's words that came out.
    """

    path: Path
    extension: str
    seconds: float
    passages: int = 0
    code: str | None = None
    found: float | None = None


@dataclass(slots=True)
class FormatResult:
    """The files of one extension: `failed` counts by code, `found` holds the shares of those with a reference."""

    files: int = 0
    read: int = 0
    passages: int = 0
    seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=dict[str, int])
    found: list[float] = field(default_factory=list)


def bench_parsing(
    folders: Sequence[Path], *, count_tokens: CountTokens, report: Callable[[FileResult], None]
) -> dict[str, FormatResult]:
    """Parse every file below `folders`, one after another, in one child; results by extension, most files first.

    A file with a reference of its name, `…/groundtruth/…/NAME.md`, in the same folder's tree is compared with it.
    """
    formats: dict[str, FormatResult] = {}
    with ParserPool() as pool:
        for folder in folders:
            references = {path.name: path for path in sorted(folder.rglob("*.md")) if GROUND_TRUTH in path.parts}
            for path in _files(folder):
                reference = references.get(f"{path.name}.md") or references.get(f"{path.stem}.md")
                result = _try(path, reference, count_tokens, pool)
                report(result)
                _add(formats.setdefault(result.extension, FormatResult()), result)
    return dict(sorted(formats.items(), key=lambda item: (-item[1].files, item[0])))


def as_markdown(formats: Mapping[str, FormatResult]) -> str:
    """The table of the documentation."""
    head = ["extension", "files", "read", "not read", "passages", "seconds", "words found: median", "lowest"]
    lines = [head, ["---"] * len(head)]
    for extension, one in formats.items():
        failed = ", ".join(f"{count} {code}" for code, count in sorted(one.failed.items()))
        shares = sorted(one.found)
        median = f"{shares[len(shares) // 2]:.3f} ({len(shares)})" if shares else ""
        lowest = f"{shares[0]:.3f}" if shares else ""
        lines.append(
            [extension, f"{one.files}", f"{one.read}", failed, f"{one.passages}", f"{one.seconds:.1f}", median, lowest]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def share_found(reference: str, text: str) -> float:
    """The share of the words of a Markdown `reference` that `text` holds, each as often as it stands there."""
    wanted = Counter(_WORD.findall(_MARKUP.sub(" ", reference).casefold()))
    had = Counter(_WORD.findall(text.casefold()))
    total = wanted.total()
    return 1.0 if total == 0 else (wanted & had).total() / total


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and GROUND_TRUTH not in path.parts and not path.name.startswith("."):
            yield path


def _try(path: Path, reference: Path | None, count_tokens: CountTokens, pool: ParserPool) -> FileResult:
    started = time.perf_counter()
    suffix = path.suffix.lower()
    extension = suffix if suffix in EXTENSIONS or suffix in _BINARY else "other text"
    try:
        document = parse(path, file_name=path.name, pool=pool)
    except ParsingError as error:
        return FileResult(path, extension, time.perf_counter() - started, code=error.code)
    drafts = passages(document, count_tokens=count_tokens)
    seconds = time.perf_counter() - started
    if not drafts:
        return FileResult(path, extension, seconds, code="no_passages")
    found = None
    if reference is not None:
        found = share_found(reference.read_text(encoding="utf-8"), document_text(document))
    return FileResult(path, extension, seconds, len(drafts), found=found)


def _add(one: FormatResult, result: FileResult) -> None:
    one.files += 1
    one.seconds += result.seconds
    one.passages += result.passages
    if result.code is None:
        one.read += 1
    else:
        one.failed[result.code] = one.failed.get(result.code, 0) + 1
    if result.found is not None:
        one.found.append(result.found)
