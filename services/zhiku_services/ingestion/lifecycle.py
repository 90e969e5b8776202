"""What happens to documents and versions: every change of state is made here.

Each function works in the caller's transaction. The document's row is locked first, always, so that two
changes of one document happen one after the other on every database.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text, update
from sqlmodel import Session, col, select

from zhiku_platform.audit import AuditEvent, Outcome, listed, record
from zhiku_platform.contracts.ingestion import Reason, VersionState
from zhiku_platform.db import new_id, utc_now
from zhiku_platform.queue import enqueue
from zhiku_services.ingestion.models import AUDIT_OUTBOX, TASK_OUTBOX, UPLOADS, DocumentRow, VersionRow
from zhiku_services.ingestion.states import UNFINISHED, Pending, Trace, check_transition

PROCESS = "ingestion.process"
PUSH = "ingestion.push"
DROP_BLOB = "ingestion.drop_blob"
SYNC = "ingestion.sync"

SERVICE_ACTOR = "svc-ingestion"


@dataclass(frozen=True, slots=True)
class Acl:
    """Who may read a document: `readers` None is whoever may view the knowledge base, empty is nobody."""

    readers: tuple[str, ...] | None = None
    level: int = 0


NOBODY = Acl(readers=(), level=9)


@dataclass(frozen=True, slots=True)
class Arrival:
    """The bytes of a document, stored, as a source or a user hands them in.

    `acl` None keeps the ACL that the document has, and is the knowledge base's for a new one.
    """

    tenant: str
    knowledge_base_id: str
    key: str
    path: str
    title: str
    media_type: str
    blob: str
    size_bytes: int
    actor: str
    source_id: str = UPLOADS
    acl: Acl | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    version: VersionRow
    is_new_document: bool
    unchanged: bool


def serialise(session: Session, *names: str) -> None:
    """Wait for every other transaction that named the same thing; it is released at the commit.

    On SQLite a write transaction is alone already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": "\x1f".join(names)}
        )


def lock_document(session: Session, document_id: str) -> DocumentRow | None:
    """Read a document and keep others from changing it until the commit."""
    query = select(DocumentRow).where(col(DocumentRow.id) == document_id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one_or_none()


def version_of(session: Session, version_id: str | None) -> VersionRow | None:
    """Read a version as it is now; its document is locked."""
    return None if version_id is None else session.get(VersionRow, version_id, populate_existing=True)


def accept(session: Session, arrival: Arrival) -> Accepted:
    """Take in a document's bytes: a new version, or none if the document has these bytes already."""
    serialise(session, "document", arrival.tenant, arrival.knowledge_base_id, arrival.source_id, arrival.key)
    document = _find(session, arrival)
    is_new = document is None or document.deleted_at is not None
    if document is None:
        document = _create(session, arrival)
    elif document.deleted_at is not None:
        _revive(session, document, arrival)
    document.fingerprint = arrival.fingerprint
    document.path = arrival.path
    if arrival.acl is not None:
        change_acl(session, document, arrival.acl, actor=arrival.actor)
    if not is_new and (held := _holds_already(session, document, arrival)) is not None:
        session.flush()
        return Accepted(held, is_new_document=False, unchanged=True)
    version = _add_version(session, document, arrival)
    return Accepted(version, is_new_document=is_new, unchanged=False)


def _find(session: Session, arrival: Arrival) -> DocumentRow | None:
    query = select(DocumentRow).where(
        col(DocumentRow.tenant) == arrival.tenant,
        col(DocumentRow.knowledge_base_id) == arrival.knowledge_base_id,
        col(DocumentRow.source_id) == arrival.source_id,
        col(DocumentRow.key) == arrival.key,
    )
    return session.exec(query.with_for_update()).one_or_none()


def _create(session: Session, arrival: Arrival) -> DocumentRow:
    document = DocumentRow(
        id=new_id("doc"),
        tenant=arrival.tenant,
        knowledge_base_id=arrival.knowledge_base_id,
        source_id=arrival.source_id,
        key=arrival.key,
        path=arrival.path,
        created_by=arrival.actor,
        created_at=utc_now(),
    )
    session.add(document)
    session.flush()
    return document


def _revive(session: Session, document: DocumentRow, arrival: Arrival) -> None:
    """A deleted document comes back as if it were new: nothing of its old ACL or versions counts."""
    _drop_blobs(session, document.id)
    document.deleted_at = None
    document.created_at = utc_now()
    document.readers, document.level = None, 0
    document.acl_revision += 1
    document.current_version_id = document.indexed_version_id = None
    document.created_by = arrival.actor


def _holds_already(session: Session, document: DocumentRow, arrival: Arrival) -> VersionRow | None:
    """The version with the arrival's bytes, if it is indexed or on its way there.

    A source that hands in again what has failed gets no second try; a user who uploads it again does.
    """
    current = version_of(session, document.current_version_id)
    if current is None:
        return None
    if current.content_hash == arrival.blob:
        settled = current.state in UNFINISHED or current.state == VersionState.INDEXED
        return current if settled or arrival.source_id != UPLOADS else None
    indexed = version_of(session, document.indexed_version_id)
    if indexed is None or indexed.content_hash != arrival.blob:
        return None
    if current.state in UNFINISHED:
        return None
    _supersede(session, document, current)
    document.current_version_id = indexed.id
    return indexed


def _add_version(session: Session, document: DocumentRow, arrival: Arrival) -> VersionRow:
    now = utc_now()
    for before in _living(session, document):
        if before.state != VersionState.INDEXED:
            _supersede(session, document, before)
    version = VersionRow(
        id=new_id("ver"),
        document_id=document.id,
        tenant=document.tenant,
        knowledge_base_id=document.knowledge_base_id,
        source_id=document.source_id,
        path=arrival.path,
        title=arrival.title,
        media_type=arrival.media_type,
        blob=arrival.blob,
        size_bytes=arrival.size_bytes,
        content_hash=arrival.blob,
        state=VersionState.QUEUED,
        enqueued_at=now,
        created_by=arrival.actor,
        created_at=now,
        updated_at=now,
    )
    session.add(version)
    document.current_version_id = version.id
    _audit(session, version, "document.accepted", actor=arrival.actor, size_bytes=arrival.size_bytes)
    enqueue(session, TASK_OUTBOX, PROCESS, version.id)
    session.flush()
    return version


def _living(session: Session, document: DocumentRow) -> list[VersionRow]:
    """The versions of a locked document that nothing has superseded, oldest first."""
    query = select(VersionRow).where(
        col(VersionRow.document_id) == document.id, col(VersionRow.state) != VersionState.SUPERSEDED
    )
    return list(session.exec(query.order_by(col(VersionRow.id)).execution_options(populate_existing=True)))


def _supersede(session: Session, document: DocumentRow, version: VersionRow) -> None:
    """End a version for good; a worker on it is fenced off."""
    _no_longer_indexed(document, version)
    _move(version, VersionState.SUPERSEDED)
    _fence_off(document, version)
    enqueue(session, TASK_OUTBOX, DROP_BLOB, version.blob)


def change_acl(session: Session, document: DocumentRow, acl: Acl, *, actor: str) -> bool:
    """Give a document another ACL, told to the knowledge service by a task; return whether it differs."""
    readers = None if acl.readers is None else sorted(set(acl.readers))
    if (document.readers, document.level) == (readers, acl.level):
        return False
    document.readers, document.level = readers, acl.level
    document.acl_revision += 1
    may_be_visible = document.indexed_version_id is not None or document.trace == Trace.FLIP
    if may_be_visible and document.pending != Pending.RETIRE:
        _tell(session, document, Pending.DISCARD if document.pending == Pending.DISCARD else Pending.ACL)
        event = AuditEvent(
            action="document.acl_changed",
            tenant=document.tenant,
            actor=actor,
            subject=document.id,
            details={**listed("readers", readers), "level": acl.level},
        )
        record(session, AUDIT_OUTBOX, event)
    return True


def _tell(session: Session, document: DocumentRow, what: Pending) -> None:
    document.pending = what
    document.pending_at = utc_now()
    document.retire_fence = document.fence
    enqueue(session, TASK_OUTBOX, PUSH, document.id)


def cancel(session: Session, document: DocumentRow, version: VersionRow, *, actor: str) -> None:
    """Stop a version; a worker on it is fenced off, and what it published in part is taken back."""
    _no_longer_indexed(document, version)
    _move(version, VersionState.CANCELLED)
    _fence_off(document, version)
    _audit(session, version, "document.cancelled", actor=actor)
    settle(session, document)


def retry(session: Session, document: DocumentRow, version: VersionRow, *, actor: str) -> None:
    """Queue a stopped version again, with all its attempts."""
    document.current_version_id = version.id
    version.attempt = version.lost = version.deferrals = 0
    version.deferred_since = version.not_before = None
    _clear_reason(version)
    _audit(session, version, "document.retried", actor=actor)
    requeue(session, version)


def delete(session: Session, document: DocumentRow, *, actor: str) -> None:
    """Delete a document: a worker on it is fenced off, and a task takes it out of index and blob store."""
    for version in _living(session, document):
        _move(version, VersionState.SUPERSEDED)
        _fence_off(document, version)
    document.fence += 1
    document.deleted_at = utc_now()
    document.indexed_version_id = None
    document.fingerprint = None
    record(
        session,
        AUDIT_OUTBOX,
        AuditEvent(action="document.deleted", tenant=document.tenant, actor=actor, subject=document.id),
    )
    _tell(session, document, Pending.RETIRE)
    session.flush()


def requeue(session: Session, version: VersionRow, *, not_before: datetime | None = None) -> None:
    """Put a version back into the queue; with `not_before`, the sweeper enqueues it when that comes."""
    _move(version, VersionState.QUEUED)
    version.not_before = not_before
    version.enqueued_at = utc_now()
    if not_before is None:
        enqueue(session, TASK_OUTBOX, PROCESS, version.id)
    session.flush()


def stop(session: Session, version: VersionRow, document: DocumentRow, state: VersionState, reason: Reason) -> None:
    """End a version as failed or quarantined, with its reason."""
    _no_longer_indexed(document, version)
    _move(version, state)
    set_reason(version, reason)
    _audit(
        session, version, f"document.{state}", outcome=Outcome.FAILED, code=reason.code, stage=reason.stage,
        attempt=version.attempt,
    )  # fmt: skip
    settle(session, document)


def strike(
    session: Session,
    version: VersionRow,
    document: DocumentRow,
    reason: Reason,
    *,
    max_attempts: int,
    wait_s: float,
) -> None:
    """Count a failure that may be the document's own fault: queue it again, or quarantine it at the last."""
    if version.attempt >= max_attempts:
        stop(session, version, document, VersionState.QUARANTINED, reason)
        return
    set_reason(version, reason)
    requeue(session, version, not_before=utc_now() + timedelta(seconds=wait_s) if wait_s else None)


def finish(session: Session, version: VersionRow, document: DocumentRow, *, acl_revision: int) -> None:
    """End a version as indexed; the one before it is superseded."""
    before = version_of(session, document.indexed_version_id)
    if before is not None and before.id != version.id:
        _move(before, VersionState.SUPERSEDED)
        enqueue(session, TASK_OUTBOX, DROP_BLOB, before.blob)
    _move(version, VersionState.INDEXED)
    _clear_reason(version)
    document.indexed_version_id = version.id
    document.trace = Trace.NONE
    document.pending = Pending.NOTHING
    if document.acl_revision != acl_revision:
        _tell(session, document, Pending.ACL)
    _audit(session, version, "document.indexed", passages=version.passages or 0, attempt=version.attempt)
    session.flush()


def settle(session: Session, document: DocumentRow) -> None:
    """Make the index hold what it should after a version ended without being indexed.

    With an earlier version, that one goes through the queue again if the newer may have taken its place, and
    what the newer left unseen is dropped; without one, the document is taken out.
    """
    indexed = version_of(session, document.indexed_version_id)
    if indexed is None and document.trace != Trace.NONE:
        _tell(session, document, Pending.RETIRE)
    elif indexed is not None and document.trace == Trace.FLIP and indexed.state == VersionState.INDEXED:
        document.current_version_id = indexed.id
        indexed.attempt = indexed.lost = indexed.deferrals = 0
        requeue(session, indexed)
    elif indexed is not None and document.trace == Trace.PARTS and document.pending != Pending.RETIRE:
        _tell(session, document, Pending.DISCARD)
    session.flush()


def set_reason(version: VersionRow, reason: Reason) -> None:
    version.reason_code, version.reason_stage = reason.code, reason.stage
    version.reason_detail, version.reason_remedy = reason.detail, reason.remedy


def _clear_reason(version: VersionRow) -> None:
    version.reason_code = version.reason_stage = version.reason_detail = version.reason_remedy = None


def _move(version: VersionRow, state: VersionState) -> None:
    check_transition(VersionState(version.state), state)
    version.state = state
    version.updated_at = utc_now()
    version.lease_until = version.worker = None
    version.stage_started_at = None
    version.done, version.total = (version.done, version.total) if state == VersionState.INDEXED else (0, None)


def _no_longer_indexed(document: DocumentRow, version: VersionRow) -> None:
    """An indexed version that went through the queue again and did not arrive is indexed no more."""
    if document.indexed_version_id == version.id:
        document.indexed_version_id = None


def _fence_off(document: DocumentRow, version: VersionRow) -> None:
    document.fence += 1
    version.fence = document.fence


def _audit(
    session: Session,
    version: VersionRow,
    action: str,
    *,
    actor: str = SERVICE_ACTOR,
    outcome: Outcome = Outcome.DONE,
    **details: str | int,
) -> None:
    event = AuditEvent(
        action=action,
        tenant=version.tenant,
        actor=actor,
        subject=version.document_id,
        outcome=outcome,
        details={"version": version.id, "knowledge_base": version.knowledge_base_id, **details},
    )
    record(session, AUDIT_OUTBOX, event)


def mark_acl_told(session: Session, document_id: str, *, acl_revision: int) -> None:
    """Note that the knowledge service has this ACL, unless a newer one has come up meanwhile."""
    session.exec(
        update(DocumentRow)
        .where(
            col(DocumentRow.id) == document_id,
            col(DocumentRow.pending) == Pending.ACL,
            col(DocumentRow.acl_revision) == acl_revision,
        )
        .values(pending=Pending.NOTHING)
    )


def mark_retired(session: Session, document_id: str, *, retire_fence: int) -> None:
    """Note that the index holds nothing older than this fence."""
    document = lock_document(session, document_id)
    if document is None or document.pending != Pending.RETIRE or document.retire_fence != retire_fence:
        return
    document.pending = Pending.NOTHING
    if document.fence == retire_fence:
        document.trace = Trace.NONE
    if document.deleted_at is not None:
        _drop_blobs(session, document_id)
    session.flush()


def mark_discarded(session: Session, document_id: str, *, acl_revision: int, retire_fence: int) -> None:
    """Note that the index holds no unseen parts older than this fence, and has this ACL."""
    document = lock_document(session, document_id)
    if document is None or document.pending != Pending.DISCARD:
        return
    if (document.acl_revision, document.retire_fence) == (acl_revision, retire_fence):
        document.pending = Pending.NOTHING
        if document.fence == retire_fence and document.trace == Trace.PARTS:
            document.trace = Trace.NONE
    session.flush()


def _drop_blobs(session: Session, document_id: str) -> None:
    query = select(VersionRow.blob).where(col(VersionRow.document_id) == document_id).distinct()
    for blob in session.exec(query):
        enqueue(session, TASK_OUTBOX, DROP_BLOB, blob)
