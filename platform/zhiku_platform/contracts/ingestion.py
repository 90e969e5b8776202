"""Sources, syncs and the document state machine."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from zhiku_platform.contracts.wire import Message, PlainText


class VersionState(StrEnum):
    """Where a document version is. The last five are final until somebody retries."""

    QUEUED = "queued"
    PREFLIGHT = "preflight"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    PUBLISHING = "publishing"
    INDEXED = "indexed"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Progress(Message):
    """How far a version is: unit `done` of `total` in the stage; `eta_s` None while unknown."""

    done: int = 0
    total: int | None = None
    eta_s: float | None = None
    heartbeat_at: datetime | None = None
    queue_position: int | None = None


class Reason(Message):
    """Why a version failed: a stable code, the stage, what happened, and what the user can do.

    `may_pass_later` is false where the same bytes fail again, so that a retry is in vain.
    """

    code: str
    stage: str
    detail: str
    remedy: str
    may_pass_later: bool = True


NoteCode = Literal["page_without_text", "page_left_out", "attachment", "hidden_content", "unreadable_characters"]


class DocumentNote(Message):
    """What whoever relies on an indexed document should know; the first of its `pages` and `names`."""

    code: NoteCode
    count: int
    pages: list[int] = []
    names: list[str] = []


class DocumentVersion(Message):
    """`path` and `title` are empty for who may not read the document, such as an editor who only minds its state."""

    id: str
    document_id: str
    knowledge_base_id: str
    source_id: str | None
    path: str
    title: str
    media_type: str
    size_bytes: int
    content_hash: str
    state: VersionState
    attempt: int
    progress: Progress
    passages: int | None
    reason: Reason | None
    notes: list[DocumentNote] = []
    unchanged: bool = False
    created_at: datetime
    updated_at: datetime


class NewSource(Message):
    """`config` is the connector's own; a secret in it can be written and never read back."""

    knowledge_base_id: PlainText
    connector: Literal["files"] = "files"
    name: PlainText = Field(min_length=1, max_length=100)
    config: dict[PlainText, PlainText | int | bool]


class Source(Message):
    id: str
    knowledge_base_id: str
    connector: str
    name: str
    config: dict[str, str | int | bool]
    last_sync_id: str | None
    created_at: datetime


class SyncState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Sync(Message):
    id: str
    source_id: str
    state: SyncState
    added: int
    changed: int
    unchanged: int
    deleted: int
    skipped: int
    reason: Reason | None
    started_at: datetime | None
    finished_at: datetime | None


class SkippedEntry(Message):
    """What a sync left out: a stable code, what happened, and what its owner can do."""

    path: str
    code: str
    detail: str
    remedy: str
