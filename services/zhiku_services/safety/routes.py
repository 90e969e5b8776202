"""The service's faces for people and for other services."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import Response

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.approvals import Approvals, GivenApproval, waiting
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.safety import Screening, ScreenRequest, StreamStep, StreamStepped
from zhiku_platform.db import Database, ReadSession
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.http import GuardedRouter
from zhiku_services.safety import policies
from zhiku_services.safety.policies import CurrentPolicy, Policies, PolicyChange

router = GuardedRouter(prefix="/api/v1", tags=["safety"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])


def _policies(request: Request) -> Policies:
    found: Policies = request.app.state.policies
    return found


CanAsk = Annotated[Access, require(Permission.ASK)]
CanRead = Annotated[Access, require(Permission.DOCUMENT_READ)]
CanManage = Annotated[Access, require(Permission.SAFETY_MANAGE)]
InForce = Annotated[Policies, Depends(_policies)]


@router.get("/safety-policy")
def get_policy(access: CanManage, session: ReadSession, in_force: InForce) -> CurrentPolicy:
    """Get the safety policy in force."""
    return policies.current(access, session, in_force.screen)


@router.put(
    "/safety-policy",
    status_code=204,
    response_class=Response,
    responses={202: {"model": Approval, "description": "Two others are asked; come back with `approval`"}},
)
def change_policy(
    access: CanManage, request: Request, wanted: PolicyChange, in_force: InForce, approval: GivenApproval = None
) -> Response:
    """Put another safety policy in force, once two others have approved exactly that."""
    database: Database = request.app.state.database
    approvals = _approvals(request)
    if approval is None:
        with database.read() as session:
            subject = policies.describe(access, wanted.policy, session, in_force.screen)
        return waiting(approvals.ask(access, subject, wanted.reason))
    with database.write() as session:
        claim = policies.change(
            access, wanted.policy, session, in_force.screen, approvals=approvals, approval_id=approval
        )
    in_force.forget(access.tenant)
    approvals.complete(access, claim)
    return Response(status_code=204)


@internal.post("/screen")
def screen(access: CanRead, in_force: InForce, request: ScreenRequest) -> Screening:
    """Screen whole texts."""
    return in_force.of(access.tenant).screen(request)


@internal.post("/stream-step")
def step(access: CanAsk, in_force: InForce, request: StreamStep) -> StreamStepped:
    """Take one step in the stream of an answer; nothing of it is kept here."""
    return in_force.of(access.tenant).step(request)


def _approvals(request: Request) -> Approvals:
    approvals: Approvals | None = request.app.state.approvals
    if approvals is None:
        raise ServiceUnavailableError("Nobody can be asked to approve this here.", remedy="Run the governance service.")
    return approvals
