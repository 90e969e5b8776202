"""Approvals: asking, deciding, and using what was approved, once.

Who asks and who decides are people. Services ask and use on their behalf, each for the actions that it owns; what
they say of the person is what the gateway told them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from zhiku_platform.access import Access, permissions_of, service_principal
from zhiku_platform.audit import record
from zhiku_platform.contracts.audit import AuditEvent, Detail
from zhiku_platform.contracts.directory import Person
from zhiku_platform.contracts.governance import (
    RULES,
    ActionRule,
    Approval,
    ApprovalAction,
    ApprovalDecision,
    ApprovalReason,
    ApprovalState,
    ApprovalStep,
    ApprovalSubject,
    BreakGlass,
    Claim,
    NewApproval,
    Refusal,
    Resource,
    UseApproval,
    Vote,
    Whose,
)
from zhiku_platform.contracts.identity import Principal, PrincipalKind
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import new_id
from zhiku_platform.errors import NotFoundError
from zhiku_services.governance.errors import (
    AlreadyApprovedError,
    ApprovalClosedError,
    ApprovalExpiredError,
    ApprovalForAnotherError,
    ApprovalInUseError,
    ApprovalMismatchError,
    ApprovalOfAnotherPersonError,
    ApprovalUsedError,
    ApprovalWaitingError,
    ApproverGoneError,
    NotAPersonError,
    NotTheOwnerError,
    OwnApprovalError,
    StaleClaimError,
)
from zhiku_services.governance.models import AUDIT_OUTBOX, ApprovalRow
from zhiku_services.governance.repository import OPEN, ApprovalRepository, due

LEASE_S = 300
"""How long a claimed act may take before the same person may claim it again, as after a crash."""
_SERVICE = "governance"
_BATCH = 200


class People(Protocol):
    """The mirror of the directory."""

    def person(self, principal: Principal, sub: str) -> Person | None:
        """One user with their roles; None if nobody of this name may sign in."""
        ...


def request_approval(access: Access, new: NewApproval, session: Session, *, now: datetime) -> Approval:
    """Ask for an act on behalf of its requester; who has asked for exactly this already gets that request.

    Raises:
        NotTheOwnerError: the calling service does not own the action.
        NotAPersonError: the requester came with an API key, or is a service.
    """
    rule = _check_owner(access, new.subject.action, new.requester)
    repository = _repository(session, new.requester)
    known = repository.open_one(new.subject)
    if known is not None and _state(known, now) in OPEN:
        return _approval(known, new.requester, now)
    if known is not None:
        _expire(known, session, now)
    row = _new_row(new, rule, now)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # The same request came twice at the same time.
        raced = repository.open_one(new.subject)
        if raced is None:
            raise
        return _approval(raced, new.requester, now)
    _record(session, "approval.requested", row, row.requester, needed=row.needed)
    return _approval(row, new.requester, now)


def list_approvals(
    access: Access,
    session: Session,
    *,
    state: ApprovalState | None,
    whose: Whose,
    cursor: str,
    limit: int,
    now: datetime,
) -> Page[Approval]:
    """The caller's own approvals and, for who decides, everybody's; the newest first."""
    viewer = access.principal
    rows = _repository(session, viewer).approvals(state=state, whose=whose, before=cursor, limit=limit + 1, now=now)
    items = [_approval(row, viewer, now) for row in rows[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def get_approval(access: Access, approval_id: str, session: Session, *, now: datetime) -> Approval:
    row = _repository(session, access.principal).approval(approval_id)
    if row is None:
        raise NotFoundError("approval")
    return _approval(row, access.principal, now)


def approve(
    access: Access, approval_id: str, decision: ApprovalDecision, session: Session, *, now: datetime
) -> Approval:
    """Agree to an act; it is approved once enough people have.

    Raises:
        OwnApprovalError: the caller asked for it.
        AlreadyApprovedError: the caller has agreed already.
        ApprovalMismatchError: what the caller was shown is not what was asked for.
        ConflictError: it waits no more.
    """
    row = _to_decide(access, approval_id, session)
    approver = access.principal
    if approver.sub in _approvers(row):
        raise AlreadyApprovedError("You have approved this already.", remedy="Somebody else has to approve it too.")
    _check_open(row, now, ApprovalState.WAITING)
    if decision.digest != row.digest:
        raise _mismatch()
    if row.approver_1 is None:
        row.approver_1, row.approver_1_name, row.approver_1_at = approver.sub, approver.name, now
    else:
        row.approver_2, row.approver_2_name, row.approver_2_at = approver.sub, approver.name, now
    given = len(_approvers(row))
    if given >= row.needed:
        row.state = ApprovalState.APPROVED
    _record(session, "approval.approved", row, approver.sub, given=given, needed=row.needed)
    return _approval(row, approver, now)


def refuse(access: Access, approval_id: str, why: ApprovalReason, session: Session, *, now: datetime) -> Approval:
    """Say no, for good; also to what others have approved, as long as it was not used.

    Raises:
        OwnApprovalError: the caller asked for it, and may withdraw it.
        ConflictError: it has ended.
    """
    row = _to_decide(access, approval_id, session)
    _check_open(row, now, *OPEN)
    row.state = ApprovalState.REFUSED
    row.refused_by, row.refused_by_name = access.principal.sub, access.principal.name
    row.refusal_reason, row.ended_at = why.reason, now
    _record(session, "approval.refused", row, access.principal.sub)
    return _approval(row, access.principal, now)


def withdraw(access: Access, approval_id: str, session: Session, *, now: datetime) -> Approval:
    """Take one's own request back.

    Raises:
        ApprovalOfAnotherPersonError: the caller decides on it and did not ask for it.
        ConflictError: it has ended.
    """
    row = _locked(session, access.principal, approval_id)
    _check_requester(row, access.principal)
    _check_open(row, now, *OPEN)
    row.state, row.ended_at = ApprovalState.WITHDRAWN, now
    _record(session, "approval.withdrawn", row, access.principal.sub)
    return _approval(row, access.principal, now)


def use(
    access: Access, approval_id: str, wanted: UseApproval, session: Session, *, people: People, now: datetime
) -> Claim:
    """Claim the act that was approved, for a service that is about to do it.

    The same claim said again is the same claim. A later one is let in only once `LEASE_S` have passed without word
    that the act is done: whoever had the earlier one can then no longer `complete` it.

    Raises:
        NotFoundError: there is none that the person may see.
        ApprovalOfAnotherPersonError, ApprovalForAnotherError, ApprovalMismatchError: it is not for this act.
        ApprovalWaitingError, ApprovalClosedError, ApprovalExpiredError, ApprovalUsedError: it is not to be used now.
        ApprovalInUseError: the act was claimed a moment ago.
        ApproverGoneError: somebody who approved may approve no more.
    """
    rule = _check_owner(access, wanted.subject.action, wanted.requester)
    row = _locked(session, wanted.requester, approval_id)
    _check_requester(row, wanted.requester)
    _check_subject(row, wanted.subject)
    if row.state == ApprovalState.USED and row.act_id == wanted.act_id and row.completed_at is None:
        return Claim(approval_id=row.id, act_id=wanted.act_id, fence=row.fence)
    is_again = _check_usable(row, now)
    _check_approvers(row, rule, people)
    lease_until = now + timedelta(seconds=LEASE_S)
    claimed = _repository(session, wanted.requester).claim(row, act_id=wanted.act_id, now=now, lease_until=lease_until)
    if not claimed:
        raise _in_use(lease_until)
    _record(session, "approval.used", row, row.requester, again=is_again, approvers=_approvers(row))
    return Claim(approval_id=row.id, act_id=wanted.act_id, fence=row.fence + 1)


def complete(access: Access, claim: Claim, session: Session, *, now: datetime) -> None:
    """End the approval: its act is done, or what it gives is about to leave. Saying it again changes nothing.

    Raises:
        StaleClaimError: the act was claimed again since.
    """
    repository = ApprovalRepository(session, access.principal, sees_all=True)
    if repository.complete(claim.approval_id, act_id=claim.act_id, fence=claim.fence, now=now):
        return
    row = repository.approval(claim.approval_id)
    if row is None or row.completed_at is None or (row.act_id, row.fence) != (claim.act_id, claim.fence):
        raise StaleClaimError(
            "This act was claimed again since it began.", remedy="Nothing has to be done: the later claim counts."
        )


def break_glass(access: Access, new: BreakGlass, session: Session, *, now: datetime) -> Claim:
    """Claim an act at once, without anybody's approval. It stands in the list for all who decide, and in the log.

    Raises:
        NotTheOwnerError: the action is not one that goes back, or the calling service does not own it.
        NotAPersonError: the requester came with an API key, or is a service.
    """
    rule = _check_owner(access, new.subject.action, new.requester)
    if not rule.may_break_glass:
        raise NotTheOwnerError(
            f"`{new.subject.action}` cannot be done without approval.", remedy="Ask for it, and wait for the others."
        )
    row = _new_row(new, rule, now)
    row.is_break_glass, row.state = True, ApprovalState.USED
    row.act_id, row.fence, row.ended_at = new.act_id, 1, now
    row.lease_until = now + timedelta(seconds=LEASE_S)
    session.add(row)
    _record(session, "approval.break_glass", row, row.requester)
    return Claim(approval_id=row.id, act_id=new.act_id, fence=1)


def expire_due(session: Session, *, now: datetime) -> int:
    """Write down what has run out since; return how many. It may run twice: what has ended is not found again."""
    rows = due(session, now=now, limit=_BATCH)
    for row in rows:
        _expire(row, session, now)
    return len(rows)


def decides(principal: Principal) -> bool:
    """Whether somebody may decide on any approval: a person, not a key of theirs."""
    held = permissions_of(principal)
    return _is_person(principal) and any(rule.decided_with in held for rule in RULES.values())


def _check_owner(access: Access, action: ApprovalAction, requester: Principal) -> ActionRule:
    rule = RULES[action]
    caller = access.principal
    owners = {service_principal(name, access.tenant).sub for name in rule.owners}
    if caller.kind is not PrincipalKind.SERVICE or caller.sub not in owners or requester.tenant != caller.tenant:
        raise NotTheOwnerError(f"`{action}` is another service's act.", remedy="Ask for it where it is done.")
    if not _is_person(requester):
        raise _not_a_person()
    return rule


def _is_person(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.USER and principal.scopes is None


def _not_a_person() -> NotAPersonError:
    return NotAPersonError("This takes people who have signed in.", remedy="Sign in, and do it without an API key.")


def _check_requester(row: ApprovalRow, requester: Principal) -> None:
    if row.requester != requester.sub:
        raise ApprovalOfAnotherPersonError(
            "Somebody else asked for this.", remedy="Who asked has to do it; ask for an approval of your own."
        )


def _check_subject(row: ApprovalRow, subject: ApprovalSubject) -> None:
    wanted = (subject.action, subject.resource.kind, subject.resource.id)
    if (row.action, row.resource_kind, row.resource_id) != wanted:
        raise ApprovalForAnotherError("This approval is for something else.", remedy="Use the one for this very act.")
    if row.digest != subject.digest:
        raise _mismatch()


def _mismatch() -> ApprovalMismatchError:
    return ApprovalMismatchError(
        "What was approved is not what stands there now.", remedy="Look at what has changed, and ask again."
    )


def _check_usable(row: ApprovalRow, now: datetime) -> bool:
    """Whether it was claimed before, by somebody who never said that the act was done."""
    if row.state != ApprovalState.USED:
        _check_open(row, now, ApprovalState.APPROVED)
        return False
    if row.completed_at is not None:
        raise _used()
    if row.expires_at <= now:
        raise _expired()
    if row.lease_until is not None and row.lease_until > now:
        raise _in_use(row.lease_until)
    return True


def _check_open(row: ApprovalRow, now: datetime, *allowed: ApprovalState) -> None:
    state = _state(row, now)
    if state in allowed:
        return
    if state is ApprovalState.EXPIRED:
        raise _expired()
    if state is ApprovalState.USED:
        raise _used()
    if state is ApprovalState.WAITING:
        raise ApprovalWaitingError(
            f"{len(_approvers(row))} of {row.needed} people have approved this.", remedy="Wait until the others have."
        )
    if state is ApprovalState.APPROVED:
        raise AlreadyApprovedError("Enough people have approved this.", remedy="Nothing is left to approve.")
    raise ApprovalClosedError(f"This was {state}.", remedy="Ask again if it is still wanted.")


def _expired() -> ApprovalExpiredError:
    return ApprovalExpiredError("This has run out.", remedy="Ask again if it is still wanted.")


def _used() -> ApprovalUsedError:
    return ApprovalUsedError("This approval was used; it is good for once.", remedy="Ask again for another time.")


def _in_use(until: datetime) -> ApprovalInUseError:
    return ApprovalInUseError(
        "This act was begun a moment ago, and has not said that it is done.",
        remedy=f"See whether it was done; if not, try again after {until:%H:%M} UTC.",
    )


def _check_approvers(row: ApprovalRow, rule: ActionRule, people: People) -> None:
    """That everybody who approved may do so now as well."""
    if row.is_break_glass:
        return
    asker = service_principal(_SERVICE, row.tenant)
    for sub in _approvers(row):
        person = people.person(asker, sub)
        if person is None or rule.decided_with not in permissions_of(_principal(person, row.tenant)):
            raise ApproverGoneError(
                "Somebody who approved this has left, or may approve no more.", remedy="Withdraw it, and ask again."
            )


def _principal(person: Person, tenant: str) -> Principal:
    return Principal(sub=person.sub, tenant=tenant, name=person.name, roles=person.roles)


def _to_decide(access: Access, approval_id: str, session: Session) -> ApprovalRow:
    if not _is_person(access.principal):
        raise _not_a_person()
    row = _locked(session, access.principal, approval_id)
    if row.requester == access.principal.sub:
        raise OwnApprovalError("You asked for this yourself.", remedy="Others have to decide; you may withdraw it.")
    if RULES[ApprovalAction(row.action)].decided_with is not access.permission:
        raise NotFoundError("approval")
    return row


def _locked(session: Session, viewer: Principal, approval_id: str) -> ApprovalRow:
    row = _repository(session, viewer).locked(approval_id)
    if row is None:
        raise NotFoundError("approval")
    return row


def _repository(session: Session, viewer: Principal) -> ApprovalRepository:
    return ApprovalRepository(session, viewer, sees_all=decides(viewer))


def _new_row(new: NewApproval, rule: ActionRule, now: datetime) -> ApprovalRow:
    subject, requester = new.subject, new.requester
    return ApprovalRow(
        id=new_id("apr"),
        tenant=requester.tenant,
        action=subject.action,
        resource_kind=subject.resource.kind,
        resource_id=subject.resource.id,
        resource_title=subject.resource.title,
        terms=subject.terms,
        digest=subject.digest,
        requester=requester.sub,
        requester_name=requester.name[:200],
        reason=new.reason,
        created_at=now,
        expires_at=now + timedelta(seconds=rule.lifetime_s),
        needed=rule.approvers,
        state=ApprovalState.WAITING,
    )


def _expire(row: ApprovalRow, session: Session, now: datetime) -> None:
    row.state, row.ended_at = ApprovalState.EXPIRED, now
    _record(session, "approval.expired", row, service_principal(_SERVICE, row.tenant).sub)


def _record(session: Session, action: str, row: ApprovalRow, actor: str, **details: Detail) -> None:
    """Record what became of an approval, in its transaction. What it is about is sealed, for it may name people."""
    about: dict[str, Detail] = {"resource_kind": row.resource_kind, "of": row.action, "requester": row.requester}
    name = row.resource_kind if row.resource_kind in {"document", "knowledge_base", "person"} else "resource"
    about[name] = row.resource_id
    sealed = {"title": row.resource_title, "digest": row.digest, "reason": row.reason}
    if row.refusal_reason is not None:
        sealed["refusal_reason"] = row.refusal_reason
    event = AuditEvent(
        action=action,
        tenant=row.tenant,
        actor=actor,
        subject=row.id,
        details={**about, **details},
        sealed=sealed,
        group=row.id,
    )
    record(session, AUDIT_OUTBOX, event)
    session.flush()


def _approvers(row: ApprovalRow) -> list[str]:
    return [sub for sub in (row.approver_1, row.approver_2) if sub is not None]


def _state(row: ApprovalRow, now: datetime) -> ApprovalState:
    """The state now: what has run out is expired, whether or not that is written down."""
    state = ApprovalState(row.state)
    return ApprovalState.EXPIRED if state in OPEN and row.expires_at <= now else state


def _votes(row: ApprovalRow) -> list[Vote]:
    slots = (
        (row.approver_1, row.approver_1_name, row.approver_1_at),
        (row.approver_2, row.approver_2_name, row.approver_2_at),
    )
    return [Vote(sub=sub, name=name or "", at=at) for sub, name, at in slots if sub is not None and at is not None]


def _refusal(row: ApprovalRow) -> Refusal | None:
    if row.refused_by is None or row.ended_at is None:
        return None
    return Refusal(sub=row.refused_by, name=row.refused_by_name or "", at=row.ended_at, reason=row.refusal_reason or "")


def _steps(row: ApprovalRow, viewer: Principal, now: datetime) -> Sequence[ApprovalStep]:
    state = _state(row, now)
    if row.requester == viewer.sub:
        is_unfinished = state is ApprovalState.USED and row.completed_at is None and row.expires_at > now
        can_use = state is ApprovalState.APPROVED or is_unfinished
        return [
            *([ApprovalStep.USE] if can_use else []),
            *([ApprovalStep.WITHDRAW] if state in OPEN else []),
        ]
    if not decides(viewer) or state not in OPEN:
        return []
    may_approve = state is ApprovalState.WAITING and viewer.sub not in _approvers(row)
    return [*([ApprovalStep.APPROVE] if may_approve else []), ApprovalStep.REFUSE]


def _approval(row: ApprovalRow, viewer: Principal, now: datetime) -> Approval:
    return Approval(
        id=row.id,
        action=ApprovalAction(row.action),
        resource=Resource(kind=row.resource_kind, id=row.resource_id, title=row.resource_title),
        terms=row.terms,
        digest=row.digest,
        state=_state(row, now),
        requester=row.requester,
        requester_name=row.requester_name,
        reason=row.reason,
        created_at=row.created_at,
        expires_at=row.expires_at,
        approvers_needed=row.needed,
        approvals=_votes(row),
        refusal=_refusal(row),
        used_at=row.ended_at if row.state == ApprovalState.USED else None,
        completed_at=row.completed_at,
        is_break_glass=row.is_break_glass,
        may=list(_steps(row, viewer, now)),
    )
