"""What the gateway holds of a person: their line in the directory's mirror, sessions and keys.

The mirror follows the identity provider, so the account has to be ended there first; a later sync brings it back.
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, delete, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.db import Database
from zhiku_platform.erasure import counted, found
from zhiku_services.gateway.models import AUDIT_OUTBOX, ApiKeyRow, ProviderLogoutRow, SessionRow, UserRow


@dataclass(frozen=True)
class PersonalData:
    """The account and all that signs in with it."""

    database: Database

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.database.read() as session:
            person = _Person(session, access, sought)
            return [
                *counted("directory_user", Disposition.ERASE, len(person.issuers)),
                *found("session", Disposition.ERASE, person.ids(SessionRow)),
                *found("api_key", Disposition.ERASE, person.ids(ApiKeyRow)),
                *counted("logout_notice", Disposition.ERASE, person.notices()),
            ]

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        with self.database.write() as session:
            person = _Person(session, access, order)
            counts = {
                "session": len(person.ids(SessionRow)),
                "api_key": len(person.ids(ApiKeyRow)),
                "logout_notice": person.notices(),
                "directory_user": len(person.issuers),
            }
            person.delete()
            if any(counts.values()):
                record(session, AUDIT_OUTBOX, event_of(access, "person.erased", order.erasure_id, **counts))
        self.database.scrub()
        return counts


class _Person:
    """The rows of one person in one transaction, whichever issuer vouched for them."""

    def __init__(self, session: Session, access: Access, sought: PersonSought) -> None:
        self._session = session
        self._sub = sought.sub
        self._tenant = access.tenant
        query = select(UserRow.issuer).where(col(UserRow.tenant) == access.tenant, col(UserRow.sub) == sought.sub)
        self.issuers = list(session.exec(query))

    def ids(self, table: type[SessionRow] | type[ApiKeyRow]) -> list[str]:
        return list(self._session.exec(select(table.id).where(*self._theirs(table))))

    def notices(self) -> int:
        return len(self._session.exec(select(ProviderLogoutRow).where(*self._told())).all())

    def delete(self) -> None:
        for table in (SessionRow, ApiKeyRow):
            self._session.exec(delete(table).where(*self._theirs(table)))
        self._session.exec(delete(ProviderLogoutRow).where(*self._told()))
        self._session.exec(delete(UserRow).where(col(UserRow.tenant) == self._tenant, col(UserRow.sub) == self._sub))

    def _theirs(self, table: Any) -> tuple[Any, Any]:
        return col(table.sub) == self._sub, col(table.issuer).in_(self.issuers)

    def _told(self) -> tuple[Any, Any, Any]:
        row = ProviderLogoutRow
        return col(row.kind) == "sub", col(row.value) == self._sub, col(row.issuer).in_(self.issuers)
