"""Bytes of documents, named by their SHA-256: a local folder on a laptop, S3 in a cluster."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NewType, Protocol

from zhiku_platform.errors import NotFoundError, PayloadTooLargeError

BlobName = NewType("BlobName", str)
_CHUNK = 1024 * 1024
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredBlob:
    name: BlobName
    size_bytes: int


class BlobStore(Protocol):
    """Content-addressed: the same bytes twice are one blob, and a blob never changes."""

    def put(self, content: BinaryIO, *, max_bytes: int) -> StoredBlob:
        """Store everything `content` yields, durably.

        Raises:
            PayloadTooLargeError: there are more than `max_bytes`; nothing is kept.
        """
        ...

    def path(self, name: BlobName) -> Path:
        """A local path to read the blob from.

        Raises:
            NotFoundError: there is no such blob.
        """
        ...

    def delete(self, name: BlobName) -> None:
        """Remove the blob; a missing one is no error."""
        ...

    def names(self, *, stored_before: datetime | None = None) -> Iterator[BlobName]:
        """Every blob that is held, or those last stored before a time, in no order."""
        ...


class FolderBlobStore:
    """Blobs as files under a folder, two hex digits a level."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: BinaryIO, *, max_bytes: int) -> StoredBlob:
        digest = hashlib.sha256()
        size = 0
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="incoming-", delete=False) as target:
            try:
                while chunk := content.read(_CHUNK):
                    size += len(chunk)
                    if size > max_bytes:
                        raise PayloadTooLargeError(
                            f"The file is larger than {max_bytes // (1024 * 1024)} MB.",
                            remedy="Split it, or ask an administrator to raise `ZHIKU_MAX_UPLOAD_BYTES`.",
                        )
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            except BaseException:
                Path(target.name).unlink()
                raise
        name = BlobName(digest.hexdigest())
        place = self._place(name)
        place.parent.mkdir(exist_ok=True)
        Path(target.name).replace(place)
        _sync_folder(place.parent)
        return StoredBlob(name, size)

    def path(self, name: BlobName) -> Path:
        place = self._place(name)
        if not place.is_file():
            raise NotFoundError("stored file")
        return place

    def delete(self, name: BlobName) -> None:
        self._place(name).unlink(missing_ok=True)

    def names(self, *, stored_before: datetime | None = None) -> Iterator[BlobName]:
        for path in self._folder.glob("??/*"):
            if _NAME.fullmatch(path.name) and (stored_before is None or _is_older(path, stored_before)):
                yield BlobName(path.name)

    def _place(self, name: BlobName) -> Path:
        if not _NAME.fullmatch(name):
            raise NotFoundError("stored file")
        return self._folder / name[:2] / name


def _is_older(path: Path, than: datetime) -> bool:
    try:
        return path.stat().st_mtime < than.timestamp()
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
