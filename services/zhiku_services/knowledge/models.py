"""The tables of the knowledge service."""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from zhiku_platform.audit import audit_outbox
from zhiku_platform.db import UtcDateTime

INHERITED_ACL = 0
"""The `acl_id` of documents that everyone who may view the knowledge base may read, at level 0."""

OPEN_RELEASE = 2**62
"""The end of a release interval that has not ended, and the start of one that has not begun."""


class Base(SQLModel):
    metadata = MetaData()


AUDIT_OUTBOX = audit_outbox(Base.metadata)


class KnowledgeBaseRow(Base, table=True):
    """Readers see `published_release`; what ingestion brings enters `draft_release`, the number after the last one.

    `highest_published` is the highest number that readers ever saw.
    Releases before `oldest_release` have left the index and can be neither searched nor published again.
    """

    __tablename__ = "knowledge_base"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100, index=True)
    name: str = Field(max_length=100)
    description: str = Field(max_length=2000)
    language: str = Field(max_length=10)
    publishing: str = Field(max_length=10)
    published_release: int = Field(sa_column=Column(BigInteger, nullable=False))
    highest_published: int = Field(sa_column=Column(BigInteger, nullable=False, server_default="0"))
    draft_release: int = Field(sa_column=Column(BigInteger, nullable=False))
    oldest_release: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)


class DeletedKnowledgeBaseRow(Base, table=True):
    """That a knowledge base was deleted, for services that keep something of it."""

    __tablename__ = "deleted_knowledge_base"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    deleted_by: str = Field(max_length=200)
    deleted_at: datetime = Field(sa_type=UtcDateTime)


class IndexedWithRow(Base, table=True):
    """The embedding model of the vector index: one row, `id` 1; `is_complete` is false while it is made anew."""

    __tablename__ = "indexed_with"

    id: int = Field(primary_key=True)
    model: str = Field(max_length=200)
    sha256: str | None = Field(default=None, max_length=64)
    is_complete: bool


class ReleaseRow(Base, table=True):
    """A state of a knowledge base that will not change: what its intervals of documents and passages hold."""

    __tablename__ = "release"

    knowledge_base_id: str = Field(primary_key=True, max_length=40, foreign_key="knowledge_base.id", ondelete="CASCADE")
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    tenant: str = Field(max_length=100)
    note: str = Field(max_length=2000)
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)


class GrantRow(Base, table=True):
    __tablename__ = "grant"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    knowledge_base_id: str = Field(max_length=40, foreign_key="knowledge_base.id", ondelete="CASCADE")
    subject: str = Field(max_length=210, index=True)
    role: str = Field(max_length=10)
    granted_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (UniqueConstraint("knowledge_base_id", "subject"),)


class AclRow(Base, table=True):
    """One interned ACL: the readers stand in `acl_reader`, unless it is inherited from the knowledge base."""

    __tablename__ = "acl"

    acl_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    inherited: bool
    level: int


class AclReaderRow(Base, table=True):
    __tablename__ = "acl_reader"

    acl_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    token: str = Field(primary_key=True, max_length=210, index=True)


class DocumentRow(Base, table=True):
    """What holds in every release: who may read it, and which worker may write it.

    `acl_revision` is that of the last ACL that ingestion told; somebody may have set another one since.

    `active_version` is that of the draft; None means that nobody may see the document: not yet indexed, or retired.
    """

    __tablename__ = "document"

    id: str = Field(primary_key=True, max_length=64)
    tenant: str = Field(max_length=100)
    knowledge_base_id: str = Field(max_length=40, foreign_key="knowledge_base.id")
    source_id: str | None = Field(default=None, max_length=40)
    acl_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    acl_revision: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    active_version: str | None = Field(default=None, max_length=64)
    fence: int = Field(sa_column=Column(BigInteger, nullable=False))
    passages: int = 0
    updated_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (Index("ix_document_knowledge_base_acl", "knowledge_base_id", "acl_id"),)


class DocumentVersionRow(Base, table=True):
    """What a document is called and holds in `released_from <= release < released_to`."""

    __tablename__ = "document_version"

    document_id: str = Field(primary_key=True, max_length=64, foreign_key="document.id", ondelete="CASCADE")
    version_id: str = Field(primary_key=True, max_length=64)
    path: str = Field(max_length=1000)
    title: str = Field(max_length=500)
    media_type: str = Field(max_length=150)
    blob: str = Field(max_length=64)
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    content_hash: str = Field(max_length=64)
    pages: int | None = None
    passages: int = 0
    released_from: int = Field(sa_column=Column(BigInteger, nullable=False))
    released_to: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: datetime = Field(sa_type=UtcDateTime)


class PassageRow(Base, table=True):
    """A passage is released in `released_from <= release < released_to`."""

    __tablename__ = "passage"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    knowledge_base_id: str = Field(max_length=40)
    document_id: str = Field(max_length=64, foreign_key="document.id", ondelete="CASCADE")
    version_id: str = Field(max_length=64)
    ordinal: int
    kind: str = Field(max_length=10)
    text: str = Field(sa_type=Text)
    heading_path: list[str] = Field(sa_type=JSON)
    page: int | None = None
    regions: list[dict[str, Any]] = Field(sa_type=JSON)
    language: str = Field(max_length=10)
    tokens: int
    content_hash: str = Field(max_length=64)
    released_from: int = Field(sa_column=Column(BigInteger, nullable=False))
    released_to: int = Field(sa_column=Column(BigInteger, nullable=False))

    __table_args__ = (
        Index("ix_passage_document_version", "document_id", "version_id", "ordinal"),
        Index("ix_passage_knowledge_base_released_to", "knowledge_base_id", "released_to"),
    )


class VectorChangeRow(Base, table=True):
    """A vector that the index must bring in line with the tables: written with the change that they took.

    Each change has a row of its own, so that one noted while an earlier one is carried out is not lost.
    """

    __tablename__ = "vector_change"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )
    passage_id: str = Field(max_length=40)
