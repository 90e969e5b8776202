"""What a connector is: typed configuration, a listing, and the bytes of what it listed.

A connector knows its source and nothing of Zhiku's services. It fails closed: an entry whose readers it
cannot tell is `Skipped` with `existing="hide"`, never listed without an ACL. Errors are named by what the
runner has to do:

    ConnectorError
    ├── RetriableSourceError     run the sync again later
    ├── SkippableEntryError      leave this entry out, go on with the next
    └── FatalSourceError         end the sync; somebody has to correct the source or its configuration
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

from zhiku_platform.errors import ZhikuError


class ConnectorError(ZhikuError):
    status = 422
    code = "connector_failed"
    title = "The source could not be read"


class RetriableSourceError(ConnectorError):
    """The source is away or busy."""

    status = 503
    code = "source_unavailable"


class FatalSourceError(ConnectorError):
    """The source or its configuration is wrong; nothing is deleted because of it."""

    code = "source_broken"


class SkippableEntryError(ConnectorError):
    """One entry cannot be read."""

    code = "entry_unreadable"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a connector can do.

    `lists_everything`: a listing without a checkpoint names every entry, so that what it does not name is
    gone.
    """

    lists_everything: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a source.

    `id` is stable for the document's life in the source. `fingerprint` is cheap to get and differs whenever
    the bytes may differ. `readers` are ACL tokens (`user:SUB`, `group:NAME`, `everyone`); None leaves it to
    the knowledge base's grants, an empty tuple means nobody. `has_acl` tells whether the source says anything
    of readers or level, so that a caller may leave the ACL of a document alone where it says nothing.
    """

    id: str
    path: str
    fingerprint: str
    size_bytes: int
    readers: tuple[str, ...] | None = None
    level: int = 0
    has_acl: bool = False


Existing = Literal["delete", "keep", "hide"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a listing leaves out, and why.

    `existing` says what happens to documents that stand under this id already: `delete` them like any that
    is no longer listed, `keep` them as they are (it could not be read this time), or `hide` them from
    everybody (their readers cannot be told). With `is_folder`, that is all documents below `path`.
    """

    id: str
    path: str
    code: str
    detail: str
    remedy: str
    existing: Existing = "delete"
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a later listing may go on; the runner stores it when the sync has ended well."""

    value: str


Listed = Entry | Skipped | Checkpoint


class Connector(Protocol):
    """A source, opened with its configuration. Used by one thread at a time."""

    capabilities: Capabilities

    def list(self, checkpoint: str | None) -> Iterator[Listed]:
        """List the source's entries, all of them or those since `checkpoint`.

        Raises:
            RetriableSourceError, FatalSourceError: the listing is not complete; nothing may be deleted.
        """
        ...

    def open(self, entry: Entry) -> BinaryIO:
        """Open an entry's bytes; the caller closes.

        Raises:
            SkippableEntryError: this entry cannot be read.
            RetriableSourceError, FatalSourceError: as for `list`.
        """
        ...
