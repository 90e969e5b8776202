"""The tables of the fine-tuning service; what was learnt from, and what came of it, lies in folders beside them."""

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


class DatasetRow(Base, table=True):
    """A frozen dataset; two with the same examples share the folder that their root names.

    `audience` are the ACL tokens of whom a model that learns from it may answer; None where that was not asked.
    """

    __tablename__ = "training_dataset"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    name: str = Field(max_length=100)
    root: str = Field(max_length=64)
    examples: int
    card: dict[str, Any] = Field(sa_type=JSON)
    audience: list[str] | None = Field(default=None, sa_type=JSON)
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (Index("ix_training_dataset_tenant", "tenant", "id"),)


class RunRow(Base, table=True):
    """A run. Who claims it raises `fence`, and writes only while that stands and renews `lease_until`."""

    __tablename__ = "training_run"

    id: str = Field(primary_key=True, max_length=40)
    tenant: str = Field(max_length=100)
    name: str = Field(max_length=40)
    method: str = Field(max_length=20)
    dataset_id: str = Field(max_length=40, foreign_key="training_dataset.id")
    from_run: str | None = Field(default=None, max_length=40, foreign_key="training_run.id")
    recipe: dict[str, Any] = Field(sa_type=JSON)
    state: str = Field(max_length=10)
    step: int = 0
    steps: int | None = None
    loss: float | None = None
    attempt: int = 0
    fence: int = 0
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    problem: str | None = Field(default=None, sa_type=Text)
    created_by: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_training_run_tenant", "tenant", "id"),
        Index("ix_training_run_state", "state", "id"),
    )
