"""The tables of the ingestion service.

A document is what a source holds or a user uploaded, and keeps its id for life. A document version is its
bytes at one time, and what the state machine moves. `fence` counts up for each document with every claim,
cancellation and deletion: whoever holds a smaller number has lost the document.
"""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from zhiku_platform.audit import audit_outbox
from zhiku_platform.db import UtcDateTime
from zhiku_platform.queue import task_outbox

UPLOADS = ""
"""The `source_id` of documents that users uploaded; not NULL, so that a path is unique among them."""


class Base(SQLModel):
    metadata = MetaData()


AUDIT_OUTBOX = audit_outbox(Base.metadata)
TASK_OUTBOX = task_outbox(Base.metadata)


class DocumentRow(Base, table=True):
    """`current_version_id` is the newest version, `indexed_version_id` the one that the index holds.

    `key` names the document within its source: an upload's path, or the connector's entry id. `trace` says
    what the index may hold of a version that has not ended as indexed. `fingerprint` is the connector's, of
    the content last seen. `pending` is what the knowledge service has still to be told; a retirement is told
    with the fence of its time, so that it cannot touch what a later worker publishes.
    """

    __tablename__ = "document"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    knowledge_base_id: str = Field(max_length=40)
    source_id: str = Field(max_length=40)
    key: str = Field(max_length=1000)
    path: str = Field(max_length=1000)
    readers: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    level: int = 0
    fingerprint: str | None = Field(default=None, max_length=200)
    fence: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    current_version_id: str | None = Field(default=None, max_length=40)
    indexed_version_id: str | None = Field(default=None, max_length=40)
    trace: str = Field(default="none", max_length=10)
    acl_revision: int = 0
    pending: str = Field(default="", max_length=10)
    pending_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retire_fence: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (
        UniqueConstraint("tenant", "knowledge_base_id", "source_id", "key"),
        Index("ix_document_source", "source_id", "id"),
        Index("ix_document_pending", "pending", "pending_at"),
    )


class VersionRow(Base, table=True):
    """One version in the state machine.

    `fence` is that of its last claim. `attempt` counts claims that may have failed by the version's own
    fault, `lost` the workers that died after it was parsed, `deferrals` the waits for another service.
    """

    __tablename__ = "document_version"

    id: str = Field(primary_key=True, max_length=40)
    document_id: str = Field(max_length=40, foreign_key="document.id", index=True)
    tenant: str = Field(max_length=100)
    knowledge_base_id: str = Field(max_length=40)
    source_id: str = Field(max_length=40)
    path: str = Field(max_length=1000)
    title: str = Field(max_length=500)
    media_type: str = Field(max_length=150)
    blob: str = Field(max_length=64, index=True)
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    content_hash: str = Field(max_length=64)
    state: str = Field(max_length=12)
    attempt: int = 0
    lost: int = 0
    deferrals: int = 0
    deferred_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    enqueued_at: datetime = Field(sa_type=UtcDateTime)
    fence: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    worker: str | None = Field(default=None, max_length=200)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    heartbeat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stage_started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    done: int = 0
    total: int | None = None
    passages: int | None = None
    pages: int | None = None
    reason_code: str | None = Field(default=None, max_length=80)
    reason_stage: str | None = Field(default=None, max_length=12)
    reason_detail: str | None = Field(default=None, sa_type=Text)
    reason_remedy: str | None = Field(default=None, sa_type=Text)
    notes: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_document_version_state", "state", "id"),
        Index("ix_document_version_knowledge_base", "knowledge_base_id", "id"),
        Index("ix_document_version_created_by", "created_by", "id"),
    )


class IdempotencyRow(Base, table=True):
    """The answer to an upload with an `Idempotency-Key`, so that the same request has one effect."""

    __tablename__ = "idempotency_key"

    tenant: str = Field(primary_key=True, max_length=100)
    sub: str = Field(primary_key=True, max_length=200)
    key: str = Field(primary_key=True, max_length=200)
    request: str = Field(max_length=64)
    version_id: str = Field(max_length=40)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)


class SourceRow(Base, table=True):
    __tablename__ = "source"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100, index=True)
    knowledge_base_id: str = Field(max_length=40)
    connector: str = Field(max_length=40)
    name: str = Field(max_length=100)
    config: dict[str, str | int | bool] = Field(sa_column=Column(JSON, nullable=False))
    checkpoint: str | None = Field(default=None, sa_type=Text)
    last_sync_id: str | None = Field(default=None, max_length=40)
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)


class SyncRow(Base, table=True):
    """One run over a source, under a lease like a version's."""

    __tablename__ = "sync"

    id: str = Field(primary_key=True, max_length=40)
    source_id: str = Field(max_length=40, foreign_key="source.id", index=True)
    tenant: str = Field(max_length=100)
    state: str = Field(max_length=12, index=True)
    attempt: int = 0
    fence: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    worker: str | None = Field(default=None, max_length=200)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    enqueued_at: datetime = Field(sa_type=UtcDateTime)
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    reason_code: str | None = Field(default=None, max_length=80)
    reason_stage: str | None = Field(default=None, max_length=12)
    reason_detail: str | None = Field(default=None, sa_type=Text)
    reason_remedy: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SyncSkipRow(Base, table=True):
    """What a sync left out, and why."""

    __tablename__ = "sync_skip"

    id: str = Field(primary_key=True, max_length=40)
    sync_id: str = Field(max_length=40, foreign_key="sync.id", index=True)
    path: str = Field(max_length=1000)
    code: str = Field(max_length=80)
    detail: str = Field(sa_type=Text)
    remedy: str = Field(sa_type=Text)
