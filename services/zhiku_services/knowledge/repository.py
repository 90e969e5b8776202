"""Every query of the knowledge service. Each starts from what the caller may see now."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped
from sqlmodel import Session, SQLModel, col, delete, select, update
from sqlmodel.sql.expression import Select, SelectOfScalar

from zhiku_platform.access import Access
from zhiku_platform.contracts.knowledge import GrantRole
from zhiku_platform.db import utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.knowledge.index import Place
from zhiku_services.knowledge.models import (
    INHERITED_ACL,
    OPEN_RELEASE,
    AclReaderRow,
    AclRow,
    DeletedKnowledgeBaseRow,
    DocumentRow,
    DocumentVersionRow,
    GrantRow,
    KnowledgeBaseRow,
    PassageRow,
    ReleaseRow,
    VectorChangeRow,
)

ROLE_RANK: Mapping[GrantRole, int] = {GrantRole.VIEWER: 1, GrantRole.EDITOR: 2, GrantRole.OWNER: 3}
_RANK_ROLE = {rank: role for role, rank in ROLE_RANK.items()}
_IN_LIMIT = 500

Hydrated = tuple[PassageRow, DocumentVersionRow]
"""A passage and the version of its document that it belongs to."""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """Which release of each knowledge base to look at, by id; the published one of those not named.

    `releases.view_releases` gives out those that name any.
    """

    numbers: Mapping[str, int]


PUBLISHED = ReleaseView({})


def acl_id_of(readers: Sequence[str] | None, level: int) -> int:
    """Intern an ACL: a positive int64 that is the same for the same readers and level."""
    if readers is None and level == 0:
        return INHERITED_ACL
    tokens = "inherited" if readers is None else "\x1f".join(sorted(set(readers)))
    digest = hashlib.sha256(f"{'' if readers is None else 'readers'}\x1e{tokens}\x1e{level}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1 or 1


class Rights:
    """The conditions under which rows exist for one caller. Each is one enforcement point."""

    def __init__(self, access: Access) -> None:
        self._tenant = access.tenant
        self._tokens = sorted(access.principal.tokens)
        self._clearance = access.principal.clearance

    def of_tenant(self, tenant: Mapped[str]) -> ColumnElement[bool]:
        return tenant == self._tenant

    def has_grant(self) -> ColumnElement[bool]:
        """Some grant on the row's knowledge base is the caller's."""
        return exists().where(
            col(GrantRow.knowledge_base_id) == col(KnowledgeBaseRow.id),
            self.of_tenant(col(GrantRow.tenant)),
            self.holds(col(GrantRow.subject)),
        )

    def holds(self, token: Mapped[str]) -> ColumnElement[bool]:
        """The caller holds this ACL token."""
        return token.in_(self._tokens)

    def is_reader(self) -> ColumnElement[bool]:
        """The row's ACL names the caller, or leaves it to the knowledge base."""
        named = exists().where(col(AclReaderRow.acl_id) == col(AclRow.acl_id), self.holds(col(AclReaderRow.token)))
        return or_(col(AclRow.inherited), named)

    def is_cleared(self) -> ColumnElement[bool]:
        return col(AclRow.level) <= self._clearance

    def may_read(self) -> ColumnElement[bool]:
        """All of it; the query joins knowledge base, document and ACL."""
        return and_(
            self.of_tenant(col(KnowledgeBaseRow.tenant)),
            self.of_tenant(col(DocumentRow.tenant)),
            self.has_grant(),
            self.is_reader(),
            self.is_cleared(),
        )


def in_release(start: Mapped[int], end: Mapped[int], view: ReleaseView) -> ColumnElement[bool]:
    """The interval holds the release that `view` looks at; the query joins the knowledge base."""
    published = col(KnowledgeBaseRow.published_release)
    number = case(view.numbers, value=col(KnowledgeBaseRow.id), else_=published) if view.numbers else published
    return and_(start <= number, end > number)


class KnowledgeRepository:
    """The rows that one caller may see, in one transaction."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._rights = Rights(access)

    # Knowledge bases, grants and releases

    def knowledge_bases(
        self, ids: Sequence[str] = (), *, after: str = "", limit: int = 1000
    ) -> list[tuple[KnowledgeBaseRow, GrantRole]]:
        """What the caller may view, with its highest role, in the order of ids."""
        rank = func.max(case({role.value: rank for role, rank in ROLE_RANK.items()}, value=col(GrantRow.role)))
        query = (
            select(KnowledgeBaseRow, rank)
            .join(GrantRow, col(GrantRow.knowledge_base_id) == col(KnowledgeBaseRow.id))
            .where(
                self._rights.of_tenant(col(KnowledgeBaseRow.tenant)),
                self._rights.of_tenant(col(GrantRow.tenant)),
                self._rights.holds(col(GrantRow.subject)),
                col(KnowledgeBaseRow.id) > storable(after),
            )
            .group_by(col(KnowledgeBaseRow.id))
            .order_by(col(KnowledgeBaseRow.id))
            .limit(limit)
        )
        if ids:
            query = query.where(col(KnowledgeBaseRow.id).in_([storable(each) for each in ids]))
        return [(row, _RANK_ROLE[rank]) for row, rank in self._session.exec(query)]

    def knowledge_base(self, knowledge_base_id: str) -> tuple[KnowledgeBaseRow, GrantRole] | None:
        found = self.knowledge_bases([knowledge_base_id])
        return found[0] if found else None

    def lock(self, row: KnowledgeBaseRow) -> None:
        """Hold the row against other writers until the end of the transaction, and read it anew.

        Raises:
            NotFoundError: it was deleted by whom this waited for.
        """
        try:
            self._session.refresh(row, with_for_update=True)
        except InvalidRequestError as error:
            raise NotFoundError("knowledge base") from error

    def is_name_taken(self, name: str) -> bool:
        """Whether a knowledge base that the caller may view has this name; the others do not exist."""
        query = select(KnowledgeBaseRow.id).where(
            self._rights.of_tenant(col(KnowledgeBaseRow.tenant)),
            self._rights.has_grant(),
            col(KnowledgeBaseRow.name) == name,
        )
        return self._session.exec(query).first() is not None

    def grants(self, knowledge_base_id: str) -> list[GrantRow]:
        query = select(GrantRow).where(
            self._rights.of_tenant(col(GrantRow.tenant)), col(GrantRow.knowledge_base_id) == knowledge_base_id
        )
        return list(self._session.exec(query.order_by(col(GrantRow.id))))

    def releases(self, knowledge_base: KnowledgeBaseRow, *, before: int, limit: int) -> list[ReleaseRow]:
        """The releases of a knowledge base that `knowledge_base` gave, the latest first."""
        query = select(ReleaseRow).where(
            col(ReleaseRow.knowledge_base_id) == knowledge_base.id, col(ReleaseRow.number) < before
        )
        return list(self._session.exec(query.order_by(col(ReleaseRow.number).desc()).limit(limit)))

    def count_readable(self, knowledge_base_ids: Sequence[str]) -> dict[str, int]:
        """How many documents the caller may read in the published release of each knowledge base."""
        documents = (
            self._readable_documents().where(col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids)).subquery()
        )
        rows = self._session.execute(
            select(documents.c.knowledge_base_id, func.count()).group_by(documents.c.knowledge_base_id)
        )
        return {row[0]: row[1] for row in rows}

    def count_by_acl(self, knowledge_base_id: str) -> dict[int, int]:
        """How many documents of the published release the caller may read, by ACL."""
        documents = self._readable_documents().where(col(DocumentRow.knowledge_base_id) == knowledge_base_id).subquery()
        rows = self._session.execute(select(documents.c.acl_id, func.count()).group_by(documents.c.acl_id))
        return {row[0]: row[1] for row in rows}

    def count_passages(self, knowledge_base_ids: Sequence[str], view: ReleaseView = PUBLISHED) -> int:
        """How many passages the caller may read in these knowledge bases."""
        versions = (
            self._readable_documents(view)
            .with_only_columns(func.sum(col(DocumentVersionRow.passages)))
            .where(col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids))
        )
        return int(self._session.execute(versions).scalar_one() or 0)

    def has_documents(self, knowledge_base_id: str) -> bool:
        """Whether the knowledge base holds anything, readable to the caller or not."""
        query = select(DocumentRow.id).where(col(DocumentRow.knowledge_base_id) == knowledge_base_id)
        return self._session.exec(query).first() is not None

    # ACLs

    def readable_acls(self, knowledge_base_ids: Sequence[str]) -> dict[str, set[int]]:
        """The interned ACLs that occur in each knowledge base and that the caller holds."""
        rows = self._session.exec(
            select(DocumentRow.knowledge_base_id, DocumentRow.acl_id)
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .where(
                self._rights.of_tenant(col(DocumentRow.tenant)),
                col(DocumentRow.knowledge_base_id).in_(knowledge_base_ids),
                self._rights.is_reader(),
                self._rights.is_cleared(),
            )
            .distinct()
        )
        found: dict[str, set[int]] = {}
        for knowledge_base_id, acl_id in rows:
            found.setdefault(knowledge_base_id, set()).add(acl_id)
        return found

    def with_readable_acl(self, document_ids: Sequence[str], *, released: bool) -> set[str]:
        """Those of the documents whose ACL the caller holds, and with `released` that readers were ever shown."""
        query = (
            select(DocumentRow.id)
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .where(
                col(DocumentRow.id).in_([storable(each) for each in document_ids]),
                col(DocumentRow.active_version).is_not(None),
                self._rights.may_read(),
            )
        )
        if released:
            query = query.where(
                exists().where(
                    col(DocumentVersionRow.document_id) == col(DocumentRow.id),
                    col(DocumentVersionRow.released_from) <= col(KnowledgeBaseRow.published_release),
                    col(DocumentVersionRow.released_from) < col(DocumentVersionRow.released_to),
                )
            )
        return set(self._session.exec(query))

    def readers(self, acl_ids: Iterable[int]) -> dict[int, tuple[list[str] | None, int]]:
        """The readers and the level of each ACL; readers None means inherited."""
        wanted = set(acl_ids)
        acls = self._session.exec(select(AclRow).where(col(AclRow.acl_id).in_(wanted))).all()
        tokens: dict[int, list[str]] = {}
        query = select(AclReaderRow).where(col(AclReaderRow.acl_id).in_(wanted)).order_by(col(AclReaderRow.token))
        for reader in self._session.exec(query):
            tokens.setdefault(reader.acl_id, []).append(reader.token)
        return {acl.acl_id: (None if acl.inherited else tokens.get(acl.acl_id, []), acl.level) for acl in acls}

    # Documents and passages

    def _readable_documents(self, view: ReleaseView = PUBLISHED) -> SelectOfScalar[DocumentRow]:
        return (
            select(DocumentRow)
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .join(DocumentVersionRow, col(DocumentVersionRow.document_id) == col(DocumentRow.id))
            .where(
                self._rights.may_read(),
                in_release(col(DocumentVersionRow.released_from), col(DocumentVersionRow.released_to), view),
            )
        )

    def documents(
        self,
        knowledge_base_id: str,
        *,
        after: str,
        limit: int,
        acl_id: int | None = None,
        view: ReleaseView = PUBLISHED,
    ) -> list[tuple[DocumentRow, DocumentVersionRow]]:
        """Documents in the order of ids, those under one ACL if it is given."""
        query = (
            self._readable_documents(view)
            .add_columns(DocumentVersionRow)
            .where(col(DocumentRow.knowledge_base_id) == knowledge_base_id, col(DocumentRow.id) > storable(after))
            .order_by(col(DocumentRow.id))
            .limit(limit)
        )
        if acl_id is not None:
            query = query.where(col(DocumentRow.acl_id) == acl_id)
        return [(row[0], row[1]) for row in self._session.execute(query)]

    def document(
        self, document_id: str, view: ReleaseView = PUBLISHED
    ) -> tuple[DocumentRow, DocumentVersionRow] | None:
        query = (
            self._readable_documents(view)
            .add_columns(DocumentVersionRow)
            .where(col(DocumentRow.id) == storable(document_id))
        )
        row = self._session.execute(query).first()
        return None if row is None else (row[0], row[1])

    def knowledge_base_of(self, document_id: str) -> str | None:
        """The knowledge base of a document that the caller may read in some release, be it the draft."""
        query = (
            select(DocumentRow.knowledge_base_id)
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .where(
                col(DocumentRow.id) == storable(document_id),
                col(DocumentRow.active_version).is_not(None),
                self._rights.may_read(),
            )
        )
        return self._session.exec(query).first()

    def passages(
        self, version: DocumentVersionRow, *, after: int, limit: int, page: int | None = None
    ) -> list[PassageRow]:
        """The passages of a version that `document` or `documents` gave, in reading order."""
        query = select(PassageRow).where(
            col(PassageRow.document_id) == version.document_id,
            col(PassageRow.version_id) == version.version_id,
            col(PassageRow.ordinal) > after,
        )
        if page is not None:
            query = query.where(col(PassageRow.page) == page)
        return list(self._session.exec(query.order_by(col(PassageRow.ordinal)).limit(limit)))

    def _readable_passages(self) -> Select[PassageRow, DocumentVersionRow]:
        return (
            select(PassageRow, DocumentVersionRow)
            .join(DocumentRow, col(DocumentRow.id) == col(PassageRow.document_id))
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
            .join(
                DocumentVersionRow,
                and_(
                    col(DocumentVersionRow.document_id) == col(PassageRow.document_id),
                    col(DocumentVersionRow.version_id) == col(PassageRow.version_id),
                ),
            )
            .where(self._rights.of_tenant(col(PassageRow.tenant)), self._rights.may_read())
        )

    def hydrate(self, passage_ids: Sequence[str], view: ReleaseView = PUBLISHED) -> dict[str, Hydrated]:
        """Those of the passages that the caller may read now and that the release holds. The rest does not exist."""
        released = in_release(col(PassageRow.released_from), col(PassageRow.released_to), view)
        found: dict[str, Hydrated] = {}
        for start in range(0, len(passage_ids), _IN_LIMIT):
            ids = [storable(each) for each in passage_ids[start : start + _IN_LIMIT]]
            query = self._readable_passages().where(col(PassageRow.id).in_(ids), released)
            for passage, version in self._session.exec(query):
                found[passage.id] = (passage, version)
        return found

    def readable_passage_ids(self, passage_ids: Sequence[str]) -> set[str]:
        """Those of the passages whose document the caller may read now.

        They may be of an earlier release than the published one, never of a later: of the draft, or rolled back.
        """
        published = col(KnowledgeBaseRow.published_release)
        query = self._readable_passages().where(
            col(PassageRow.id).in_([storable(each) for each in passage_ids]),
            col(PassageRow.released_from) <= published,
            col(PassageRow.released_from) < col(PassageRow.released_to),
        )
        return {passage.id for passage, _ in self._session.exec(query)}

    def passage_hashes(self, knowledge_base_id: str, view: ReleaseView) -> list[tuple[str, str, str]]:
        """Document, title and hash of each passage of a release that the caller may read, in the order of documents."""
        query = self._readable_passages().where(
            col(PassageRow.knowledge_base_id) == knowledge_base_id,
            in_release(col(PassageRow.released_from), col(PassageRow.released_to), view),
        )
        columns = query.with_only_columns(
            col(PassageRow.document_id), col(DocumentVersionRow.title), col(PassageRow.content_hash)
        )
        rows = self._session.execute(columns.order_by(col(PassageRow.document_id)))
        return [(row[0], row[1], row[2]) for row in rows]

    def released_passages(self, knowledge_base_id: str, document_id: str, view: ReleaseView) -> list[Hydrated]:
        """The passages of a document in a release, in reading order, if the caller may read it."""
        query = self._readable_passages().where(
            col(PassageRow.knowledge_base_id) == knowledge_base_id,
            col(PassageRow.document_id) == storable(document_id),
            in_release(col(PassageRow.released_from), col(PassageRow.released_to), view),
        )
        return [(row[0], row[1]) for row in self._session.exec(query.order_by(col(PassageRow.ordinal)))]


class ExplanationRepository:
    """The rows that rights are made of, of a whole tenant: for explaining them, not for showing content."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._rights = Rights(access)

    def document(self, document_id: str) -> tuple[DocumentRow, str] | None:
        """A document of the published release and its title."""
        query = (
            select(DocumentRow, DocumentVersionRow.title)
            .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
            .join(DocumentVersionRow, col(DocumentVersionRow.document_id) == col(DocumentRow.id))
            .where(
                col(DocumentRow.id) == storable(document_id),
                self._rights.of_tenant(col(DocumentRow.tenant)),
                in_release(col(DocumentVersionRow.released_from), col(DocumentVersionRow.released_to), PUBLISHED),
            )
        )
        return self._session.exec(query).first()

    def grants(self, knowledge_base_id: str) -> list[GrantRow]:
        query = select(GrantRow).where(
            self._rights.of_tenant(col(GrantRow.tenant)), col(GrantRow.knowledge_base_id) == knowledge_base_id
        )
        return list(self._session.exec(query.order_by(col(GrantRow.id))))


class DeletionRepository:
    """All that a knowledge base holds, whoever may read it; who asks has been found to own it."""

    def __init__(self, session: Session, access: Access, knowledge_base_id: str) -> None:
        self._session = session
        self._of_it = and_(
            col(DocumentRow.tenant) == access.tenant, col(DocumentRow.knowledge_base_id) == knowledge_base_id
        )
        self._knowledge_base_id = knowledge_base_id

    def contents(self) -> list[tuple[str, str]]:
        """Each document that is there with its version in the draft, in the order of their ids."""
        query = select(DocumentRow.id, DocumentRow.active_version).where(
            self._of_it, col(DocumentRow.active_version).is_not(None)
        )
        rows = self._session.exec(query.order_by(col(DocumentRow.id)))
        return [(document_id, version_id or "") for document_id, version_id in rows]

    def document_ids(self) -> Sequence[str]:
        """Every document that is there or was, in the order of their ids."""
        return self._session.exec(select(DocumentRow.id).where(self._of_it).order_by(col(DocumentRow.id))).all()

    def delete(self) -> None:
        """Delete every row, and note that the index must follow."""
        documents = select(DocumentRow.id).where(self._of_it).scalar_subquery()
        passages = col(PassageRow.document_id).in_(documents)
        self._session.execute(
            insert(VectorChangeRow).from_select(["passage_id"], select(PassageRow.id).where(passages))
        )
        for condition in (
            delete(PassageRow).where(passages),
            delete(DocumentVersionRow).where(col(DocumentVersionRow.document_id).in_(documents)),
            delete(DocumentRow).where(self._of_it),
            delete(ReleaseRow).where(col(ReleaseRow.knowledge_base_id) == self._knowledge_base_id),
            delete(GrantRow).where(col(GrantRow.knowledge_base_id) == self._knowledge_base_id),
            delete(KnowledgeBaseRow).where(col(KnowledgeBaseRow.id) == self._knowledge_base_id),
        ):
            self._session.execute(condition.execution_options(synchronize_session=False))

    @staticmethod
    def deleted(session: Session, access: Access, knowledge_base_ids: Sequence[str]) -> set[str]:
        """Those of the knowledge bases that were deleted."""
        query = select(DeletedKnowledgeBaseRow.id).where(
            col(DeletedKnowledgeBaseRow.tenant) == access.tenant,
            col(DeletedKnowledgeBaseRow.id).in_(knowledge_base_ids),
        )
        return set(session.exec(query))


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
            acl = {"acl_id": acl_id, "inherited": readers is None, "level": level}
            insert_missing(self._session, AclRow, [acl])
            tokens = [{"acl_id": acl_id, "token": token} for token in sorted(set(readers or []))]
            insert_missing(self._session, AclReaderRow, tokens)
        return acl_id

    def add(self, document: DocumentRow) -> None:
        self._session.add(document)
        self._session.flush()

    def version(self, document_id: str, version_id: str) -> DocumentVersionRow | None:
        return self._session.get(DocumentVersionRow, (document_id, version_id))

    def describe(self, version: DocumentVersionRow) -> None:
        """Write what a version is called and holds."""
        self._session.add(version)
        self._session.flush()

    def stage(self, rows: Sequence[PassageRow]) -> None:
        """Write passages that no release holds yet; writing them again changes nothing."""
        insert_missing(self._session, PassageRow, [row.model_dump() for row in rows])

    def released_from(self, document_id: str, version_id: str) -> int | None:
        """The release that a version entered; None while it is on its way."""
        version = self.version(document_id, version_id)
        return None if version is None or version.released_from == OPEN_RELEASE else version.released_from

    def passage_ids(self, document_id: str, version_id: str | None = None) -> list[str]:
        """The passages of a document, of every version unless one is named."""
        query = select(PassageRow.id).where(col(PassageRow.document_id) == document_id)
        if version_id is not None:
            query = query.where(col(PassageRow.version_id) == version_id)
        return list(self._session.exec(query))

    def activate(self, document: DocumentRow, version_id: str, release: int) -> tuple[int, int]:
        """Let a version into the draft `release`, and the one before it out; return (passages in, passages out)."""
        entering = self._session.execute(
            update(PassageRow)
            .where(
                col(PassageRow.document_id) == document.id,
                col(PassageRow.version_id) == version_id,
                col(PassageRow.released_from) == OPEN_RELEASE,
            )
            .values(released_from=release, released_to=OPEN_RELEASE)
        ).rowcount  # type: ignore[attr-defined]  # a CursorResult, which the stub calls Result
        leaving = self._leave(document.id, version_id, release)
        document.active_version = version_id
        document.passages = len(self.passage_ids(document.id, version_id))
        document.updated_at = utc_now()
        self._session.flush()
        return entering, leaving

    def _leave(self, document_id: str, version_id: str, release: int) -> int:
        """Close the other versions of a document, and what was staged of them."""
        query = select(PassageRow.id).where(
            col(PassageRow.document_id) == document_id,
            col(PassageRow.version_id) != version_id,
            col(PassageRow.released_to) == OPEN_RELEASE,
        )
        leaving = list(self._session.exec(query))
        self._session.execute(
            update(PassageRow)
            .where(
                col(PassageRow.document_id) == document_id,
                col(PassageRow.version_id) != version_id,
                col(PassageRow.released_to) == OPEN_RELEASE,
            )
            .values(released_to=release)
        )
        self._session.execute(
            update(DocumentVersionRow)
            .where(
                col(DocumentVersionRow.document_id) == document_id,
                col(DocumentVersionRow.version_id) != version_id,
                col(DocumentVersionRow.released_to) == OPEN_RELEASE,
            )
            .values(released_to=release)
        )
        self.note_vectors(leaving)
        return len(leaving)

    def retire(self, document: DocumentRow) -> int:
        """Delete a document's passages and text from every release; what stays remembers the fence."""
        ids = self.passage_ids(document.id)
        self.note_vectors(ids)
        self._session.execute(delete(PassageRow).where(col(PassageRow.document_id) == document.id))
        self._session.execute(delete(DocumentVersionRow).where(col(DocumentVersionRow.document_id) == document.id))
        document.active_version = None
        document.passages = 0
        document.updated_at = utc_now()
        self._session.flush()
        return len(ids)

    def drop_staged(self, document_id: str) -> int:
        """Delete the passages of a document that no release has held."""
        is_staged = (col(PassageRow.document_id) == document_id) & (col(PassageRow.released_from) == OPEN_RELEASE)
        ids = list(self._session.exec(select(PassageRow.id).where(is_staged)))
        self.note_vectors(ids)
        self._session.execute(delete(PassageRow).where(is_staged))
        return len(ids)

    def note_vectors(self, passage_ids: Sequence[str]) -> None:
        """Note that the index must follow, in the transaction that changes the tables."""
        note_vectors(self._session, passage_ids)


def storable(value: str) -> str:
    """An id as a database can compare it: one with a NUL, which PostgreSQL refuses, is like no id of ours."""
    return value.replace("\x00", "\ufffd")


def note_vectors(session: Session, passage_ids: Sequence[str]) -> None:
    """Note that the index must bring these passages in line with the tables."""
    if passage_ids:
        rows = [{"passage_id": passage_id} for passage_id in passage_ids]
        session.execute(insert(VectorChangeRow), rows)


def insert_missing(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in bulk; those whose key is there already stay as they are."""
    if not rows:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    session.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def noted_vectors(session: Session, limit: int) -> list[tuple[int, str]]:
    """Changes that the index must still follow, of any tenant, oldest first: number and passage."""
    query = select(VectorChangeRow.seq, VectorChangeRow.passage_id).order_by(col(VectorChangeRow.seq)).limit(limit)
    return [(seq, passage_id) for seq, passage_id in session.exec(query) if seq is not None]


def vector_places(session: Session, passage_ids: Sequence[str]) -> dict[str, Place | None]:
    """What the index must say of each passage now; None is nothing: no release that is kept holds it."""
    places: dict[str, Place | None] = dict.fromkeys(passage_ids)
    query = (
        select(PassageRow, DocumentRow.acl_id, AclRow.level)
        .join(DocumentRow, col(DocumentRow.id) == col(PassageRow.document_id))
        .join(KnowledgeBaseRow, col(KnowledgeBaseRow.id) == col(DocumentRow.knowledge_base_id))
        .join(AclRow, col(AclRow.acl_id) == col(DocumentRow.acl_id))
        .where(
            col(PassageRow.id).in_(passage_ids),
            col(PassageRow.released_to) > col(KnowledgeBaseRow.oldest_release),
            or_(
                col(PassageRow.released_from) < col(PassageRow.released_to),
                col(PassageRow.released_to) == OPEN_RELEASE,
            ),
        )
    )
    for row, acl_id, level in session.exec(query):
        places[row.id] = Place(acl_id, level, released_from=row.released_from, released_to=row.released_to)
    return places


def forget_vectors(session: Session, numbers: Sequence[int]) -> None:
    """Note that the index has followed these changes."""
    for start in range(0, len(numbers), _IN_LIMIT):
        session.execute(delete(VectorChangeRow).where(col(VectorChangeRow.seq).in_(numbers[start : start + _IN_LIMIT])))


def leave_index(session: Session, knowledge_base_id: str, after: int, upto: int) -> list[str]:
    """The passages whose last release is in `after <= number < upto`, and so leaves the index."""
    query = select(PassageRow.id).where(
        col(PassageRow.knowledge_base_id) == knowledge_base_id,
        col(PassageRow.released_to) > after,
        col(PassageRow.released_to) <= upto,
    )
    return list(session.exec(query))
