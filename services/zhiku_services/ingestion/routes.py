"""The HTTP face of the ingestion service."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.ingestion import (
    DocumentVersion,
    NewSource,
    SkippedEntry,
    Source,
    Sync,
    VersionState,
)
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.ingestion import service, sources, uploads
from zhiku_services.ingestion.uploads import UPLOAD_FORM, ReceivedFile

router = GuardedRouter(prefix="/api/v1", tags=["ingestion"])

CanRead = Annotated[Access, require(Permission.DOCUMENT_READ)]
CanWrite = Annotated[Access, require(Permission.DOCUMENT_WRITE)]
CanManageSources = Annotated[Access, require(Permission.SOURCE_MANAGE)]

Cursor = Annotated[str, Query(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=200)]


def _editor(access: CanWrite, knowledge_base_id: str, request: Request) -> Access:
    service.require_editor(access, knowledge_base_id, knowledge=request.app.state.knowledge)
    return access


Editor = Annotated[Access, Depends(_editor)]


async def _received(_access: Editor, request: Request) -> ReceivedFile:
    """The uploaded file; not a byte of it is read before the caller was checked."""
    state: Any = request.app.state
    return await uploads.receive(request, state.blobs, max_bytes=state.settings.max_upload_bytes)


Received = Annotated[ReceivedFile, Depends(_received)]


@router.post("/knowledge-bases/{knowledge_base_id}/uploads", status_code=202, openapi_extra=UPLOAD_FORM)
def upload_document(
    access: Editor, knowledge_base_id: str, received: Received, session: WriteSession, request: Request
) -> DocumentVersion:
    """Upload a document. The answer comes when it is stored; with an `Idempotency-Key` it may be repeated."""
    return service.upload(access, knowledge_base_id, received, session, blobs=request.app.state.blobs)


@router.get("/document-versions")
def list_document_versions(
    access: CanRead,
    session: ReadSession,
    request: Request,
    knowledge_base_id: str | None = None,
    state: VersionState | None = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[DocumentVersion]:
    """List document versions, newest first: those of a knowledge base that you edit, else your uploads."""
    return service.list_versions(
        access,
        session,
        knowledge=request.app.state.knowledge,
        knowledge_base_id=knowledge_base_id,
        state=state,
        cursor=cursor,
        limit=limit,
    )


@router.get("/document-versions/{version_id}")
def get_document_version(access: CanRead, session: ReadSession, request: Request, version_id: str) -> DocumentVersion:
    """Get one version: its state, progress, and why it failed."""
    return service.get_version(access, version_id, session, knowledge=request.app.state.knowledge)


@router.post("/document-versions/{version_id}/retry")
def retry_document_version(
    access: CanWrite, session: WriteSession, request: Request, version_id: str
) -> DocumentVersion:
    """Try a stopped version again."""
    return service.retry(access, version_id, session, knowledge=request.app.state.knowledge)


@router.post("/document-versions/{version_id}/cancel")
def cancel_document_version(
    access: CanWrite, session: WriteSession, request: Request, version_id: str
) -> DocumentVersion:
    """Stop a version on its way."""
    return service.cancel(access, version_id, session, knowledge=request.app.state.knowledge)


@router.delete("/documents/{document_id}", status_code=202)
def delete_document(access: CanWrite, session: WriteSession, request: Request, document_id: str) -> None:
    """Delete a document: it goes out of the index, then its bytes go."""
    state: Any = request.app.state
    service.delete_document(access, document_id, session, knowledge=state.knowledge, check_holds=state.check_holds)


@router.get("/sources")
def list_sources(
    access: CanManageSources, session: ReadSession, request: Request, cursor: Cursor = "", limit: Limit = 50
) -> Page[Source]:
    """List the sources of knowledge bases that you edit."""
    return sources.list_sources(access, session, knowledge=request.app.state.knowledge, cursor=cursor, limit=limit)


@router.post("/sources", status_code=201)
def create_source(access: CanManageSources, session: WriteSession, request: Request, new: NewSource) -> Source:
    """Configure a source."""
    state: Any = request.app.state
    return sources.create_source(access, new, session, knowledge=state.knowledge, roots=state.settings.files_roots)


@router.delete("/sources/{source_id}", status_code=202)
def delete_source(access: CanManageSources, session: WriteSession, request: Request, source_id: str) -> None:
    """Delete a source with its documents."""
    state: Any = request.app.state
    sources.delete_source(access, source_id, session, knowledge=state.knowledge, check_holds=state.check_holds)


@router.post("/sources/{source_id}/sync", status_code=202)
def sync_source(access: CanManageSources, session: WriteSession, request: Request, source_id: str) -> Sync:
    """Bring the knowledge base up to date with a source."""
    return sources.request_sync(access, source_id, session, knowledge=request.app.state.knowledge)


@router.get("/syncs/{sync_id}")
def get_sync(access: CanManageSources, session: ReadSession, request: Request, sync_id: str) -> Sync:
    """Get a sync: its state and what it has done."""
    return sources.get_sync(access, sync_id, session, knowledge=request.app.state.knowledge)


@router.get("/syncs/{sync_id}/skipped")
def list_skipped_entries(
    access: CanManageSources,
    session: ReadSession,
    request: Request,
    sync_id: str,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[SkippedEntry]:
    """List what a sync left out."""
    return sources.list_skipped(
        access, sync_id, session, knowledge=request.app.state.knowledge, cursor=cursor, limit=limit
    )
