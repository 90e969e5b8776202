"""Every query of the safety service."""

from sqlmodel import Session, col, select

from zhiku_services.safety.models import PolicyRow


class PolicyRepository:
    """The policies of one tenant, whose rules hold for everybody in it."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def latest(self) -> PolicyRow | None:
        """The one in force; None if nobody has changed it yet."""
        rows = select(PolicyRow).where(PolicyRow.tenant == self._tenant).order_by(col(PolicyRow.number).desc())
        return self._session.exec(rows.limit(1)).first()

    def add(self, row: PolicyRow) -> None:
        self._session.add(row)
        self._session.flush()
