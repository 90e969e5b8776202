"""The knowledge service, typed."""

from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import (
    Authorized,
    AuthorizeRequest,
    Document,
    DocumentAcl,
    DocumentIds,
    Grant,
    KnowledgeBase,
    KnowledgeBaseIds,
    NewGrant,
    NewKnowledgeBase,
    Passage,
    PassageIds,
    PublishRequest,
    PublishResult,
    Retired,
    RetireRequest,
    SearchRequest,
    SearchResult,
)
from zhiku_platform.contracts.wire import Page


class KnowledgeClient(ServiceClient):
    """Every method checks the rights of the principal it is called for."""

    service = "knowledge"

    def search(self, principal: Principal, request: SearchRequest) -> SearchResult:
        """Search what `principal` may read now; the result names every release that was searched."""
        return self._call(principal, "POST", "/internal/search", SearchResult, request)

    def authorize(self, principal: Principal, request: AuthorizeRequest) -> Authorized:
        """Confirm a role on a knowledge base.

        Raises:
            RemoteProblemError: `not_found`, missing or hidden; `role_too_small` if it may only be viewed.
        """
        return self._call(principal, "POST", "/internal/authorize", Authorized, request)

    def knowledge_bases(self, principal: Principal) -> list[KnowledgeBase]:
        """Every knowledge base that `principal` may view now."""
        found: list[KnowledgeBase] = []
        cursor: str | None = ""
        while cursor is not None:
            path = f"/api/v1/knowledge-bases?limit=200&cursor={cursor}"
            page = self._call(principal, "GET", path, Page[KnowledgeBase])
            found += page.items
            cursor = page.next_cursor
        return found

    def deleted_knowledge_bases(self, principal: Principal, knowledge_base_ids: list[str]) -> set[str]:
        """Those of the knowledge bases that were deleted; one that is merely unknown is not among them."""
        request = KnowledgeBaseIds(knowledge_base_ids=knowledge_base_ids)
        path = "/internal/deleted-knowledge-bases"
        return set(self._call(principal, "POST", path, KnowledgeBaseIds, request).knowledge_base_ids)

    def create_knowledge_base(self, principal: Principal, new: NewKnowledgeBase) -> KnowledgeBase:
        return self._call(principal, "POST", "/api/v1/knowledge-bases", KnowledgeBase, new)

    def grant(self, principal: Principal, knowledge_base_id: str, new: NewGrant) -> Grant:
        """Give a role, or change the one that the subject has."""
        path = f"/api/v1/knowledge-bases/{knowledge_base_id}/grants"
        return self._call(principal, "POST", path, Grant, new)

    def document(self, principal: Principal, document_id: str) -> Document:
        return self._call(principal, "GET", f"/api/v1/documents/{document_id}", Document)

    def passage(self, principal: Principal, passage_id: str) -> Passage:
        return self._call(principal, "GET", f"/api/v1/passages/{passage_id}", Passage)

    def readable_passages(self, principal: Principal, passage_ids: list[str]) -> set[str]:
        """Those of the passages that `principal` may read now, replaced versions included."""
        request = PassageIds(passage_ids=passage_ids)
        return set(self._call(principal, "POST", "/internal/readable-passages", PassageIds, request).passage_ids)

    def readable_documents(self, principal: Principal, document_ids: list[str], *, released: bool = False) -> set[str]:
        """Those of the documents that `principal` may read now, with `released` without what only a draft holds."""
        request = DocumentIds(document_ids=document_ids, released=released)
        return set(self._call(principal, "POST", "/internal/readable-documents", DocumentIds, request).document_ids)

    def set_acl(self, principal: Principal, document_id: str, acl: DocumentAcl) -> None:
        """Change who may read a document; effective on the next question."""
        self._send(principal, "PUT", f"/internal/documents/{document_id}/acl", acl)

    def publish(self, principal: Principal, request: PublishRequest) -> PublishResult:
        """Publish one part of a document version; see `PublishRequest`."""
        return self._call(principal, "POST", "/internal/publish", PublishResult, request)

    def retire(self, principal: Principal, request: RetireRequest) -> Retired:
        """Take a document out of sight at once, and out of the index."""
        return self._call(principal, "POST", "/internal/retire", Retired, request)
