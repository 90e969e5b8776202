"""The HTTP face of the knowledge service."""

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from fastapi.responses import FileResponse

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.approvals import Approvals, GivenApproval, waiting
from zhiku_platform.blobs import BlobName, BlobStore
from zhiku_platform.contracts.governance import Approval, ApprovalReason
from zhiku_platform.contracts.knowledge import (
    Authorized,
    AuthorizeRequest,
    Document,
    DocumentAcl,
    DocumentIds,
    DocumentReaders,
    Grant,
    KnowledgeBase,
    KnowledgeBaseChange,
    KnowledgeBaseIds,
    NewGrant,
    NewKnowledgeBase,
    NewRelease,
    Passage,
    PassageChange,
    PassageIds,
    PublishRequest,
    PublishResult,
    Readable,
    Release,
    ReleaseDiff,
    Retired,
    RetireRequest,
    SearchRequest,
    SearchResult,
)
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.db import Database, ReadSession, WriteSession
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.http import GuardedRouter
from zhiku_services.knowledge import deletion, explaining, publishing, releases, search, service, warning
from zhiku_services.knowledge.repository import KnowledgeRepository
from zhiku_services.knowledge.viewing import View, Views

router = GuardedRouter(prefix="/api/v1", tags=["knowledge"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanRead = Annotated[Access, require(Permission.KNOWLEDGE_BASE_READ)]
CanCreate = Annotated[Access, require(Permission.KNOWLEDGE_BASE_CREATE)]
CanManage = Annotated[Access, require(Permission.KNOWLEDGE_BASE_MANAGE)]
CanManageReleases = Annotated[Access, require(Permission.RELEASE_MANAGE)]
CanReadDocuments = Annotated[Access, require(Permission.DOCUMENT_READ)]
CanWriteDocuments = Annotated[Access, require(Permission.DOCUMENT_WRITE)]
CanExplain = Annotated[Access, require(Permission.ACCESS_EXPLAIN)]
CanSearch = Annotated[Access, require(Permission.SEARCH)]
CanPublish = Annotated[Access, require(Permission.PASSAGE_PUBLISH)]

Cursor = Annotated[str, Query(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=200)]
ReleaseNumber = Annotated[int, Path(ge=0, lt=2**62)]
Sub = Annotated[str, Path(min_length=1, max_length=200, pattern=SEARCHABLE)]
PageNumber = Annotated[int | None, Query(ge=1, lt=2**31)]

_INLINE = {"application/pdf", "text/plain", "image/png", "image/jpeg"}


@router.get("/knowledge-bases")
def list_knowledge_bases(
    access: CanRead, session: ReadSession, cursor: Cursor = "", limit: Limit = 100
) -> Page[KnowledgeBase]:
    """List the knowledge bases that you may view."""
    return service.list_knowledge_bases(access, session, cursor=cursor, limit=limit)


@router.post("/knowledge-bases", status_code=201)
def create_knowledge_base(access: CanCreate, session: WriteSession, new: NewKnowledgeBase) -> KnowledgeBase:
    """Create a knowledge base that you own."""
    return service.create_knowledge_base(access, new, session)


@router.get("/knowledge-bases/{knowledge_base_id}")
def get_knowledge_base(access: CanRead, session: ReadSession, knowledge_base_id: str) -> KnowledgeBase:
    """Get one knowledge base."""
    return service.get_knowledge_base(access, knowledge_base_id, session)


@router.patch("/knowledge-bases/{knowledge_base_id}")
def change_knowledge_base(
    access: CanManage, session: WriteSession, knowledge_base_id: str, change: KnowledgeBaseChange
) -> KnowledgeBase:
    """Rename or describe a knowledge base that you own."""
    return service.change_knowledge_base(access, knowledge_base_id, change, session)


@router.delete("/knowledge-bases/{knowledge_base_id}", status_code=204)
def delete_knowledge_base(access: CanManage, request: Request, session: WriteSession, knowledge_base_id: str) -> None:
    """Delete an empty knowledge base that you own."""
    service.delete_knowledge_base(access, knowledge_base_id, session, check_holds=request.app.state.check_holds)


@router.post(
    "/knowledge-bases/{knowledge_base_id}/deletion",
    status_code=204,
    response_class=Response,
    responses={202: {"model": Approval, "description": "Two others are asked; come back with `approval`"}},
)
def delete_with_approval(
    access: CanManage, request: Request, knowledge_base_id: str, why: ApprovalReason, approval: GivenApproval = None
) -> Response:
    """Delete a knowledge base that you own with all it holds, once two others have approved exactly that."""
    if approval is None:
        # First what is to be deleted: for whom it does not exist, nothing else is missing either.
        with _database(request).read() as session:
            subject = deletion.describe(access, knowledge_base_id, session)
        return waiting(_approvals(request).ask(access, subject, why.reason))
    approvals = _approvals(request)
    with _database(request).write() as session:
        claim = deletion.delete(
            access,
            knowledge_base_id,
            session,
            approvals=approvals,
            check_holds=request.app.state.check_holds,
            approval_id=approval,
        )
    approvals.complete(access, claim)
    publishing.align_vectors(_database(request), request.app.state.index)
    return Response(status_code=204)


@router.get("/knowledge-bases/{knowledge_base_id}/grants")
def list_grants(access: CanManage, session: ReadSession, knowledge_base_id: str) -> Page[Grant]:
    """List who has which role on a knowledge base that you own."""
    return service.list_grants(access, knowledge_base_id, session)


@router.post("/knowledge-bases/{knowledge_base_id}/grants", status_code=201)
def add_grant(access: CanManage, session: WriteSession, knowledge_base_id: str, new: NewGrant) -> Grant:
    """Give a user or group a role on a knowledge base that you own."""
    return service.add_grant(access, knowledge_base_id, new, session)


@router.delete("/knowledge-bases/{knowledge_base_id}/grants/{grant_id}", status_code=204)
def remove_grant(access: CanManage, session: WriteSession, knowledge_base_id: str, grant_id: str) -> None:
    """Take a role away."""
    service.remove_grant(access, knowledge_base_id, grant_id, session)


@router.get("/knowledge-bases/{knowledge_base_id}/releases")
def list_releases(
    access: CanManageReleases, session: ReadSession, knowledge_base_id: str, cursor: Cursor = "", limit: Limit = 100
) -> Page[Release]:
    """List the draft and the releases of a knowledge base that you may edit, the latest first."""
    return releases.list_releases(access, knowledge_base_id, session, cursor=cursor, limit=limit)


@router.post("/knowledge-bases/{knowledge_base_id}/releases", status_code=201)
def create_release(
    access: CanManageReleases, session: WriteSession, knowledge_base_id: str, new: NewRelease
) -> Release:
    """Close the draft of a knowledge base that you own as a release, and publish it if you say so."""
    return releases.create_release(access, knowledge_base_id, new, session)


@router.post("/knowledge-bases/{knowledge_base_id}/releases/{number}/publish")
def publish_release(
    access: CanManageReleases, session: WriteSession, knowledge_base_id: str, number: ReleaseNumber
) -> Release:
    """Show readers this release from the next question on; an earlier one is a roll-back."""
    return releases.publish_release(access, knowledge_base_id, number, session)


@router.get("/knowledge-bases/{knowledge_base_id}/releases/{before}/diff/{after}")
def diff_releases(
    access: CanManageReleases,
    session: ReadSession,
    knowledge_base_id: str,
    before: ReleaseNumber,
    after: ReleaseNumber,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> ReleaseDiff:
    """Compare two releases by document, as far as you may read the documents."""
    return releases.diff(access, knowledge_base_id, before, after, session, cursor=cursor, limit=limit)


@router.get("/knowledge-bases/{knowledge_base_id}/releases/{before}/diff/{after}/documents/{document_id}")
def diff_document(
    access: CanManageReleases,
    request: Request,
    knowledge_base_id: str,
    before: ReleaseNumber,
    after: ReleaseNumber,
    document_id: str,
) -> Page[PassageChange]:
    """List the passages of one document that one of two releases holds and the other does not."""
    with _database(request).read() as session:
        changes, views = releases.diff_document(access, knowledge_base_id, before, after, document_id, session)
    for view in views:
        _views(request).shown(access, view)
    return changes


@router.get("/knowledge-bases/{knowledge_base_id}/documents")
def list_documents(
    access: CanReadDocuments, session: ReadSession, knowledge_base_id: str, cursor: Cursor = "", limit: Limit = 100
) -> Page[Document]:
    """List the documents that you may read."""
    return service.list_documents(access, knowledge_base_id, session, cursor=cursor, limit=limit)


@router.get("/documents/{document_id}")
def get_document(access: CanReadDocuments, session: ReadSession, document_id: str) -> Document:
    """Get one document."""
    return service.get_document(access, document_id, session)


@router.put("/documents/{document_id}/acl")
def set_document_acl(access: CanWriteDocuments, request: Request, document_id: str, acl: DocumentAcl) -> Document:
    """Change who may read a document; you need to be an editor, and to be able to read it."""
    state = request.app.state
    return publishing.set_readers(access, document_id, acl, database=state.database, index=state.index)


@router.get("/documents/{document_id}/content", response_class=FileResponse)
def get_document_content(access: CanReadDocuments, request: Request, document_id: str) -> Response:
    """Get the original bytes; ranges are supported."""
    blobs: BlobStore = request.app.state.blobs
    with _database(request).read() as session:
        document, version = service.readable_document(KnowledgeRepository(session, access), document_id)
        view = View(document.id, document.knowledge_base_id, version.version_id)
    _views(request).shown(access, view)
    return FileResponse(
        blobs.path(BlobName(version.blob)),
        media_type=version.media_type,
        filename=version.path.rsplit("/", 1)[-1],
        content_disposition_type="inline" if version.media_type in _INLINE else "attachment",
        headers={"Cache-Control": "private, no-store", "Content-Security-Policy": "sandbox; default-src 'none'"},
    )


@router.get("/documents/{document_id}/passages")
def list_passages(
    access: CanReadDocuments,
    request: Request,
    document_id: str,
    cursor: Cursor = "",
    limit: Limit = 50,
    page: PageNumber = None,
) -> Page[Passage]:
    """List a document's passages in reading order."""
    with _database(request).read() as session:
        found, view = service.list_passages(access, document_id, session, cursor=cursor, limit=limit, page=page)
    _views(request).shown(access, view)
    return found.model_copy(update={"items": warning.warn(access, found.items, request.app.state.safety)})


@router.get("/passages/{passage_id}")
def get_passage(access: CanReadDocuments, request: Request, passage_id: str) -> Passage:
    """Get one passage."""
    with _database(request).read() as session:
        passage, view = service.get_passage(access, passage_id, session)
    _views(request).shown(access, view)
    (warned,) = warning.warn(access, [passage], request.app.state.safety)
    return warned


@router.get("/documents/{document_id}/readers")
def explain_document(access: CanExplain, request: Request, session: WriteSession, document_id: str) -> DocumentReaders:
    """Tell who can see this document, and why: all of it to owners, to readers what concerns themselves."""
    return explaining.document_readers(access, document_id, session, people=request.app.state.people)


@router.get("/users/{sub}/readable")
def explain_user(access: CanExplain, request: Request, session: WriteSession, sub: Sub) -> Readable:
    """Tell what a user can see, and why: yourself, or others in the knowledge bases that you own."""
    return explaining.readable_by(access, sub, session, people=request.app.state.people)


@router.post("/search")
def run_search(access: CanSearch, request: Request, query: SearchRequest) -> SearchResult:
    """Search the passages that you may read."""
    state: Any = request.app.state
    result = search.search(access, query, database=state.database, index=state.index, embed=state.embed)
    _views(request).found(access, query, result)
    result = search.for_callers(result, access, database=state.database)
    return warning.warn_of_found(access, result, state.safety)


@internal.post("/search")
def search_for_service(access: CanSearch, request: Request, query: SearchRequest) -> SearchResult:
    """Search on behalf of a user; the result names every release that was searched."""
    state: Any = request.app.state
    return search.search(access, query, database=state.database, index=state.index, embed=state.embed, for_service=True)


@internal.post("/authorize")
def authorize(access: CanRead, session: ReadSession, request: AuthorizeRequest) -> Authorized:
    """Confirm a role on a knowledge base."""
    return service.authorize(access, request, session)


@internal.post("/readable-passages")
def readable_passages(access: CanReadDocuments, session: ReadSession, request: PassageIds) -> PassageIds:
    """Filter passages by current rights."""
    return service.readable_passages(access, request, session)


@internal.post("/readable-documents")
def readable_documents(access: CanReadDocuments, session: ReadSession, request: DocumentIds) -> DocumentIds:
    """Filter documents by their current ACLs."""
    return service.readable_documents(access, request, session)


@internal.post("/deleted-knowledge-bases")
def deleted_knowledge_bases(access: CanPublish, session: ReadSession, request: KnowledgeBaseIds) -> KnowledgeBaseIds:
    """Say which of these knowledge bases were deleted."""
    return deletion.deleted_among(access, request, session)


@internal.post("/publish")
def publish(access: CanPublish, request: Request, publication: PublishRequest) -> PublishResult:
    """Take in one part of a document version."""
    state = request.app.state
    return publishing.publish(access, publication, database=state.database, index=state.index)


@internal.post("/retire")
def retire(access: CanPublish, request: Request, retirement: RetireRequest) -> Retired:
    """Delete a document."""
    state = request.app.state
    return publishing.retire(access, retirement, database=state.database, index=state.index)


@internal.put("/documents/{document_id}/acl", status_code=204)
def set_acl(access: CanPublish, request: Request, document_id: str, acl: DocumentAcl) -> None:
    """Change who may read a document, on behalf of its source."""
    state = request.app.state
    publishing.set_acl(access, document_id, acl, database=state.database, index=state.index)


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _approvals(request: Request) -> Approvals:
    approvals: Approvals | None = request.app.state.approvals
    if approvals is None:
        raise ServiceUnavailableError("Nobody can be asked to approve this.", remedy="Start the governance service.")
    return approvals


def _views(request: Request) -> Views:
    views: Views = request.app.state.views
    return views
