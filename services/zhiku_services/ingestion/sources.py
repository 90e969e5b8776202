"""Sources and their syncs: who may configure and run them."""

from pathlib import Path

from pydantic import ValidationError
from sqlmodel import Session

from zhiku_connectors.base import Connector, FatalSourceError
from zhiku_connectors.files.config import FilesConfig, allowed_folder
from zhiku_connectors.files.connector import FilesConnector
from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.ingestion import NewSource, SkippedEntry, Source, Sync, SyncState
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import new_id, utc_now
from zhiku_platform.errors import NotFoundError, RemoteProblemError
from zhiku_platform.holds import CheckHolds, with_documents
from zhiku_platform.queue import enqueue
from zhiku_services.ingestion import lifecycle
from zhiku_services.ingestion.errors import BadSourceConfigError
from zhiku_services.ingestion.models import AUDIT_OUTBOX, TASK_OUTBOX, SourceRow, SyncRow
from zhiku_services.ingestion.repository import IngestionRepository, documents_of_source
from zhiku_services.ingestion.service import reason_of, require_editor

_BATCH = 500


def open_connector(name: str, config: dict[str, str | int | bool], *, roots: tuple[Path, ...]) -> Connector:
    """Build a source's connector.

    Raises:
        FatalSourceError: the configuration is not the connector's, or leads where it may not.
    """
    if name != "files":
        raise FatalSourceError("There is no such connector.", remedy="Use `files`.")
    try:
        settings = FilesConfig.model_validate(config)
    except ValidationError as error:
        raise FatalSourceError(
            "The configuration is not complete.", remedy="Give `folder` and nothing else."
        ) from error
    return FilesConnector(allowed_folder(settings, roots))


def create_source(
    access: Access, new: NewSource, session: Session, *, knowledge: KnowledgeClient, roots: tuple[Path, ...]
) -> Source:
    """Configure a source for a knowledge base that the caller edits.

    Raises:
        BadSourceConfigError: the connector does not take the configuration.
    """
    require_editor(access, new.knowledge_base_id, knowledge=knowledge)
    try:
        open_connector(new.connector, new.config, roots=roots)
    except FatalSourceError as error:
        raise BadSourceConfigError(error.detail, remedy=error.remedy) from error
    row = SourceRow(
        id=new_id("src"),
        tenant=access.tenant,
        knowledge_base_id=new.knowledge_base_id,
        connector=new.connector,
        name=new.name,
        config=new.config,
        created_by=access.principal.sub,
        created_at=utc_now(),
    )
    session.add(row)
    event = event_of(access, "source.created", row.id, connector=row.connector, knowledge_base=row.knowledge_base_id)
    record(session, AUDIT_OUTBOX, event)
    session.flush()
    return _source(row)


def list_sources(
    access: Access, session: Session, *, knowledge: KnowledgeClient, cursor: str, limit: int
) -> Page[Source]:
    """The sources of knowledge bases that the caller edits."""
    found = IngestionRepository(session, access).sources(after=cursor, limit=limit + 1)
    page = found[:limit]
    editable = {kb for kb in {row.knowledge_base_id for row in page} if _may_edit(access, kb, knowledge)}
    items = [_source(row) for row in page if row.knowledge_base_id in editable]
    return Page(items=items, next_cursor=page[-1].id if len(found) > limit else None)


def delete_source(
    access: Access, source_id: str, session: Session, *, knowledge: KnowledgeClient, check_holds: CheckHolds
) -> None:
    """Delete a source and every document that came from it.

    Raises:
        HeldError: a legal hold keeps one of them, so all stay with the source.
    """
    _editable(access, source_id, session, knowledge)
    row = IngestionRepository(session, access).source(source_id, lock=True)
    if row is None:
        raise NotFoundError("source")
    row.deleted_at = utc_now()
    deleted: list[str] = []
    cursor = ""
    while found := documents_of_source(session, row.id, after=cursor, limit=_BATCH):
        for document in found:
            if (locked := lifecycle.lock_document(session, document.id)) is not None and locked.deleted_at is None:
                lifecycle.delete(session, locked, actor=access.principal.sub)
                deleted.append(locked.id)
        cursor = found[-1].id
    record(session, AUDIT_OUTBOX, event_of(access, "source.deleted", row.id))
    if deleted:
        check_holds(access, with_documents(row.knowledge_base_id, deleted))


def request_sync(access: Access, source_id: str, session: Session, *, knowledge: KnowledgeClient) -> Sync:
    """Ask for a sync; while one is waiting or running, that is the answer."""
    row = _editable(access, source_id, session, knowledge)
    lifecycle.serialise(session, "source", row.id)
    if (waiting := IngestionRepository(session, access).unfinished_sync(row.id)) is not None:
        return _sync(waiting)
    now = utc_now()
    sync = SyncRow(
        id=new_id("syn"),
        source_id=row.id,
        tenant=row.tenant,
        state=SyncState.QUEUED,
        enqueued_at=now,
        created_at=now,
    )
    session.add(sync)
    row.last_sync_id = sync.id
    enqueue(session, TASK_OUTBOX, lifecycle.SYNC, sync.id)
    record(session, AUDIT_OUTBOX, event_of(access, "source.sync_requested", row.id, sync=sync.id))
    session.flush()
    return _sync(sync)


def get_sync(access: Access, sync_id: str, session: Session, *, knowledge: KnowledgeClient) -> Sync:
    """How a sync goes."""
    return _sync(_visible_sync(access, sync_id, session, knowledge))


def list_skipped(
    access: Access, sync_id: str, session: Session, *, knowledge: KnowledgeClient, cursor: str, limit: int
) -> Page[SkippedEntry]:
    """What a sync left out, and why."""
    sync = _visible_sync(access, sync_id, session, knowledge)
    found = IngestionRepository(session, access).skips(sync.id, after=cursor, limit=limit + 1)
    items = [SkippedEntry(path=r.path, code=r.code, detail=r.detail, remedy=r.remedy) for r in found[:limit]]
    return Page(items=items, next_cursor=found[limit - 1].id if len(found) > limit else None)


def _visible_sync(access: Access, sync_id: str, session: Session, knowledge: KnowledgeClient) -> SyncRow:
    sync = IngestionRepository(session, access).sync(sync_id)
    if sync is None:
        raise NotFoundError("sync")
    _editable(access, sync.source_id, session, knowledge, what="sync")
    return sync


def _editable(
    access: Access, source_id: str, session: Session, knowledge: KnowledgeClient, *, what: str = "source"
) -> SourceRow:
    row = IngestionRepository(session, access).source(source_id)
    if row is None or not _may_edit(access, row.knowledge_base_id, knowledge):
        raise NotFoundError(what)
    return row


def _may_edit(access: Access, knowledge_base_id: str, knowledge: KnowledgeClient) -> bool:
    try:
        require_editor(access, knowledge_base_id, knowledge=knowledge)
    except RemoteProblemError as error:
        if error.remote.status in {403, 404}:
            return False
        raise
    return True


def _source(row: SourceRow) -> Source:
    return Source(
        id=row.id,
        knowledge_base_id=row.knowledge_base_id,
        connector=row.connector,
        name=row.name,
        config=row.config,
        last_sync_id=row.last_sync_id,
        created_at=row.created_at,
    )


def _sync(row: SyncRow) -> Sync:
    return Sync(
        id=row.id,
        source_id=row.source_id,
        state=SyncState(row.state),
        added=row.added,
        changed=row.changed,
        unchanged=row.unchanged,
        deleted=row.deleted,
        skipped=row.skipped,
        reason=reason_of(row.reason_code, row.reason_stage, row.reason_detail, row.reason_remedy),
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
