"""How parent and child talk: frames of one kind byte, a length of four bytes, and JSON.

Parent to child: `J` a job. Child to parent: `P` progress, then `R` the result or `E` an error.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import TypeAdapter

from zhiku_platform.text.document import ParsedDocument
from zhiku_services.ingestion.parsing.limits import ParseLimits
from zhiku_services.ingestion.parsing.preflight import Format

HEADER = struct.Struct(">cI")
FrameKind = Literal[b"J", b"P", b"R", b"E"]


@dataclass(frozen=True, slots=True)
class Job:
    """A file that passed preflight; `path` on the disk of this machine."""

    path: Path
    file_name: str
    format: Format
    media_type: str
    limits: ParseLimits


@dataclass(frozen=True, slots=True)
class Progress:
    """Page `done` of `total`."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    detail: str
    remedy: str


JOB: TypeAdapter[Job] = TypeAdapter(Job)
PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)
FAILURE: TypeAdapter[Failure] = TypeAdapter(Failure)
DOCUMENT: TypeAdapter[ParsedDocument] = TypeAdapter(ParsedDocument)


def write_frame(stream: BinaryIO, kind: FrameKind, payload: bytes) -> None:
    stream.write(HEADER.pack(kind, len(payload)) + payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """Read one frame; None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, length = HEADER.unpack(header)
    return kind, stream.read(length)
