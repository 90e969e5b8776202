"""Reads files of examples: JSON lines or one JSON array, in any encoding, and says of each bad record where it is."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import orjson

from zhiku_platform.errors import UnprocessableError, ZhikuError
from zhiku_platform.text.decoding import UndecodableTextError, decode
from zhiku_services.finetune.datasets.examples import Example, Provenance
from zhiku_services.finetune.datasets.formats import BadRecordError, Format, Record, detect, from_example, to_example
from zhiku_services.finetune.errors import UnknownFormatError

MAX_CHARS = 200_000
"""What one example may hold: some fifty times the longest context that is trained on here."""


@dataclass(frozen=True)
class Refused:
    """A record that was not taken. `line` counts from 1; in a JSON array it is the place of the record."""

    source: str
    line: int
    code: str
    problem: str


@dataclass(frozen=True)
class Loaded:
    """What a file gave. `encodings` are those that its lines were in."""

    format: Format
    examples: list[Example]
    refused: list[Refused]
    encodings: tuple[str, ...]


def load(path: Path, form: Format | None = None, *, licence: str | None = None) -> Loaded:
    """Read a file of examples.

    Raises:
        UnprocessableError: `not_json`, the file is an array that breaks off, or holds nothing.
        UnknownFormatError: no record is in a format that is known, and none was named.
    """
    source = path.name
    refused: list[Refused] = []
    encodings: dict[str, None] = {}
    records = list(_records(path.read_bytes(), source, refused, encodings))
    chosen = form or next((found for _, record in records if (found := detect(record)) is not None), None)
    if chosen is None:
        raise UnknownFormatError(source)
    examples: list[Example] = []
    for line, record in records:
        try:
            examples.append(_example(record, chosen, Provenance(source=source, line=line, licence=licence)))
        except BadRecordError as error:
            refused.append(Refused(source, line, "bad_record", str(error)))
    return Loaded(chosen, examples, sorted(refused, key=lambda each: each.line), tuple(encodings))


def save(examples: Iterable[Example], path: Path, form: Format) -> int:
    """Write examples as JSON lines; return how many.

    Raises:
        NotExpressibleError: the format has no place for something of one of them; nothing is written.
    """
    lines = [orjson.dumps(from_example(example, form)) + b"\n" for example in examples]
    path.write_bytes(b"".join(lines))
    return len(lines)


def _example(record: Record, form: Format, provenance: Provenance) -> Example:
    example = to_example(record, form, provenance)
    turns = [*example.messages, *([example.rejected] if example.rejected else [])]
    size = sum(len(turn.content) for turn in turns)
    if size > MAX_CHARS:
        raise BadRecordError("", f"has {size} characters, and at most {MAX_CHARS} are taken")
    return example


def _records(
    data: bytes, source: str, refused: list[Refused], encodings: dict[str, None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    if _is_array(data):
        yield from _array(data, source, refused, encodings)
        return
    # Line by line, so that one line in another encoding, or broken, costs only itself.
    for line, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            text = _decoded(raw, encodings)
        except ZhikuError as error:
            refused.append(Refused(source, line, "undecodable", error.detail))
            continue
        try:
            record = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            refused.append(Refused(source, line, "not_json", _told(error)))
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            refused.append(Refused(source, line, "not_json", "must be one JSON object"))


def _array(
    data: bytes, source: str, refused: list[Refused], encodings: dict[str, None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        whole = json.loads(_decoded(data, encodings), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnprocessableError(
            f"{source} is no JSON: {_told(error)}.", remedy="Mend the file there, or write one JSON object a line."
        ) from error
    for place, record in enumerate(whole, 1):
        if isinstance(record, dict):
            yield place, record
        else:
            refused.append(Refused(source, place, "not_json", "must be a JSON object"))


def _is_array(data: bytes) -> bool:
    """Whether the file is one array. A mark of UTF-8 or the zeros of UTF-16 may stand around its bracket."""
    start = data.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    return start.startswith(b"[")


def _decoded(raw: bytes, encodings: dict[str, None]) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        found = decode(raw)
        encodings[found.encoding] = None
        return found.text
    if "\x00" in text:
        raise UndecodableTextError("The line holds zero bytes.", remedy="Save the file as UTF-8.")
    encodings["utf-8"] = None
    return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _told(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
