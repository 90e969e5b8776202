"""Review cases: a queue by urgency, a lease on what somebody looks at, a second opinion, and how much people agree."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from types import MappingProxyType

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from zhiku_platform.access import Access, Permission, permissions_of
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.contracts.cases import (
    Agreement,
    AnswerToSample,
    Case,
    CaseFigures,
    CaseKind,
    CaseState,
    Decided,
    Decision,
    NewCase,
    NewSamplingRule,
    Note,
    Sampled,
    SamplingRule,
    Severity,
    Verdict,
)
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import new_id
from zhiku_platform.errors import ConflictError, ForbiddenError, NotFoundError, UnprocessableError
from zhiku_services.governance.case_repository import CaseRepository, Place
from zhiku_services.governance.models import AUDIT_OUTBOX, CaseNoteRow, CaseRow, SamplingRuleRow

HOURS: Mapping[Severity, int] = MappingProxyType({Severity.HIGH: 4, Severity.MEDIUM: 24, Severity.LOW: 72})
"""By when a case is to be decided."""
LEASE = timedelta(minutes=30)
_MOST_OPINIONS = 3
SECOND_OPINIONS = 0.1
"""The share of cases that two people decide apart; those of high severity and appeals all are."""
_COUNTED = 5_000
_PERSON = ""
"""Who wrote a note, if that is whom the case is about: they are not named."""


class CaseTakenError(ConflictError):
    """Somebody else is looking at it."""

    code = "case_taken"


class CaseClosedError(ConflictError):
    """It was decided."""

    code = "case_closed"


class NotYourCaseError(ForbiddenError):
    """The caller may not decide on it: they have before, or have not claimed it."""

    code = "not_your_case"


def open_case(access: Access, new: NewCase, secret: bytes, session: Session, *, now: datetime) -> Case:
    """Put something before people; the same source opens one case."""
    repository = CaseRepository(session, access)
    known = repository.by_source(new)
    if known is not None:
        return _case(known, access, repository, now)
    case_id = new_id("case")
    row = CaseRow(
        **new.model_dump(mode="json", exclude={"note"}),
        id=case_id,
        tenant=access.tenant,
        state=CaseState.OPEN,
        needs_second=_needs_second(new, case_id, secret),
        opened_at=now,
        due_at=now + timedelta(hours=HOURS[new.severity]),
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raced = repository.by_source(new)
        if raced is None:
            raise
        return _case(raced, access, repository, now)
    if new.note is not None:
        session.flush()
        session.add(CaseNoteRow(id=new_id("note"), case_id=row.id, author=_PERSON, text=new.note, at=now))
    _record(access, session, "review.opened", row, case_kind=new.kind, severity=new.severity)
    return _case(row, access, repository, now)


def sample(access: Access, answer: AnswerToSample, secret: bytes, session: Session, *, now: datetime) -> Sampled:
    """Draw whether an answer comes to a reviewer; the same answer draws the same lot."""
    rules = CaseRepository(session, access).rules()
    here = [rule for rule in rules if rule.knowledge_base_id in {None, *answer.knowledge_base_ids}]
    most = max(here, key=lambda rule: rule.per_mille, default=None)
    if most is None or _lot(secret, "sample", answer.answer_id) >= most.per_mille / 1000:
        return Sampled(is_sampled=False)
    new = NewCase(
        kind=CaseKind.SAMPLE,
        severity=Severity.LOW,
        source_id=answer.answer_id,
        subject_kind="answer",
        subject_id=answer.answer_id,
        knowledge_base_id=most.knowledge_base_id,
        person=answer.person,
    )
    open_case(access, new, secret, session, now=now)
    return Sampled(is_sampled=True)


def list_cases(
    access: Access,
    session: Session,
    *,
    state: CaseState | None,
    kind: CaseKind | None,
    is_overdue: bool,
    is_mine: bool,
    cursor: str,
    limit: int,
    now: datetime,
) -> Page[Case]:
    """What waits for people, the most urgent first; or, by `state`, what was decided."""
    repository = CaseRepository(session, access)
    rows = repository.queue(
        state=state,
        kind=kind,
        is_overdue=is_overdue,
        is_mine=is_mine,
        after=_place(cursor),
        limit=limit + 1,
        now=now,
    )
    items = [_case(row, access, repository, now) for row in rows[:limit]]
    last = f"{items[-1].due_at:%Y-%m-%dT%H:%M:%S.%f}Z|{items[-1].id}" if len(rows) > limit else None
    return Page(items=items, next_cursor=last)


def get_case(access: Access, case_id: str, session: Session, *, now: datetime) -> Case:
    repository = CaseRepository(session, access)
    return _case(_find(repository, case_id), access, repository, now)


def claim(access: Access, case_id: str, session: Session, *, now: datetime) -> Case:
    """Take a case to look at, for half an hour; claiming it again begins the time anew.

    Raises:
        CaseTakenError: somebody else is looking at it.
        CaseClosedError: it was decided.
        NotYourCaseError: the caller has decided on it, or on what an appeal is against; or it is escalated.
    """
    repository = CaseRepository(session, access)
    row = _find(repository, case_id, to_change=True)
    _check_waits(row)
    _check_may_decide(access, row, repository)
    if _is_taken(row, now) and row.claimed_by != access.principal.sub:
        raise CaseTakenError("Somebody else is looking at this case.", remedy="Take the next one.")
    row.claimed_by, row.claimed_until = access.principal.sub, now + LEASE
    _record(access, session, "review.claimed", row)
    return _case(row, access, repository, now)


def release(access: Access, case_id: str, session: Session, *, now: datetime) -> Case:
    """Put a case back."""
    repository = CaseRepository(session, access)
    row = _claimed(access, repository, case_id, now)
    row.claimed_by = row.claimed_until = None
    _record(access, session, "review.released", row)
    return _case(row, access, repository, now)


def escalate(access: Access, case_id: str, reason: str, session: Session, *, now: datetime) -> Case:
    """Leave a case to those who decide on approvals; the reason stands among its notes."""
    repository = CaseRepository(session, access)
    row = _claimed(access, repository, case_id, now)
    row.state = CaseState.ESCALATED
    row.claimed_by = row.claimed_until = None
    _add_note(access, row, reason, session, now)
    _record(access, session, "review.escalated", row)
    return _case(row, access, repository, now)


def decide(access: Access, case_id: str, decision: Decision, session: Session, *, now: datetime) -> Case:
    """Say what is right. Where two opinions are needed and differ, a third person decides.

    Raises:
        NotYourCaseError: the caller has not claimed it, or may not decide on it.
        CaseClosedError: it was decided.
    """
    repository = CaseRepository(session, access)
    row = _claimed(access, repository, case_id, now)
    _check_may_decide(access, row, repository)
    verdict, opinions = decision.verdict, _write_down(row, access.principal.sub, decision, now)
    if not row.needs_second or opinions[:-1] == [verdict] or len(opinions) == _MOST_OPINIONS:
        row.state, row.verdict, row.decided_at = CaseState.DECIDED, verdict, now
    elif len(opinions) > 1:
        row.state = CaseState.ESCALATED
    elif row.state == CaseState.OPEN:
        row.state = CaseState.SECOND
    row.claimed_by = row.claimed_until = None
    _record(access, session, "review.decided", row, verdict=verdict, is_final=row.state == CaseState.DECIDED)
    return _case(row, access, repository, now)


def add_note(access: Access, case_id: str, text: str, session: Session, *, now: datetime) -> Case:
    """Write something down beside a case."""
    repository = CaseRepository(session, access)
    row = _find(repository, case_id)
    _add_note(access, row, text, session, now)
    _record(access, session, "review.noted", row)
    return _case(row, access, repository, now)


def figures(access: Access, session: Session, *, now: datetime) -> CaseFigures:
    """What waits, what is late, how fast people decide and how much they agree, over the last 5,000 decided."""
    repository = CaseRepository(session, access)
    decided = repository.decided(_COUNTED)
    hours = [(row.decided_at - row.opened_at).total_seconds() / 3600 for row in decided if row.decided_at is not None]
    pairs = [
        (Verdict(row.first_verdict), Verdict(row.second_verdict))
        for row in decided
        if row.first_verdict is not None and row.second_verdict is not None
    ]
    overturned = [row for row in decided if row.kind == CaseKind.APPEAL and row.verdict == Verdict.DISMISSED]
    return CaseFigures(
        waiting=repository.waiting(),
        overdue=repository.count_overdue(now),
        decided=len(decided),
        median_hours=round(median(hours), 2) if hours else None,
        overturned_appeals=len(overturned),
        agreement=agreement(pairs),
    )


def agreement(pairs: Sequence[tuple[Verdict, Verdict]]) -> Agreement:
    """Cohen's kappa of two opinions on each case; None where all say one thing, so that chance explains all."""
    if not pairs:
        return Agreement(cases=0, share=None, kappa=None)
    count = len(pairs)
    share = sum(one == other for one, other in pairs) / count
    firsts, seconds = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    chance = sum(firsts[verdict] * seconds[verdict] for verdict in Verdict) / count**2
    kappa = None if chance == 1 else round((share - chance) / (1 - chance), 4)
    return Agreement(cases=count, share=round(share, 4), kappa=kappa)


def list_rules(access: Access, session: Session) -> Page[SamplingRule]:
    return Page(items=[_rule(row) for row in CaseRepository(session, access).rules()])


def add_rule(access: Access, new: NewSamplingRule, session: Session, *, now: datetime) -> SamplingRule:
    row = SamplingRuleRow(
        id=new_id("smp"),
        tenant=access.tenant,
        knowledge_base_id=new.knowledge_base_id,
        per_mille=new.per_mille,
        created_by=access.principal.sub,
        created_at=now,
    )
    session.add(row)
    event = event_of(
        access, "sampling_rule.added", row.id, knowledge_base=new.knowledge_base_id, per_mille=new.per_mille
    )
    record(session, AUDIT_OUTBOX, event)
    session.flush()
    return _rule(row)


def delete_rule(access: Access, rule_id: str, session: Session) -> None:
    row = CaseRepository(session, access).rule(rule_id)
    if row is None:
        raise NotFoundError("sampling rule")
    session.delete(row)
    record(session, AUDIT_OUTBOX, event_of(access, "sampling_rule.deleted", rule_id))


def _needs_second(new: NewCase, case_id: str, secret: bytes) -> bool:
    if new.kind is CaseKind.APPEAL or new.severity is Severity.HIGH:
        return True
    return _lot(secret, "second", case_id) < SECOND_OPINIONS


def _lot(secret: bytes, purpose: str, what: str) -> float:
    """A number from 0 to 1 that nobody can guess without the secret, and that stays the same."""
    drawn = hmac.new(secret, f"{purpose}|{what}".encode(), hashlib.sha256).digest()
    return int.from_bytes(drawn[:8]) / 2**64


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    due, _, case_id = cursor.partition("|")
    try:
        moment = datetime.fromisoformat(due)
    except ValueError as error:
        raise UnprocessableError("This is no place in the queue.", remedy="Take `next_cursor` as it came.") from error
    if moment.tzinfo is None:
        raise UnprocessableError("This is no place in the queue.", remedy="Take `next_cursor` as it came.")
    return Place(moment, case_id)


def _find(repository: CaseRepository, case_id: str, *, to_change: bool = False) -> CaseRow:
    row = repository.find(case_id, to_change=to_change)
    if row is None:
        raise NotFoundError("review case")
    return row


def _claimed(access: Access, repository: CaseRepository, case_id: str, now: datetime) -> CaseRow:
    """The case, if the caller is looking at it."""
    row = _find(repository, case_id, to_change=True)
    _check_waits(row)
    if not _is_taken(row, now) or row.claimed_by != access.principal.sub:
        raise NotYourCaseError("You are not looking at this case, or no longer.", remedy="Claim it first.")
    return row


def _is_taken(row: CaseRow, now: datetime) -> bool:
    return row.claimed_until is not None and row.claimed_until > now


def _check_waits(row: CaseRow) -> None:
    if row.state == CaseState.DECIDED:
        raise CaseClosedError("This case was decided.", remedy="Take the next one.")


def _check_may_decide(access: Access, row: CaseRow, repository: CaseRepository) -> None:
    sub = access.principal.sub
    if access.principal.scopes is not None:
        raise NotYourCaseError("A case takes people who have signed in.", remedy="Sign in, without an API key.")
    if sub in {row.first, row.second, row.third}:
        raise NotYourCaseError("You have decided on this case.", remedy="Somebody else has to look at it too.")
    if row.kind == CaseKind.APPEAL and sub in repository.deciders_on(row.subject_id, but=row.id):
        raise NotYourCaseError("This appeal is against what you decided.", remedy="Somebody else has to look at it.")
    if row.state == CaseState.ESCALATED and Permission.APPROVAL_DECIDE not in permissions_of(access.principal):
        raise NotYourCaseError("This case is for compliance approvers.", remedy="Take the next one.")


def _write_down(row: CaseRow, sub: str, decision: Decision, now: datetime) -> list[Verdict]:
    """Put an opinion into the first free place; return all that there are now, in order."""
    opinion = (sub, decision.verdict, decision.reason, now)
    if row.first is None:
        row.first, row.first_verdict, row.first_reason, row.first_at = opinion
    elif row.second is None:
        row.second, row.second_verdict, row.second_reason, row.second_at = opinion
    else:
        row.third, row.third_verdict, row.third_reason, row.third_at = opinion
    given = (row.first_verdict, row.second_verdict, row.third_verdict)
    return [Verdict(verdict) for verdict in given if verdict is not None]


def _add_note(access: Access, row: CaseRow, text: str, session: Session, now: datetime) -> None:
    session.add(CaseNoteRow(id=new_id("note"), case_id=row.id, author=access.principal.sub, text=text, at=now))


def _record(access: Access, session: Session, action: str, row: CaseRow, **details: Detail) -> None:
    session.flush()
    record(session, AUDIT_OUTBOX, event_of(access, action, row.id, subject_of_case=row.subject_id, **details))
    session.flush()


def _decisions(row: CaseRow, access: Access) -> list[Decided]:
    """What was said, with names once it is over; to who is to give a second opinion, nothing, and their own always."""
    is_over = row.state in {CaseState.DECIDED, CaseState.ESCALATED}
    found: list[Decided] = []
    for who, verdict, reason, at in (
        (row.first, row.first_verdict, row.first_reason, row.first_at),
        (row.second, row.second_verdict, row.second_reason, row.second_at),
        (row.third, row.third_verdict, row.third_reason, row.third_at),
    ):
        if who is None or verdict is None or at is None or not (is_over or who == access.principal.sub):
            continue
        by = who if row.state == CaseState.DECIDED else None
        found.append(Decided(verdict=Verdict(verdict), reason=reason or "", at=at, by=by))
    return found


def _case(row: CaseRow, access: Access, repository: CaseRepository, now: datetime) -> Case:
    is_taken = _is_taken(row, now)
    # A note could tell the second reviewer what the first one thought.
    hides = row.state == CaseState.SECOND and row.first != access.principal.sub
    notes = [
        Note(by=each.author or None, text=each.text, at=each.at)
        for each in repository.notes(row.id)
        if not hides or each.author == _PERSON
    ]
    return Case(
        id=row.id,
        kind=CaseKind(row.kind),
        severity=Severity(row.severity),
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        knowledge_base_id=row.knowledge_base_id,
        categories=row.categories,
        policy_digest=row.policy_digest,
        state=CaseState(row.state),
        opened_at=row.opened_at,
        due_at=row.due_at,
        is_overdue=row.state != CaseState.DECIDED and row.due_at <= now,
        claimed_by=row.claimed_by if is_taken else None,
        claimed_until=row.claimed_until if is_taken else None,
        verdict=None if row.verdict is None else Verdict(row.verdict),
        decisions=_decisions(row, access),
        notes=notes,
    )


def _rule(row: SamplingRuleRow) -> SamplingRule:
    return SamplingRule(
        id=row.id,
        knowledge_base_id=row.knowledge_base_id,
        per_mille=row.per_mille,
        created_by=row.created_by,
        created_at=row.created_at,
    )
