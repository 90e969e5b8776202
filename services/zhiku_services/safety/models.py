"""The tables of the safety service."""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, MetaData
from sqlmodel import Field, SQLModel

from zhiku_platform.audit import audit_outbox
from zhiku_platform.db import UtcDateTime


class Base(SQLModel):
    metadata = MetaData()


AUDIT_OUTBOX = audit_outbox(Base.metadata)


class PolicyRow(Base, table=True):
    """A policy that two people approved; the highest `number` of a tenant is in force."""

    __tablename__ = "safety_policy"

    tenant: str = Field(primary_key=True, max_length=100)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    content: dict[str, Any] = Field(sa_type=JSON)
    changed_by: str = Field(max_length=200)
    changed_at: datetime = Field(sa_type=UtcDateTime)
    approval: str = Field(max_length=40, unique=True)
