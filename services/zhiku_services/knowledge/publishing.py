"""Documents coming into and leaving the index.

Order makes it safe to stop anywhere: text is staged where no release holds it, vectors follow, and one
transaction then opens the next release with the new version and closes the old. Vectors of closed passages
are noted in that transaction and removed after it; until they are gone, hydration ignores them.
"""

from collections.abc import Sequence

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.knowledge import (
    Document,
    DocumentAcl,
    DocumentTarget,
    GrantRole,
    PublishedPassage,
    PublishRequest,
    PublishResult,
    Retired,
    RetireRequest,
)
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.knowledge import service
from zhiku_services.knowledge.errors import StaleFenceError
from zhiku_services.knowledge.index import OPEN_RELEASE as INDEX_OPEN_RELEASE
from zhiku_services.knowledge.index import IndexRow, VectorIndex
from zhiku_services.knowledge.models import AUDIT_OUTBOX, OPEN_RELEASE, DocumentRow, KnowledgeBaseRow, PassageRow
from zhiku_services.knowledge.passages import digest, passage_id
from zhiku_services.knowledge.ranking import words_of_passage
from zhiku_services.knowledge.repository import (
    KnowledgeRepository,
    PublicationRepository,
    forget_removals,
    vectors_to_remove,
)

_REMOVAL_BATCH = 1000


def publish(access: Access, request: PublishRequest, *, database: Database, index: VectorIndex) -> PublishResult:
    """Take in one part of a document version; the final part makes it the current one.

    Running it again with the same request converges on the same state.

    Raises:
        NotFoundError: the knowledge base is gone.
        StaleFenceError: a worker with a later lease has written already.
    """
    target = request.target
    with database.write() as session:
        repository = PublicationRepository(session, access)
        knowledge_base = _knowledge_base(repository, target.knowledge_base_id)
        document = _claim(repository, access, request)
        acl_id = repository.intern_acl(target.readers, target.level)
        rows = [_passage_row(access, request, passage) for passage in request.passages]
        repository.stage(rows)
        release = knowledge_base.release
    index.upsert(_index_rows(rows, request.passages, target, acl_id, release))
    if not request.final:
        return PublishResult(
            document_id=target.document_id, version_id=request.version_id, passages=len(rows), retired=0
        )
    with database.write() as session:
        repository = PublicationRepository(session, access)
        document = _claim(repository, access, request)
        _describe(document, target, repository.intern_acl(target.readers, target.level))
        entering, leaving = repository.activate(
            document, request.version_id, _knowledge_base(repository, target.knowledge_base_id)
        )
        if entering:
            event = event_of(access, "document.published", document.id, version=request.version_id, passages=entering)
            record(session, AUDIT_OUTBOX, event)
        total = document.passages
    remove_vectors(database, index)
    return PublishResult(document_id=target.document_id, version_id=request.version_id, passages=total, retired=leaving)


def retire(access: Access, request: RetireRequest, *, database: Database, index: VectorIndex) -> Retired:
    """Delete a document from tables and index; out of sight from the commit on."""
    with database.write() as session:
        repository = PublicationRepository(session, access)
        document = repository.document(request.document_id)
        if document is None:
            return Retired(document_id=request.document_id, passages=0)
        _check_fence(document, request.fence)
        document.fence = request.fence
        passages = repository.retire(document)
        record(session, AUDIT_OUTBOX, event_of(access, "document.retired", document.id, passages=passages))
    remove_vectors(database, index)
    return Retired(document_id=request.document_id, passages=passages)


def set_acl(access: Access, document_id: str, acl: DocumentAcl, *, database: Database, index: VectorIndex) -> None:
    """Change who may read a document. The tables decide from the commit on; the index follows.

    Until it has, the old filter can only hide what is newly allowed: hydration checks the new ACL.
    """
    with database.write() as session:
        repository = PublicationRepository(session, access)
        document = repository.document(document_id)
        if document is None or document.active_version is None:
            raise NotFoundError("document")
        acl_id = repository.intern_acl(acl.readers, acl.level)
        changed = acl_id != document.acl_id
        document.acl_id = acl_id
        ids = repository.version_ids(document_id, document.active_version)
        if changed:
            record(session, AUDIT_OUTBOX, event_of(access, "document.acl_changed", document_id, level=acl.level))
    if changed:
        index.set_acl(ids, acl_id=acl_id, level=acl.level)


def set_readers(
    access: Access, document_id: str, acl: DocumentAcl, *, database: Database, index: VectorIndex
) -> Document:
    """Change who may read a document that the caller may read and edit.

    Raises:
        NotFoundError: it is missing or hidden.
        RoleTooSmallError: the caller is no editor of its knowledge base.
    """
    with database.read() as session:
        repository = KnowledgeRepository(session, access)
        document = service.readable_document(repository, document_id)
        service.require_role(repository, document.knowledge_base_id, GrantRole.EDITOR)
        before = service.get_document(access, document_id, session)
    set_acl(access, document_id, acl, database=database, index=index)
    return before.model_copy(update={"readers": acl.readers, "level": acl.level})


def remove_vectors(database: Database, index: VectorIndex) -> int:
    """Remove what is noted for removal, and return how much; also what an earlier stop left over."""
    removed = 0
    while True:
        with database.read() as session:
            ids = vectors_to_remove(session, _REMOVAL_BATCH)
        if not ids:
            return removed
        index.delete(ids)
        with database.write() as session:
            forget_removals(session, ids)
        removed += len(ids)


def _knowledge_base(repository: PublicationRepository, knowledge_base_id: str) -> KnowledgeBaseRow:
    found = repository.knowledge_base(knowledge_base_id)
    if found is None:
        raise NotFoundError("knowledge base")
    return found


def _claim(repository: PublicationRepository, access: Access, request: PublishRequest) -> DocumentRow:
    """The document row with its fence raised to the caller's; a new one is visible to nobody."""
    target = request.target
    document = repository.document(target.document_id)
    if document is None:
        document = DocumentRow(
            id=target.document_id,
            tenant=access.tenant,
            knowledge_base_id=target.knowledge_base_id,
            source_id=target.source_id,
            path=target.path,
            title=target.title,
            media_type=target.media_type,
            blob=target.blob,
            size_bytes=target.size_bytes,
            content_hash=target.content_hash,
            pages=target.pages,
            acl_id=repository.intern_acl(target.readers, target.level),
            fence=request.fence,
            updated_at=utc_now(),
        )
        repository.add(document)
        return document
    if document.knowledge_base_id != target.knowledge_base_id:
        raise NotFoundError("document")
    _check_fence(document, request.fence)
    document.fence = request.fence
    return document


def _check_fence(document: DocumentRow, fence: int) -> None:
    if fence < document.fence:
        raise StaleFenceError(
            "Another worker has taken over this document.", remedy="Stop; the other worker finishes it."
        )


def _describe(document: DocumentRow, target: DocumentTarget, acl_id: int) -> None:
    document.source_id = target.source_id
    document.path = target.path
    document.title = target.title
    document.media_type = target.media_type
    document.blob = target.blob
    document.size_bytes = target.size_bytes
    document.content_hash = target.content_hash
    document.pages = target.pages
    document.acl_id = acl_id


def _passage_row(access: Access, request: PublishRequest, passage: PublishedPassage) -> PassageRow:
    draft = passage.draft
    return PassageRow(
        id=passage_id(request, draft),
        tenant=access.tenant,
        knowledge_base_id=request.target.knowledge_base_id,
        document_id=request.target.document_id,
        version_id=request.version_id,
        ordinal=draft.ordinal,
        kind=draft.kind,
        text=draft.text,
        heading_path=draft.heading_path,
        page=draft.page,
        regions=[region.model_dump() for region in draft.regions],
        language=draft.language,
        tokens=draft.tokens,
        content_hash=digest(draft.text),
        released_from=OPEN_RELEASE,
        released_to=OPEN_RELEASE,
    )


def _index_rows(
    rows: Sequence[PassageRow],
    passages: Sequence[PublishedPassage],
    target: DocumentTarget,
    acl_id: int,
    release: int,
) -> list[IndexRow]:
    return [
        IndexRow(
            passage_id=row.id,
            tenant=row.tenant,
            kb_id=row.knowledge_base_id,
            document_id=row.document_id,
            acl_id=acl_id,
            level=target.level,
            released_from=release,
            released_to=INDEX_OPEN_RELEASE,
            text=words_of_passage(target.title, row.heading_path, row.text),
            vector=passage.vector,
        )
        for row, passage in zip(rows, passages, strict=True)
    ]
