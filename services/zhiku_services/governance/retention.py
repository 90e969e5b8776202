"""Retention rules: who keeps what for how long. The services that hold it delete what is due."""

import secrets
from collections.abc import Callable
from datetime import datetime

from sqlmodel import Session, col, select

from zhiku_platform.access import Access, Permission, authorize, service_principal
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.governance import (
    Approval,
    ApprovalAction,
    ApprovalSubject,
    NewApproval,
    Resource,
    UseApproval,
)
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.retention import Kept, RetentionChange, RetentionRule
from zhiku_platform.db import new_id
from zhiku_services.governance import service
from zhiku_services.governance.errors import NothingChangesError
from zhiku_services.governance.models import AUDIT_OUTBOX, RetentionRuleRow

CountDue = Callable[[Principal, int], int]
"""How many conversations are older than so many days; asks the service that holds them."""


def rules(access: Access, session: Session) -> list[RetentionRule]:
    """The rules in force. A kind without one is kept for ever."""
    found = [_in_force(access, kind, session) for kind in Kept]
    return [_rule(row) for row in found if row is not None]


def ask(access: Access, kind: Kept, change: RetentionChange, session: Session, *, now: datetime) -> Approval:
    """Ask two others whether the rule may change so.

    Raises:
        NothingChangesError: it says so already.
    """
    subject = _subject(access, kind, change, session)
    new = NewApproval(subject=subject, requester=access.principal, reason=change.reason)
    return service.request_approval(_own(access), new, session, now=now)


def change_rule(
    access: Access,
    kind: Kept,
    change: RetentionChange,
    approval_id: str,
    session: Session,
    *,
    people: service.People,
    now: datetime,
) -> RetentionRule:
    """Change the rule, if exactly this was approved; use and effect are one transaction.

    Raises:
        NothingChangesError: it says so already.
        ConflictError: the approval is not to be used for this.
    """
    own = _own(access)
    subject = _subject(access, kind, change, session)
    wanted = UseApproval(subject=subject, requester=access.principal, act_id=f"act_{secrets.token_hex(14)}")
    claim = service.use(own, approval_id, wanted, session, people=people, now=now)
    row = RetentionRuleRow(
        id=new_id("ret"),
        tenant=access.tenant,
        kind=kind,
        days=change.days,
        changed_by=access.principal.sub,
        changed_at=now,
        approval_id=approval_id,
    )
    session.add(row)
    details = {**subject.terms, "approval": approval_id}
    record(session, AUDIT_OUTBOX, event_of(access, "retention.changed", row.id, **details))
    service.complete(own, claim, session, now=now)
    return _rule(row)


def _in_force(access: Access, kind: Kept, session: Session) -> RetentionRuleRow | None:
    """The last that was decided; every earlier one stays."""
    query = select(RetentionRuleRow).where(
        col(RetentionRuleRow.tenant) == access.tenant, col(RetentionRuleRow.kind) == kind
    )
    newest = query.order_by(col(RetentionRuleRow.changed_at).desc(), col(RetentionRuleRow.id).desc())
    return session.exec(newest.limit(1)).first()


def _subject(access: Access, kind: Kept, change: RetentionChange, session: Session) -> ApprovalSubject:
    row = _in_force(access, kind, session)
    before = None if row is None else row.days
    if before == change.days:
        raise NothingChangesError
    return ApprovalSubject(
        action=ApprovalAction.RETENTION_CHANGE,
        resource=Resource(kind="retention_rule", id=kind, title=f"{kind}: {_said(before)} → {_said(change.days)}"),
        terms={"kind": str(kind), "days": change.days, "days_before": before},
    )


def _said(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


def _own(access: Access) -> Access:
    return authorize(service_principal("governance", access.tenant), Permission.APPROVAL_USE)


def _rule(row: RetentionRuleRow) -> RetentionRule:
    return RetentionRule(
        kind=Kept(row.kind),
        days=row.days,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        approval_id=row.approval_id,
    )
