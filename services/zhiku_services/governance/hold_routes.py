"""The face of legal holds: compliance under `/api/v1`, services that delete under `/internal`."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.approvals import GivenApproval, waiting
from zhiku_platform.contracts.governance import Approval, ApprovalReason
from zhiku_platform.contracts.holds import Hold, HoldCheck, NewDeletion, NewHold
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.governance import holds

router = GuardedRouter(prefix="/api/v1", tags=["governance"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanRead = Annotated[Access, require(Permission.HOLD_READ)]
CanPlace = Annotated[Access, require(Permission.HOLD_PLACE)]
CanCheck = Annotated[Access, require(Permission.HOLD_CHECK)]

Cursor = Annotated[str, Query(max_length=100, pattern=SEARCHABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/legal-holds")
def list_legal_holds(
    access: CanRead, session: ReadSession, with_released: bool = False, cursor: Cursor = "", limit: Limit = 50
) -> Page[Hold]:
    """List the legal holds in force, or all; the newest first."""
    return holds.list_holds(access, session, with_released=with_released, cursor=cursor, limit=limit)


@router.post("/legal-holds", status_code=201)
def place_legal_hold(access: CanPlace, request: Request, session: WriteSession, new: NewHold) -> Hold:
    """Have something kept from now on, whoever wants to delete it."""
    return holds.place(access, new, session, now=_now(request))


@router.post(
    "/legal-holds/{hold_id}/release",
    response_model=Hold,
    responses={202: {"model": Approval, "description": "Two others are asked; come back with `approval`"}},
)
def release_legal_hold(
    access: CanPlace,
    request: Request,
    session: WriteSession,
    hold_id: str,
    why: ApprovalReason,
    approval: GivenApproval = None,
) -> Hold | Response:
    """Lift a legal hold, once two others have approved exactly that."""
    now = _now(request)
    if approval is None:
        return waiting(holds.ask_release(access, hold_id, why.reason, session, now=now))
    return holds.release(access, hold_id, approval, session, people=request.app.state.people, now=now)


@internal.post("/hold-checks")
def check_holds(access: CanCheck, session: WriteSession, deletion: NewDeletion) -> HoldCheck:
    """Say whether a hold keeps anything of what is about to be deleted."""
    return holds.check(access, deletion, session)


def _now(request: Request) -> datetime:
    clock: Callable[[], datetime] = request.app.state.clock
    return clock()
