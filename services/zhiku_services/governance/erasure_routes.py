"""The face of the erasure desk: compliance under `/api/v1`, the command that follows a restore under `/internal`."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.approvals import GivenApproval, waiting
from zhiku_platform.contracts.erasure import (
    Certificate,
    Erasure,
    ErasureChoice,
    NewErasure,
    ReplayReport,
    Verification,
)
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.erasure import require_desk
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.http import GuardedRouter
from zhiku_services.governance import erasure
from zhiku_services.governance.erasure import Desk

router = GuardedRouter(prefix="/api/v1", tags=["governance"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanRead = Annotated[Access, require(Permission.ERASURE_READ)]
CanRequest = Annotated[Access, require(Permission.ERASURE_REQUEST)]
CanReplay = Annotated[Access, require(Permission.PERSON_ERASE)]

Cursor = Annotated[str, Query(max_length=100, pattern=SEARCHABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/erasures")
def list_erasures(access: CanRead, request: Request, cursor: Cursor = "", limit: Limit = 50) -> Page[Erasure]:
    """List the erasures that were asked for, the newest first."""
    return erasure.list_erasures(access, _desk(request), cursor=cursor, limit=limit)


@router.post("/erasures", status_code=201)
def request_erasure(access: CanRequest, request: Request, new: NewErasure) -> Erasure:
    """Ask for a person to be erased; nothing is done yet."""
    return erasure.request(access, new, _desk(request), now=_now(request))


@router.get("/erasures/{erasure_id}")
def get_erasure(access: CanRead, request: Request, erasure_id: str) -> Erasure:
    """Get one erasure, and whose it is; looking is recorded."""
    return erasure.get(access, erasure_id, _desk(request))


@router.post("/erasures/{erasure_id}/report")
def report_erasure(access: CanRequest, request: Request, erasure_id: str, choice: ErasureChoice) -> Erasure:
    """Ask every store what it holds of the person, erase nothing, and note what was chosen."""
    return erasure.report(access, erasure_id, choice.decided, _desk(request), now=_now(request))


@router.post(
    "/erasures/{erasure_id}/run",
    response_model=Erasure,
    responses={202: {"model": Approval, "description": "Two others are asked; come back with `approval`"}},
)
def run_erasure(
    access: CanRequest, request: Request, erasure_id: str, approval: GivenApproval = None
) -> Erasure | Response:
    """Erase what was reported, once two others have approved exactly that; what was begun goes on."""
    desk, now = _desk(request), _now(request)
    if approval is None and not erasure.is_running(access, erasure_id, desk):
        return waiting(erasure.ask(access, erasure_id, desk, now=now))
    return erasure.run(access, erasure_id, approval, desk, now=now)


@router.post("/erasures/{erasure_id}/verify")
def verify_erasure(access: CanRequest, request: Request, erasure_id: str) -> Verification:
    """Ask every store again what it holds of what was erased."""
    return Verification(left=erasure.verify(access, erasure_id, _desk(request)))


@router.post("/erasures/{erasure_id}/withdraw")
def withdraw_erasure(access: CanRequest, request: Request, erasure_id: str) -> Erasure:
    """Take a request back that was not begun."""
    return erasure.withdraw(access, erasure_id, _desk(request))


@router.get("/erasures/{erasure_id}/certificate")
def get_erasure_certificate(access: CanRead, request: Request, erasure_id: str) -> Certificate:
    """Get the signed certificate of an erasure that is done."""
    return erasure.certificate(access, erasure_id, _desk(request))


@internal.post("/erasures/replay")
def replay_erasures(access: CanReplay, request: Request) -> ReplayReport:
    """Repeat every erasure, as after the restore of a backup."""
    require_desk(access)
    return erasure.replay(_desk(request), now=_now(request))


def _desk(request: Request) -> Desk:
    desk: Desk | None = request.app.state.desk
    if desk is None:
        raise ServiceUnavailableError("No store can be asked.", remedy="Start governance with the other services.")
    return desk


def _now(request: Request) -> datetime:
    clock: Callable[[], datetime] = request.app.state.clock
    return clock()
