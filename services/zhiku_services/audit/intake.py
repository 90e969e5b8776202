"""Makes events durable: in the inbox of the database, or in the spool while that fails.

One thread at a time commits what all are waiting with, so that many single events share one sync of the disk
(group commit); nobody waits for company.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, union_all
from sqlalchemy.exc import SQLAlchemyError

from zhiku_platform.contracts.audit import (
    ACTIONS,
    MAX_CLEAR_BYTES,
    MAX_PERSON,
    PEOPLE,
    Accepted,
    AuditEvent,
    Detail,
    OnOutage,
    Outcome,
    ProducedEvent,
    Stamp,
    SubjectKind,
    clear_size,
    people_in,
)
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.audit.canonical import canonical, encode
from zhiku_services.audit.errors import (
    AuditUnavailableError,
    EventTooLargeError,
    NotCanonicalError,
    UnknownEventError,
)
from zhiku_services.audit.models import ENTRY, INBOX
from zhiku_services.audit.sealing import MasterKeys, Vault
from zhiku_services.audit.spool import Spool
from zhiku_services.audit.times import to_text

log = get_logger(__name__)

_GROUP = 1000
_OCSF_OTHER = 99
_OCSF_STATUS: Mapping[Outcome, int] = {Outcome.DONE: 1, Outcome.DENIED: 2, Outcome.FAILED: 2}


_INSERT = {
    # Two arrays, and not a statement for each row: half the work for the server.
    "postgresql": "INSERT INTO inbox (event_id, payload) SELECT * FROM unnest(%b::text[], %b::bytea[])"
    " ON CONFLICT DO NOTHING",
    "sqlite": "INSERT INTO inbox (event_id, payload) VALUES (?, ?) ON CONFLICT DO NOTHING",
}


class _Waiting:
    """Events of one caller, who sleeps until they are settled, or until it is its turn to settle a group."""

    def __init__(self, events: Sequence[ProducedEvent], *, may_lose: bool) -> None:
        self.events = events
        self.may_lose = may_lose and all(
            ACTIONS[produced.event.action].on_outage is OnOutage.COUNT for produced in events
        )
        self.called = threading.Event()
        self.accepted: Accepted | None = None
        self.error: BaseException | None = None

    @property
    def is_settled(self) -> bool:
        return self.accepted is not None or self.error is not None


class Intake:
    """Takes events from every thread of a process."""

    def __init__(self, database: Database, spool: Spool, keys: MasterKeys) -> None:
        self._database = database
        self._spool = spool
        self._keys = keys
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._is_led = False
        self.lost = 0
        """Events that could be written nowhere, of classes that do not stop the act."""

    def append(self, events: Sequence[ProducedEvent], *, may_lose: bool = False) -> Accepted:
        """Make events durable; those that are in the log or the inbox already are skipped.

        With `may_lose`, events whose class allows it are counted instead of refused while no sink can write.

        Raises:
            UnknownEventError: the catalogue lacks an action.
            NotCanonicalError: an event cannot be written down in one form only.
            EventTooLargeError: an event is too long.
            AuditUnavailableError: no sink can write; the acts must not happen, and none of the events counts as
                recorded.
        """
        for produced in events:
            _check(produced.event)
        waiting = _Waiting(events, may_lose=may_lose)
        with self._lock:
            self._waiting.append(waiting)
            leads, self._is_led = not self._is_led, True
        if not leads:
            waiting.called.wait()
        if not waiting.is_settled:
            self._lead(waiting)
        if waiting.error is not None:
            raise waiting.error
        assert waiting.accepted is not None
        return waiting.accepted

    def append_event(self, event: AuditEvent) -> None:
        """Make an event of the audit service's own durable; see `append`."""
        self.append([ProducedEvent(event=event)])

    def _lead(self, own: _Waiting) -> None:
        """Settle groups until our own events are, then call the next one to lead."""
        try:
            while not own.is_settled:
                self._commit(self._take())
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                if self._is_led:
                    self._waiting[0].called.set()

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        size = 0
        with self._lock:
            while self._waiting and size < _GROUP:
                taken.append(self._waiting.popleft())
                size += len(taken[-1].events)
        return taken

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            self._settle(group)
        except BaseException as error:
            for waiting in group:
                waiting.error = waiting.error or error
            raise
        finally:
            for waiting in group:
                waiting.called.set()

    def _settle(self, group: list[_Waiting]) -> None:
        try:
            with self._database.write() as session:
                self.store(session.connection(), [event for waiting in group for event in waiting.events])
        except SQLAlchemyError as error:
            for waiting in group:
                self._spool_one(waiting)
            log.error("audit_inbox_failed", error=type(error).__name__)
            return
        except ZhikuError as error:
            if len(group) == 1:
                group[0].error = error
            else:
                # Only who brought what cannot be written is refused.
                for waiting in group:
                    self._settle([waiting])
            return
        for waiting in group:
            waiting.accepted = Accepted(accepted=len(waiting.events))

    def _spool_one(self, waiting: _Waiting) -> None:
        try:
            self._spool.append(waiting.events)
        except OSError as error:
            log.error("audit_spool_failed", error=type(error).__name__)
            if not waiting.may_lose:
                waiting.error = AuditUnavailableError()
                return
            with self._lock:
                self.lost += len(waiting.events)
            waiting.accepted = Accepted(accepted=0)
            return
        waiting.accepted = Accepted(accepted=len(waiting.events), spooled=len(waiting.events))

    def drain_spool(self) -> int:
        """Move what is spooled into the inbox; return how many events.

        Raises:
            SQLAlchemyError: the database still fails; the spool stays as it is.
        """
        return self._spool.drain(self._store_all)

    def _store_all(self, events: Sequence[ProducedEvent]) -> None:
        with self._database.write() as session:
            self.store(session.connection(), events)

    def store(self, connection: Connection, events: Sequence[ProducedEvent]) -> None:
        """Write events into the inbox within the caller's transaction."""
        vault = Vault(connection, self._keys)
        known = _known(connection, [produced.event.id for produced in events if produced.event.sealed])
        now = to_text(utc_now())
        rows = [
            (produced.event.id, write_down(produced, vault, now))
            for produced in events
            if produced.event.id not in known
        ]
        if rows:
            _insert(connection, rows)

    def forget_losses(self, told: int) -> None:
        """Take losses off the count that the log has been told of."""
        with self._lock:
            self.lost -= told

    def waiting_in_spool(self) -> int:
        return self._spool.count()

    def set_aside_in_spool(self) -> int:
        """How many lines of the spool nobody could read."""
        return self._spool.count_unreadable()


def _insert(connection: Connection, rows: list[tuple[str, bytes]]) -> None:
    """Put events into the inbox; those that are there already stay as they are."""
    statement = _INSERT[connection.dialect.name]
    if connection.dialect.name == "postgresql":
        ids, payloads = zip(*rows, strict=True)
        connection.exec_driver_sql(statement, (list(ids), list(payloads)))
    else:
        connection.exec_driver_sql(statement, rows)


def write_down(produced: ProducedEvent, vault: Vault, recorded: str) -> bytes:
    """The canonical bytes of an event: a CloudEvent whose data has the shape of OCSF, people as pseudonyms.

    Its details must have been checked: all else here is text and small integers.
    """
    event = produced.event
    kind = ACTIONS[event.action]
    class_uid = kind.event_class.value
    data: dict[str, Any] = {
        "activity_id": _OCSF_OTHER,
        "activity_name": event.action.partition(".")[2],
        "actor": {"user": {"uid": _name(event.actor, event.tenant, vault)}},
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "status_id": _OCSF_STATUS[event.outcome],
        "type_uid": class_uid * 100 + _OCSF_OTHER,
        "unmapped": {"kb": _details(event, vault)},
        "outcome": event.outcome.value,
        "tenant": event.tenant,
    }
    if event.sealed:
        assert event.group is not None
        data["sealed"] = vault.seal(event.id, event.tenant, event.group, event.sealed)
    if produced.stamp is not None:
        data["producer"] = _stamp(produced.stamp)
    is_person = kind.subject is SubjectKind.USER
    return encode(
        {
            "data": data,
            "datacontenttype": "application/json",
            "id": event.id,
            "recordedtime": recorded,
            "source": f"/zhiku/{produced.stamp.producer if produced.stamp else 'audit'}",
            "specversion": "1.0",
            "subject": _name(event.subject, event.tenant, vault) if is_person else event.subject,
            "time": to_text(event.at),
            "type": f"zhiku.{event.action}",
        }
    )


def _stamp(stamp: Stamp) -> dict[str, Any]:
    stamped: dict[str, Any] = {"name": stamp.producer, "boot": stamp.boot, "seq": stamp.seq}
    return {**stamped, "voided": stamp.voided} if stamp.voided else stamped


def _name(who: str, tenant: str, vault: Vault) -> str:
    """Services keep their names; a person gets a pseudonym, with the prefix of an ACL token if it had one."""
    if who.startswith(("svc-", "group:")) or who in {"", "anonymous", "everyone", "operator"}:
        return who
    if who.startswith("user:"):
        return f"user:{vault.pseudonym(tenant, who.removeprefix('user:'))}"
    return vault.pseudonym(tenant, who)


def _details(event: AuditEvent, vault: Vault) -> dict[str, Detail]:
    details = dict(event.details)
    for name in PEOPLE & details.keys():
        named = [_name(who, event.tenant, vault) for who in people_in(name, details[name])]
        if named:
            details[name] = named if isinstance(details[name], list) else named[0]
    return details


def _check(event: AuditEvent) -> None:
    """Refuse alone, and now, what would otherwise fail with the whole group, or when it is too late to say no."""
    if event.action not in ACTIONS:
        raise UnknownEventError(
            f"There is no event `{event.action}`.", remedy="Declare it in the catalogue of zhiku_platform."
        )
    canonical(dict(event.details))
    size = clear_size(event.details)
    if size > MAX_CLEAR_BYTES:
        raise EventTooLargeError(
            f"Details of {size} bytes are more than the {MAX_CLEAR_BYTES} that an event may have.",
            remedy="Record digests and counts; put text into the sealed part.",
        )
    texts = [event.actor, event.subject, event.tenant, event.group or "", *event.sealed, *event.sealed.values()]
    people = [who for name, value in event.details.items() for who in people_in(name, value)]
    if any(not _is_text(text) for text in texts) or any(len(who) > MAX_PERSON or "\0" in who for who in people):
        raise NotCanonicalError("A name or a sealed text cannot be stored.", remedy="Correct the name, or the text.")


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: half a surrogate pair cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _known(connection: Connection, ids: list[str]) -> set[str]:
    """Those that are in the log or the inbox; only a sealed part would be sealed, and kept, a second time."""
    if not ids:
        return set()
    query = union_all(
        select(ENTRY.c.event_id).where(ENTRY.c.event_id.in_(ids)),
        select(INBOX.c.event_id).where(INBOX.c.event_id.in_(ids)),
    )
    return set(connection.execute(query).scalars())
