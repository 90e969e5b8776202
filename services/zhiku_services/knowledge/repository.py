"""Every query of the knowledge service. Each starts from what the caller may see now."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, delete, select, update
from sqlmodel.sql.expression import SelectOfScalar

from zhiku_platform.access import Access
from zhiku_platform.contracts.knowledge import GrantRole
from zhiku_platform.db import utc_now
from zhiku_services.knowledge.models import (
    INHERITED_ACL,
    OPEN_RELEASE,
    AclReaderRow,
    AclRow,
    DocumentRow,
    GrantRow,
    KnowledgeBaseRow,
    PassageRow,
    VectorRemovalRow,
)

ROLE_RANK: Mapping[GrantRole, int] = {GrantRole.VIEWER: 1, GrantRole.EDITOR: 2, GrantRole.OWNER: 3}
_RANK_ROLE = {rank: role for role, rank in ROLE_RANK.items()}
_IN_LIMIT = 500


def acl_id_of(readers: Sequence[str] | None, level: int) -> int:
    """Intern an ACL: a positive int64 that is the same for the same readers and level."""
    if readers is None and level == 0:
        return INHERITED_ACL
    tokens = "inherited" if readers is None else "\x1f".join(sorted(set(readers)))
    digest = hashlib.sha256(f"{'' if readers is None else 'readers'}\x1e{tokens}\x1e{level}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1 or 1


class KnowledgeRepository:
    """The rows that one caller may see, in one transaction."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._tenant = access.tenant
        self._tokens = sorted(access.principal.tokens)
        self._clearance = access.principal.clearance

    # Rights

    def _viewable(self) -> ColumnElement[bool]:
        return exists().where(
            col(GrantRow.knowledge_base_id) == col(KnowledgeBaseRow.id),
            col(GrantRow.tenant) == self._tenant,
            col(GrantRow.subject).in_(self._tokens),
        )

    def _acl_holds(self) -> ColumnElement[bool]:
        reader = exists().where(
            col(AclReaderRow.acl_id) == col(AclRow.acl_id), col(AclReaderRow.token).in_(self._tokens)
        )
        return and_(col(AclRow.level) <= self._clearance, or_(col(AclRow.inherited), reader))

    def _readable_documents(self) -> SelectOfScalar[DocumentRow]:
        return (
            select(DocumentRow)
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .where(
                col(DocumentRow.tenant) == self._tenant,
                col(DocumentRow.active_version).is_not(None),
                self._viewable(),
                self._acl_holds(),
            )
        )

    def readable_acls(self, knowledge_base_ids: Sequence[str]) -> dict[str, set[int]]:
        """The interned ACLs that occur in each knowledge base and that the caller holds."""
        rows = self._session.exec(
            select(DocumentRow.knowledge_base_id, DocumentRow.acl_id)
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .where(
                col(DocumentRow.tenant) == self._tenant,
                col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids),
                self._acl_holds(),
            )
            .distinct()
        )
        found: dict[str, set[int]] = {}
        for knowledge_base_id, acl_id in rows:
            found.setdefault(knowledge_base_id, set()).add(acl_id)
        return found

    # Knowledge bases and grants

    def knowledge_bases(
        self, ids: Sequence[str] = (), *, after: str = "", limit: int = 1000
    ) -> list[tuple[KnowledgeBaseRow, GrantRole]]:
        """What the caller may view, with its highest role, in the order of ids."""
        rank = func.max(case({role.value: rank for role, rank in ROLE_RANK.items()}, value=col(GrantRow.role)))
        query = (
            select(KnowledgeBaseRow, rank)
            .join(GrantRow, col(GrantRow.knowledge_base_id) == col(KnowledgeBaseRow.id))
            .where(
                col(KnowledgeBaseRow.tenant) == self._tenant,
                col(GrantRow.tenant) == self._tenant,
                col(GrantRow.subject).in_(self._tokens),
                col(KnowledgeBaseRow.id) > after,
            )
            .group_by(col(KnowledgeBaseRow.id))
            .order_by(col(KnowledgeBaseRow.id))
            .limit(limit)
        )
        if ids:
            query = query.where(col(KnowledgeBaseRow.id).in_(ids))
        return [(row, _RANK_ROLE[rank]) for row, rank in self._session.exec(query)]

    def knowledge_base(self, knowledge_base_id: str) -> tuple[KnowledgeBaseRow, GrantRole] | None:
        found = self.knowledge_bases([knowledge_base_id])
        return found[0] if found else None

    def is_name_taken(self, name: str) -> bool:
        query = select(KnowledgeBaseRow.id).where(
            col(KnowledgeBaseRow.tenant) == self._tenant, col(KnowledgeBaseRow.name) == name
        )
        return self._session.exec(query).first() is not None

    def grants(self, knowledge_base_id: str) -> list[GrantRow]:
        query = select(GrantRow).where(
            col(GrantRow.tenant) == self._tenant, col(GrantRow.knowledge_base_id) == knowledge_base_id
        )
        return list(self._session.exec(query.order_by(col(GrantRow.id))))

    def count_readable(self, knowledge_base_ids: Sequence[str]) -> dict[str, int]:
        """How many documents the caller may read in each knowledge base."""
        documents = (
            self._readable_documents().where(col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids)).subquery()
        )
        rows = self._session.execute(
            select(documents.c.knowledge_base_id, func.count()).group_by(documents.c.knowledge_base_id)
        )
        return {row[0]: row[1] for row in rows}

    def has_documents(self, knowledge_base_id: str) -> bool:
        """Whether the knowledge base holds anything, readable to the caller or not."""
        query = select(DocumentRow.id).where(col(DocumentRow.knowledge_base_id) == knowledge_base_id)
        return self._session.exec(query).first() is not None

    # Documents and passages

    def documents(self, knowledge_base_id: str, *, after: str, limit: int) -> list[DocumentRow]:
        query = self._readable_documents().where(
            col(DocumentRow.knowledge_base_id) == knowledge_base_id, col(DocumentRow.id) > after
        )
        return list(self._session.exec(query.order_by(col(DocumentRow.id)).limit(limit)))

    def document(self, document_id: str) -> DocumentRow | None:
        return self._session.exec(self._readable_documents().where(col(DocumentRow.id) == document_id)).first()

    def readers(self, acl_ids: Iterable[int]) -> dict[int, tuple[list[str] | None, int]]:
        """The readers and the level of each ACL; readers None means inherited."""
        wanted = set(acl_ids)
        acls = self._session.exec(select(AclRow).where(col(AclRow.acl_id).in_(wanted))).all()
        tokens: dict[int, list[str]] = {}
        query = select(AclReaderRow).where(col(AclReaderRow.acl_id).in_(wanted)).order_by(col(AclReaderRow.token))
        for reader in self._session.exec(query):
            tokens.setdefault(reader.acl_id, []).append(reader.token)
        return {acl.acl_id: (None if acl.inherited else tokens.get(acl.acl_id, []), acl.level) for acl in acls}

    def passages(self, document: DocumentRow, *, after: int, limit: int, page: int | None = None) -> list[PassageRow]:
        """The current passages of a document that `document` or `documents` gave, in reading order."""
        query = select(PassageRow).where(
            col(PassageRow.document_id) == document.id,
            col(PassageRow.version_id) == document.active_version,
            col(PassageRow.ordinal) > after,
        )
        if page is not None:
            query = query.where(col(PassageRow.page) == page)
        return list(self._session.exec(query.order_by(col(PassageRow.ordinal)).limit(limit)))

    def hydrate(self, passage_ids: Sequence[str]) -> dict[str, tuple[PassageRow, DocumentRow]]:
        """Those of the passages that the caller may read now and that are current. The rest does not exist."""
        found: dict[str, tuple[PassageRow, DocumentRow]] = {}
        for start in range(0, len(passage_ids), _IN_LIMIT):
            query = (
                select(PassageRow, DocumentRow)
                .join(DocumentRow, col(DocumentRow.id) == col(PassageRow.document_id))
                .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
                .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
                .where(
                    col(PassageRow.id).in_(passage_ids[start : start + _IN_LIMIT]),
                    col(PassageRow.tenant) == self._tenant,
                    col(PassageRow.version_id) == col(DocumentRow.active_version),
                    col(PassageRow.released_from) <= col(KnowledgeBaseRow.release),
                    col(PassageRow.released_to) > col(KnowledgeBaseRow.release),
                    self._viewable(),
                    self._acl_holds(),
                )
            )
            for passage, document in self._session.exec(query):
                found[passage.id] = (passage, document)
        return found

    def readable_passage_ids(self, passage_ids: Sequence[str]) -> set[str]:
        """Those of the passages whose document the caller may read now, be the passage current or replaced."""
        query = (
            select(PassageRow.id)
            .join(DocumentRow, col(DocumentRow.id) == col(PassageRow.document_id))
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .where(
                col(PassageRow.id).in_(passage_ids),
                col(PassageRow.tenant) == self._tenant,
                col(DocumentRow.active_version).is_not(None),
                self._viewable(),
                self._acl_holds(),
            )
        )
        return set(self._session.exec(query))


class PublicationRepository:
    """What the ingestion service writes, within its tenant."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._tenant = access.tenant

    def knowledge_base(self, knowledge_base_id: str) -> KnowledgeBaseRow | None:
        query = select(KnowledgeBaseRow).where(
            col(KnowledgeBaseRow.tenant) == self._tenant, col(KnowledgeBaseRow.id) == knowledge_base_id
        )
        return self._session.exec(query.with_for_update()).first()

    def document(self, document_id: str) -> DocumentRow | None:
        query = select(DocumentRow).where(col(DocumentRow.tenant) == self._tenant, col(DocumentRow.id) == document_id)
        return self._session.exec(query.with_for_update()).first()

    def intern_acl(self, readers: Sequence[str] | None, level: int) -> int:
        """Store an ACL unless it is there, and return its id."""
        acl_id = acl_id_of(readers, level)
        if self._session.get(AclRow, acl_id) is None:
            self._session.add(AclRow(acl_id=acl_id, inherited=readers is None, level=level))
            for token in sorted(set(readers or [])):
                self._session.add(AclReaderRow(acl_id=acl_id, token=token))
            self._session.flush()
        return acl_id

    def add(self, document: DocumentRow) -> None:
        self._session.add(document)
        self._session.flush()

    def stage(self, rows: Sequence[PassageRow]) -> None:
        """Write passages that no release holds yet; writing them again changes nothing."""
        insert_missing(self._session, PassageRow, [row.model_dump() for row in rows])

    def version_ids(self, document_id: str, version_id: str) -> list[str]:
        query = select(PassageRow.id).where(
            col(PassageRow.document_id) == document_id, col(PassageRow.version_id) == version_id
        )
        return list(self._session.exec(query))

    def activate(self, document: DocumentRow, version_id: str, knowledge_base: KnowledgeBaseRow) -> tuple[int, int]:
        """Open the next release with this version in it; return (passages in, passages out)."""
        knowledge_base.release += 1
        release = knowledge_base.release
        entering = self._session.execute(
            update(PassageRow)
            .where(
                col(PassageRow.document_id) == document.id,
                col(PassageRow.version_id) == version_id,
                col(PassageRow.released_from) == OPEN_RELEASE,
            )
            .values(released_from=release, released_to=OPEN_RELEASE)
        ).rowcount  # type: ignore[attr-defined]  # a CursorResult, which the stub calls Result
        leaving = self._current_except(document.id, version_id)
        self._session.execute(update(PassageRow).where(col(PassageRow.id).in_(leaving)).values(released_to=release))
        self.remove_vectors(leaving)
        document.active_version = version_id
        document.passages = len(self.version_ids(document.id, version_id))
        document.updated_at = utc_now()
        self._session.flush()
        return entering, len(leaving)

    def _current_except(self, document_id: str, version_id: str) -> list[str]:
        query = select(PassageRow.id).where(
            col(PassageRow.document_id) == document_id,
            col(PassageRow.version_id) != version_id,
            col(PassageRow.released_to) == OPEN_RELEASE,
        )
        return list(self._session.exec(query))

    def retire(self, document: DocumentRow) -> int:
        """Delete a document's passages and text; what stays is an invisible row that remembers the fence."""
        ids = list(self._session.exec(select(PassageRow.id).where(col(PassageRow.document_id) == document.id)))
        self.remove_vectors(ids)
        self._session.execute(delete(PassageRow).where(col(PassageRow.document_id) == document.id))
        document.active_version = None
        document.title = document.path = document.blob = document.content_hash = ""
        document.passages = 0
        document.updated_at = utc_now()
        self._session.flush()
        return len(ids)

    def remove_vectors(self, passage_ids: Sequence[str]) -> None:
        """Note that these vectors must go, in the transaction that retires them."""
        insert_missing(self._session, VectorRemovalRow, [{"passage_id": passage_id} for passage_id in passage_ids])


def insert_missing(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in bulk; those whose key is there already stay as they are."""
    if not rows:
        return
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(insert(table).on_conflict_do_nothing(), rows)


def vectors_to_remove(session: Session, limit: int) -> list[str]:
    """Passages whose vectors must still leave the index, of any tenant."""
    return list(session.exec(select(VectorRemovalRow.passage_id).limit(limit)))


def forget_removals(session: Session, passage_ids: Sequence[str]) -> None:
    """Note that these vectors are gone."""
    for start in range(0, len(passage_ids), _IN_LIMIT):
        ids = passage_ids[start : start + _IN_LIMIT]
        session.execute(delete(VectorRemovalRow).where(col(VectorRemovalRow.passage_id).in_(ids)))
