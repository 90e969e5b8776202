"""Who works on a document version: claimed with a fence, kept by heartbeats, refused once it is lost."""

import os
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.db import Database, utc_now
from zhiku_platform.telemetry import get_logger
from zhiku_services.ingestion.lifecycle import Acl, lock_document, requeue
from zhiku_services.ingestion.models import Base, DocumentRow, VersionRow
from zhiku_services.ingestion.states import WORKING, Trace, check_transition
from zhiku_services.ingestion.timing import Timing

log = get_logger(__name__)


class LeaseLostError(Exception):
    """Somebody else has the document, or it was cancelled, superseded or deleted: stop, and write nothing."""


def worker_name() -> str:
    """Name this process: host, process id, and a number of chance, since both come again after a restart."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(worker: str, *, own: str) -> bool:
    """Tell whether `worker` is a process of this host that has ended; False when that cannot be known."""
    host, pid, _ = worker.rsplit(":", 2)
    own_host, own_pid, _ = own.rsplit(":", 2)
    if host != own_host or worker == own:
        return False
    if pid == own_pid:
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@dataclass(slots=True)
class Lease:
    """The right to work on one version; its progress is what the keeper writes with each heartbeat."""

    version_id: str
    document_id: str
    tenant: str
    knowledge_base_id: str
    source_id: str
    path: str
    file_name: str
    title: str
    media_type: str
    blob: str
    size_bytes: int
    attempt: int
    fence: int
    stage: VersionState = VersionState.PREFLIGHT
    stage_started_at: datetime = field(default_factory=utc_now)
    done: int = 0
    total: int | None = None
    passages: int | None = None
    pages: int | None = None
    _lost: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raise if the lease is known to be lost."""
        if self._lost.is_set():
            raise LeaseLostError(self.version_id)

    def lose(self) -> None:
        self._lost.set()

    def enter(self, stage: VersionState, *, total: int | None = None) -> None:
        """Go to the next stage; the keeper writes it with the next heartbeat, with what is known by then.

        A small document is through before that: writing each stage would cost more than the stage.
        """
        self.check()
        check_transition(self.stage, stage)
        self.stage, self.stage_started_at = stage, utc_now()
        self.done, self.total = 0, total

    def writing(self) -> threading.Lock:
        """Keeps a heartbeat from writing an older stage over the one that is being written."""
        return self._writing

    def report(self, done: int, total: int | None) -> None:
        """Set the progress of the stage, and stop here if the lease is lost."""
        self.check()
        self.done, self.total = done, total

    @property
    def publication_id(self) -> str:
        """The version as the knowledge service knows it: another one with each claim.

        So a second run stages its passages beside those of the first, and replaces them all at once.
        """
        return f"{self.version_id}.{self.fence}"


# Built once: building a statement costs more than running it, and these run for every document.
_DOCUMENT = Base.metadata.tables["document"]
_VERSION = Base.metadata.tables["document_version"]
_DUE = (
    (_VERSION.c.id == bindparam("b_version"))
    & (_VERSION.c.state == VersionState.QUEUED.value)
    & or_(_VERSION.c.not_before.is_(None), _VERSION.c.not_before <= bindparam("b_now"))
)
_RAISE_FENCE = (
    update(_DOCUMENT)
    .where(
        _DOCUMENT.c.id == select(_VERSION.c.document_id).where(_DUE).scalar_subquery(),
        _DOCUMENT.c.deleted_at.is_(None),
    )
    .values(fence=_DOCUMENT.c.fence + 1)
    .returning(_DOCUMENT.c.fence)
)
_TAKE = (
    update(_VERSION)
    .where(_DUE)
    .values(
        fence=bindparam("b_fence"),
        state=VersionState.PREFLIGHT.value,
        attempt=_VERSION.c.attempt + 1,
        worker=bindparam("b_worker"),
        lease_until=bindparam("b_until"),
        heartbeat_at=bindparam("b_now"),
        stage_started_at=bindparam("b_now"),
        updated_at=bindparam("b_now"),
        not_before=None,
        done=0,
        total=None,
    )
    .returning(*_VERSION.c)
)
_TRACE = (
    update(_DOCUMENT)
    .where(_DOCUMENT.c.id == bindparam("b_document"), _DOCUMENT.c.fence == bindparam("b_fence"))
    .values(trace=case((_DOCUMENT.c.trace == Trace.FLIP.value, Trace.FLIP.value), else_=bindparam("b_trace")))
    .returning(_DOCUMENT.c.readers, _DOCUMENT.c.level, _DOCUMENT.c.acl_revision)
)
_BEAT = (
    update(_VERSION)
    .where(
        _VERSION.c.id == bindparam("b_version"),
        _VERSION.c.fence == bindparam("b_fence"),
        _VERSION.c.state.in_([state.value for state in sorted(WORKING)]),
    )
    .values(
        {
            name: bindparam(f"b_{name}")
            for name in (
                "state", "stage_started_at", "heartbeat_at", "updated_at", "lease_until", "done", "total",
                "passages", "pages", "media_type", "title",
            )
        }
    )
)  # fmt: skip


def claim(session: Session, version_id: str, *, worker: str, timing: Timing) -> Lease | None:
    """Take a queued version, or None if it is not there, not queued, or not due.

    The attempt is counted here, before anything is parsed.
    """
    now = utc_now()
    connection = session.connection()
    due = {"b_version": version_id, "b_now": now}
    fence = connection.execute(_RAISE_FENCE, due).scalar_one_or_none()
    if fence is None:
        return None
    until = now + timedelta(seconds=timing.lease_s)
    taking = {**due, "b_fence": fence, "b_worker": worker, "b_until": until}
    version = connection.execute(_TAKE, taking).mappings().one_or_none()
    if version is None:
        # Somebody claimed it while we waited for the document; the raised fence goes with this transaction.
        session.rollback()
        return None
    return Lease(
        version_id=version["id"],
        document_id=version["document_id"],
        tenant=version["tenant"],
        knowledge_base_id=version["knowledge_base_id"],
        source_id=version["source_id"],
        path=version["path"],
        file_name=version["path"].rsplit("/", 1)[-1],
        title=version["title"],
        media_type=version["media_type"],
        blob=version["blob"],
        size_bytes=version["size_bytes"],
        attempt=version["attempt"],
        fence=version["fence"],
    )


def advance(session: Session, lease: Lease, stage: VersionState, *, trace: Trace, lease_s: float) -> tuple[Acl, int]:
    """Write a stage before what it announces: `trace` tells what the index may hold from now on.

    Returns the document's ACL of this moment and its revision. Call it inside `lease.writing()`.

    Raises:
        LeaseLostError: the lease is no longer ours.
    """
    acl = _write_trace(session, lease, trace)
    if stage != lease.stage:
        lease.enter(stage, total=lease.total)
    _beat(session, lease, lease_s)
    return acl


def _write_trace(session: Session, lease: Lease, trace: Trace) -> tuple[Acl, int]:
    """Note what the index may hold; what an earlier worker may have made visible stays noted."""
    values = {"b_document": lease.document_id, "b_fence": lease.fence, "b_trace": trace.value}
    found = session.connection().execute(_TRACE, values).one_or_none()
    if found is None:
        raise LeaseLostError(lease.version_id)
    readers, level, revision = found
    return Acl(None if readers is None else tuple(readers), level), revision


def _beat(session: Session, lease: Lease, lease_s: float) -> None:
    """Renew the lease, and write the stage and what is known by now."""
    now = utc_now()
    values = {
        "b_version": lease.version_id,
        "b_fence": lease.fence,
        "b_state": lease.stage.value,
        "b_stage_started_at": lease.stage_started_at,
        "b_heartbeat_at": now,
        "b_updated_at": now,
        "b_lease_until": now + timedelta(seconds=lease_s),
        "b_done": lease.done,
        "b_total": lease.total,
        "b_passages": lease.passages,
        "b_pages": lease.pages,
        "b_media_type": lease.media_type,
        "b_title": lease.title,
    }
    if session.connection().execute(_BEAT, values).rowcount == 0:
        raise LeaseLostError(lease.version_id)


def held(session: Session, lease: Lease) -> tuple[DocumentRow, VersionRow]:
    """The rows of a lease, locked, to end it.

    Raises:
        LeaseLostError: the lease is no longer ours.
    """
    document = lock_document(session, lease.document_id)
    version = session.get(VersionRow, lease.version_id, populate_existing=True)
    if document is None or version is None or version.fence != lease.fence or version.state not in WORKING:
        raise LeaseLostError(lease.version_id)
    return document, version


def _give_back(session: Session, lease: Lease) -> None:
    """Queue a version again that was not finished by no fault of its own; whoever still works on it is fenced off."""
    document, version = held(session, lease)
    document.fence += 1
    version.fence = document.fence
    version.attempt -= 1
    requeue(session, version)


_Written = tuple[VersionState, int, int | None]


def _key(lease: Lease) -> tuple[str, int]:
    return lease.version_id, lease.fence


def _written(lease: Lease) -> _Written:
    return lease.stage, lease.done, lease.total


class LeaseKeeper:
    """One thread that renews every lease of this process, and writes progress where there is some."""

    def __init__(self, database: Database, timing: Timing) -> None:
        self._database = database
        self._timing = timing
        self._lock = threading.Lock()
        # By fence as well: a version that was cancelled and taken up again is held twice for a while.
        self._held: dict[tuple[str, int], tuple[Lease, float, _Written]] = {}
        self._stopping = threading.Event()
        self._is_letting_go = False
        self._let_go: list[Lease] = []
        self._clock = 0.0
        self._thread = threading.Thread(target=self._run, name="ingestion-leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def let_go(self) -> None:
        """Have the work on every lease end soon, and on each that is still taken; `give_back` queues it again."""
        with self._lock:
            self._is_letting_go = True
            self._let_go += [lease for lease, _, _ in self._held.values()]
        for lease in self._let_go:
            lease.lose()

    def give_back(self) -> int:
        """Queue again what was let go, as if it had not been taken; return how many versions.

        What cannot be given back is taken up again when its lease has run out.
        """
        given = 0
        for lease in self._let_go:
            try:
                with self._database.write() as session:
                    _give_back(session, lease)
            except LeaseLostError:
                continue
            except OperationalError as error:
                log.warning("lease_kept", version_id=lease.version_id, error=type(error).__name__)
                continue
            given += 1
        return given

    @contextmanager
    def hold(self, lease: Lease) -> Generator[Lease, None, None]:
        """Keep `lease` alive inside."""
        with self._lock:
            self._held[_key(lease)] = (lease, self._clock + self._timing.renew_s, _written(lease))
            if self._is_letting_go:
                self._let_go.append(lease)
                lease.lose()
        try:
            yield lease
        finally:
            with self._lock:
                self._held.pop(_key(lease), None)

    def tick(self) -> None:
        """Write the heartbeats that are due: after `renew_s`, or at once where progress was made."""
        with self._lock:
            due = [
                lease for lease, at, written in self._held.values() if at <= self._clock or _written(lease) != written
            ]
        for lease in due:
            self._beat(lease)

    def _beat(self, lease: Lease) -> None:
        try:
            with lease.writing():
                written = _written(lease)
                with self._database.write() as session:
                    _beat(session, lease, self._timing.lease_s)
        except LeaseLostError:
            lease.lose()
            return
        except OperationalError as error:
            # The next tick tries again; until the lease ends there is time.
            log.warning("heartbeat_failed", version_id=lease.version_id, error=type(error).__name__)
            return
        with self._lock:
            if _key(lease) in self._held:
                self._held[_key(lease)] = (lease, self._clock + self._timing.renew_s, written)

    def _run(self) -> None:
        while not self._stopping.wait(self._timing.progress_s):
            self._clock += self._timing.progress_s
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001
                # The keeper's outermost loop: a lease that is not renewed is taken over, nothing is lost.
                log.warning("lease_keeper_failed", error=type(error).__name__)
