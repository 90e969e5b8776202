"""Reading documents, versions, sources and syncs: every query is of one tenant."""

from collections.abc import Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from zhiku_platform.access import Access
from zhiku_platform.contracts.ingestion import SyncState, VersionState
from zhiku_services.ingestion.models import (
    DocumentRow,
    IdempotencyRow,
    SourceRow,
    SyncRow,
    SyncSkipRow,
    VersionRow,
)


class IngestionRepository:
    """The rows of the caller's tenant. Rights on a knowledge base are checked by the service before."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._access = access

    def document(self, document_id: str) -> DocumentRow | None:
        found = self._session.get(DocumentRow, document_id)
        return found if found is not None and found.tenant == self._access.tenant else None

    def version(self, version_id: str) -> VersionRow | None:
        """A version of a document's present life: after a deletion it starts anew."""
        found = self._session.get(VersionRow, version_id)
        document = None if found is None else self.document(found.document_id)
        if found is None or document is None or found.created_at < document.created_at:
            return None
        return found

    def versions(
        self,
        knowledge_base_ids: Sequence[str],
        *,
        state: VersionState | None,
        created_by: str | None,
        before: str,
        limit: int,
    ) -> list[VersionRow]:
        """Versions, newest first, of documents that are not deleted; `before` is an id or empty."""
        query = (
            select(VersionRow)
            .join(DocumentRow, col(DocumentRow.id) == col(VersionRow.document_id))
            .where(
                col(VersionRow.tenant) == self._access.tenant,
                col(VersionRow.knowledge_base_id).in_(knowledge_base_ids),
                col(DocumentRow.deleted_at).is_(None),
                col(VersionRow.created_at) >= col(DocumentRow.created_at),
            )
        )
        if state is not None:
            query = query.where(col(VersionRow.state) == state)
        if created_by is not None:
            query = query.where(col(VersionRow.created_by) == created_by)
        if before:
            query = query.where(col(VersionRow.id) < before)
        return list(self._session.exec(query.order_by(col(VersionRow.id).desc()).limit(limit)))

    def own_knowledge_bases(self, limit: int) -> list[str]:
        """The knowledge bases that the caller has uploaded to."""
        query = (
            select(VersionRow.knowledge_base_id)
            .where(
                col(VersionRow.tenant) == self._access.tenant,
                col(VersionRow.created_by) == self._access.principal.sub,
            )
            .distinct()
            .limit(limit)
        )
        return list(self._session.exec(query))

    def queue_positions(self, version_ids: Sequence[str]) -> dict[str, int]:
        """Where versions stand in the queue, from 1; those that are not queued are left out."""
        if not version_ids:
            return {}
        ranked = (
            select(
                col(VersionRow.id).label("id"),
                func.row_number().over(order_by=col(VersionRow.id)).label("place"),
            )
            .where(col(VersionRow.state) == VersionState.QUEUED)
            .subquery()
        )
        rows = self._session.connection().execute(
            select(ranked.c.id, ranked.c.place).where(ranked.c.id.in_(version_ids))
        )
        return {row[0]: row[1] for row in rows}

    def idempotent(self, key: str) -> IdempotencyRow | None:
        return self._session.get(IdempotencyRow, (self._access.tenant, self._access.principal.sub, key))

    def source(self, source_id: str, *, lock: bool = False) -> SourceRow | None:
        """A source that is not deleted; with `lock`, no sync takes in anything of it until the commit."""
        found = self._session.get(SourceRow, source_id, populate_existing=lock, with_for_update=lock or None)
        if found is None or found.tenant != self._access.tenant or found.deleted_at is not None:
            return None
        return found

    def sources(self, *, after: str, limit: int) -> list[SourceRow]:
        query = (
            select(SourceRow)
            .where(
                col(SourceRow.tenant) == self._access.tenant,
                col(SourceRow.deleted_at).is_(None),
                col(SourceRow.id) > after,
            )
            .order_by(col(SourceRow.id))
            .limit(limit)
        )
        return list(self._session.exec(query))

    def sync(self, sync_id: str) -> SyncRow | None:
        found = self._session.get(SyncRow, sync_id)
        return found if found is not None and found.tenant == self._access.tenant else None

    def unfinished_sync(self, source_id: str) -> SyncRow | None:
        query = select(SyncRow).where(
            col(SyncRow.source_id) == source_id, col(SyncRow.state).in_([SyncState.QUEUED, SyncState.RUNNING])
        )
        return self._session.exec(query.limit(1)).first()

    def skips(self, sync_id: str, *, after: str, limit: int) -> list[SyncSkipRow]:
        query = (
            select(SyncSkipRow)
            .where(col(SyncSkipRow.sync_id) == sync_id, col(SyncSkipRow.id) > after)
            .order_by(col(SyncSkipRow.id))
            .limit(limit)
        )
        return list(self._session.exec(query))


def documents_of_source(session: Session, source_id: str, *, after: str, limit: int) -> list[DocumentRow]:
    """The documents of a source that are not deleted, in the order of their ids."""
    query = (
        select(DocumentRow)
        .where(
            col(DocumentRow.source_id) == source_id,
            col(DocumentRow.deleted_at).is_(None),
            col(DocumentRow.id) > after,
        )
        .order_by(col(DocumentRow.id))
        .limit(limit)
    )
    return list(session.exec(query))
