"""Deletes conversations that nobody has used for as long as the company's rule says, unless a legal hold keeps them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from zhiku_platform.access import Access, Permission, authorize, service_principal
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.holds import Held, HoldScope
from zhiku_platform.contracts.retention import Kept
from zhiku_platform.db import Database, utc_now
from zhiku_platform.holds import HeldError
from zhiku_services.assistant.models import AUDIT_OUTBOX, ConversationRow
from zhiku_services.assistant.ports import Holds, RetentionRules
from zhiku_services.assistant.repository import AssistantRepository

_AT_ONCE: Final = 50


def count_due(access: Access, days: int, session: Session, *, now: datetime) -> int:
    """How many conversations of the caller's tenant were last used more than `days` ago."""
    due = select(func.count()).select_from(ConversationRow)
    return session.exec(due.where(*_is_due(access.tenant, now - timedelta(days=days)))).one()


@dataclass(frozen=True)
class Retention:
    """Stopped at any point, it has deleted whole conversations, each with its event, and goes on the next time."""

    database: Database
    rules: RetentionRules
    holds: Holds
    clock: Callable[[], datetime] = utc_now

    def apply(self) -> int:
        """Delete what is due in every tenant; return how many conversations went.

        Raises:
            ServiceUnavailableError: governance does not answer; nothing more is deleted.
        """
        with self.database.read() as session:
            tenants = session.exec(select(ConversationRow.tenant).distinct()).all()
        return sum(self._apply_in(tenant) for tenant in tenants)

    def _apply_in(self, tenant: str) -> int:
        own = service_principal("assistant", tenant)
        days = next((rule.days for rule in self.rules(own) if rule.kind is Kept.CONVERSATIONS), None)
        if days is None:
            return 0
        access = authorize(own, Permission.RETENTION_APPLY)
        before = self.clock() - timedelta(days=days)
        with self.database.read() as session:
            owners = session.exec(select(ConversationRow.owner).where(*_is_due(tenant, before)).distinct()).all()
        return sum(self._delete_of(owner, access, before, days) for owner in owners)

    def _delete_of(self, owner: str, access: Access, before: datetime, days: int) -> int:
        """Delete one person's, some at a time; none while a hold keeps what is theirs."""
        deleted = 0
        try:
            while some := self._delete_some(owner, access, before, days):
                deleted += some
        except HeldError:
            return deleted
        return deleted

    def _delete_some(self, owner: str, access: Access, before: datetime, days: int) -> int:
        with self.database.write() as session:
            query = select(ConversationRow).where(*_is_due(access.tenant, before), col(ConversationRow.owner) == owner)
            rows = session.exec(query.limit(_AT_ONCE).with_for_update(skip_locked=True)).all()
            repository = AssistantRepository(session, access)
            for row in rows:
                repository.delete_conversation(row)
                record(session, AUDIT_OUTBOX, event_of(access, "conversation.expired", row.id, days=days))
            if rows:
                # Last, so that next to nothing lies between this and the commit.
                self.holds.check(access, [Held(scope=HoldScope.USER, id=owner)])
            return len(rows)


def _is_due(tenant: str, before: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(ConversationRow.tenant) == tenant, col(ConversationRow.updated_at) < before
