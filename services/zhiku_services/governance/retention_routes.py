"""The face of retention: compliance under `/api/v1`, services that delete what is due under `/internal`."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.approvals import GivenApproval, waiting
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.retention import Days, DueCount, Kept, RetentionChange, RetentionRule
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.governance import retention

router = GuardedRouter(prefix="/api/v1", tags=["governance"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanRead = Annotated[Access, require(Permission.RETENTION_READ)]
CanChange = Annotated[Access, require(Permission.RETENTION_CHANGE)]
CanApply = Annotated[Access, require(Permission.RETENTION_APPLY)]


@router.get("/retention-rules")
def list_retention_rules(access: CanRead, session: ReadSession) -> list[RetentionRule]:
    """List the rules in force; what has none is kept for ever."""
    return retention.rules(access, session)


@router.get("/retention-rules/{kind}/due")
def count_due(access: CanRead, request: Request, kind: Kept, days: Annotated[Days, Query()]) -> DueCount:
    """Say how much a rule of so many days would delete now; nothing is deleted."""
    count: retention.CountDue = request.app.state.count_due[kind]
    return DueCount(due=count(access.principal, days))


@router.put(
    "/retention-rules/{kind}",
    response_model=RetentionRule,
    responses={202: {"model": Approval, "description": "Two others are asked; come back with `approval`"}},
)
def change_retention_rule(
    access: CanChange,
    request: Request,
    session: WriteSession,
    kind: Kept,
    change: RetentionChange,
    approval: GivenApproval = None,
) -> RetentionRule | Response:
    """Keep something longer, shorter or for ever, once two others have approved exactly that."""
    state = request.app.state
    if approval is None:
        return waiting(retention.ask(access, kind, change, session, now=state.clock()))
    return retention.change_rule(access, kind, change, approval, session, people=state.people, now=state.clock())


@internal.get("/retention-rules")
def list_rules_to_apply(access: CanApply, session: ReadSession) -> list[RetentionRule]:
    """List the rules in force, for who deletes what is due."""
    return retention.rules(access, session)
