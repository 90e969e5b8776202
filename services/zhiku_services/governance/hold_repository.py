"""Every query about legal holds."""

from collections.abc import Sequence

from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from zhiku_platform.access import Access
from zhiku_platform.contracts.holds import Held
from zhiku_services.governance.models import HoldRow


class HoldRepository:
    """The holds of the caller's tenant."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._here = col(HoldRow.tenant) == access.tenant

    def holds(self, *, with_released: bool, before: str, limit: int) -> Sequence[HoldRow]:
        """The newest first."""
        query = select(HoldRow).where(self._here)
        if not with_released:
            query = query.where(col(HoldRow.released_at).is_(None))
        if before:
            query = query.where(col(HoldRow.id) < before)
        return self._session.exec(query.order_by(col(HoldRow.id).desc()).limit(limit)).all()

    def locked(self, hold_id: str) -> HoldRow | None:
        """One hold, held against other writers until the end of the transaction."""
        query = select(HoldRow).where(self._here, col(HoldRow.id) == hold_id).with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def keeping(self, things: Sequence[Held]) -> Sequence[HoldRow]:
        """The holds in force on any of the things."""
        query = select(HoldRow).where(
            self._here,
            tuple_(col(HoldRow.scope), col(HoldRow.held_id)).in_({(thing.scope.value, thing.id) for thing in things}),
            col(HoldRow.released_at).is_(None),
        )
        return self._session.exec(query.order_by(col(HoldRow.id))).all()
