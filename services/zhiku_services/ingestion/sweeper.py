"""What brings back whatever was left lying: lost leases, lost tasks, due retries, untold changes."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from sqlalchemy import delete
from sqlmodel import Session, col, or_, select

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.audit import AuditEvent, record
from zhiku_platform.blobs import BlobStore
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.holds import Held
from zhiku_platform.contracts.ingestion import Reason, SyncState, VersionState
from zhiku_platform.db import Database, utc_now
from zhiku_platform.holds import CheckHolds, HeldError, with_documents
from zhiku_platform.queue import enqueue
from zhiku_platform.telemetry import get_logger
from zhiku_services.ingestion import lifecycle
from zhiku_services.ingestion.leases import is_dead
from zhiku_services.ingestion.models import (
    AUDIT_OUTBOX,
    TASK_OUTBOX,
    DocumentRow,
    IdempotencyRow,
    SourceRow,
    SyncRow,
    VersionRow,
)
from zhiku_services.ingestion.states import WORKING, Pending
from zhiku_services.ingestion.timing import Timing

log = get_logger(__name__)

_BATCH = 500
_LOOK_EVERY_S = 10
_HELD_S = 3600
_AFTER_PARSING = frozenset({VersionState.EMBEDDING, VersionState.PUBLISHING})


@dataclass(frozen=True, slots=True)
class Swept:
    """How many versions, syncs and documents one sweep took up again, and how many keys and documents it dropped."""

    lost: int = 0
    queued: int = 0
    syncs: int = 0
    pushes: int = 0
    forgotten: int = 0
    dropped: int = 0
    orphans: int = 0


class Sweeper:
    """Sweeps every `sweep_s` seconds, and once at the start.

    At the start everything queued is enqueued again if `broker_forgets`, as an in-process broker does, and
    leases of dead processes of this host are taken back without waiting for their end.
    """

    def __init__(
        self,
        database: Database,
        timing: Timing,
        *,
        blobs: BlobStore,
        knowledge: KnowledgeClient,
        check_holds: CheckHolds,
        worker: str,
        broker_forgets: bool,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._collects_at = utc_now()
        self._knowledge = knowledge
        self._check_holds = check_holds
        self._looks_at = utc_now()
        self._held_until: dict[str, datetime] = {}
        self._timing = timing
        self._worker = worker
        self._broker_forgets = broker_forgets
        self._started_at = utc_now()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingestion-sweeper", daemon=True)

    def start(self) -> None:
        """Take back what dead processes left, then go on sweeping in a thread."""
        take_back(self._database, self._worker, self._timing)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def sweep(self) -> Swept:
        """Sweep once."""
        now = utc_now()
        stale = now - timedelta(seconds=self._timing.requeue_s)
        if self._broker_forgets:
            stale = max(stale, self._started_at)
        return Swept(
            lost=release_lost(self._database, self._timing, now=now),
            queued=enqueue_due(self._database, stale_before=stale, now=now),
            syncs=resume_syncs(self._database, self._timing, stale_before=stale, now=now),
            pushes=repush(self._database, self._timing, now=now),
            forgotten=forget_keys(self._database, self._timing, now=now),
            dropped=self._drop_deleted(now),
            orphans=self._drop_orphans(now),
        )

    def _drop_orphans(self, now: datetime) -> int:
        if now < self._collects_at:
            return 0
        self._collects_at = now + timedelta(seconds=self._timing.orphan_s)
        return drop_orphans(self._database, self._blobs, self._timing, now=now)

    def _drop_deleted(self, now: datetime) -> int:
        if now < self._looks_at:
            return 0
        self._looks_at = now + timedelta(seconds=_LOOK_EVERY_S)
        return drop_deleted(self._database, self._knowledge, self._check_holds, held_until=self._held_until, now=now)

    def _run(self) -> None:
        while True:
            try:
                swept = self.sweep()
                if swept != Swept():
                    log.info("swept", **asdict(swept))
            except Exception as error:  # noqa: BLE001
                # The sweeper's outermost loop: the next turn finds the same again.
                log.warning("sweep_failed", error=type(error).__name__)
            if self._stopping.wait(self._timing.sweep_s):
                return


def take_back(database: Database, own: str, timing: Timing) -> int:
    """Release the leases of processes of this host that have ended; return how many."""
    with database.read() as session:
        query = select(VersionRow.id, VersionRow.worker).where(
            col(VersionRow.state).in_(WORKING), col(VersionRow.worker).is_not(None)
        )
        dead = [version_id for version_id, worker in session.exec(query) if is_dead(worker or "", own=own)]
        syncs = select(SyncRow.id, SyncRow.worker).where(col(SyncRow.state) == SyncState.RUNNING)
        dead_syncs = [sync_id for sync_id, worker in session.exec(syncs) if worker and is_dead(worker, own=own)]
    for version_id in dead:
        _release(database, version_id, timing, only_expired_at=None)
    if dead_syncs:
        with database.write() as session:
            for sync in session.exec(select(SyncRow).where(col(SyncRow.id).in_(dead_syncs))):
                sync.lease_until = utc_now()
    return len(dead) + len(dead_syncs)


def release_lost(database: Database, timing: Timing, *, now: datetime) -> int:
    """Queue versions again whose lease has expired, or quarantine them at their last attempt."""
    with database.read() as session:
        query = (
            select(VersionRow.id)
            .where(col(VersionRow.state).in_(WORKING), col(VersionRow.lease_until) < now)
            .limit(_BATCH)
        )
        expired = list(session.exec(query))
    for version_id in expired:
        _release(database, version_id, timing, only_expired_at=now)
    return len(expired)


def _release(database: Database, version_id: str, timing: Timing, *, only_expired_at: datetime | None) -> None:
    with database.write() as session:
        found = session.get(VersionRow, version_id)
        document = None if found is None else lifecycle.lock_document(session, found.document_id)
        version = lifecycle.version_of(session, version_id)
        if document is None or version is None or version.state not in WORKING:
            return
        if only_expired_at is not None and (version.lease_until is None or version.lease_until >= only_expired_at):
            return
        stage = version.state
        document.fence += 1
        version.fence = document.fence
        _count_loss(version)
        if version.attempt >= timing.max_attempts or version.lost >= timing.max_lost:
            lifecycle.stop(session, version, document, VersionState.QUARANTINED, _worker_lost(stage))
        else:
            lifecycle.set_reason(version, _worker_lost(stage))
            lifecycle.requeue(session, version)
        log.warning("lease_released", version_id=version_id, stage=stage, attempt=version.attempt, lost=version.lost)


def _count_loss(version: VersionRow) -> None:
    """A worker that dies after parsing hardly died of the document: within `max_lost`, that is no attempt."""
    version.lost += 1
    if version.state in _AFTER_PARSING:
        version.attempt -= 1


def _worker_lost(stage: str) -> Reason:
    return Reason(
        code="worker_lost",
        stage=stage,
        detail="The worker stopped while it had this document.",
        remedy="Retry; if it stays so, split the file, or have an administrator look at the worker's memory.",
    )


def enqueue_due(database: Database, *, stale_before: datetime, now: datetime) -> int:
    """Send queued versions to the broker again: those whose pause is over, and those it may have lost."""
    due = or_(
        col(VersionRow.not_before) <= now,
        col(VersionRow.not_before).is_(None) & (col(VersionRow.enqueued_at) < stale_before),
    )
    query = select(VersionRow).where(col(VersionRow.state) == VersionState.QUEUED, due)
    with database.read() as session:
        if session.exec(query.limit(1)).first() is None:
            return 0
    with database.write() as session:
        found = session.exec(query.order_by(col(VersionRow.id)).limit(_BATCH).with_for_update(skip_locked=True)).all()
        for version in found:
            version.not_before = None
            version.enqueued_at = now
            enqueue(session, TASK_OUTBOX, lifecycle.PROCESS, version.id)
    return len(found)


def resume_syncs(database: Database, timing: Timing, *, stale_before: datetime, now: datetime) -> int:
    """Queue syncs again whose worker was lost, and enqueue those whose task was."""
    lost = (col(SyncRow.state) == SyncState.RUNNING) & (col(SyncRow.lease_until) < now)
    waiting = (col(SyncRow.state) == SyncState.QUEUED) & (
        (col(SyncRow.not_before) <= now)
        | (col(SyncRow.not_before).is_(None) & (col(SyncRow.enqueued_at) < stale_before))
    )
    query = select(SyncRow).where(lost | waiting)
    with database.read() as session:
        if session.exec(query.limit(1)).first() is None:
            return 0
    with database.write() as session:
        found = session.exec(query.limit(_BATCH).with_for_update(skip_locked=True)).all()
        for sync in found:
            _resume(session, sync, timing, now)
    return len(found)


def _resume(session: Session, sync: SyncRow, timing: Timing, now: datetime) -> None:
    sync.fence += 1
    sync.lease_until = sync.worker = sync.not_before = None
    if sync.attempt >= timing.max_attempts:
        sync.state = SyncState.FAILED
        sync.finished_at = now
        reason = _worker_lost("sync")
        sync.reason_code, sync.reason_stage = reason.code, reason.stage
        sync.reason_detail, sync.reason_remedy = reason.detail, reason.remedy
        return
    sync.state = SyncState.QUEUED
    sync.enqueued_at = now
    enqueue(session, TASK_OUTBOX, lifecycle.SYNC, sync.id)


def repush(database: Database, timing: Timing, *, now: datetime) -> int:
    """Ask again for changes that the knowledge service has not been told."""
    query = select(DocumentRow).where(
        col(DocumentRow.pending) != Pending.NOTHING,
        col(DocumentRow.pending_at) < now - timedelta(seconds=timing.repush_s),
    )
    with database.read() as session:
        if session.exec(query.limit(1)).first() is None:
            return 0
    with database.write() as session:
        found = session.exec(query.limit(_BATCH).with_for_update(skip_locked=True)).all()
        for document in found:
            document.pending_at = now
            enqueue(session, TASK_OUTBOX, lifecycle.PUSH, document.id)
    return len(found)


def drop_deleted(
    database: Database,
    knowledge: KnowledgeClient,
    check_holds: CheckHolds,
    *,
    held_until: dict[str, datetime],
    now: datetime,
) -> int:
    """Delete the sources and documents of knowledge bases that were deleted; return how many documents.

    Only what knowledge says was deleted counts: one that it does not know may be back after a restore. A document that
    had not come there may be held: it stays, and `held_until` says when its knowledge base is looked at again.
    """
    by_tenant: dict[str, set[str]] = defaultdict(set)
    with database.read() as session:
        for row in (DocumentRow, SourceRow):
            query = select(row.tenant, row.knowledge_base_id).where(col(row.deleted_at).is_(None)).distinct()
            for tenant, knowledge_base_id in session.exec(query):
                by_tenant[tenant].add(knowledge_base_id)
    dropped = 0
    for tenant, known in by_tenant.items():
        principal = service_principal("ingestion", tenant)
        listed = sorted(known)
        for start in range(0, len(listed), _BATCH):
            for knowledge_base_id in knowledge.deleted_knowledge_bases(principal, listed[start : start + _BATCH]):
                if now < held_until.get(knowledge_base_id, now):
                    continue
                gone, held = _drop(database, check_holds, tenant, knowledge_base_id, now)
                dropped += gone
                if held:
                    held_until[knowledge_base_id] = now + timedelta(seconds=_HELD_S)
    return dropped


def drop_orphans(database: Database, blobs: BlobStore, timing: Timing, *, now: datetime) -> int:
    """Remove bytes that were stored and never accepted; return how many.

    The task looks again, under the lock of whoever accepts the same bytes at this moment.
    """
    names = blobs.names(stored_before=now - timedelta(seconds=timing.orphan_s))
    dropped = 0
    while batch := list(islice(names, _BATCH)):
        with database.read() as session:
            known = set(session.exec(select(VersionRow.blob).where(col(VersionRow.blob).in_(batch)).distinct()))
        orphans = [name for name in batch if name not in known]
        if orphans:
            with database.write() as session:
                for name in orphans:
                    enqueue(session, TASK_OUTBOX, lifecycle.DROP_BLOB, name)
        dropped += len(orphans)
    return dropped


def _drop(
    database: Database, check_holds: CheckHolds, tenant: str, knowledge_base_id: str, now: datetime
) -> tuple[int, int]:
    """Delete what is not held; return how many documents were deleted, and how many are held."""
    with database.write() as session:
        sources = select(SourceRow).where(
            col(SourceRow.tenant) == tenant,
            col(SourceRow.knowledge_base_id) == knowledge_base_id,
            col(SourceRow.deleted_at).is_(None),
        )
        for source in session.exec(sources):
            source.deleted_at = now
            event = AuditEvent(action="source.deleted", tenant=tenant, actor=lifecycle.SERVICE_ACTOR, subject=source.id)
            record(session, AUDIT_OUTBOX, event)
    query = select(DocumentRow.id).where(
        col(DocumentRow.tenant) == tenant,
        col(DocumentRow.knowledge_base_id) == knowledge_base_id,
        col(DocumentRow.deleted_at).is_(None),
    )
    with database.read() as session:
        documents = session.exec(query.order_by(col(DocumentRow.id))).all()
    check = partial(check_holds, authorize(service_principal("ingestion", tenant), Permission.HOLD_CHECK))
    held = 0
    for start in range(0, len(documents), _BATCH):
        some = documents[start : start + _BATCH]
        try:
            _delete(database, knowledge_base_id, some, check)
        except HeldError:
            held += _delete_one_by_one(database, knowledge_base_id, some, check)
    return len(documents) - held, held


def _delete_one_by_one(
    database: Database, knowledge_base_id: str, documents: Sequence[str], check: Callable[[Sequence[Held]], None]
) -> int:
    """Delete what is not held; return how many are."""
    held = 0
    for document_id in documents:
        try:
            _delete(database, knowledge_base_id, [document_id], check)
        except HeldError:
            held += 1
    return held


def _delete(
    database: Database, knowledge_base_id: str, documents: Sequence[str], check: Callable[[Sequence[Held]], None]
) -> None:
    with database.write() as session:
        for document_id in documents:
            document = lifecycle.lock_document(session, document_id)
            if document is not None and document.deleted_at is None:
                lifecycle.delete(session, document, actor=lifecycle.SERVICE_ACTOR)
        check(with_documents(knowledge_base_id, documents))


def forget_keys(database: Database, timing: Timing, *, now: datetime) -> int:
    """Forget idempotency keys that are older than `idempotency_s`; return how many."""
    old = col(IdempotencyRow.created_at) < now - timedelta(seconds=timing.idempotency_s)
    with database.read() as session:
        if session.exec(select(IdempotencyRow.key).where(old).limit(1)).first() is None:
            return 0
    with database.write() as session:
        gone = session.exec(delete(IdempotencyRow).where(old))
    return int(gone.rowcount)
