"""Running a sync: what a source lists is accepted, hidden or deleted, entry by entry.

Each entry is its own transaction and accepting it again changes nothing, so a sync may stop anywhere and
run again. Deletions come last, and only after a listing that was complete.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, delete, select

from zhiku_connectors.base import (
    Checkpoint,
    Connector,
    ConnectorError,
    Entry,
    FatalSourceError,
    RetriableSourceError,
    SkippableEntryError,
    Skipped,
)
from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.audit import AuditEvent, Outcome, record
from zhiku_platform.blobs import BlobStore
from zhiku_platform.contracts.ingestion import SyncState
from zhiku_platform.db import Database, new_id, utc_now
from zhiku_platform.errors import PayloadTooLargeError, ServiceUnavailableError
from zhiku_platform.holds import CheckHolds, HeldError, with_documents
from zhiku_platform.telemetry import get_logger
from zhiku_services.ingestion import lifecycle, service
from zhiku_services.ingestion.errors import BadPathError, BlobGoneError
from zhiku_services.ingestion.leases import LeaseLostError
from zhiku_services.ingestion.lifecycle import NOBODY, Accepted, Acl, Arrival
from zhiku_services.ingestion.models import AUDIT_OUTBOX, DocumentRow, SourceRow, SyncRow, SyncSkipRow
from zhiku_services.ingestion.repository import documents_of_source
from zhiku_services.ingestion.states import backoff_s
from zhiku_services.ingestion.timing import Timing
from zhiku_services.ingestion.uploads import checked_path

log = get_logger(__name__)

_BATCH = 500
_MAX_SKIPS_KEPT = 10_000
_ADMISSIONS = 3

OpenConnector = Callable[[str, dict[str, str | int | bool]], Connector]


class SourceEmptyError(FatalSourceError):
    """A listing without a single entry would delete everything."""

    code = "source_empty"


class SyncBrokenError(ConnectorError):
    """What no connector foresaw: a full disk, or a defect."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class Syncer:
    """What a sync needs, all of it given."""

    worker: str
    database: Database
    blobs: BlobStore
    open_connector: OpenConnector
    max_bytes: int
    timing: Timing
    check_holds: CheckHolds


@dataclass(slots=True)
class _Run:
    """One sync under way, as the worker that claimed it sees it."""

    sync_id: str
    fence: int
    attempt: int
    source: SourceRow
    renew_at: float
    started_at: datetime
    seen: set[str] = field(default_factory=set)
    kept_folders: list[str] = field(default_factory=list)
    checkpoint: str | None = None
    entries: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0


def run(sync_id: str, syncer: Syncer) -> None:
    """Run a queued sync to its end; one that runs elsewhere, or has ended, is left alone."""
    claimed = _claim(sync_id, syncer)
    if claimed is None:
        return
    try:
        _sync(claimed, syncer)
    except LeaseLostError:
        log.info("sync_lease_lost", sync_id=sync_id)
    except RetriableSourceError as error:
        _fail(claimed, syncer, error, again=claimed.attempt < syncer.timing.max_attempts)
    except (ConnectorError, BlobGoneError) as error:
        _fail(claimed, syncer, error, again=False)
    except ServiceUnavailableError as error:
        # Nobody says whether what the source lacks is held: nothing is deleted.
        _fail(claimed, syncer, error, again=claimed.attempt < syncer.timing.max_attempts)
    except OperationalError:
        # Without the database nothing can be written: the lease ends by itself, and the sweeper goes on.
        raise
    except Exception as error:  # noqa: BLE001
        # The worker's outermost loop: a defect of ours, or of the machine, is a failed attempt of this sync.
        log.warning("sync_broke", sync_id=sync_id, error=type(error).__name__)
        broken = SyncBrokenError(
            f"Zhiku failed at this sync ({type(error).__name__}).",
            remedy="Run it again; if it stays so, give an administrator the id of this sync.",
        )
        _fail(claimed, syncer, broken, again=claimed.attempt < syncer.timing.max_attempts)


def _claim(sync_id: str, syncer: Syncer) -> _Run | None:
    with syncer.database.write() as session:
        sync = session.exec(select(SyncRow).where(col(SyncRow.id) == sync_id).with_for_update()).one_or_none()
        if sync is None or sync.state != SyncState.QUEUED:
            return None
        source = session.get(SourceRow, sync.source_id)
        if source is None or source.deleted_at is not None:
            sync.state = SyncState.FAILED
            sync.finished_at = utc_now()
            return None
        now = utc_now()
        sync.state = SyncState.RUNNING
        sync.fence += 1
        sync.attempt += 1
        sync.worker = syncer.worker
        sync.lease_until = now + timedelta(seconds=syncer.timing.sync_lease_s)
        sync.not_before = None
        sync.started_at = sync.started_at or now
        # An attempt that broke off will find these again.
        session.exec(delete(SyncSkipRow).where(col(SyncSkipRow.sync_id) == sync.id))
        session.flush()
        return _Run(
            sync.id, sync.fence, sync.attempt, source, _renewal(syncer), sync.started_at,
            added=sync.added, changed=sync.changed, deleted=sync.deleted,
        )  # fmt: skip


def _renewal(syncer: Syncer) -> float:
    return time.monotonic() + syncer.timing.renew_s


def _held(session: Session, run: _Run) -> SyncRow:
    query = select(SyncRow).where(col(SyncRow.id) == run.sync_id).with_for_update()
    sync = session.exec(query.execution_options(populate_existing=True)).one()
    # Locked, so that no document is accepted beside the deletion of its source.
    shared = select(SourceRow).where(col(SourceRow.id) == run.source.id).with_for_update(read=True)
    source = session.exec(shared.execution_options(populate_existing=True)).one_or_none()
    if sync.fence != run.fence or sync.state != SyncState.RUNNING or source is None or source.deleted_at is not None:
        raise LeaseLostError(run.sync_id)
    sync.added, sync.changed, sync.unchanged = run.added, run.changed, run.unchanged
    sync.deleted, sync.skipped = run.deleted, run.skipped
    return sync


def _renew(run: _Run, syncer: Syncer) -> None:
    if time.monotonic() < run.renew_at:
        return
    with syncer.database.write() as session:
        sync = _held(session, run)
        sync.lease_until = utc_now() + timedelta(seconds=syncer.timing.sync_lease_s)
    run.renew_at = _renewal(syncer)


def _sync(run: _Run, syncer: Syncer) -> None:
    connector = syncer.open_connector(run.source.connector, run.source.config)
    for listed in connector.list(run.source.checkpoint):
        _renew(run, syncer)
        if isinstance(listed, Checkpoint):
            run.checkpoint = listed.value
        elif isinstance(listed, Skipped):
            _skip(run, listed, syncer)
        else:
            _take(run, listed, connector, syncer)
    if connector.capabilities.lists_everything:
        _delete_missing(run, syncer)
    with syncer.database.write() as session:
        sync = _held(session, run)
        sync.state = SyncState.DONE
        sync.finished_at = utc_now()
        sync.lease_until = sync.worker = None
        sync.reason_code = sync.reason_stage = sync.reason_detail = sync.reason_remedy = None
        if run.checkpoint is not None and (source := session.get(SourceRow, run.source.id)) is not None:
            source.checkpoint = run.checkpoint
        _audit(session, run, Outcome.DONE)
    log.info("sync_done", sync_id=run.sync_id, added=run.added, changed=run.changed, deleted=run.deleted)


def _take(run: _Run, entry: Entry, connector: Connector, syncer: Syncer) -> None:
    run.entries += 1
    run.seen.add(entry.id)
    acl = Acl(entry.readers, entry.level)
    with syncer.database.read() as session:
        known = _document(session, run.source, entry.id)
    if known is not None and known.fingerprint == entry.fingerprint:
        _keep(run, known, acl, syncer)
        return
    try:
        checked_path(entry.path)
        accepted = _accept(run, entry, acl, connector, syncer)
    except (SkippableEntryError, PayloadTooLargeError, BadPathError) as error:
        # Its readers are known and its bytes are not: what is indexed stays, with the readers of now.
        if known is not None:
            _apply_acl(known.id, acl, run, syncer)
        _note(run, syncer, path=entry.path, code=error.code, detail=error.detail, remedy=error.remedy)
        return
    if accepted.unchanged:
        run.unchanged += 1
    elif accepted.is_new_document:
        run.added += 1
    else:
        run.changed += 1


def _accept(run: _Run, entry: Entry, acl: Acl, connector: Connector, syncer: Syncer) -> Accepted:
    """Store an entry's bytes and accept them; again if the last document with the same bytes went meanwhile."""
    for _ in range(_ADMISSIONS - 1):
        try:
            return _accept_once(run, entry, acl, connector, syncer)
        except BlobGoneError:
            log.info("blob_stored_again", sync_id=run.sync_id)
    return _accept_once(run, entry, acl, connector, syncer)


def _accept_once(run: _Run, entry: Entry, acl: Acl, connector: Connector, syncer: Syncer) -> Accepted:
    with connector.open(entry) as content:
        blob = syncer.blobs.put(content, max_bytes=syncer.max_bytes)
    arrival = Arrival(
        tenant=run.source.tenant,
        knowledge_base_id=run.source.knowledge_base_id,
        key=entry.id,
        path=entry.path,
        title=service.title_of(entry.path),
        media_type="application/octet-stream",
        blob=blob.name,
        size_bytes=blob.size_bytes,
        actor=run.source.created_by,
        source_id=run.source.id,
        acl=acl,
        fingerprint=entry.fingerprint,
    )
    with syncer.database.write() as session:
        _held(session, run)
        return service.admit(session, arrival, blobs=syncer.blobs)


def _document(session: Session, source: SourceRow, key: str) -> DocumentRow | None:
    query = select(DocumentRow).where(
        col(DocumentRow.tenant) == source.tenant,
        col(DocumentRow.knowledge_base_id) == source.knowledge_base_id,
        col(DocumentRow.source_id) == source.id,
        col(DocumentRow.key) == key,
        col(DocumentRow.deleted_at).is_(None),
    )
    return session.exec(query).one_or_none()


def _keep(run: _Run, known: DocumentRow, acl: Acl, syncer: Syncer) -> None:
    """Nothing to read; a changed ACL alone is applied without reading or embedding anything."""
    if _apply_acl(known.id, acl, run, syncer):
        run.changed += 1
    elif not _is_of_this_sync(run, known, syncer):
        run.unchanged += 1


def _is_of_this_sync(run: _Run, known: DocumentRow, syncer: Syncer) -> bool:
    """Tell whether an earlier attempt of this sync took in the document as it is, and has counted it."""
    if run.attempt == 1:
        return False
    with syncer.database.read() as session:
        version = lifecycle.version_of(session, known.current_version_id)
    return version is not None and version.created_at >= run.started_at


def _apply_acl(document_id: str, acl: Acl, run: _Run, syncer: Syncer) -> bool:
    with syncer.database.read() as session:
        document = session.get(DocumentRow, document_id)
        wanted = None if acl.readers is None else sorted(set(acl.readers))
        if document is None or (document.readers, document.level) == (wanted, acl.level):
            return False
    with syncer.database.write() as session:
        _held(session, run)
        locked = lifecycle.lock_document(session, document_id)
        return locked is not None and lifecycle.change_acl(session, locked, acl, actor=run.source.created_by)


def _skip(run: _Run, skipped: Skipped, syncer: Syncer) -> None:
    _note(run, syncer, path=skipped.path, code=skipped.code, detail=skipped.detail, remedy=skipped.remedy)
    if skipped.existing == "delete":
        return
    if skipped.is_folder:
        run.kept_folders.append(skipped.path.rstrip("/") + "/")
    run.seen.add(skipped.id)
    if skipped.existing == "hide":
        _hide(run, skipped, syncer)


def _hide(run: _Run, skipped: Skipped, syncer: Syncer) -> None:
    """Take what is indexed under an entry from everybody's sight until its readers can be told again."""
    with syncer.database.read() as session:
        if skipped.is_folder:
            prefix = skipped.path.rstrip("/") + "/"
            found = [d.id for d in _all_documents(session, run.source.id) if d.path.startswith(prefix)]
        else:
            known = _document(session, run.source, skipped.id)
            found = [] if known is None else [known.id]
    for document_id in found:
        _apply_acl(document_id, NOBODY, run, syncer)


def _all_documents(session: Session, source_id: str) -> list[DocumentRow]:
    documents: list[DocumentRow] = []
    cursor = ""
    while found := documents_of_source(session, source_id, after=cursor, limit=_BATCH):
        documents += found
        cursor = found[-1].id
    return documents


def _note(run: _Run, syncer: Syncer, *, path: str, code: str, detail: str, remedy: str) -> None:
    run.skipped += 1
    if run.skipped > _MAX_SKIPS_KEPT:
        return
    with syncer.database.write() as session:
        row = SyncSkipRow(
            id=new_id("skp"), sync_id=run.sync_id, path=path[:1000], code=code, detail=detail, remedy=remedy
        )
        session.add(row)


def _delete_missing(run: _Run, syncer: Syncer) -> None:
    with syncer.database.read() as session:
        missing = [
            document.id
            for document in _all_documents(session, run.source.id)
            if document.key not in run.seen and not document.path.startswith(tuple(run.kept_folders))
        ]
        if missing and run.entries == 0:
            raise SourceEmptyError(
                "The source lists no document at all, but had some; none were deleted.",
                remedy="Check that it is mounted and readable; to remove its documents, delete the source.",
            )
    for document_id in missing:
        _renew(run, syncer)
        try:
            _delete(document_id, run, syncer)
        except HeldError as error:
            _keep_held(document_id, run, syncer, error)


def _delete(document_id: str, run: _Run, syncer: Syncer) -> None:
    with syncer.database.write() as session:
        _held(session, run)
        document = lifecycle.lock_document(session, document_id)
        if document is None or document.deleted_at is not None:
            return
        lifecycle.delete(session, document, actor=run.source.created_by)
        own = authorize(service_principal("ingestion", document.tenant), Permission.HOLD_CHECK)
        syncer.check_holds(own, with_documents(document.knowledge_base_id, [document.id]))
    run.deleted += 1


def _keep_held(document_id: str, run: _Run, syncer: Syncer, error: HeldError) -> None:
    """Keep it out of everybody's sight, as its source no longer shows it to anybody."""
    _apply_acl(document_id, NOBODY, run, syncer)
    with syncer.database.read() as session:
        document = session.get(DocumentRow, document_id)
    if document is not None:
        _note(run, syncer, path=document.path, code=error.code, detail=error.detail, remedy=error.remedy)


def _fail(run: _Run, syncer: Syncer, error: ConnectorError | ServiceUnavailableError, *, again: bool) -> None:
    try:
        with syncer.database.write() as session:
            sync = _held(session, run)
            sync.lease_until = sync.worker = None
            sync.reason_code, sync.reason_stage = error.code, "sync"
            sync.reason_detail, sync.reason_remedy = error.detail, error.remedy
            if again:
                sync.state = SyncState.QUEUED
                wait_s = backoff_s(run.attempt, first_s=syncer.timing.defer_first_s, longest_s=60.0)
                sync.not_before = utc_now() + timedelta(seconds=wait_s)
            else:
                sync.state = SyncState.FAILED
                sync.finished_at = utc_now()
                _audit(session, run, Outcome.FAILED)
    except LeaseLostError:
        log.info("sync_lease_lost", sync_id=run.sync_id)
    log.info("sync_failed", sync_id=run.sync_id, code=error.code, again=again)


def _audit(session: Session, run: _Run, outcome: Outcome) -> None:
    event = AuditEvent(
        action="source.synced",
        tenant=run.source.tenant,
        actor=lifecycle.SERVICE_ACTOR,
        subject=run.source.id,
        outcome=outcome,
        details={
            "sync": run.sync_id, "added": run.added, "changed": run.changed, "unchanged": run.unchanged,
            "deleted": run.deleted, "skipped": run.skipped,
        },
    )  # fmt: skip
    record(session, AUDIT_OUTBOX, event)
