"""The face of review cases: reviewers under `/api/v1`, services that ask for one under `/internal`."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.cases import (
    AnswerToSample,
    Case,
    CaseFigures,
    CaseKind,
    CaseState,
    Decision,
    Escalation,
    NewCase,
    NewNote,
    NewSamplingRule,
    Sampled,
    SamplingRule,
)
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.governance import cases

router = GuardedRouter(prefix="/api/v1", tags=["governance"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanReview = Annotated[Access, require(Permission.REVIEW_DECIDE)]
CanConfigure = Annotated[Access, require(Permission.REVIEW_CONFIGURE)]
CanOpen = Annotated[Access, require(Permission.REVIEW_OPEN)]

Cursor = Annotated[str, Query(max_length=100, pattern=SEARCHABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/review-cases")
def list_review_cases(
    access: CanReview,
    request: Request,
    session: ReadSession,
    state: CaseState | None = None,
    kind: CaseKind | None = None,
    overdue: bool = False,
    mine: bool = False,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[Case]:
    """List the cases that wait, the most urgent first; or those in one state."""
    return cases.list_cases(
        access, session, state=state, kind=kind, is_overdue=overdue, is_mine=mine, cursor=cursor, limit=limit,
        now=_now(request),
    )  # fmt: skip


@router.get("/review-figures")
def get_review_figures(access: CanReview, request: Request, session: ReadSession) -> CaseFigures:
    """Get what waits, what is late, how fast people decide and how much they agree."""
    return cases.figures(access, session, now=_now(request))


@router.get("/review-cases/{case_id}")
def get_review_case(access: CanReview, request: Request, session: ReadSession, case_id: str) -> Case:
    """Get one case."""
    return cases.get_case(access, case_id, session, now=_now(request))


@router.post("/review-cases/{case_id}/claim")
def claim_review_case(access: CanReview, request: Request, session: WriteSession, case_id: str) -> Case:
    """Take a case to look at, for half an hour."""
    return cases.claim(access, case_id, session, now=_now(request))


@router.post("/review-cases/{case_id}/release")
def release_review_case(access: CanReview, request: Request, session: WriteSession, case_id: str) -> Case:
    """Put a case back."""
    return cases.release(access, case_id, session, now=_now(request))


@router.post("/review-cases/{case_id}/escalate")
def escalate_review_case(
    access: CanReview, request: Request, session: WriteSession, case_id: str, why: Escalation
) -> Case:
    """Leave a case to compliance approvers."""
    return cases.escalate(access, case_id, why.reason, session, now=_now(request))


@router.post("/review-cases/{case_id}/decide")
def decide_review_case(
    access: CanReview, request: Request, session: WriteSession, case_id: str, decision: Decision
) -> Case:
    """Decide a case that you have claimed."""
    return cases.decide(access, case_id, decision, session, now=_now(request))


@router.post("/review-cases/{case_id}/notes")
def add_review_note(access: CanReview, request: Request, session: WriteSession, case_id: str, new: NewNote) -> Case:
    """Write something down beside a case."""
    return cases.add_note(access, case_id, new.text, session, now=_now(request))


@router.get("/sampling-rules")
def list_sampling_rules(access: CanReview, session: ReadSession) -> Page[SamplingRule]:
    """List how many answers come to a reviewer."""
    return cases.list_rules(access, session)


@router.post("/sampling-rules", status_code=201)
def add_sampling_rule(
    access: CanConfigure, request: Request, session: WriteSession, new: NewSamplingRule
) -> SamplingRule:
    """Have a share of answers come to a reviewer."""
    return cases.add_rule(access, new, session, now=_now(request))


@router.delete("/sampling-rules/{rule_id}", status_code=204)
def delete_sampling_rule(access: CanConfigure, session: WriteSession, rule_id: str) -> None:
    """End a sampling rule."""
    cases.delete_rule(access, rule_id, session)


@internal.post("/review-cases", status_code=201)
def open_review_case(access: CanOpen, request: Request, session: WriteSession, new: NewCase) -> Case:
    """Put something before people; the same source opens one case."""
    return cases.open_case(access, new, _secret(request), session, now=_now(request))


@internal.post("/review-samples")
def sample_answer(access: CanOpen, request: Request, session: WriteSession, answer: AnswerToSample) -> Sampled:
    """Draw whether an answer comes to a reviewer."""
    return cases.sample(access, answer, _secret(request), session, now=_now(request))


def _now(request: Request) -> datetime:
    clock: Callable[[], datetime] = request.app.state.clock
    return clock()


def _secret(request: Request) -> bytes:
    secret: str = request.app.state.settings.secret_key.get_secret_value()
    return secret.encode()
