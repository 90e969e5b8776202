"""Deleting a knowledge base with all it holds, which two other people have to approve.

What they approve names the documents that are there, so that nothing is deleted that came later. The rows go in one
transaction; the index follows, and the ingestion service drops what it keeps when it next asks `deleted_among`.
"""

import hashlib

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.approvals import Approvals
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.governance import ApprovalAction, ApprovalSubject, Claim, Resource
from zhiku_platform.contracts.knowledge import GrantRole, KnowledgeBaseIds
from zhiku_platform.db import utc_now
from zhiku_platform.holds import CheckHolds, with_documents
from zhiku_services.knowledge.models import AUDIT_OUTBOX, DeletedKnowledgeBaseRow
from zhiku_services.knowledge.repository import DeletionRepository, KnowledgeRepository
from zhiku_services.knowledge.roles import require_role


def describe(access: Access, knowledge_base_id: str, session: Session) -> ApprovalSubject:
    """What deleting this knowledge base would delete now; owners only.

    The number is of documents that the owner may read, the digest of all: nobody is told of others by asking.
    """
    repository = KnowledgeRepository(session, access)
    row = require_role(repository, knowledge_base_id, GrantRole.OWNER)
    readable = repository.count_readable([row.id]).get(row.id, 0)
    contents = DeletionRepository(session, access, row.id).contents()
    digest = hashlib.sha256()
    for document_id, version_id in contents:
        digest.update(f"{document_id}\n{version_id}\n".encode())
    return ApprovalSubject(
        action=ApprovalAction.KNOWLEDGE_BASE_DELETE,
        resource=Resource(kind="knowledge_base", id=row.id, title=row.name),
        terms={"documents_requester_may_read": readable, "contents_sha256": digest.hexdigest()},
    )


def delete(
    access: Access,
    knowledge_base_id: str,
    session: Session,
    *,
    approvals: Approvals,
    check_holds: CheckHolds,
    approval_id: str,
) -> Claim:
    """Delete it, if exactly this was approved; the claim is for the caller to complete after the commit.

    It is locked first, so what is described is what is deleted. Holds are asked for before the approval, which is not
    used up in vain.

    Raises:
        HeldError: a legal hold keeps it, or a document of it.
    """
    repository = KnowledgeRepository(session, access)
    repository.lock(require_role(repository, knowledge_base_id, GrantRole.OWNER))
    subject = describe(access, knowledge_base_id, session)
    holdings = DeletionRepository(session, access, knowledge_base_id)
    documents = len(holdings.contents())
    check_holds(access, with_documents(knowledge_base_id, holdings.document_ids()))
    claim = approvals.use(access, approval_id, subject)
    holdings.delete()
    session.add(
        DeletedKnowledgeBaseRow(
            id=knowledge_base_id, tenant=access.tenant, deleted_by=access.principal.sub, deleted_at=utc_now()
        )
    )
    event = event_of(access, "knowledge_base.deleted", knowledge_base_id, approval=approval_id, documents=documents)
    record(session, AUDIT_OUTBOX, event)
    return claim


def deleted_among(access: Access, request: KnowledgeBaseIds, session: Session) -> KnowledgeBaseIds:
    """Those of the knowledge bases that were deleted, for services that keep something of them."""
    found = DeletionRepository.deleted(session, access, request.knowledge_base_ids)
    return KnowledgeBaseIds(knowledge_base_ids=[each for each in request.knowledge_base_ids if each in found])
