"""Who sees a document, and what a user sees, with the grants and ACLs that make it so.

An explanation is worked out from the rows that rights are made of, not by the queries that enforce them; a test
holds the two together. It tells nobody more than they may know: an owner about their own knowledge bases and the
documents there that they may read, with those groups alone that open them; a user about themselves; and whoever may
read the directory about everybody, but then without the title of a document.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlmodel import Session

from zhiku_platform.access import Access, Permission, authorize, permissions_of, service_principal
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.directory import Person
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import (
    AccessPath,
    DocumentReaders,
    GivenRole,
    GrantRole,
    Readable,
    ReadableAcl,
    ReadableDocument,
    ReadableKnowledgeBase,
    Reader,
)
from zhiku_platform.errors import NotFoundError
from zhiku_services.knowledge.models import AUDIT_OUTBOX, DocumentRow, GrantRow, KnowledgeBaseRow
from zhiku_services.knowledge.repository import ROLE_RANK, ExplanationRepository, KnowledgeRepository

_LISTED = 100
"""Documents listed under one ACL; the count tells of the rest."""


class People(Protocol):
    """The mirror of the directory; it answers our own account, never a user."""

    def holders(self, principal: Principal, tokens: Iterable[str]) -> Sequence[Person]:
        """Everybody who holds one of the ACL tokens; of their groups, only those that the tokens name."""
        ...

    def person(self, principal: Principal, sub: str) -> Person | None:
        """One user with all groups; None if nobody of this name may sign in."""
        ...


@dataclass(frozen=True, slots=True)
class _Acl:
    """Who may read: `readers` None leaves it to the knowledge base's grants."""

    readers: Sequence[str] | None
    level: int


def document_readers(access: Access, document_id: str, session: Session, *, people: People | None) -> DocumentReaders:
    """Who may read a document, and why.

    Whoever merely reads it is told about themselves.

    Raises:
        NotFoundError: it is missing or hidden from the caller.
    """
    everything = ExplanationRepository(session, access)
    found = everything.document(document_id)
    if found is None:
        raise NotFoundError("document")
    document, title = found
    asker = _Asker(access, session)
    is_owner = asker.owns(document.knowledge_base_id) and asker.reads(document.id)
    if not (is_owner or asker.sees_everybody or asker.reads(document.id)):
        raise NotFoundError("document")
    grants = everything.grants(document.knowledge_base_id)
    acl = _Acl(*KnowledgeRepository(session, access).readers([document.acl_id])[document.acl_id])
    if not (is_owner or asker.sees_everybody):
        return _explain(
            document, title, _held(grants, access.principal), acl, [access.principal], alone=access.principal
        )
    record(session, AUDIT_OUTBOX, event_of(access, "access.explained", document.id))
    known = None
    if people is not None:
        tokens = {row.subject for row in grants}.union(acl.readers or ())
        holders = people.holders(service_principal("knowledge", access.tenant), tokens)
        known = [_principal(each, access.tenant) for each in holders]
    return _explain(document, title if is_owner else None, grants, acl, known)


def readable_by(access: Access, sub: str, session: Session, *, people: People | None) -> Readable:
    """What a user may read, and why.

    Raises:
        NotFoundError: it is somebody else, and the caller neither owns a knowledge base nor may read the directory.
    """
    asker = _Asker(access, session)
    if sub == access.principal.sub:
        return _readable(session, access.principal, asker, groups=sorted(access.principal.groups))
    if not (asker.owned or asker.sees_everybody):
        raise NotFoundError("user")
    record(session, AUDIT_OUTBOX, event_of(access, "access.explained", "user", person=sub))
    known = None if people is None else people.person(service_principal("knowledge", access.tenant), sub)
    # Somebody unknown is explained like somebody without groups, so that an owner cannot try out who works here.
    principal = _principal(known or _unknown(sub), access.tenant)
    groups = sorted(principal.groups) if people is not None and asker.sees_everybody else None
    return _readable(session, principal, asker, groups=groups)


class _Asker:
    """What the caller may be told."""

    def __init__(self, access: Access, session: Session) -> None:
        self.principal = access.principal
        self.sees_everybody = Permission.DIRECTORY_READ in permissions_of(access.principal)
        self._content = _through_the_eyes_of(access.principal, session)
        held = self._content.knowledge_bases() if self._content else []
        self.owned = {row.id for row, role in held if role is GrantRole.OWNER}

    def owns(self, knowledge_base_id: str) -> bool:
        return knowledge_base_id in self.owned

    def reads(self, document_id: str) -> bool:
        return self._content is not None and self._content.document(document_id) is not None

    def acls(self, knowledge_base_id: str) -> set[int]:
        """The ACLs in a knowledge base that the caller holds."""
        if self._content is None:
            return set()
        return self._content.readable_acls([knowledge_base_id]).get(knowledge_base_id, set())


def _through_the_eyes_of(principal: Principal, session: Session) -> KnowledgeRepository | None:
    """What this principal may read; None if none of its roles lets it read documents."""
    if Permission.DOCUMENT_READ not in permissions_of(principal):
        return None
    return KnowledgeRepository(session, authorize(principal, Permission.DOCUMENT_READ))


def _explain(
    document: DocumentRow,
    title: str | None,
    grants: Sequence[GrantRow],
    acl: _Acl,
    people: Sequence[Principal] | None,
    *,
    alone: Principal | None = None,
) -> DocumentReaders:
    readers = [
        Reader(sub=person.sub, name=person.name, because=paths)
        for person in people or ()
        if (paths := _paths(person, grants, acl))
    ]
    shown = acl.readers if alone is None or acl.readers is None else sorted(alone.tokens & set(acl.readers))
    return DocumentReaders(
        document_id=document.id,
        knowledge_base_id=document.knowledge_base_id,
        title=title,
        level=acl.level,
        acl=None if shown is None else list(shown),
        grants=[GivenRole(subject=row.subject, role=GrantRole(row.role)) for row in grants],
        readers=readers,
        is_directory_known=people is not None and alone is None,
    )


def _paths(person: Principal, grants: Sequence[GrantRow], acl: _Acl) -> list[AccessPath]:
    """Every way by which a person may read a document; none, they may not."""
    if Permission.DOCUMENT_READ not in permissions_of(person) or person.clearance < acl.level:
        return []
    named: Sequence[str | None] = [None] if acl.readers is None else sorted(person.tokens & set(acl.readers))
    return [
        AccessPath(grant=row.subject, role=GrantRole(row.role), reader=token)
        for row in _held(grants, person)
        for token in named
    ]


def _held(grants: Sequence[GrantRow], person: Principal) -> list[GrantRow]:
    return [row for row in grants if row.subject in person.tokens]


def _readable(session: Session, person: Principal, asker: _Asker, *, groups: list[str] | None) -> Readable:
    eyes = _through_the_eyes_of(person, session)
    found = eyes.knowledge_bases() if eyes is not None else []
    everywhere = asker.sees_everybody or person.sub == asker.principal.sub
    return Readable(
        sub=person.sub,
        groups=groups,
        clearance=None if groups is None else person.clearance,
        knowledge_bases=[
            _readable_knowledge_base(eyes, row, person, asker)
            for row, _ in found
            if eyes is not None and (everywhere or asker.owns(row.id))
        ],
    )


def _readable_knowledge_base(
    eyes: KnowledgeRepository, row: KnowledgeBaseRow, person: Principal, asker: _Asker
) -> ReadableKnowledgeBase:
    is_self = person.sub == asker.principal.sub
    counts = eyes.count_by_acl(row.id)
    if not (is_self or asker.sees_everybody):
        counts = {acl_id: count for acl_id, count in counts.items() if acl_id in asker.acls(row.id)}
    acls = eyes.readers(counts)
    given = _held(eyes.grants(row.id), person)
    return ReadableKnowledgeBase(
        id=row.id,
        name=row.name,
        role=max((GrantRole(grant.role) for grant in given), key=lambda role: ROLE_RANK[role]),
        grants=[GivenRole(subject=grant.subject, role=GrantRole(grant.role)) for grant in given],
        documents=sum(counts.values()),
        acls=[
            ReadableAcl(
                readers=None if readers is None else sorted(person.tokens & set(readers)),
                level=level,
                documents=counts[acl_id],
                items=_items(eyes, row.id, acl_id, with_titles=is_self or asker.owns(row.id)),
            )
            for acl_id, (readers, level) in sorted(acls.items())
        ],
    )


def _items(
    eyes: KnowledgeRepository, knowledge_base_id: str, acl_id: int, *, with_titles: bool
) -> list[ReadableDocument]:
    return [
        ReadableDocument(document_id=document.id, title=version.title if with_titles else None)
        for document, version in eyes.documents(knowledge_base_id, after="", limit=_LISTED, acl_id=acl_id)
    ]


def _principal(person: Person, tenant: str) -> Principal:
    return Principal(
        sub=person.sub,
        tenant=tenant,
        name=person.name,
        groups=person.groups,
        roles=person.roles,
        clearance=person.clearance,
    )


def _unknown(sub: str) -> Person:
    return Person(sub=sub, name="", roles=frozenset({Role.EMPLOYEE}))
