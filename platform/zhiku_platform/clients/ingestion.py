"""The ingestion service, typed."""

import json
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import httpx2

from zhiku_platform.clients.base import ServiceClient, headers_for, raise_problem, unreachable
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.ingestion import (
    DocumentVersion,
    NewSource,
    SkippedEntry,
    Source,
    Sync,
    VersionState,
)
from zhiku_platform.contracts.wire import Page


class IngestionClient(ServiceClient):
    """Every method checks the rights of the principal it is called for."""

    service = "ingestion"

    def upload(
        self,
        principal: Principal,
        knowledge_base_id: str,
        file: Path | BinaryIO,
        *,
        path: str,
        readers: list[str] | None = None,
        level: int | None = None,
        idempotency_key: str | None = None,
    ) -> DocumentVersion:
        """Upload a document to stand at `path`; `readers` None keeps the ACL that it has.

        The answer has `unchanged` set if the document has these bytes already.
        """
        if isinstance(file, Path):
            with file.open("rb") as opened:
                return self._upload(principal, knowledge_base_id, opened, path, readers, level, idempotency_key)
        return self._upload(principal, knowledge_base_id, file, path, readers, level, idempotency_key)

    def _upload(
        self,
        principal: Principal,
        knowledge_base_id: str,
        file: BinaryIO,
        path: str,
        readers: list[str] | None,
        level: int | None,
        idempotency_key: str | None,
    ) -> DocumentVersion:
        headers = headers_for(self._signer, principal)
        # The form brings its own type, with its boundary.
        del headers["Content-Type"]
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        fields = {"path": path}
        if readers is not None:
            fields["readers"] = json.dumps(readers)
        if level is not None:
            fields["level"] = str(level)
        try:
            response = self._http.post(
                f"/api/v1/knowledge-bases/{knowledge_base_id}/uploads",
                headers=headers,
                data=fields,
                files={"file": (path.rsplit("/", 1)[-1], file)},
            )
        except httpx2.TransportError as error:
            raise unreachable(self.service) from error
        raise_problem(self.service, response)
        return DocumentVersion.model_validate_json(response.content)

    def versions(
        self,
        principal: Principal,
        *,
        knowledge_base_id: str | None = None,
        state: VersionState | None = None,
        cursor: str = "",
        limit: int = 50,
    ) -> Page[DocumentVersion]:
        """One page of versions, newest first; without a knowledge base, of the principal's own uploads."""
        wanted = {"knowledge_base_id": knowledge_base_id, "state": state, "cursor": cursor, "limit": limit}
        query = urlencode({name: value for name, value in wanted.items() if value not in (None, "")})
        return self._call(principal, "GET", f"/api/v1/document-versions?{query}", Page[DocumentVersion])

    def version(self, principal: Principal, version_id: str) -> DocumentVersion:
        return self._call(principal, "GET", f"/api/v1/document-versions/{version_id}", DocumentVersion)

    def retry(self, principal: Principal, version_id: str) -> DocumentVersion:
        return self._call(principal, "POST", f"/api/v1/document-versions/{version_id}/retry", DocumentVersion)

    def cancel(self, principal: Principal, version_id: str) -> DocumentVersion:
        return self._call(principal, "POST", f"/api/v1/document-versions/{version_id}/cancel", DocumentVersion)

    def delete_document(self, principal: Principal, document_id: str) -> None:
        self._send(principal, "DELETE", f"/api/v1/documents/{document_id}")

    def sources(self, principal: Principal, *, cursor: str = "", limit: int = 50) -> Page[Source]:
        query = urlencode({"cursor": cursor, "limit": limit})
        return self._call(principal, "GET", f"/api/v1/sources?{query}", Page[Source])

    def create_source(self, principal: Principal, new: NewSource) -> Source:
        return self._call(principal, "POST", "/api/v1/sources", Source, new)

    def delete_source(self, principal: Principal, source_id: str) -> None:
        """Delete a source with its documents."""
        self._send(principal, "DELETE", f"/api/v1/sources/{source_id}")

    def sync_source(self, principal: Principal, source_id: str) -> Sync:
        """Ask for a sync; while one is waiting or running, get that one."""
        return self._call(principal, "POST", f"/api/v1/sources/{source_id}/sync", Sync)

    def sync(self, principal: Principal, sync_id: str) -> Sync:
        return self._call(principal, "GET", f"/api/v1/syncs/{sync_id}", Sync)

    def skipped(self, principal: Principal, sync_id: str, *, cursor: str = "", limit: int = 50) -> Page[SkippedEntry]:
        """What a sync left out, and why."""
        query = urlencode({"cursor": cursor, "limit": limit})
        return self._call(principal, "GET", f"/api/v1/syncs/{sync_id}/skipped?{query}", Page[SkippedEntry])
