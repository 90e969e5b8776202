"""Every query of the governance service."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, true, update
from sqlmodel import Session, col, select

from zhiku_platform.contracts.governance import ApprovalState, ApprovalSubject, Whose
from zhiku_platform.contracts.identity import Principal
from zhiku_services.governance.models import ApprovalRow

OPEN = (ApprovalState.WAITING, ApprovalState.APPROVED)


class ApprovalRepository:
    """The approvals of one tenant, as far as `viewer` may see them: their own, and everybody's if `sees_all`."""

    def __init__(self, session: Session, viewer: Principal, *, sees_all: bool) -> None:
        self._session = session
        self._viewer = viewer
        self._visible = self._tenant() if sees_all else and_(self._tenant(), self._own())

    def approval(self, approval_id: str) -> ApprovalRow | None:
        return self._session.exec(select(ApprovalRow).where(self._visible, col(ApprovalRow.id) == approval_id)).first()

    def locked(self, approval_id: str) -> ApprovalRow | None:
        """The same, held against other writers until the end of the transaction."""
        query = select(ApprovalRow).where(self._visible, col(ApprovalRow.id) == approval_id).with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def approvals(
        self, *, state: ApprovalState | None, whose: Whose, before: str, limit: int, now: datetime
    ) -> Sequence[ApprovalRow]:
        """The newest first."""
        query = select(ApprovalRow).where(self._visible, self._of(whose, now), _in_state(state, now))
        if before:
            query = query.where(col(ApprovalRow.id) < before)
        return self._session.exec(query.order_by(col(ApprovalRow.id).desc()).limit(limit)).all()

    def open_one(self, subject: ApprovalSubject) -> ApprovalRow | None:
        """The viewer's own request for exactly this that has not ended."""
        query = select(ApprovalRow).where(
            self._tenant(),
            self._own(),
            col(ApprovalRow.action) == subject.action,
            col(ApprovalRow.resource_id) == subject.resource.id,
            col(ApprovalRow.digest) == subject.digest,
            col(ApprovalRow.state).in_(OPEN),
        )
        return self._session.exec(query.with_for_update()).first()

    def claim(self, row: ApprovalRow, *, act_id: str, now: datetime, lease_until: datetime) -> bool:
        """Mark the approval as used by this act, unless something has happened to it since it was read."""
        fenced = (
            update(ApprovalRow)
            .where(
                self._tenant(),
                self._own(),
                col(ApprovalRow.id) == row.id,
                col(ApprovalRow.state) == row.state,
                col(ApprovalRow.fence) == row.fence,
                col(ApprovalRow.digest) == row.digest,
                col(ApprovalRow.expires_at) > now,
                col(ApprovalRow.completed_at).is_(None),
            )
            .values(
                state=ApprovalState.USED,
                act_id=act_id,
                fence=row.fence + 1,
                lease_until=lease_until,
                ended_at=row.ended_at or now,
            )
        )
        return self._session.connection().execute(fenced).rowcount == 1

    def complete(self, approval_id: str, *, act_id: str, fence: int, now: datetime) -> bool:
        """End all claims, if this is the last one and it has not ended already."""
        fenced = (
            update(ApprovalRow)
            .where(
                self._tenant(),
                col(ApprovalRow.id) == approval_id,
                col(ApprovalRow.act_id) == act_id,
                col(ApprovalRow.fence) == fence,
                col(ApprovalRow.completed_at).is_(None),
            )
            .values(completed_at=now)
        )
        return self._session.connection().execute(fenced).rowcount == 1

    def _tenant(self) -> ColumnElement[bool]:
        return col(ApprovalRow.tenant) == self._viewer.tenant

    def _own(self) -> ColumnElement[bool]:
        return col(ApprovalRow.requester) == self._viewer.sub

    def _of(self, whose: Whose, now: datetime) -> ColumnElement[bool]:
        if whose is Whose.MINE:
            return self._own()
        if whose is Whose.ALL:
            return true()
        return and_(
            col(ApprovalRow.state) == ApprovalState.WAITING,
            col(ApprovalRow.expires_at) > now,
            col(ApprovalRow.requester) != self._viewer.sub,
            or_(col(ApprovalRow.approver_1).is_(None), col(ApprovalRow.approver_1) != self._viewer.sub),
        )


def _in_state(state: ApprovalState | None, now: datetime) -> ColumnElement[bool]:
    """What has run out is expired from then on, also before anybody has written that down."""
    if state is None:
        return true()
    has_run_out = and_(col(ApprovalRow.state).in_(OPEN), col(ApprovalRow.expires_at) <= now)
    if state is ApprovalState.EXPIRED:
        return or_(col(ApprovalRow.state) == state, has_run_out)
    return and_(col(ApprovalRow.state) == state, ~has_run_out)


def due(session: Session, *, now: datetime, limit: int) -> Sequence[ApprovalRow]:
    """Approvals of every tenant that have run out and do not say so yet, locked."""
    query = select(ApprovalRow).where(col(ApprovalRow.state).in_(OPEN), col(ApprovalRow.expires_at) <= now)
    return session.exec(query.order_by(col(ApprovalRow.id)).limit(limit).with_for_update(skip_locked=True)).all()
