"""What ingestion holds of a person, and how it is erased.

A document that names them is somebody's business record: it goes where that was decided, with its bytes and out of the
index before the answer. What was deleted earlier keeps its name until then, and who handed something in is forgotten.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, delete, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.blobs import BlobName, BlobStore
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.db import Database
from zhiku_platform.erasure import ERASED, Mentions, counted, found
from zhiku_platform.errors import NotFoundError
from zhiku_platform.holds import CheckHolds, with_documents
from zhiku_services.ingestion import lifecycle, pushing
from zhiku_services.ingestion.models import (
    AUDIT_OUTBOX,
    DocumentRow,
    IdempotencyRow,
    SourceRow,
    SyncRow,
    SyncSkipRow,
    VersionRow,
)

_ENCODINGS = ("utf-8", "gb18030", "utf-16-le")


@dataclass(frozen=True)
class PersonalData:
    """Documents, their bytes, and who handed them in."""

    database: Database
    blobs: BlobStore
    knowledge: KnowledgeClient
    check_holds: CheckHolds

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.database.read() as session:
            person = _Person(session, access, sought)
            return [
                *found("document", Disposition.DECIDE, person.documents(self.blobs)),
                *found("deleted_document", Disposition.ERASE, person.deleted_documents()),
                *found("skipped_entry", Disposition.ERASE, person.skipped()),
                *counted("handed_in", Disposition.ERASE, person.handed_in()),
                *found("access_list", Disposition.KEEP, person.readable()),
            ]

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        with self.database.write() as session:
            person = _Person(session, access, order)
            for knowledge_base_id, documents in person.decided(order.decided).items():
                self.check_holds(access, with_documents(knowledge_base_id, documents))
            counts = {
                "document": person.delete(order.decided),
                "deleted_document": person.forget_names([*order.decided, *person.deleted_documents()]),
                "skipped_entry": person.delete_skipped(),
                "handed_in": person.forget_who(),
            }
            if any(counts.values()):
                record(session, AUDIT_OUTBOX, event_of(access, "person.erased", order.erasure_id, **counts))
            blobs = person.blobs(order.decided)
        # Again each time: a process may have died between the commit and here.
        for document_id in order.decided:
            pushing.push(document_id, database=self.database, knowledge=self.knowledge)
        for blob in blobs:
            pushing.drop_blob(blob, database=self.database, blobs=self.blobs, check_holds=self.check_holds)
        self.database.scrub()
        return counts


class _Person:
    """The rows of one person in one transaction."""

    def __init__(self, session: Session, access: Access, sought: PersonSought) -> None:
        self._session = session
        self._tenant = access.tenant
        self._sought = sought
        self._mentions = Mentions(sought.values)
        self._bytes = [value.encode(encoding) for value in sought.values for encoding in _ENCODINGS]

    def documents(self, blobs: BlobStore) -> list[str]:
        """Those that are there and named for them, or hold a value and were never read into passages."""
        rows = self._with_versions(is_deleted=False)
        return sorted(
            {
                document.id
                for document, version in rows
                if self._is_named(document, version)
                or (document.indexed_version_id is None and self._holds(version.blob, blobs))
            }
        )

    def deleted_documents(self) -> list[str]:
        """Those that are gone and whose name still says who they were about."""
        rows = self._with_versions(is_deleted=True)
        return sorted({document.id for document, version in rows if self._is_named(document, version)})

    def skipped(self) -> list[str]:
        query = select(SyncSkipRow).join(SyncRow).where(col(SyncRow.tenant) == self._tenant)
        return [row.id for row in self._session.exec(query) if self._mentions.found_in(row.path, row.detail)]

    def handed_in(self) -> int:
        created = (DocumentRow, VersionRow, SourceRow)
        counts = [len(self._session.exec(select(table.id).where(*self._theirs(table))).all()) for table in created]
        keys = select(IdempotencyRow.key).where(
            col(IdempotencyRow.tenant) == self._tenant, col(IdempotencyRow.sub) == self._sought.sub
        )
        return sum(counts) + len(self._session.exec(keys).all())

    def readable(self) -> list[str]:
        """Documents whose list of readers names them."""
        query = select(DocumentRow.id, DocumentRow.readers).where(
            col(DocumentRow.tenant) == self._tenant, col(DocumentRow.deleted_at).is_(None)
        )
        token = f"user:{self._sought.sub}"
        return [document_id for document_id, readers in self._session.exec(query) if token in (readers or [])]

    def decided(self, decided: Sequence[str]) -> dict[str, list[str]]:
        """The documents among what was decided, by knowledge base."""
        documents: dict[str, list[str]] = defaultdict(list)
        for document in self._living(decided):
            documents[document.knowledge_base_id].append(document.id)
        return documents

    def _living(self, decided: Sequence[str]) -> list[DocumentRow]:
        documents = [lifecycle.lock_document(self._session, document_id) for document_id in decided]
        return [each for each in documents if each and each.tenant == self._tenant and each.deleted_at is None]

    def delete(self, decided: Sequence[str]) -> int:
        living = self._living(decided)
        for document in living:
            lifecycle.delete(self._session, document, actor="svc-governance")
        return len(living)

    def forget_names(self, documents: Sequence[str]) -> int:
        """Their ids and digests stay, so that a worker that comes late finds them deleted."""
        forgotten = 0
        for document_id in documents:
            document = lifecycle.lock_document(self._session, document_id)
            place = f"{ERASED}/{document_id}"
            if document is None or document.tenant != self._tenant or document.path == place:
                continue
            document.key = document.path = place
            self._session.add(document)
            self._session.execute(
                update(VersionRow)
                .where(col(VersionRow.document_id) == document_id)
                .values(path=place, title=ERASED, notes=[], reason_detail=None, reason_remedy=None)
            )
            forgotten += 1
        return forgotten

    def delete_skipped(self) -> int:
        ids = self.skipped()
        for skipped_id in ids:
            self._session.exec(delete(SyncSkipRow).where(col(SyncSkipRow.id) == skipped_id))
        return len(ids)

    def forget_who(self) -> int:
        count = self.handed_in()
        for table in (DocumentRow, VersionRow, SourceRow):
            self._session.execute(update(table).where(*self._theirs(table)).values(created_by=ERASED))
        self._session.exec(
            delete(IdempotencyRow).where(
                col(IdempotencyRow.tenant) == self._tenant, col(IdempotencyRow.sub) == self._sought.sub
            )
        )
        return count

    def blobs(self, documents: Sequence[str]) -> set[str]:
        return {
            blob
            for document_id in documents
            for blob in self._session.exec(
                select(VersionRow.blob).where(
                    col(VersionRow.document_id) == document_id, col(VersionRow.tenant) == self._tenant
                )
            )
        }

    def _theirs(
        self, table: type[DocumentRow] | type[VersionRow] | type[SourceRow]
    ) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return col(table.tenant) == self._tenant, col(table.created_by) == self._sought.sub

    def _with_versions(self, *, is_deleted: bool) -> list[tuple[DocumentRow, VersionRow]]:
        is_gone = col(DocumentRow.deleted_at).is_not(None)
        query = (
            select(DocumentRow, VersionRow)
            .join(VersionRow, col(VersionRow.document_id) == col(DocumentRow.id))
            .where(col(DocumentRow.tenant) == self._tenant, is_gone if is_deleted else ~is_gone)
        )
        return list(self._session.exec(query))

    def _is_named(self, document: DocumentRow, version: VersionRow) -> bool:
        texts = (document.key, document.path, version.path, version.title, version.reason_detail)
        return self._mentions.found_in(*texts)

    def _holds(self, blob: str, blobs: BlobStore) -> bool:
        try:
            content = blobs.path(BlobName(blob)).read_bytes()
        except NotFoundError:
            return False
        return any(value in content for value in self._bytes)
