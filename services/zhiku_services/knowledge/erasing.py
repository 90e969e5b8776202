"""What the knowledge service holds of a person, and how it is erased.

A document whose passages, title or path name them goes where that was decided, from every release and the index.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, delete, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.contracts.knowledge import GrantRole
from zhiku_platform.db import Database
from zhiku_platform.erasure import ERASED, Mentions, counted, found
from zhiku_platform.holds import CheckHolds, with_documents
from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.models import (
    AUDIT_OUTBOX,
    AclReaderRow,
    DeletedKnowledgeBaseRow,
    DocumentRow,
    DocumentVersionRow,
    GrantRow,
    KnowledgeBaseRow,
    PassageRow,
    ReleaseRow,
)
from zhiku_services.knowledge.publishing import align_vectors
from zhiku_services.knowledge.repository import note_vectors

_AT_ONCE = 500


@dataclass(frozen=True)
class PersonalData:
    """Passages with their vectors, names of documents, grants, and who did what."""

    database: Database
    index: VectorIndex
    check_holds: CheckHolds

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.database.read() as session:
            person = _Person(session, access, sought)
            grants = person.grants()
            return [
                *found("document", Disposition.DECIDE, person.documents()),
                *found("grant", Disposition.ERASE, [row.id for row in grants if row.role != GrantRole.OWNER]),
                *found("ownership", Disposition.DECIDE, [row.id for row in grants if row.role == GrantRole.OWNER]),
                *counted("doing", Disposition.ERASE, person.doings()),
                *found("access_list", Disposition.KEEP, person.readable()),
            ]

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        with self.database.write() as session:
            person = _Person(session, access, order)
            decided = person.decided(order.decided)
            for knowledge_base_id, documents in decided.items():
                self.check_holds(access, with_documents(knowledge_base_id, [row.id for row in documents]))
            counts = {
                "document": person.delete([row for rows in decided.values() for row in rows]),
                "grant": person.delete_grants(order.decided),
                "doing": person.forget_doings(),
            }
            if any(counts.values()):
                record(session, AUDIT_OUTBOX, event_of(access, "person.erased", order.erasure_id, **counts))
        align_vectors(self.database, self.index)
        self.index.flush()
        self.database.scrub()
        return counts


class _Person:
    """The rows of one person in one transaction."""

    def __init__(self, session: Session, access: Access, sought: PersonSought) -> None:
        self._session = session
        self._tenant = access.tenant
        self._sub = sought.sub
        self._mentions = Mentions(sought.values)
        self._signed: list[tuple[Any, Any]] = [
            (KnowledgeBaseRow, KnowledgeBaseRow.created_by),
            (ReleaseRow, ReleaseRow.created_by),
            (GrantRow, GrantRow.granted_by),
            (DeletedKnowledgeBaseRow, DeletedKnowledgeBaseRow.deleted_by),
        ]

    def documents(self) -> list[str]:
        passages = select(PassageRow.document_id, PassageRow.text, PassageRow.heading_path).where(
            col(PassageRow.tenant) == self._tenant
        )
        rows = self._session.exec(passages.execution_options(yield_per=_AT_ONCE))
        named = {document for document, text, headings in rows if self._mentions.found_in(text, *headings)}
        versions = (
            select(DocumentVersionRow)
            .join(DocumentRow, col(DocumentRow.id) == col(DocumentVersionRow.document_id))
            .where(col(DocumentRow.tenant) == self._tenant)
        )
        return sorted(
            named
            | {row.document_id for row in self._session.exec(versions) if self._mentions.found_in(row.title, row.path)}
        )

    def grants(self) -> list[GrantRow]:
        query = select(GrantRow).where(
            col(GrantRow.tenant) == self._tenant, col(GrantRow.subject) == f"user:{self._sub}"
        )
        return list(self._session.exec(query))

    def doings(self) -> int:
        """Rows that say that they made, granted or deleted something."""
        return sum(
            len(self._session.exec(select(column).where(*self._by_them(table, column))).all())
            for table, column in self._signed
        )

    def readable(self) -> list[str]:
        """Documents whose list of readers names them."""
        query = (
            select(DocumentRow.id)
            .join(AclReaderRow, col(AclReaderRow.acl_id) == col(DocumentRow.acl_id))
            .where(col(DocumentRow.tenant) == self._tenant, col(AclReaderRow.token) == f"user:{self._sub}")
        )
        return list(self._session.exec(query))

    def decided(self, decided: Sequence[str]) -> dict[str, list[DocumentRow]]:
        """The documents among what was decided, by knowledge base, locked until the end of the transaction."""
        documents: dict[str, list[DocumentRow]] = defaultdict(list)
        for document_id in decided:
            query = select(DocumentRow).where(
                col(DocumentRow.id) == document_id, col(DocumentRow.tenant) == self._tenant
            )
            if (row := self._session.exec(query.with_for_update()).one_or_none()) is not None:
                documents[row.knowledge_base_id].append(row)
        return documents

    def delete(self, documents: Sequence[DocumentRow]) -> int:
        """Ingestion has had them retired; a backup of this database alone may have brought them back."""
        deleted = 0
        for document in documents:
            ids = list(self._session.exec(select(PassageRow.id).where(col(PassageRow.document_id) == document.id)))
            note_vectors(self._session, ids)
            self._session.exec(delete(PassageRow).where(col(PassageRow.document_id) == document.id))
            versions = delete(DocumentVersionRow).where(col(DocumentVersionRow.document_id) == document.id)
            deleted += self._session.exec(versions).rowcount > 0
            document.active_version, document.passages = None, 0
            self._session.add(document)
        return deleted

    def delete_grants(self, decided: Sequence[str]) -> int:
        grants = [row for row in self.grants() if row.role != GrantRole.OWNER or row.id in decided]
        for row in grants:
            self._session.delete(row)
        self._session.flush()
        return len(grants)

    def forget_doings(self) -> int:
        count = self.doings()
        for table, column in self._signed:
            self._session.execute(update(table).where(*self._by_them(table, column)).values({column.key: ERASED}))
        return count

    def _by_them(self, table: Any, column: Any) -> tuple[Any, Any]:
        return col(table.tenant) == self._tenant, column == self._sub
