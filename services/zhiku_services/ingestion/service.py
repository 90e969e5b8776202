"""The rules: who may hand in, see, stop and delete documents, and what comes of it."""

import hashlib
import json
from collections.abc import Sequence

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.blobs import BlobName, BlobStore
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.ingestion import DocumentNote, DocumentVersion, Progress, Reason, VersionState
from zhiku_platform.contracts.knowledge import AuthorizeRequest, GrantRole
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import utc_now
from zhiku_platform.errors import NotFoundError, RemoteProblemError
from zhiku_platform.holds import CheckHolds, with_documents
from zhiku_services.ingestion import lifecycle
from zhiku_services.ingestion.errors import (
    AlreadyEndedError,
    BlobGoneError,
    IdempotencyKeyReusedError,
    NewerVersionError,
    NotStoppedError,
)
from zhiku_services.ingestion.lifecycle import Accepted, Arrival
from zhiku_services.ingestion.models import DocumentRow, IdempotencyRow, VersionRow
from zhiku_services.ingestion.parsing.errors import BY_CODE as PARSING_ERRORS
from zhiku_services.ingestion.repository import IngestionRepository
from zhiku_services.ingestion.states import STOPPED, UNFINISHED, eta_s
from zhiku_services.ingestion.uploads import ReceivedFile

_MAX_OWN_KNOWLEDGE_BASES = 100
_HIDDEN = frozenset({"not_found", "role_too_small", "forbidden"})


def require_editor(access: Access, knowledge_base_id: str, *, knowledge: KnowledgeClient) -> None:
    """Check that the caller may edit a knowledge base.

    Raises:
        RemoteProblemError: as the knowledge service says it: `not_found`, or a role that is too small.
    """
    request = AuthorizeRequest(knowledge_base_id=knowledge_base_id, role=GrantRole.EDITOR)
    knowledge.authorize(access.principal, request)


def upload(
    access: Access, knowledge_base_id: str, received: ReceivedFile, session: Session, *, blobs: BlobStore
) -> DocumentVersion:
    """Accept a stored file from an editor: a new version, or the one that has these bytes already.

    Raises:
        IdempotencyKeyReusedError: the key came before with another file or place.
    """
    repository = IngestionRepository(session, access)
    digest = _request_digest(knowledge_base_id, received)
    if received.idempotency_key is not None:
        lifecycle.serialise(session, "idempotency", access.tenant, access.principal.sub, received.idempotency_key)
        if (known := repository.idempotent(received.idempotency_key)) is not None:
            return _repeated(repository, known, digest)
    arrival = Arrival(
        tenant=access.tenant,
        knowledge_base_id=knowledge_base_id,
        key=received.path,
        path=received.path,
        title=title_of(received.path),
        media_type=received.media_type[:150],
        blob=received.blob.name,
        size_bytes=received.blob.size_bytes,
        actor=access.principal.sub,
        acl=received.acl,
    )
    accepted = admit(session, arrival, blobs=blobs)
    if received.idempotency_key is not None:
        session.add(
            IdempotencyRow(
                tenant=access.tenant,
                sub=access.principal.sub,
                key=received.idempotency_key,
                request=digest,
                version_id=accepted.version.id,
                created_at=utc_now(),
            )
        )
    session.flush()
    return _shown(repository, accepted.version, unchanged=accepted.unchanged)


def admit(session: Session, arrival: Arrival, *, blobs: BlobStore) -> Accepted:
    """Accept bytes that are in the blob store, and make sure that they stay there.

    Raises:
        BlobGoneError: they were removed meanwhile, with the last document that had the same.
    """
    lifecycle.serialise(session, "blob", arrival.blob)
    try:
        blobs.path(BlobName(arrival.blob))
    except NotFoundError as error:
        raise BlobGoneError("The file was removed while it was accepted.", remedy="Send it again.") from error
    return lifecycle.accept(session, arrival)


def title_of(path: str) -> str:
    """A document's title before it is parsed: its file name without the extension."""
    name = path.rsplit("/", 1)[-1]
    stem = name.rsplit(".", 1)[0]
    return (stem or name)[:500]


def _request_digest(knowledge_base_id: str, received: ReceivedFile) -> str:
    acl = received.acl and [received.acl.readers, received.acl.level]
    return hashlib.sha256(json.dumps([knowledge_base_id, received.path, received.blob.name, acl]).encode()).hexdigest()


def _repeated(repository: IngestionRepository, known: IdempotencyRow, digest: str) -> DocumentVersion:
    version = repository.version(known.version_id)
    if known.request != digest or version is None:
        raise IdempotencyKeyReusedError(
            "This `Idempotency-Key` was used for another upload.", remedy="Use a new key for each upload."
        )
    return _shown(repository, version)


def list_versions(
    access: Access,
    session: Session,
    *,
    knowledge: KnowledgeClient,
    knowledge_base_id: str | None,
    state: VersionState | None,
    cursor: str,
    limit: int,
) -> Page[DocumentVersion]:
    """Versions, newest first: all of a knowledge base for its editors, else the caller's own uploads."""
    repository = IngestionRepository(session, access)
    created_by: str | None = access.principal.sub
    if knowledge_base_id is None:
        candidates = repository.own_knowledge_bases(_MAX_OWN_KNOWLEDGE_BASES)
        visible = [candidate for candidate in candidates if _role(access, candidate, knowledge) is not None]
    else:
        role = _role(access, knowledge_base_id, knowledge)
        if role is None:
            raise NotFoundError("knowledge base")
        visible = [knowledge_base_id]
        created_by = access.principal.sub if role == GrantRole.VIEWER else None
    found = repository.versions(visible, state=state, created_by=created_by, before=cursor, limit=limit + 1)
    items = _shown_all(access, repository, found[:limit], knowledge)
    return Page(items=items, next_cursor=items[-1].id if len(found) > limit else None)


def get_version(access: Access, version_id: str, session: Session, *, knowledge: KnowledgeClient) -> DocumentVersion:
    """One version, for its uploader or an editor of its knowledge base.

    Raises:
        NotFoundError: it is missing, or not the caller's to see.
    """
    repository = IngestionRepository(session, access)
    version = _visible_version(access, repository, version_id, knowledge)
    return _shown_all(access, repository, [version], knowledge)[0]


def cancel(access: Access, version_id: str, session: Session, *, knowledge: KnowledgeClient) -> DocumentVersion:
    """Stop a version that has not ended; editors only. Cancelling twice is cancelling once.

    Raises:
        AlreadyEndedError: it has ended otherwise.
    """
    repository, document, version = _editable_version(access, version_id, session, knowledge)
    if version.state == VersionState.CANCELLED:
        return _shown_all(access, repository, [version], knowledge)[0]
    if version.state not in UNFINISHED:
        raise AlreadyEndedError(
            f"This version is {version.state} and cannot be cancelled.", remedy="Delete the document instead."
        )
    lifecycle.cancel(session, document, version, actor=access.principal.sub)
    return _shown_all(access, repository, [version], knowledge)[0]


def retry(access: Access, version_id: str, session: Session, *, knowledge: KnowledgeClient) -> DocumentVersion:
    """Queue a failed, quarantined or cancelled version again; editors only.

    Raises:
        NotStoppedError: it is on its way, or indexed; or the version before it is on its way back.
        NewerVersionError: the document has a newer version.
    """
    repository, document, version = _editable_version(access, version_id, session, knowledge)
    if version.state == VersionState.SUPERSEDED:
        raise NewerVersionError("The document has a newer version.", remedy="Retry that one, or upload it again.")
    if version.state not in STOPPED:
        raise NotStoppedError(f"This version is {version.state}.", remedy="Wait for it, or cancel it first.")
    before = lifecycle.version_of(session, document.current_version_id)
    if before is not None and before.state in UNFINISHED:
        raise NotStoppedError(
            "The version before this one is on its way back into the index.", remedy="Wait until it is there."
        )
    lifecycle.retry(session, document, version, actor=access.principal.sub)
    return _shown_all(access, repository, [version], knowledge)[0]


def delete_document(
    access: Access, document_id: str, session: Session, *, knowledge: KnowledgeClient, check_holds: CheckHolds
) -> None:
    """Delete a document; editors only. Deleting twice is deleting once.

    Raises:
        HeldError: a legal hold keeps it.
        NotFoundError: it is missing, or in a knowledge base that the caller may not view.
    """
    document = IngestionRepository(session, access).document(document_id)
    if document is None or _role(access, document.knowledge_base_id, knowledge) is None:
        raise NotFoundError("document")
    require_editor(access, document.knowledge_base_id, knowledge=knowledge)
    locked = lifecycle.lock_document(session, document_id)
    if locked is not None and locked.deleted_at is None:
        lifecycle.delete(session, locked, actor=access.principal.sub)
        check_holds(access, with_documents(locked.knowledge_base_id, [locked.id]))


def _role(access: Access, knowledge_base_id: str, knowledge: KnowledgeClient) -> GrantRole | None:
    """The caller's role on a knowledge base, or None if it may not view it."""
    request = AuthorizeRequest(knowledge_base_id=knowledge_base_id, role=GrantRole.VIEWER)
    try:
        return knowledge.authorize(access.principal, request).role
    except RemoteProblemError as error:
        if error.remote_code in _HIDDEN:
            return None
        raise


def _visible_version(
    access: Access, repository: IngestionRepository, version_id: str, knowledge: KnowledgeClient
) -> VersionRow:
    version = repository.version(version_id)
    role = None if version is None else _role(access, version.knowledge_base_id, knowledge)
    if version is None or role is None:
        raise NotFoundError("document version")
    if role == GrantRole.VIEWER and version.created_by != access.principal.sub:
        raise NotFoundError("document version")
    return version


def _editable_version(
    access: Access, version_id: str, session: Session, knowledge: KnowledgeClient
) -> tuple[IngestionRepository, DocumentRow, VersionRow]:
    repository = IngestionRepository(session, access)
    seen = _visible_version(access, repository, version_id, knowledge)
    require_editor(access, seen.knowledge_base_id, knowledge=knowledge)
    document = lifecycle.lock_document(session, seen.document_id)
    version = lifecycle.version_of(session, version_id)
    if document is None or version is None or document.deleted_at is not None:
        raise NotFoundError("document version")
    return repository, document, version


def _shown(repository: IngestionRepository, version: VersionRow, *, unchanged: bool = False) -> DocumentVersion:
    positions = repository.queue_positions([version.id] if version.state == VersionState.QUEUED else [])
    return _to_wire(version, positions.get(version.id), unchanged=unchanged)


def _shown_all(
    access: Access, repository: IngestionRepository, versions: Sequence[VersionRow], knowledge: KnowledgeClient
) -> list[DocumentVersion]:
    """Versions as the caller may see them: what a document is called is for its readers and who uploaded it."""
    positions = repository.queue_positions([v.id for v in versions if v.state == VersionState.QUEUED])
    named = _named(access, repository, versions, knowledge)
    shown = [_to_wire(version, positions.get(version.id)) for version in versions]
    return [one if one.id in named else one.model_copy(update={"title": "", "path": "", "notes": []}) for one in shown]


def _named(
    access: Access, repository: IngestionRepository, versions: Sequence[VersionRow], knowledge: KnowledgeClient
) -> set[str]:
    """The versions whose name the caller may see, by id.

    The knowledge service decides; a document that it does not have yet goes by the ACL that it came with.
    """
    principal = access.principal
    own = {v.id for v in versions if v.created_by == principal.sub and not v.source_id}
    others = [v for v in versions if v.id not in own]
    wanted = sorted({v.document_id for v in others})
    readable = knowledge.readable_documents(principal, wanted) if wanted else set()
    for document_id in set(wanted) - readable:
        document = repository.document(document_id)
        if document is not None and document.indexed_version_id is None:
            is_reader = document.readers is None or not principal.tokens.isdisjoint(document.readers)
            readable |= {document_id} if is_reader and document.level <= principal.clearance else set()
    return own | {v.id for v in others if v.document_id in readable}


def _to_wire(version: VersionRow, position: int | None, *, unchanged: bool = False) -> DocumentVersion:
    return DocumentVersion(
        id=version.id,
        document_id=version.document_id,
        knowledge_base_id=version.knowledge_base_id,
        source_id=version.source_id or None,
        path=version.path,
        title=version.title,
        media_type=version.media_type,
        size_bytes=version.size_bytes,
        content_hash=version.content_hash,
        state=VersionState(version.state),
        attempt=version.attempt,
        progress=Progress(
            done=version.done,
            total=version.total,
            eta_s=eta_s(version.done, version.total, version.stage_started_at, version.heartbeat_at),
            heartbeat_at=version.heartbeat_at,
            queue_position=position,
        ),
        passages=version.passages,
        reason=reason_of(version.reason_code, version.reason_stage, version.reason_detail, version.reason_remedy),
        notes=[DocumentNote.model_validate(note) for note in version.notes],
        unchanged=unchanged,
        created_at=version.created_at,
        updated_at=version.updated_at,
    )


def reason_of(code: str | None, stage: str | None, detail: str | None, remedy: str | None) -> Reason | None:
    """A reason from its columns, or None if there is none."""
    if code is None:
        return None
    known = PARSING_ERRORS.get(code)
    return Reason(
        code=code,
        stage=stage or "",
        detail=detail or "",
        remedy=remedy or "",
        may_pass_later=known is None or known.may_pass_later,
    )
