"""Lists a folder and the folders below it, under the ACLs of the folders above it too.

Links are never followed: a link in an open folder would give a closed folder's file the open one's readers.
A fingerprint is made of size, both times and the inode, so that a file written twice within a tick of the
clock, or put back with its old times, is looked at again; the bytes themselves are compared by their hash.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO

from zhiku_connectors.base import (
    Capabilities,
    Entry,
    Existing,
    FatalSourceError,
    Listed,
    RetriableSourceError,
    SkippableEntryError,
    Skipped,
)
from zhiku_connectors.files.acl import ACL_FILE, FolderAcl, UnknownAcl, acl_from_root, folder_acl
from zhiku_connectors.files.config import SUFFIXES

_UNWRITABLE = frozenset({"Cc", "Cs"})
"""Control characters, and lone surrogates (for bytes that are no UTF-8), which no database takes."""


class FolderMissingError(FatalSourceError):
    code = "folder_missing"


class FilesConnector:
    """Reads below `folder`, which the caller has checked to be allowed."""

    capabilities = Capabilities(lists_everything=True)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self, checkpoint: str | None = None) -> Iterator[Listed]:  # noqa: ARG002 - the protocol's
        """List every file in the order of its path; there is no checkpoint, since a listing is cheap."""
        if not self._folder.is_dir():
            raise FolderMissingError(
                "The folder of this source is not there.",
                remedy="Mount or restore it, or delete the source to remove its documents.",
            )
        yield from self._walk(self._folder, acl_from_root(self._folder.resolve().parent), is_root=True)

    def open(self, entry: Entry) -> BinaryIO:
        path = self._folder / entry.path
        try:
            if not path.resolve(strict=True).is_relative_to(self._folder.resolve()):
                raise _unreadable("leads out of the folder")
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise _unreadable(f"cannot be opened ({type(error).__name__})") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise _unreadable("is not a regular file")
        return _SourceFile(FileIO(handle, "rb"))

    def _walk(self, folder: Path, inherited: FolderAcl | UnknownAcl, *, is_root: bool = False) -> Iterator[Listed]:
        try:
            with os.scandir(folder) as found:
                items = sorted(found, key=lambda item: item.name)
        except OSError as error:
            if is_root:
                raise RetriableSourceError(
                    f"The folder of this source cannot be listed ({type(error).__name__}).",
                    remedy="Check that Zhiku may read it.",
                ) from error
            # Its own ACL file cannot be read either, and one above it may have been narrowed since.
            yield self._skip(
                folder, "folder_unreadable", "The folder cannot be listed.", "Check that Zhiku may read it.",
                existing="hide", is_folder=True,
            )  # fmt: skip
            return
        acl = folder_acl(folder, inherited)
        for item in items:
            if item.name != ACL_FILE:
                yield from self._item(item, acl)

    def _item(self, item: "os.DirEntry[str]", acl: FolderAcl | UnknownAcl) -> Iterator[Listed]:
        path = Path(item.path)
        if any(unicodedata.category(character) in _UNWRITABLE for character in item.name):
            shown = path.with_name("".join(_shown(character) for character in item.name))
            yield self._skip(shown, "bad_name", "The name has characters that cannot be shown.", "Rename it.")
        elif item.name.startswith("."):
            yield self._skip(path, "hidden", "Its name begins with a dot.", "Rename it to have it indexed.")
        elif item.is_symlink():
            yield self._skip(path, "link", "Links are not followed.", "Put the file itself here.")
        elif item.is_dir(follow_symlinks=False):
            yield from self._walk(path, acl)
        else:
            yield self._file(item, path, acl)

    def _file(self, item: "os.DirEntry[str]", path: Path, acl: FolderAcl | UnknownAcl) -> Entry | Skipped:
        if path.suffix.lower() not in SUFFIXES:
            return self._skip(
                path, "unsupported_type", "Files of this kind are not read.",
                "Save it as PDF, DOCX, PPTX, XLSX, CSV, HTML, Markdown, TXT or EML.",
            )  # fmt: skip
        if isinstance(acl, UnknownAcl):
            return self._skip(
                path, "acl_malformed", f"Its readers are not known: {acl.detail}", f"Correct `{ACL_FILE}`.",
                existing="hide",
            )  # fmt: skip
        try:
            found = item.stat(follow_symlinks=False)
        except OSError:
            return self._skip(path, "entry_unreadable", "It went away during the listing.", "Nothing.", existing="hide")
        if not stat.S_ISREG(found.st_mode):
            return self._skip(path, "not_a_file", "It is not a regular file.", "Put a file here instead.")
        name = self._name(path)
        fingerprint = f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_ino}"
        return Entry(name, name, fingerprint, found.st_size, acl.readers, acl.level, acl.is_stated)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _skip(
        self,
        path: Path,
        code: str,
        detail: str,
        remedy: str,
        *,
        existing: Existing = "delete",
        is_folder: bool = False,
    ) -> Skipped:
        name = self._name(path)
        return Skipped(name, name, code, detail, remedy, existing=existing, is_folder=is_folder)


class _SourceFile(BufferedReader):
    """A file whose failures are the source's, and concern it alone: a bad sector, a share that went away."""

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except OSError as error:
            raise _unreadable(f"cannot be read to its end ({type(error).__name__})") from error


def _shown(character: str) -> str:
    return f"\\x{ord(character):02x}" if unicodedata.category(character) in _UNWRITABLE else character


def _unreadable(why: str) -> SkippableEntryError:
    return SkippableEntryError(f"The file {why}.", remedy="Check that it is there and that Zhiku may read it.")
