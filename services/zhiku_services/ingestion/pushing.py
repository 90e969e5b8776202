"""Telling the knowledge service what changed without new bytes: another ACL, or a deletion."""

from sqlmodel import col, select

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.blobs import BlobName, BlobStore
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.contracts.knowledge import DocumentAcl, RetireRequest
from zhiku_platform.db import Database
from zhiku_platform.errors import RemoteProblemError, ServiceUnavailableError
from zhiku_platform.holds import CheckHolds, HeldError, with_documents
from zhiku_platform.queue import RetriableError
from zhiku_platform.telemetry import get_logger
from zhiku_services.ingestion import lifecycle
from zhiku_services.ingestion.models import DocumentRow, VersionRow
from zhiku_services.ingestion.states import Pending, Trace

log = get_logger(__name__)

_GONE = "not_found"
_SETTLED = frozenset({_GONE, "stale_fence"})
"""Answers after which there is nothing left to tell: the document is gone, or a later worker had it."""


def push(document_id: str, *, database: Database, knowledge: KnowledgeClient) -> None:
    """Tell what is pending about a document; running twice tells the same twice.

    Raises:
        RetriableError: the knowledge service does not answer; the sweeper asks again later as well.
    """
    with database.read() as session:
        document = session.get(DocumentRow, document_id)
    if document is None or document.pending == Pending.NOTHING:
        return
    try:
        _tell(document, knowledge)
    except RemoteProblemError as error:
        if error.remote_code not in _SETTLED:
            raise RetriableError("knowledge refused", delay_s=10.0) from error
        if error.remote_code == _GONE and document.pending == Pending.ACL and document.trace == Trace.FLIP:
            # It may become visible any moment, with the ACL of before: the sweeper asks again.
            return
    except ServiceUnavailableError as error:
        raise RetriableError("knowledge is away", delay_s=10.0) from error
    with database.write() as session:
        if document.pending == Pending.ACL:
            lifecycle.mark_acl_told(session, document_id, acl_revision=document.acl_revision)
        elif document.pending == Pending.DISCARD:
            lifecycle.mark_discarded(
                session, document_id, acl_revision=document.acl_revision, retire_fence=document.retire_fence
            )
        else:
            lifecycle.mark_retired(session, document_id, retire_fence=document.retire_fence)
    log.info("knowledge_told", document_id=document_id, what=document.pending)


def _tell(document: DocumentRow, knowledge: KnowledgeClient) -> None:
    principal = service_principal("ingestion", document.tenant)
    if document.pending in {Pending.ACL, Pending.DISCARD}:
        acl = DocumentAcl(readers=document.readers, level=document.level, revision=document.acl_revision)
        knowledge.set_acl(principal, document.id, acl)
    if document.pending in {Pending.RETIRE, Pending.DISCARD}:
        request = RetireRequest(
            tenant=document.tenant,
            document_id=document.id,
            fence=document.retire_fence,
            only_unseen=document.pending == Pending.DISCARD,
        )
        knowledge.retire(principal, request)


def drop_blob(blob: str, *, database: Database, blobs: BlobStore, check_holds: CheckHolds) -> None:
    """Remove stored bytes that no live version refers to; running twice removes nothing more.

    `lifecycle.accept` looks for the bytes under the same lock, so none are removed that were just accepted. Superseded
    versions of a document under a legal hold keep theirs until it is deleted.

    Raises:
        ServiceUnavailableError: governance does not say whether a hold keeps them.
    """
    with database.write() as session:
        lifecycle.serialise(session, "blob", blob)
        query = (
            select(VersionRow.state, DocumentRow)
            .join(DocumentRow, col(DocumentRow.id) == col(VersionRow.document_id))
            .where(col(VersionRow.blob) == blob, col(DocumentRow.deleted_at).is_(None))
        )
        holders = session.exec(query).all()
        if any(state != VersionState.SUPERSEDED for state, _ in holders):
            return
        try:
            for document in {document.id: document for _, document in holders}.values():
                own = authorize(service_principal("ingestion", document.tenant), Permission.HOLD_CHECK)
                check_holds(own, with_documents(document.knowledge_base_id, [document.id]))
        except HeldError:
            log.info("blob_held", blob=blob)
            return
        blobs.delete(BlobName(blob))
