"""The service's face: people's decisions under `/api/v1`, other services' acts under `/internal`."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.governance import (
    Approval,
    ApprovalDecision,
    ApprovalReason,
    ApprovalState,
    BreakGlass,
    Claim,
    NewApproval,
    UseApproval,
    Whose,
)
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.governance import service

router = GuardedRouter(prefix="/api/v1", tags=["governance"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

HasOwn = Annotated[Access, require(Permission.APPROVAL_OWN)]
CanDecide = Annotated[Access, require(Permission.APPROVAL_DECIDE)]
CanUse = Annotated[Access, require(Permission.APPROVAL_USE)]

Cursor = Annotated[str, Query(max_length=100, pattern=SEARCHABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/approvals")
def list_approvals(
    access: HasOwn,
    request: Request,
    session: ReadSession,
    state: ApprovalState | None = None,
    whose: Whose = Whose.ALL,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[Approval]:
    """List what you asked for and, if you decide, what everybody did; the newest first."""
    return service.list_approvals(
        access, session, state=state, whose=whose, cursor=cursor, limit=limit, now=_now(request)
    )


@router.get("/approvals/{approval_id}")
def get_approval(access: HasOwn, request: Request, session: ReadSession, approval_id: str) -> Approval:
    """Get one approval: what exactly is asked for, by whom and why, and who has agreed."""
    return service.get_approval(access, approval_id, session, now=_now(request))


@router.post("/approvals/{approval_id}/approve")
def approve(
    access: CanDecide, request: Request, session: WriteSession, approval_id: str, decision: ApprovalDecision
) -> Approval:
    """Agree to what somebody else asked for, by the digest of what you were shown."""
    return service.approve(access, approval_id, decision, session, now=_now(request))


@router.post("/approvals/{approval_id}/refuse")
def refuse(
    access: CanDecide, request: Request, session: WriteSession, approval_id: str, why: ApprovalReason
) -> Approval:
    """Refuse what somebody else asked for, with a reason; also what others have approved and nobody has used."""
    return service.refuse(access, approval_id, why, session, now=_now(request))


@router.post("/approvals/{approval_id}/withdraw")
def withdraw(access: HasOwn, request: Request, session: WriteSession, approval_id: str) -> Approval:
    """Take back what you asked for."""
    return service.withdraw(access, approval_id, session, now=_now(request))


@internal.post("/approvals", status_code=202)
def request_approval(access: CanUse, request: Request, session: WriteSession, new: NewApproval) -> Approval:
    """Ask for an act on behalf of a person."""
    return service.request_approval(access, new, session, now=_now(request))


@internal.post("/approvals/{approval_id}/use")
def use_approval(
    access: CanUse, request: Request, session: WriteSession, approval_id: str, wanted: UseApproval
) -> Claim:
    """Claim an approved act that is about to be done."""
    return service.use(access, approval_id, wanted, session, people=request.app.state.people, now=_now(request))


@internal.post("/approvals/complete", status_code=204)
def complete_act(access: CanUse, request: Request, session: WriteSession, claim: Claim) -> None:
    """Say that a claimed act is done."""
    service.complete(access, claim, session, now=_now(request))


@internal.post("/approvals/break-glass", status_code=201)
def break_glass(access: CanUse, request: Request, session: WriteSession, new: BreakGlass) -> Claim:
    """Claim an act that goes back, at once."""
    return service.break_glass(access, new, session, now=_now(request))


def _now(request: Request) -> datetime:
    clock: Callable[[], datetime] = request.app.state.clock
    return clock()
