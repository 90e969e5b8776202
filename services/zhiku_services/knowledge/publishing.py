"""Documents coming into and leaving the index.

Order makes it safe to stop anywhere: text is staged where no release holds it, vectors follow, and one
transaction then lets the new version into the draft and the old one out. What the index must follow is noted in
that transaction and carried out after it. Until then the index may show more than the tables hold, and hydration,
which asks the tables, hides it.
"""

from collections.abc import Sequence

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, listed, record
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.contracts.knowledge import (
    Document,
    DocumentAcl,
    DocumentTarget,
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
from zhiku_services.knowledge.index import IndexRow, Place, VectorIndex
from zhiku_services.knowledge.models import (
    AUDIT_OUTBOX,
    OPEN_RELEASE,
    DocumentRow,
    DocumentVersionRow,
    KnowledgeBaseRow,
    PassageRow,
)
from zhiku_services.knowledge.passages import digest, passage_id
from zhiku_services.knowledge.ranking import words_of_passage
from zhiku_services.knowledge.releases import follow_draft
from zhiku_services.knowledge.repository import (
    PublicationRepository,
    forget_vectors,
    noted_vectors,
    vector_places,
)

_NOTES_AT_ONCE = 500


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
        _claim(repository, access, request)
        acl_id = repository.intern_acl(target.readers, target.level)
        rows = [_passage_row(access, request, passage) for passage in request.passages]
        repository.stage(rows)
        release = _staged_for(repository, request, knowledge_base)
    index.upsert(_index_rows(rows, request.passages, target, acl_id, release))
    _drop_deleted([row.id for row in rows], database, index)
    if not request.final:
        return PublishResult(
            document_id=target.document_id, version_id=request.version_id, passages=len(rows), retired=0
        )
    with database.write() as session:
        document, leaving = _let_in(access, request, session, staged_for=release)
    align_vectors(database, index)
    return PublishResult(
        document_id=document.id, version_id=request.version_id, passages=document.passages, retired=leaving
    )


def _drop_deleted(passage_ids: Sequence[str], database: Database, index: VectorIndex) -> None:
    """Take out again what was deleted between writing the tables and writing the index."""
    with database.read() as session:
        places = vector_places(session, passage_ids)
    index.delete([passage_id for passage_id, place in places.items() if place is None])


def _staged_for(repository: PublicationRepository, request: PublishRequest, knowledge_base: KnowledgeBaseRow) -> int:
    """The release from which on the index shows what is staged.

    A document in one part enters the draft in a moment. The parts of a larger one may lie there for long, and until
    the last has come no search may meet them: not even to count words.
    """
    entered = repository.released_from(request.target.document_id, request.version_id)
    if entered is not None:
        return entered
    return knowledge_base.draft_release if request.final and request.part == 0 else OPEN_RELEASE


def _let_in(access: Access, request: PublishRequest, session: Session, *, staged_for: int) -> tuple[DocumentRow, int]:
    """Make a version whose parts are all there the draft's; return its document and how many passages left."""
    repository = PublicationRepository(session, access)
    knowledge_base = _knowledge_base(repository, request.target.knowledge_base_id)
    document = _claim(repository, access, request)
    told = repository.intern_acl(request.target.readers, request.target.level)
    is_acl_changed = told != document.acl_id
    is_first = document.active_version is None
    if is_first or request.target.acl_revision > document.acl_revision:
        document.acl_id, document.acl_revision = told, request.target.acl_revision
        if is_first or is_acl_changed:
            _record_acl(access, document, request.target.readers, request.target.level, session)
    document.source_id = request.target.source_id
    is_new = document.active_version != request.version_id
    entering, leaving = repository.activate(document, request.version_id, knowledge_base.draft_release)
    repository.describe(_version_row(repository, request, document, knowledge_base.draft_release))
    if is_acl_changed or not is_new or staged_for != knowledge_base.draft_release:
        repository.note_vectors(repository.passage_ids(document.id))
    if is_new:
        event = event_of(access, "document.published", document.id, version=request.version_id, passages=entering)
        record(session, AUDIT_OUTBOX, event)
        follow_draft(access, knowledge_base, session)
    return document, leaving


def retire(access: Access, request: RetireRequest, *, database: Database, index: VectorIndex) -> Retired:
    """Delete a document from every release, in tables and index; out of sight from the commit on.

    With `only_unseen`, delete what was staged of it and never entered a release.
    """
    with database.write() as session:
        repository = PublicationRepository(session, access)
        document = repository.document(request.document_id)
        if document is None:
            return Retired(document_id=request.document_id, passages=0)
        _check_fence(document, request.fence)
        document.fence = request.fence
        if request.only_unseen:
            passages = repository.drop_staged(document.id)
        else:
            passages = repository.retire(document)
            record(session, AUDIT_OUTBOX, event_of(access, "document.retired", document.id, passages=passages))
    align_vectors(database, index)
    return Retired(document_id=request.document_id, passages=passages)


def set_acl(access: Access, document_id: str, acl: DocumentAcl, *, database: Database, index: VectorIndex) -> None:
    """Change who may read a document, as its source says. The tables decide from the commit on; the index follows.

    Until it has, the old filter can only hide what is newly allowed: hydration checks the new ACL.
    """
    with database.write() as session:
        _take_acl(access, document_id, acl, session)
    align_vectors(database, index)


def set_readers(
    access: Access, document_id: str, acl: DocumentAcl, *, database: Database, index: VectorIndex
) -> Document:
    """Change who may read a document that the caller may read and edit.

    Raises:
        NotFoundError: it is missing or hidden.
        RoleTooSmallError: the caller is no editor of its knowledge base.
    """
    with database.write() as session:
        before = service.get_editable_document(access, document_id, session)
        # A revision is ingestion's alone: with one of its own, a caller could shut out what the source says later.
        _take_acl(access, document_id, acl.model_copy(update={"revision": None}), session)
    align_vectors(database, index)
    return before.model_copy(update={"readers": acl.readers, "level": acl.level})


def _take_acl(access: Access, document_id: str, acl: DocumentAcl, session: Session) -> None:
    repository = PublicationRepository(session, access)
    document = repository.document(document_id)
    if document is None or document.active_version is None:
        raise NotFoundError("document")
    if acl.revision is not None and acl.revision <= document.acl_revision:
        return
    acl_id = repository.intern_acl(acl.readers, acl.level)
    document.acl_revision = document.acl_revision if acl.revision is None else acl.revision
    if acl_id != document.acl_id:
        document.acl_id = acl_id
        repository.note_vectors(repository.passage_ids(document.id))
        _record_acl(access, document, acl.readers, acl.level, session)


def _record_acl(
    access: Access, document: DocumentRow, readers: Sequence[str] | None, level: int, session: Session
) -> None:
    """Record who may read a document from now on; `readers` None leaves it to the knowledge base's grants."""
    named = listed("readers", None if readers is None else sorted(set(readers)))
    details: dict[str, Detail] = {**named, "level": level, "acl": str(document.acl_id)}
    record(session, AUDIT_OUTBOX, event_of(access, "document.acl_changed", document.id, **details))


def align_vectors(database: Database, index: VectorIndex) -> int:
    """Bring the index in line with the tables where that is noted, and return how many notes there were.

    Also what an earlier stop left over. Two callers may work at the same time: whoever writes last looks again.
    """
    aligned = 0
    while True:
        with database.read() as session:
            noted = noted_vectors(session, _NOTES_AT_ONCE)
        if not noted:
            return aligned
        _align(sorted({passage_id for _, passage_id in noted}), database, index)
        with database.write() as session:
            forget_vectors(session, [number for number, _ in noted])
        aligned += len(noted)


def _align(passage_ids: Sequence[str], database: Database, index: VectorIndex) -> None:
    written: dict[str, Place | None] | None = None
    while True:
        with database.read() as session:
            places = vector_places(session, passage_ids)
        if places == written:
            return
        index.delete([passage_id for passage_id, place in places.items() if place is None])
        for place in {place for place in places.values() if place is not None}:
            index.place([passage_id for passage_id, each in places.items() if each == place], place)
        written = places


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
            acl_id=repository.intern_acl(target.readers, target.level),
            acl_revision=target.acl_revision,
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


def _version_row(
    repository: PublicationRepository, request: PublishRequest, document: DocumentRow, release: int
) -> DocumentVersionRow:
    """What the version is called; a version written again keeps its interval."""
    target = request.target
    row = repository.version(document.id, request.version_id) or DocumentVersionRow(
        document_id=document.id,
        version_id=request.version_id,
        released_from=release,
        released_to=OPEN_RELEASE,
        path="",
        title="",
        media_type="",
        blob="",
        size_bytes=0,
        content_hash="",
        updated_at=utc_now(),
    )
    row.path = target.path
    row.title = target.title
    row.media_type = target.media_type
    row.blob = target.blob
    row.size_bytes = target.size_bytes
    row.content_hash = target.content_hash
    row.pages = target.pages
    row.passages = document.passages
    return row


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
