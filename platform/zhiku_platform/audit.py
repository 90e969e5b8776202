"""The audit outbox: `record(session, event)` in the same transaction as the change that it tells of.

What is committed here is never lost: an `OutboxRelay` hands it to the audit service, and keeps it until that
has said that it is durable there. Events carry ids, counts and digests in their details; text of users or
documents only in their sealed part.
"""

import hashlib
import secrets
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Integer,
    MetaData,
    Pool,
    String,
    Table,
    delete,
    event,
    select,
    type_coerce,
)
from sqlalchemy import insert as insert_into
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.contracts.audit import (
    ACTIONS,
    MAX_CLEAR_BYTES,
    MAX_INT,
    MAX_PERSON,
    MAX_VOIDED,
    AuditEvent,
    Detail,
    Outcome,
    ProducedEvent,
    Stamp,
    UnknownActionError,
    UnrecordableEventError,
    clear_size,
    people_in,
)
from zhiku_platform.db import Database, UtcDateTime
from zhiku_platform.telemetry import get_logger

__all__ = [
    "AuditEvent",
    "Deliver",
    "OutboxRelay",
    "Outcome",
    "audit_outbox",
    "event_of",
    "listed",
    "record",
    "take_batch",
]

log = get_logger(__name__)

Deliver = Callable[[Sequence[ProducedEvent]], object]
"""Makes events durable at the audit service, or raises; those it has already are skipped there."""

_HIDDEN = "$"
"""The key in an outbox row's details under which stands what a reader of details does not see."""
_STAMPS = "zhiku_audit_stamps"
_BATCH = 500
_SEND_EVERY_S = 2.0
_RETRY_S = 1.0
# Of one list. A pseudonym may take the place of a short name, so each counts as one; two lists fit into an event.
_LISTED = 400
_LISTED_BYTES = 20 * 1024
_LISTED_EXTRA_BYTES = 45


class _Details(TypeDecorator[dict[str, Any]]):
    """The details of an event, with its stamp and sealed part hidden beside them."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002 - the base names it
        return None if value is None else {name: detail for name, detail in value.items() if name != _HIDDEN}


def audit_outbox(metadata: MetaData) -> Table:
    """Declare the outbox among a service's tables. `seq` counts up without reuse within the service."""
    return Table(
        "audit_outbox",
        metadata,
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("id", String(40), nullable=False, unique=True),
        Column("at", UtcDateTime, nullable=False),
        Column("tenant", String(100), nullable=False),
        Column("actor", String(200), nullable=False),
        Column("action", String(80), nullable=False),
        Column("subject", String(200), nullable=False),
        Column("outcome", String(20), nullable=False),
        Column("details", _Details, nullable=False),
        sqlite_autoincrement=True,
    )


def record(session: Session, outbox: Table, event: AuditEvent) -> None:
    """Write `event` into the outbox within the caller's transaction.

    Raises:
        UnknownActionError: the catalogue has no such action.
        UnrecordableEventError: the log could not take it.
    """
    if event.action not in ACTIONS:
        raise UnknownActionError(event.action)
    _check_details(event)
    boot, seq, voided = _stamp(session)
    values = event.model_dump(exclude={"sealed", "group"})
    hidden: dict[str, Any] = {"boot": boot, "seq": seq}
    if voided:
        hidden["voided"] = voided
    if event.sealed:
        hidden |= {"sealed": event.sealed, "group": event.group}
    values["details"] = {**values["details"], _HIDDEN: hidden}
    session.execute(insert_into(outbox).values(**values))


def event_of(access: Access, action: str, subject: str, **details: Detail) -> AuditEvent:
    """An event of the caller's own doing."""
    return AuditEvent(
        action=action, tenant=access.tenant, actor=access.principal.sub, subject=subject, details=dict(details)
    )


def listed(name: str, values: Sequence[str] | None) -> dict[str, Detail]:
    """A list of any length as a detail: the first ones, and of a longer list `NAME_total` and `NAME_sha256`."""
    if values is None:
        return {name: None}
    sizes = accumulate(len(value.encode()) + _LISTED_EXTRA_BYTES for value in values[:_LISTED])
    first = [value for value, size in zip(values, sizes, strict=False) if size <= _LISTED_BYTES]
    if len(first) == len(values):
        return {name: first}
    digest = hashlib.sha256("\0".join(values).encode()).hexdigest()
    return {name: first, f"{name}_total": len(values), f"{name}_sha256": digest}


def _check_details(event: AuditEvent) -> None:
    size = clear_size(event.details)
    if size > MAX_CLEAR_BYTES:
        raise UnrecordableEventError(f"`{event.action}` has {size} bytes of details; put text into its sealed part")
    for name, value in event.details.items():
        if not name.isascii():
            raise UnrecordableEventError(f"`{event.action}` has a detail whose name is not ASCII")
        if isinstance(value, float) or (isinstance(value, int) and abs(value) > MAX_INT):
            raise UnrecordableEventError(f"`{event.action}.{name}` is a float or beyond 2^53 - 1; write it as text")
        if any(len(who) > MAX_PERSON for who in people_in(name, value)):
            raise UnrecordableEventError(f"`{event.action}.{name}` is longer than any user's id")


class _Numbers:
    """The sequence of one process on one database: what makes a missing event visible."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._last = 0
        self._voided: list[int] = []

    def take(self) -> tuple[int, list[int]]:
        """The next number, and those voided since the last one was taken."""
        with self._lock:
            self._last += 1
            voided = sorted(self._voided)
            self._voided = voided[MAX_VOIDED:]
            return self._last, voided[:MAX_VOIDED]

    def void(self, numbers: list[int]) -> None:
        with self._lock:
            self._voided += numbers


_numbers: "weakref.WeakKeyDictionary[Pool, _Numbers]" = weakref.WeakKeyDictionary()
_numbers_lock = threading.Lock()


@dataclass
class _Taken:
    """What an open transaction has taken."""

    numbers: _Numbers
    taken: list[int]


def _stamp(session: Session) -> tuple[str, int, list[int]]:
    pool = session.get_bind().engine.pool
    with _numbers_lock:
        numbers = _numbers.setdefault(pool, _Numbers())
    seq, voided = numbers.take()
    pending: _Taken = session.info.setdefault(_STAMPS, _Taken(numbers, []))
    # If this transaction fails as well, what it was to announce has to be announced by a later one.
    pending.taken += [seq, *voided]
    return numbers.boot, seq, voided


@event.listens_for(OrmSession, "after_commit")
def _keep_numbers(session: OrmSession) -> None:
    session.info.pop(_STAMPS, None)


@event.listens_for(OrmSession, "after_transaction_end")
def _void_numbers(session: OrmSession, transaction: SessionTransaction) -> None:
    if transaction.parent is None and (pending := session.info.pop(_STAMPS, None)) is not None:
        pending.numbers.void(pending.taken)


def take_batch(session: Session, outbox: Table, producer: str, limit: int = _BATCH) -> list[ProducedEvent]:
    """The events that wait longest, in order; they stay in the outbox."""
    details = type_coerce(outbox.c.details, JSON).label("all_details")
    columns = [column for column in outbox.c if column.name != "details"]
    rows = session.execute(select(*columns, details).order_by(outbox.c.seq).limit(limit)).mappings().all()
    return [_produced(row, producer) for row in rows]


def _produced(row: Mapping[Any, Any], producer: str) -> ProducedEvent:
    details = dict(row["all_details"])
    # An outbox may hold events from before there were stamps.
    hidden = details.pop(_HIDDEN, None)
    fields = {name: row[name] for name in ("id", "at", "tenant", "actor", "action", "subject", "outcome")}
    if hidden is None:
        return ProducedEvent(event=AuditEvent.model_validate({**fields, "details": details}))
    sealed = {"sealed": hidden["sealed"], "group": hidden["group"]} if "sealed" in hidden else {}
    return ProducedEvent(
        event=AuditEvent.model_validate({**fields, **sealed, "details": details}),
        stamp=Stamp(producer=producer, boot=hidden["boot"], seq=hidden["seq"], voided=hidden.get("voided", [])),
    )


class OutboxRelay:
    """Hands one service's outbox to the audit service: woken by each commit, and by the clock.

    An event leaves the outbox after `deliver` returned; a crash in between delivers it again, which changes
    nothing there.
    """

    def __init__(self, database: Database, outbox: Table, deliver: Deliver) -> None:
        self._database = database
        self._outbox = outbox
        self._deliver = deliver
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"audit-relay-{database.service}", daemon=True)
        database.on_commit(self._wake.set)

    def start(self) -> None:
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """Deliver what is there, and end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=10)

    def relay(self) -> int:
        """Deliver one batch; return how many events it had."""
        with self._database.read() as session:
            batch = take_batch(session, self._outbox, self._database.service)
        if not batch:
            return 0
        self._deliver(batch)
        # Not through `Database.write`: the relay must not wake itself.
        with self._database.engine.begin() as connection:
            ids = [produced.event.id for produced in batch]
            connection.execute(delete(self._outbox).where(self._outbox.c.id.in_(ids)))
        return len(batch)

    def _run(self) -> None:
        while True:
            self._wake.wait(_SEND_EVERY_S)
            self._wake.clear()
            # Read before the outbox is: what was committed before `stop` is delivered by this pass or by the next.
            stopping = self._stopping.is_set()
            try:
                while self.relay() == _BATCH:
                    pass
            except Exception as error:  # noqa: BLE001 - the relay's outermost loop: the rows stay
                log.warning("audit_relay_failed", service=self._database.service, error=type(error).__name__)
                self._stopping.wait(_RETRY_S)
            if stopping:
                return
