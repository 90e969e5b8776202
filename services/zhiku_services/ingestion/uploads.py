"""Receiving a file: from the network into the blob store, within a size, after the caller was checked."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from zhiku_platform.blobs import BlobStore, StoredBlob
from zhiku_platform.contracts.knowledge import AclToken
from zhiku_platform.errors import PayloadTooLargeError
from zhiku_services.ingestion.errors import BadPathError, BadReadersError, MalformedUploadError
from zhiku_services.ingestion.lifecycle import Acl

_FORM_BYTES = 1024 * 1024
"""Room for the form around the file."""

_MAX_READERS = 1000
_TOKENS: TypeAdapter[list[AclToken]] = TypeAdapter(list[AclToken])
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
_PATH_BYTES = 2000
"""Of UTF-8: PostgreSQL refuses an index entry above 2,704 bytes, and the path is unique with three short columns."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

UPLOAD_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "path": {"type": "string", "description": "Where it stands in the knowledge base"},
                        "readers": {"type": "string", "description": "A JSON list of ACL tokens"},
                        "level": {"type": "integer", "minimum": 0, "maximum": 9},
                    },
                }
            }
        },
    },
}


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file in the blob store that no row refers to yet. `acl` None: nothing was said about readers."""

    path: str
    media_type: str
    blob: StoredBlob
    acl: Acl | None
    idempotency_key: str | None


async def receive(request: Request, blobs: BlobStore, *, max_bytes: int) -> ReceivedFile:
    """Read an upload from the network into the blob store.

    Raises:
        PayloadTooLargeError: reading stops at the first byte too many.
        MalformedUploadError, BadPathError, BadReadersError: the form is not what it should be.
    """
    key = _checked_key(request.headers.get("Idempotency-Key"))
    form = await _form(request, max_bytes)
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise MalformedUploadError("The form has no `file`.", remedy="Send the file as the form field `file`.")
        path = checked_path(_text(form, "path") or _base_name(file.filename or ""))
        acl = _acl(_text(form, "readers"), _text(form, "level"))
        blob = await run_in_threadpool(blobs.put, file.file, max_bytes=max_bytes)
    finally:
        await form.close()
    return ReceivedFile(
        path=path,
        media_type=_media_type(file.content_type or ""),
        blob=blob,
        acl=acl,
        idempotency_key=key,
    )


async def _form(request: Request, max_bytes: int) -> FormData:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise MalformedUploadError("The request is no form.", remedy="Send `multipart/form-data` with a field `file`.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes + _FORM_BYTES:
        raise _too_large(max_bytes)
    try:
        return await MultiPartParser(request.headers, _bounded(request, max_bytes), max_files=1, max_fields=10).parse()
    except (MultiPartException, KeyError) as error:
        raise MalformedUploadError("The form cannot be read.", remedy="Send `multipart/form-data`.") from error


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes + _FORM_BYTES:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The file is larger than {max_bytes // (1024 * 1024)} MB.",
        remedy="Split it, or ask an administrator to raise `ZHIKU_MAX_UPLOAD_BYTES`.",
    )


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None


def _base_name(file_name: str) -> str:
    return re.split(r"[/\\]", file_name)[-1]


def _media_type(declared: str) -> str:
    """What the sender says, until the file has been looked at; without its parameters."""
    name = declared.partition(";")[0].strip().lower()
    return name if _MEDIA_TYPE.fullmatch(name) else "application/octet-stream"


def checked_path(path: str) -> str:
    """Check where a document is to stand: a relative path without `..`, within what a database can index."""
    parts = PurePosixPath(path).parts
    is_long = len(path) > 1000 or len(path.encode(errors="replace")) > _PATH_BYTES
    if not parts or path.startswith("/") or ".." in parts or is_long or _CONTROL.search(path):
        raise BadPathError(
            "The path is not one that a document can have.",
            remedy="Use a relative path without `..` and control characters, of at most 1,000 characters and "
            f"{_PATH_BYTES:,} bytes.",
        )
    return "/".join(parts)


def checked_readers(readers: object) -> tuple[str, ...]:
    """Check a list of ACL tokens."""
    try:
        tokens = _TOKENS.validate_python(readers, strict=True)
    except ValidationError as error:
        raise _bad_readers() from error
    if len(tokens) > _MAX_READERS:
        raise _bad_readers()
    return tuple(sorted(set(tokens)))


def _bad_readers() -> BadReadersError:
    return BadReadersError(
        "`readers` or `level` is not what it should be.",
        remedy=f"Send `readers` as a JSON list of at most {_MAX_READERS} `user:…`, `group:…` or `everyone`, "
        "and `level` as a whole number from 0 to 9.",
    )


def _acl(readers: str | None, level: str | None) -> Acl | None:
    if readers is None and level is None:
        return None
    if level is not None and not re.fullmatch(r"[0-9]", level):
        raise _bad_readers()
    try:
        tokens = None if readers is None else checked_readers(json.loads(readers))
    except (ValueError, RecursionError) as error:
        raise _bad_readers() from error
    return Acl(tokens, int(level or 0))


def _checked_key(key: str | None) -> str | None:
    if key is not None and not 1 <= len(key) <= 200:
        raise MalformedUploadError("`Idempotency-Key` has more than 200 characters.", remedy="Use a shorter one.")
    return key
