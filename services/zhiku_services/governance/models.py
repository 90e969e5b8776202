"""The tables of the governance service."""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Column, Index, MetaData, Text, text
from sqlmodel import Field, SQLModel

from zhiku_platform.audit import audit_outbox
from zhiku_platform.db import UtcDateTime


class Base(SQLModel):
    metadata = MetaData()


AUDIT_OUTBOX = audit_outbox(Base.metadata)


class ApprovalRow(Base, table=True):
    """One approval. The approvers stand in the row itself, so that a CHECK can count them.

    The constraints and triggers are in the first migration: no row is approved or used without the people it needs,
    none of them the requester; what is approved never changes; a state that has ended stays; no row is deleted.

    `act_id`, `fence` and `lease_until` are those of the last claim to act; `completed_at` ends all claims.
    """

    __tablename__ = "approval"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    action: str = Field(max_length=80)
    resource_kind: str = Field(max_length=40)
    resource_id: str = Field(max_length=200)
    resource_title: str = Field(max_length=500)
    terms: dict[str, Any] = Field(sa_type=JSON)
    digest: str = Field(max_length=64)
    requester: str = Field(max_length=200)
    requester_name: str = Field(max_length=200)
    reason: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    needed: int
    is_break_glass: bool = False
    state: str = Field(max_length=10)
    approver_1: str | None = Field(default=None, max_length=200)
    approver_1_name: str | None = Field(default=None, max_length=200)
    approver_1_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    approver_2: str | None = Field(default=None, max_length=200)
    approver_2_name: str | None = Field(default=None, max_length=200)
    approver_2_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    refused_by: str | None = Field(default=None, max_length=200)
    refused_by_name: str | None = Field(default=None, max_length=200)
    refusal_reason: str | None = Field(default=None, sa_type=Text)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    act_id: str | None = Field(default=None, max_length=64)
    fence: int = 0
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_approval_state", "tenant", "state", "id"),
        Index("ix_approval_requester", "tenant", "requester", "id"),
        Index(
            "ix_approval_open",
            "tenant",
            "requester",
            "action",
            "resource_id",
            "digest",
            unique=True,
            sqlite_where=text("state IN ('waiting', 'approved')"),
            postgresql_where=text("state IN ('waiting', 'approved')"),
        ),
    )


class CaseRow(Base, table=True):
    """Something that a person should look at. Who decided stands in the row, so that a CHECK can tell them apart.

    `claimed_until` is the end of a lease: who leaves a case lying loses it. `first`, `second` and `third` are who
    decided, the third where two disagreed.
    """

    __tablename__ = "review_case"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    kind: str = Field(max_length=30)
    severity: str = Field(max_length=10)
    source_id: str = Field(max_length=200)
    subject_kind: str = Field(max_length=200)
    subject_id: str = Field(max_length=200)
    knowledge_base_id: str | None = Field(default=None, max_length=200)
    categories: list[str] = Field(sa_type=JSON)
    policy_digest: str | None = Field(default=None, max_length=64)
    person: str | None = Field(default=None, max_length=200)
    state: str = Field(max_length=10)
    needs_second: bool
    opened_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    claimed_by: str | None = Field(default=None, max_length=200)
    claimed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first: str | None = Field(default=None, max_length=200)
    first_verdict: str | None = Field(default=None, max_length=10)
    first_reason: str | None = Field(default=None, sa_type=Text)
    first_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    second: str | None = Field(default=None, max_length=200)
    second_verdict: str | None = Field(default=None, max_length=10)
    second_reason: str | None = Field(default=None, sa_type=Text)
    second_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    third: str | None = Field(default=None, max_length=200)
    third_verdict: str | None = Field(default=None, max_length=10)
    third_reason: str | None = Field(default=None, sa_type=Text)
    third_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    verdict: str | None = Field(default=None, max_length=10)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_review_case_source", "tenant", "kind", "source_id", unique=True),
        Index("ix_review_case_queue", "tenant", "state", "due_at", "id"),
        Index("ix_review_case_subject", "tenant", "subject_id"),
    )


class CaseNoteRow(Base, table=True):
    """What a reviewer wrote down beside a case."""

    __tablename__ = "review_note"

    id: str = Field(primary_key=True, max_length=40)
    case_id: str = Field(max_length=40, foreign_key="review_case.id", index=True)
    author: str = Field(max_length=200)
    text: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime)


class SamplingRuleRow(Base, table=True):
    """How many answers of a knowledge base, or of all, come to a reviewer."""

    __tablename__ = "sampling_rule"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100, index=True)
    knowledge_base_id: str | None = Field(default=None, max_length=200)
    per_mille: int
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)


class HoldRow(Base, table=True):
    """One legal hold. Triggers of the third migration: what it keeps never changes, and no row is deleted."""

    __tablename__ = "legal_hold"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    scope: str = Field(max_length=20)
    held_id: str = Field(max_length=200)
    matter: str = Field(max_length=200)
    reason: str = Field(sa_type=Text)
    placed_by: str = Field(max_length=200)
    placed_by_name: str = Field(max_length=200)
    placed_at: datetime = Field(sa_type=UtcDateTime)
    released_by: str | None = Field(default=None, max_length=200)
    released_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    approval_id: str | None = Field(default=None, max_length=40)

    __table_args__ = (Index("ix_legal_hold_held", "tenant", "scope", "held_id"),)


class RetentionRuleRow(Base, table=True):
    """One change of a rule; the newest of a kind is in force."""

    __tablename__ = "retention_rule"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    kind: str = Field(max_length=20)
    days: int | None = None
    changed_by: str = Field(max_length=200)
    changed_at: datetime = Field(sa_type=UtcDateTime)
    approval_id: str = Field(max_length=40, foreign_key="approval.id", unique=True)

    __table_args__ = (
        CheckConstraint("days IS NULL OR days > 0", name="retention_days"),
        Index("ix_retention_rule_kind", "tenant", "kind", "changed_at"),
    )


class ErasureRow(Base, table=True):
    """One request to erase a person.

    `sealed` names them, under a key that no database holds; it goes when the erasure is done. `report` is what the
    stores said, `decided` what was chosen of it, and `report_digest` binds both and the person to an approval.
    """

    __tablename__ = "erasure"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    sealed: bytes | None = None
    reason: str = Field(sa_type=Text)
    legal_basis: str = Field(max_length=200)
    due_at: datetime = Field(sa_type=UtcDateTime)
    requester: str = Field(max_length=200)
    requester_name: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(max_length=10)
    report: list[dict[str, Any]] = Field(sa_type=JSON)
    report_digest: str | None = Field(default=None, max_length=64)
    reported_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided: list[str] = Field(sa_type=JSON)
    approval_id: str | None = Field(default=None, max_length=40)
    begun_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    left: list[dict[str, Any]] = Field(sa_type=JSON)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    certificate: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))

    __table_args__ = (Index("ix_erasure_tenant", "tenant", "id"),)


class ErasureStepRow(Base, table=True):
    """One store of an erasure that was begun; there is none before it has answered."""

    __tablename__ = "erasure_step"

    erasure_id: str = Field(primary_key=True, max_length=40, foreign_key="erasure.id")
    store: str = Field(primary_key=True, max_length=40)
    counts: dict[str, int] = Field(sa_type=JSON)
    is_done: bool
    at: datetime = Field(sa_type=UtcDateTime)
