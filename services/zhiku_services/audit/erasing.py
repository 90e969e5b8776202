"""What the audit log holds of a person, and how it is forgotten without touching an entry.

Their pseudonym leads nowhere once its salt is gone, and what is sealed stays so once the key of its record group is.
The desk names the groups, for the log itself does not know whose they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of
from zhiku_platform.contracts.audit import ProducedEvent
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.erasure import counted, found, require_desk
from zhiku_services.audit.models import RECORD_KEY, VIEW
from zhiku_services.audit.sealing import Vault
from zhiku_services.audit.service import Trail

_AT_ONCE = 500


@dataclass(frozen=True)
class PersonalData:
    """Pseudonym, keys of record groups, saved searches."""

    trail: Trail

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.trail.database.read() as session:
            connection = session.connection()
            is_known = Vault(connection, self.trail.keys).known_pseudonym(access.tenant, sought.sub) is not None
            return [
                *found("record_group", Disposition.ERASE, _with_key(connection, access.tenant, sought.groups)),
                *counted("pseudonym", Disposition.ERASE, int(is_known)),
                *counted("saved_search", Disposition.ERASE, _views(connection, access.tenant, sought.sub)),
                *counted("spooled_event", Disposition.ERASE, self.trail.intake.waiting_in_spool()),
            ]

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        """Destroy keys and the link in one transaction; the file of erasures has each before that."""
        counts = {"record_group": 0, "pseudonym": 0}
        database = self.trail.database
        with database.write() as session:
            connection = session.connection()
            if database.is_sqlite:
                # What goes are keys: SQLite has to write over them.
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            vault = Vault(connection, self.trail.keys)
            for group in _with_key(connection, access.tenant, order.groups):
                counts["record_group"] += vault.erase_group(access.tenant, group)
                self._record(connection, access, "audit.group_erased", group)
            pseudonym = vault.forget_person(access.tenant, order.sub)
            if pseudonym is not None:
                counts["pseudonym"] = 1
                self._record(connection, access, "audit.person_forgotten", pseudonym)
            counts["saved_search"] = _views(connection, access.tenant, order.sub)
            connection.execute(delete(VIEW).where(VIEW.c.tenant == access.tenant, VIEW.c.owner == order.sub))
        database.scrub(is_whole=False)
        return counts

    def _record(self, connection: Connection, access: Access, action: str, subject: str) -> None:
        self.trail.intake.store(connection, [ProducedEvent(event=event_of(access, action, subject))])


def sign_certificate(access: Access, digest: str, trail: Trail) -> str:
    """Put the log's name to what the erasure desk certifies, by its SHA-256 in hex; a C2SP signed note.

    Raises:
        ForbiddenError: the caller is not governance.
    """
    require_desk(access)
    return trail.signer.sign_erasure(digest)


def _with_key(connection: Connection, tenant: str, groups: Sequence[str]) -> list[str]:
    """Those of the groups whose key is there."""
    names = sorted(set(groups))
    return [
        group
        for start in range(0, len(names), _AT_ONCE)
        for group in connection.execute(
            select(RECORD_KEY.c.record_group)
            .where(RECORD_KEY.c.tenant == tenant, RECORD_KEY.c.record_group.in_(names[start : start + _AT_ONCE]))
            .order_by(RECORD_KEY.c.record_group)
        ).scalars()
    ]


def _views(connection: Connection, tenant: str, sub: str) -> int:
    query = select(func.count()).select_from(VIEW).where(VIEW.c.tenant == tenant, VIEW.c.owner == sub)
    return connection.execute(query).scalar_one()
