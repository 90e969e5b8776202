"""Who works on a document version: claimed with a fence, kept by heartbeats, refused once it is lost."""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.db import Database, utc_now
from zhiku_platform.telemetry import get_logger
from zhiku_services.ingestion.lifecycle import Acl, lock_document
from zhiku_services.ingestion.models import DocumentRow, VersionRow
from zhiku_services.ingestion.states import WORKING, Trace, check_transition
from zhiku_services.ingestion.timing import Timing

log = get_logger(__name__)


class LeaseLostError(Exception):
    """Somebody else has the document now, or it was cancelled, superseded or deleted: stop, and write nothing."""


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
    """The right to work on one version. `stage` and progress are what the keeper writes with each heartbeat."""

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
    done: int = 0
    total: int | None = None
    _lost: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise if the lease is known to be lost."""
        if self._lost.is_set():
            raise LeaseLostError(self.version_id)

    def lose(self) -> None:
        self._lost.set()

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


def claim(session: Session, version_id: str, *, worker: str, timing: Timing) -> Lease | None:
    """Take a queued version, or None if it is not there, not queued, or not due.

    The attempt is counted here, before anything is parsed.
    """
    document_id = session.exec(
        select(VersionRow.document_id).where(col(VersionRow.id) == version_id)
    ).one_or_none()
    document = None if document_id is None else lock_document(session, document_id)
    version = session.get(VersionRow, version_id, populate_existing=True)
    now = utc_now()
    if (
        document is None
        or version is None
        or version.state != VersionState.QUEUED
        or document.deleted_at is not None
    ):
        return None
    if version.not_before is not None and version.not_before > now:
        return None
    document.fence += 1
    version.fence = document.fence
    version.state = VersionState.PREFLIGHT
    version.attempt += 1
    version.worker = worker
    version.lease_until = now + timedelta(seconds=timing.lease_s)
    version.heartbeat_at = version.stage_started_at = version.updated_at = now
    version.not_before = None
    version.done, version.total = 0, None
    session.flush()
    return Lease(
        version_id=version.id,
        document_id=document.id,
        tenant=version.tenant,
        knowledge_base_id=version.knowledge_base_id,
        source_id=version.source_id,
        path=version.path,
        file_name=version.path.rsplit("/", 1)[-1],
        title=version.title,
        media_type=version.media_type,
        blob=version.blob,
        size_bytes=version.size_bytes,
        attempt=version.attempt,
        fence=version.fence,
    )


def advance(
    session: Session,
    lease: Lease,
    stage: VersionState,
    *,
    trace: Trace | None = None,
    passages: int | None = None,
    pages: int | None = None,
    media_type: str | None = None,
    title: str | None = None,
    total: int | None = None,
) -> None:
    """Move the version to its next stage.

    Raises:
        LeaseLostError: the lease is no longer ours.
    """
    check_transition(lease.stage, stage)
    if trace is not None:
        _write_trace(session, lease, trace)
    now = utc_now()
    values = {"passages": passages, "pages": pages, "media_type": media_type, "title": title}
    _fenced(
        session,
        lease,
        state=stage,
        stage_started_at=now,
        heartbeat_at=now,
        updated_at=now,
        done=0,
        total=total,
        **{name: value for name, value in values.items() if value is not None},
    )
    lease.stage, lease.done, lease.total = stage, 0, total


def _write_trace(session: Session, lease: Lease, trace: Trace) -> None:
    document = lock_document(session, lease.document_id)
    if document is None or document.fence != lease.fence:
        raise LeaseLostError(lease.version_id)
    if document.trace != Trace.FLIP:
        document.trace = trace
        session.flush()


def _fenced(session: Session, lease: Lease, **values: object) -> None:
    written = session.execute(
        update(VersionRow)
        .where(
            col(VersionRow.id) == lease.version_id,
            col(VersionRow.fence) == lease.fence,
            col(VersionRow.state).in_(WORKING),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if written.rowcount == 0:  # type: ignore[attr-defined]  # a CursorResult, which the stub calls Result
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


def current_acl(session: Session, lease: Lease) -> tuple[Acl, int]:
    """The document's ACL now, and its revision."""
    row = session.exec(
        select(DocumentRow.readers, DocumentRow.level, DocumentRow.acl_revision).where(
            col(DocumentRow.id) == lease.document_id
        )
    ).one()
    readers, level, revision = row
    return Acl(None if readers is None else tuple(readers), level), revision


class LeaseKeeper:
    """One thread that renews every lease of this process, and writes progress where there is some."""

    def __init__(self, database: Database, timing: Timing) -> None:
        self._database = database
        self._timing = timing
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Lease, float, tuple[int, int | None]]] = {}
        self._stopping = threading.Event()
        self._clock = 0.0
        self._thread = threading.Thread(target=self._run, name="ingestion-leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[Lease]:
        """Keep `lease` alive inside."""
        with self._lock:
            self._held[lease.version_id] = (lease, self._clock + self._timing.renew_s, (0, None))
        try:
            yield lease
        finally:
            with self._lock:
                self._held.pop(lease.version_id, None)

    def tick(self) -> None:
        """Write the heartbeats that are due: after `renew_s`, or at once where progress was made."""
        with self._lock:
            due = [
                lease
                for lease, at, written in self._held.values()
                if at <= self._clock or (lease.total is not None and (lease.done, lease.total) != written)
            ]
        for lease in due:
            self._beat(lease)

    def _beat(self, lease: Lease) -> None:
        now = utc_now()
        progress = (lease.done, lease.total)
        values: dict[str, object] = {
            "lease_until": now + timedelta(seconds=self._timing.lease_s),
            "heartbeat_at": now,
        }
        if lease.total is not None:
            values |= {"done": lease.done, "total": lease.total}
        try:
            with self._database.write() as session:
                _fenced(session, lease, **values)
        except LeaseLostError:
            lease.lose()
            return
        except OperationalError as error:
            # The next tick tries again; until the lease ends there is time.
            log.warning("heartbeat_failed", version_id=lease.version_id, error=type(error).__name__)
            return
        with self._lock:
            if lease.version_id in self._held:
                self._held[lease.version_id] = (lease, self._clock + self._timing.renew_s, progress)

    def _run(self) -> None:
        while not self._stopping.wait(self._timing.progress_s):
            self._clock += self._timing.progress_s
            try:
                self.tick()
            except Exception as error:
                # The keeper's outermost loop: a lease that is not renewed is taken over, nothing is lost.
                log.error("lease_keeper_failed", error=type(error).__name__)
