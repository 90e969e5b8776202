"""Knowledge bases, their grants, and reading documents."""

from collections.abc import Sequence

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.contracts.knowledge import (
    Authorized,
    AuthorizeRequest,
    Document,
    DocumentIds,
    Grant,
    GrantRole,
    KnowledgeBase,
    KnowledgeBaseChange,
    NewGrant,
    NewKnowledgeBase,
    Passage,
    PassageIds,
)
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import new_id, utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_platform.holds import CheckHolds, with_documents
from zhiku_services.knowledge.errors import (
    KnowledgeBaseInUseError,
    LastOwnerError,
    NameTakenError,
)
from zhiku_services.knowledge.models import (
    AUDIT_OUTBOX,
    DeletedKnowledgeBaseRow,
    DocumentRow,
    DocumentVersionRow,
    GrantRow,
    KnowledgeBaseRow,
)
from zhiku_services.knowledge.passages import to_passage
from zhiku_services.knowledge.releases import first_release
from zhiku_services.knowledge.repository import ROLE_RANK, KnowledgeRepository, ReleaseView
from zhiku_services.knowledge.roles import check_role, require_role, viewable
from zhiku_services.knowledge.viewing import View

_LAST_ORDINAL = 2**31 - 1


def create_knowledge_base(access: Access, new: NewKnowledgeBase, session: Session) -> KnowledgeBase:
    """Create a knowledge base; its creator becomes its owner."""
    repository = KnowledgeRepository(session, access)
    _check_name(repository, new.name)
    row = KnowledgeBaseRow(
        id=new_id("kb"),
        tenant=access.tenant,
        name=new.name,
        description=new.description,
        language=new.language,
        publishing=new.publishing,
        published_release=0,
        highest_published=0,
        draft_release=1,
        oldest_release=0,
        created_by=access.principal.sub,
        created_at=utc_now(),
    )
    session.add(row)
    session.flush()
    session.add(first_release(access, row))
    session.add(_grant_row(access, row.id, NewGrant(subject=f"user:{access.principal.sub}", role=GrantRole.OWNER)))
    record(session, AUDIT_OUTBOX, event_of(access, "knowledge_base.created", row.id))
    session.flush()
    return _knowledge_base(row, GrantRole.OWNER, documents=0)


def list_knowledge_bases(access: Access, session: Session, *, cursor: str, limit: int) -> Page[KnowledgeBase]:
    """The knowledge bases that the caller may view."""
    repository = KnowledgeRepository(session, access)
    found = repository.knowledge_bases(after=cursor, limit=limit + 1)
    counts = repository.count_readable([row.id for row, _ in found])
    items = [_knowledge_base(row, role, counts.get(row.id, 0)) for row, role in found[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(found) > limit else None)


def get_knowledge_base(access: Access, knowledge_base_id: str, session: Session) -> KnowledgeBase:
    repository = KnowledgeRepository(session, access)
    row, role = viewable(repository, knowledge_base_id)
    return _knowledge_base(row, role, repository.count_readable([row.id]).get(row.id, 0))


def change_knowledge_base(
    access: Access, knowledge_base_id: str, change: KnowledgeBaseChange, session: Session
) -> KnowledgeBase:
    """Rename, describe anew, or say who publishes; owners only.

    What a draft holds when it is left to publish itself waits for the next document, or for an owner.
    """
    repository = KnowledgeRepository(session, access)
    row = _lock_for_owner(repository, knowledge_base_id)
    before = row.publishing
    if change.name is not None and change.name != row.name:
        _check_name(repository, change.name)
        row.name = change.name
    if change.description is not None:
        row.description = change.description
    if change.publishing is not None:
        row.publishing = change.publishing
    details: dict[str, Detail] = {"fields": sorted(change.model_fields_set)}
    if row.publishing != before:
        details |= {"publishing": str(row.publishing), "publishing_before": str(before)}
    record(session, AUDIT_OUTBOX, event_of(access, "knowledge_base.changed", row.id, **details))
    session.flush()
    return get_knowledge_base(access, knowledge_base_id, session)


def delete_knowledge_base(access: Access, knowledge_base_id: str, session: Session, *, check_holds: CheckHolds) -> None:
    """Delete an empty knowledge base; owners only.

    Raises:
        HeldError: a legal hold keeps it.
        KnowledgeBaseInUseError: it holds documents, and deleting those is a decision for two people.
    """
    repository = KnowledgeRepository(session, access)
    row = _lock_for_owner(repository, knowledge_base_id)
    if repository.has_documents(knowledge_base_id):
        raise KnowledgeBaseInUseError(
            "This knowledge base holds documents, or remembers deleted ones.",
            remedy="Ask for its deletion at `/knowledge-bases/{id}/deletion`; two others have to approve it.",
        )
    for grant in repository.grants(knowledge_base_id):
        session.delete(grant)
    session.flush()
    session.delete(row)
    # Ingestion may have sources and uploads of it that have not come here.
    gone = DeletedKnowledgeBaseRow(
        id=knowledge_base_id, tenant=access.tenant, deleted_by=access.principal.sub, deleted_at=utc_now()
    )
    session.add(gone)
    record(session, AUDIT_OUTBOX, event_of(access, "knowledge_base.deleted", knowledge_base_id))
    check_holds(access, with_documents(knowledge_base_id, []))


def list_grants(access: Access, knowledge_base_id: str, session: Session) -> Page[Grant]:
    """Who has which role; owners only."""
    repository = KnowledgeRepository(session, access)
    require_role(repository, knowledge_base_id, GrantRole.OWNER)
    return Page(items=[_grant(row) for row in repository.grants(knowledge_base_id)])


def add_grant(access: Access, knowledge_base_id: str, new: NewGrant, session: Session) -> Grant:
    """Give a role, or change the one that the subject has; owners only."""
    repository = KnowledgeRepository(session, access)
    _lock_for_owner(repository, knowledge_base_id)
    existing = next((row for row in repository.grants(knowledge_base_id) if row.subject == new.subject), None)
    before = None if existing is None else str(existing.role)
    if existing is not None:
        _keep_an_owner(repository, knowledge_base_id, without=existing if new.role is not GrantRole.OWNER else None)
        existing.role = new.role
    row = existing or _grant_row(access, knowledge_base_id, new)
    session.add(row)
    event = event_of(access, "grant.given", knowledge_base_id, holder=new.subject, role=new.role, role_before=before)
    record(session, AUDIT_OUTBOX, event)
    session.flush()
    return _grant(row)


def remove_grant(access: Access, knowledge_base_id: str, grant_id: str, session: Session) -> None:
    """Take a role away; effective on the next question. Owners only."""
    repository = KnowledgeRepository(session, access)
    _lock_for_owner(repository, knowledge_base_id)
    row = next((row for row in repository.grants(knowledge_base_id) if row.id == grant_id), None)
    if row is None:
        raise NotFoundError("grant")
    _keep_an_owner(repository, knowledge_base_id, without=row)
    session.delete(row)
    event = event_of(access, "grant.removed", knowledge_base_id, holder=row.subject, role_before=str(row.role))
    record(session, AUDIT_OUTBOX, event)


def authorize(access: Access, request: AuthorizeRequest, session: Session) -> Authorized:
    """Confirm that the caller has at least this role on the knowledge base."""
    repository = KnowledgeRepository(session, access)
    require_role(repository, request.knowledge_base_id, request.role)
    row, role = viewable(repository, request.knowledge_base_id)
    return Authorized(knowledge_base_id=row.id, name=row.name, role=role)


def list_documents(
    access: Access, knowledge_base_id: str, session: Session, *, cursor: str, limit: int
) -> Page[Document]:
    """The documents of a knowledge base that the caller may read."""
    repository = KnowledgeRepository(session, access)
    viewable(repository, knowledge_base_id)
    rows = repository.documents(knowledge_base_id, after=cursor, limit=limit + 1)
    items = _documents(access, rows[:limit], repository)
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def get_document(access: Access, document_id: str, session: Session) -> Document:
    repository = KnowledgeRepository(session, access)
    return _documents(access, [readable_document(repository, document_id)], repository)[0]


def get_editable_document(access: Access, document_id: str, session: Session) -> Document:
    """A document that the caller may read and edit, as the draft has it.

    Raises:
        NotFoundError: it is missing or hidden; a document that only the draft holds is hidden from viewers.
        RoleTooSmallError: the caller may read it and no more.
    """
    repository = KnowledgeRepository(session, access)
    knowledge_base_id = repository.knowledge_base_of(document_id)
    if knowledge_base_id is None:
        raise NotFoundError("document")
    knowledge_base, role = viewable(repository, knowledge_base_id)
    if ROLE_RANK[role] < ROLE_RANK[GrantRole.EDITOR]:
        readable_document(repository, document_id)
        check_role(role, GrantRole.EDITOR)
    found = repository.document(document_id, ReleaseView({knowledge_base.id: knowledge_base.draft_release}))
    if found is None:
        raise NotFoundError("document")
    return _documents(access, [found], repository)[0]


def list_passages(
    access: Access, document_id: str, session: Session, *, cursor: str, limit: int, page: int | None
) -> tuple[Page[Passage], View]:
    """A document's passages in reading order, of one page if `page` is given."""
    repository = KnowledgeRepository(session, access)
    document, version = readable_document(repository, document_id)
    after = min(int(cursor), _LAST_ORDINAL) if cursor.isdecimal() else -1
    rows = repository.passages(version, after=after, limit=limit + 1, page=page)
    items = [to_passage(row, version) for row in rows[:limit]]
    following = str(items[-1].ordinal) if len(rows) > limit else None
    return Page(items=items, next_cursor=following), View(document.id, document.knowledge_base_id, version.version_id)


def get_passage(access: Access, passage_id: str, session: Session) -> tuple[Passage, View]:
    found = KnowledgeRepository(session, access).hydrate([passage_id])
    if passage_id not in found:
        raise NotFoundError("passage")
    row, version = found[passage_id]
    return to_passage(row, version), View(row.document_id, row.knowledge_base_id, version.version_id)


def readable_passages(access: Access, request: PassageIds, session: Session) -> PassageIds:
    """Those of the passages that the caller may read now."""
    readable = KnowledgeRepository(session, access).readable_passage_ids(request.passage_ids)
    return PassageIds(passage_ids=[passage_id for passage_id in request.passage_ids if passage_id in readable])


def readable_documents(access: Access, request: DocumentIds, session: Session) -> DocumentIds:
    """Those of the documents that the caller may read now; see `DocumentIds` for what is not yet released."""
    repository = KnowledgeRepository(session, access)
    readable = repository.with_readable_acl(request.document_ids, released=request.released)
    return DocumentIds(document_ids=[document_id for document_id in request.document_ids if document_id in readable])


def readable_document(repository: KnowledgeRepository, document_id: str) -> tuple[DocumentRow, DocumentVersionRow]:
    """The document as the published release has it, if the caller may read it now.

    Raises:
        NotFoundError: it is missing or hidden.
    """
    found = repository.document(document_id)
    if found is None:
        raise NotFoundError("document")
    return found


def _check_name(repository: KnowledgeRepository, name: str) -> None:
    if repository.is_name_taken(name):
        raise NameTakenError("A knowledge base of this name exists.", remedy="Choose another name.")


def _lock_for_owner(repository: KnowledgeRepository, knowledge_base_id: str) -> KnowledgeBaseRow:
    """The knowledge base of an owner, held against others who change its grants; an owner still once it is held."""
    repository.lock(require_role(repository, knowledge_base_id, GrantRole.OWNER))
    return require_role(repository, knowledge_base_id, GrantRole.OWNER)


def _keep_an_owner(repository: KnowledgeRepository, knowledge_base_id: str, without: GrantRow | None) -> None:
    owners = [row for row in repository.grants(knowledge_base_id) if row.role == GrantRole.OWNER]
    if without is not None and [row.id for row in owners] == [without.id]:
        raise LastOwnerError("This is the last owner.", remedy="Make somebody else an owner first.")


def _grant_row(access: Access, knowledge_base_id: str, new: NewGrant) -> GrantRow:
    return GrantRow(
        id=new_id("grt"),
        tenant=access.tenant,
        knowledge_base_id=knowledge_base_id,
        subject=new.subject,
        role=new.role,
        granted_by=access.principal.sub,
        created_at=utc_now(),
    )


def _grant(row: GrantRow) -> Grant:
    return Grant(
        id=row.id,
        knowledge_base_id=row.knowledge_base_id,
        subject=row.subject,
        role=GrantRole(row.role),
        granted_by=row.granted_by,
        created_at=row.created_at,
    )


def _knowledge_base(row: KnowledgeBaseRow, role: GrantRole, documents: int) -> KnowledgeBase:
    return KnowledgeBase.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "description": row.description,
            "language": row.language,
            "role": role,
            "documents": documents,
            "publishing": row.publishing,
            "published_release": row.published_release if role is not GrantRole.VIEWER else None,
            "created_at": row.created_at,
        }
    )


def _documents(
    access: Access, rows: Sequence[tuple[DocumentRow, DocumentVersionRow]], repository: KnowledgeRepository
) -> list[Document]:
    """Documents with as much of their ACLs as the caller may know: who merely reads sees their own part alone."""
    acls = repository.readers(row.acl_id for row, _ in rows)
    roles = {each: viewable(repository, each)[1] for each in {row.knowledge_base_id for row, _ in rows}}
    found: list[Document] = []
    for row, version in rows:
        readers, level = acls[row.acl_id]
        if readers is not None and ROLE_RANK[roles[row.knowledge_base_id]] < ROLE_RANK[GrantRole.EDITOR]:
            readers = sorted(access.principal.tokens & set(readers))
        found.append(_document(row, version, readers, level))
    return found


def _document(row: DocumentRow, version: DocumentVersionRow, readers: list[str] | None, level: int) -> Document:
    return Document(
        id=row.id,
        knowledge_base_id=row.knowledge_base_id,
        title=version.title,
        path=version.path,
        media_type=version.media_type,
        size_bytes=version.size_bytes,
        pages=version.pages,
        passages=version.passages,
        content_hash=version.content_hash,
        level=level,
        readers=readers,
        updated_at=version.updated_at,
    )
