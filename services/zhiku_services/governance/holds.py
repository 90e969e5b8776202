"""Legal holds: one reviewer places one, two others have to agree before it is lifted."""

import secrets
from datetime import datetime

from sqlmodel import Session

from zhiku_platform.access import Access, Permission, authorize, service_principal
from zhiku_platform.audit import record
from zhiku_platform.contracts.audit import AuditEvent, Detail
from zhiku_platform.contracts.governance import (
    Approval,
    ApprovalAction,
    ApprovalSubject,
    NewApproval,
    Resource,
    UseApproval,
)
from zhiku_platform.contracts.holds import Held, Hold, HoldCheck, HoldScope, NewDeletion, NewHold
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import new_id
from zhiku_platform.errors import NotFoundError
from zhiku_services.governance import service
from zhiku_services.governance.errors import HoldReleasedError
from zhiku_services.governance.hold_repository import HoldRepository
from zhiku_services.governance.models import AUDIT_OUTBOX, HoldRow

_NAMED_IN_LOG = 50


def place(access: Access, new: NewHold, session: Session, *, now: datetime) -> Hold:
    """Have something kept from now on. It need not be there: nobody is told by asking whether it is."""
    row = HoldRow(
        id=new_id("hld"),
        tenant=access.tenant,
        scope=new.held.scope,
        held_id=new.held.id,
        matter=new.matter,
        reason=new.reason,
        placed_by=access.principal.sub,
        placed_by_name=access.principal.name,
        placed_at=now,
    )
    session.add(row)
    _record(session, "legal_hold.placed", row, access.principal.sub, matter=row.matter, reason=row.reason)
    return _hold(row)


def list_holds(access: Access, session: Session, *, with_released: bool, cursor: str, limit: int) -> Page[Hold]:
    """The holds in force, or all there ever were; the newest first."""
    rows = HoldRepository(session, access).holds(with_released=with_released, before=cursor, limit=limit + 1)
    items = [_hold(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def ask_release(access: Access, hold_id: str, reason: str, session: Session, *, now: datetime) -> Approval:
    """Ask two others whether the hold may be lifted.

    Raises:
        HoldReleasedError: it was lifted already.
    """
    row = _in_force(access, hold_id, session)
    new = NewApproval(subject=_subject(row), requester=access.principal, reason=reason)
    return service.request_approval(_own(access), new, session, now=now)


def release(
    access: Access, hold_id: str, approval_id: str, session: Session, *, people: service.People, now: datetime
) -> Hold:
    """Lift the hold, if exactly this was approved; use and effect are one transaction.

    Raises:
        HoldReleasedError: it was lifted already.
        ConflictError: the approval is not to be used for this.
    """
    row = _in_force(access, hold_id, session)
    own = _own(access)
    act_id = f"act_{secrets.token_hex(14)}"
    wanted = UseApproval(subject=_subject(row), requester=access.principal, act_id=act_id)
    claim = service.use(own, approval_id, wanted, session, people=people, now=now)
    row.released_by, row.released_at, row.approval_id = access.principal.sub, now, approval_id
    session.add(row)
    _record(session, "legal_hold.released", row, access.principal.sub, {"approval": approval_id})
    service.complete(own, claim, session, now=now)
    return _hold(row)


def check(access: Access, deletion: NewDeletion, session: Session) -> HoldCheck:
    """Whether a hold keeps anything of what is about to be deleted; each that does is recorded."""
    keeping = HoldRepository(session, access).keeping(deletion.things)
    for row in keeping[:_NAMED_IN_LOG]:
        _record(session, "legal_hold.kept", row, deletion.requester, {"holds": len(keeping)})
    return HoldCheck(is_held=bool(keeping))


def _in_force(access: Access, hold_id: str, session: Session) -> HoldRow:
    row = HoldRepository(session, access).locked(hold_id)
    if row is None:
        raise NotFoundError("legal hold")
    if row.released_at is not None:
        raise HoldReleasedError("This hold was lifted already.", remedy="Look at it in the list.")
    return row


def _subject(row: HoldRow) -> ApprovalSubject:
    return ApprovalSubject(
        action=ApprovalAction.LEGAL_HOLD_RELEASE,
        resource=Resource(kind="legal_hold", id=row.id, title=row.matter),
        terms={"scope": row.scope, "held": row.held_id, "placed_at": row.placed_at.isoformat()},
    )


def _own(access: Access) -> Access:
    return authorize(service_principal("governance", access.tenant), Permission.APPROVAL_USE)


def _hold(row: HoldRow) -> Hold:
    return Hold(
        id=row.id,
        held=Held(scope=HoldScope(row.scope), id=row.held_id),
        matter=row.matter,
        reason=row.reason,
        placed_by=row.placed_by,
        placed_by_name=row.placed_by_name,
        placed_at=row.placed_at,
        released_by=row.released_by,
        released_at=row.released_at,
        approval_id=row.approval_id,
    )


def _record(
    session: Session, action: str, row: HoldRow, actor: str, details: dict[str, Detail] | None = None, **sealed: str
) -> None:
    """What is held is sealed with matter and reason: the id of a user is a person's."""
    event = AuditEvent(
        action=action,
        tenant=row.tenant,
        actor=actor,
        subject=row.id,
        details={"scope": row.scope, **(details or {})},
        sealed={"held": row.held_id, **sealed},
        group=row.id,
    )
    record(session, AUDIT_OUTBOX, event)
