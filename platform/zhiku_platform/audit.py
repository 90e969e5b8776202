"""The audit outbox: `record(session, event)` in the same transaction as the change that it tells of.

What is committed here is never lost; the audit service drains it into the log in the order of `seq`.
Events carry ids, counts and digests, never the text of users or documents.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, BigInteger, Column, Integer, MetaData, String, Table, insert
from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.db import UtcDateTime, new_id, utc_now


class Outcome(StrEnum):
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class AuditEvent(BaseModel):
    """One thing that happened. `action` is `noun.verb`, such as `document.published`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str = Field(pattern=r"^[a-z_]+\.[a-z_]+$")
    tenant: str
    actor: str
    subject: str
    outcome: Outcome = Outcome.DONE
    details: dict[str, str | int | float | bool | None | list[str]] = {}
    id: str = Field(default_factory=lambda: new_id("evt"))
    at: datetime = Field(default_factory=utc_now)


def audit_outbox(metadata: MetaData) -> Table:
    """Declare the outbox among a service's tables. `seq` counts up without reuse within the service."""
    return Table(
        "audit_outbox",
        metadata,
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("id", String(40), nullable=False, unique=True),
        Column("at", UtcDateTime, nullable=False),
        Column("tenant", String(100), nullable=False),
        Column("actor", String(200), nullable=False),
        Column("action", String(80), nullable=False),
        Column("subject", String(200), nullable=False),
        Column("outcome", String(20), nullable=False),
        Column("details", JSON, nullable=False),
        sqlite_autoincrement=True,
    )


def record(session: Session, outbox: Table, event: AuditEvent) -> None:
    """Write `event` into the outbox within the caller's transaction."""
    session.execute(insert(outbox).values(**event.model_dump()))


def event_of(
    access: Access, action: str, subject: str, **details: str | int | float | bool | list[str] | None
) -> AuditEvent:
    """An event of the caller's own doing."""
    return AuditEvent(
        action=action, tenant=access.tenant, actor=access.principal.sub, subject=subject, details=dict(details)
    )
