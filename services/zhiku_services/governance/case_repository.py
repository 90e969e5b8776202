"""Every query about review cases."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, true
from sqlmodel import Session, col, select

from zhiku_platform.access import Access
from zhiku_platform.contracts.cases import CaseKind, CaseState, NewCase
from zhiku_services.governance.models import CaseNoteRow, CaseRow, SamplingRuleRow

WAITING = (CaseState.OPEN, CaseState.SECOND, CaseState.ESCALATED)


class Place(NamedTuple):
    """Where a page of the queue ended: the queue is in the order of due times."""

    due_at: datetime
    id: str


class CaseRepository:
    """The cases of the caller's tenant, without those that are about the caller."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._access = access
        sub = access.principal.sub
        self._here = and_(
            col(CaseRow.tenant) == access.tenant, or_(col(CaseRow.person).is_(None), col(CaseRow.person) != sub)
        )

    def find(self, case_id: str, *, to_change: bool = False) -> CaseRow | None:
        query = select(CaseRow).where(self._here, col(CaseRow.id) == case_id)
        if to_change:
            query = query.with_for_update().execution_options(populate_existing=True)
        return self._session.exec(query).first()

    def by_source(self, new: NewCase) -> CaseRow | None:
        """The case that was opened for this source; also one about the caller, who is a service."""
        query = select(CaseRow).where(
            col(CaseRow.tenant) == self._access.tenant,
            col(CaseRow.kind) == new.kind,
            col(CaseRow.source_id) == new.source_id,
        )
        return self._session.exec(query).first()

    def queue(
        self,
        *,
        state: CaseState | None,
        kind: CaseKind | None,
        is_overdue: bool,
        is_mine: bool,
        after: Place | None,
        limit: int,
        now: datetime,
    ) -> Sequence[CaseRow]:
        """What waits, or what was decided; the most urgent first."""
        wanted: list[ColumnElement[bool]] = [self._here]
        wanted.append(col(CaseRow.state).in_(WAITING) if state is None else col(CaseRow.state) == state)
        wanted.append(true() if kind is None else col(CaseRow.kind) == kind)
        if is_overdue:
            wanted += [col(CaseRow.state).in_(WAITING), col(CaseRow.due_at) <= now]
        if is_mine:
            wanted += [col(CaseRow.claimed_by) == self._access.principal.sub, col(CaseRow.claimed_until) > now]
        if after is not None:
            later = col(CaseRow.due_at) > after.due_at
            wanted.append(or_(later, and_(col(CaseRow.due_at) == after.due_at, col(CaseRow.id) > after.id)))
        query = select(CaseRow).where(*wanted).order_by(col(CaseRow.due_at), col(CaseRow.id)).limit(limit)
        return self._session.exec(query).all()

    def deciders_on(self, subject_id: str, *, but: str) -> set[str]:
        """Who has decided on another case about the same thing."""
        query = select(CaseRow.first, CaseRow.second, CaseRow.third).where(
            col(CaseRow.tenant) == self._access.tenant, col(CaseRow.subject_id) == subject_id, col(CaseRow.id) != but
        )
        return {sub for row in self._session.exec(query) for sub in row if sub is not None}

    def notes(self, case_id: str) -> Sequence[CaseNoteRow]:
        query = select(CaseNoteRow).where(col(CaseNoteRow.case_id) == case_id).order_by(col(CaseNoteRow.id))
        return self._session.exec(query).all()

    def waiting(self) -> dict[str, int]:
        """How many wait, by kind."""
        query = (
            select(CaseRow.kind, func.count()).where(self._here, col(CaseRow.state).in_(WAITING)).group_by(CaseRow.kind)
        )
        return dict(self._session.exec(query).all())

    def count_overdue(self, now: datetime) -> int:
        query = select(func.count()).where(self._here, col(CaseRow.state).in_(WAITING), col(CaseRow.due_at) <= now)
        return self._session.exec(query).one()

    def decided(self, limit: int) -> Sequence[CaseRow]:
        """The last that were decided."""
        query = select(CaseRow).where(self._here, col(CaseRow.state) == CaseState.DECIDED)
        return self._session.exec(query.order_by(col(CaseRow.decided_at).desc()).limit(limit)).all()

    def rules(self) -> Sequence[SamplingRuleRow]:
        query = select(SamplingRuleRow).where(col(SamplingRuleRow.tenant) == self._access.tenant)
        return self._session.exec(query.order_by(col(SamplingRuleRow.id))).all()

    def rule(self, rule_id: str) -> SamplingRuleRow | None:
        query = select(SamplingRuleRow).where(
            col(SamplingRuleRow.tenant) == self._access.tenant, col(SamplingRuleRow.id) == rule_id
        )
        return self._session.exec(query).first()
