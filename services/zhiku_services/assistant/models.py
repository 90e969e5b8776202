"""The tables of the assistant service."""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, MetaData, Text
from sqlmodel import Field, SQLModel

from zhiku_platform.audit import audit_outbox
from zhiku_platform.db import UtcDateTime


class Base(SQLModel):
    metadata = MetaData()


AUDIT_OUTBOX = audit_outbox(Base.metadata)


class ConversationRow(Base, table=True):
    """`owner` is the only one who ever sees it."""

    __tablename__ = "conversation"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    owner: str = Field(max_length=200)
    title: str = Field(max_length=200)
    knowledge_base_ids: list[str] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (Index("ix_conversation_owner", "tenant", "owner", "updated_at", "id"),)


class AnswerRow(Base, table=True):
    """A question and its answer as it was written; who reads it gets what is readable at that time.

    While it is `streaming`, the process that writes it renews `lease_until`, and its events stand in
    `answer_event`; `last_event` is the number of the last one, and `receipt_so_far` what it stands on by then.
    """

    __tablename__ = "answer"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    owner: str = Field(max_length=200)
    conversation_id: str = Field(max_length=40, foreign_key="conversation.id", ondelete="CASCADE", index=True)
    question: str = Field(sa_type=Text)
    rewritten_question: str | None = Field(default=None, sa_type=Text)
    state: str = Field(max_length=10, index=True)
    mode: str | None = Field(default=None, max_length=12)
    sentences: list[dict[str, Any]] = Field(sa_type=JSON)
    citations: list[dict[str, Any]] = Field(sa_type=JSON)
    searched: list[str] = Field(sa_type=JSON)
    timings_ms: dict[str, float] = Field(sa_type=JSON)
    problem: dict[str, str] | None = Field(default=None, sa_type=JSON)
    last_event: int = 0
    receipt_so_far: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    is_stop_asked: bool = False
    lease_until: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class ReceiptRow(Base, table=True):
    """What an answer stands on; it outlives its conversation. `body` is canonical JSON, `sha256` its digest."""

    __tablename__ = "receipt"

    answer_id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    owner: str = Field(max_length=200)
    body: str = Field(sa_type=Text)
    sha256: str = Field(max_length=64)
    created_at: datetime = Field(sa_type=UtcDateTime)


class FeedbackRow(Base, table=True):
    """What the owner of an answer says of it, and the digest of the receipt of that answer."""

    __tablename__ = "feedback"

    answer_id: str = Field(primary_key=True, max_length=40, foreign_key="answer.id", ondelete="CASCADE")
    tenant: str = Field(max_length=100)
    owner: str = Field(max_length=200)
    rating: str = Field(max_length=10)
    faults: list[str] = Field(sa_type=JSON)
    comment: str = Field(sa_type=Text)
    correction: str = Field(sa_type=Text)
    may_train: bool
    receipt_sha256: str = Field(max_length=64)
    given_at: datetime = Field(sa_type=UtcDateTime)


class AnswerEventRow(Base, table=True):
    """One event of an answer that is being written; removed when it is finished."""

    __tablename__ = "answer_event"

    answer_id: str = Field(primary_key=True, max_length=40, foreign_key="answer.id", ondelete="CASCADE")
    n: int = Field(primary_key=True)
    event: dict[str, Any] = Field(sa_type=JSON)
