"""A small company whose rights are written down twice: in the knowledge service, and here, by hand.

Every text, title, file name, heading and name of a knowledge base carries a canary: a word that stands nowhere else.
Whatever the service answers to anybody goes through `World.call`, which looks for canaries in every byte of it.
"""

import asyncio
import io
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlencode

import anyio.to_thread
from sqlalchemy import delete, select
from sqlmodel import col
from starlette.types import ASGIApp

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.blobs import FolderBlobStore
from zhiku_platform.contracts.directory import Person
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import (
    DocumentTarget,
    PassageDraft,
    PublishedPassage,
    PublishRequest,
    RetireRequest,
)
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.embedding import hashed_vector
from zhiku_services.knowledge.app import create_app
from zhiku_services.knowledge.models import Base, PassageRow
from zhiku_services.knowledge.publishing import align_vectors

from ..local_holds import LocalHolds
from .memory_index import BreakableIndex, MemoryIndex

CANARY = re.compile(rb"cnr[0-9]{6}x", re.IGNORECASE)
RANK = {"viewer": 1, "editor": 2, "owner": 3}
NEVER = 2**62
_TOKENS_LAST_S = 30
"""Half of what a signed principal does."""
HOSTILE_TENANT = 'acme" or tenant != "'
HOSTILE_GROUP = 'g0"] or acl_id in ["'
GROUPS = ("g0", "g1", HOSTILE_GROUP)
_WORKER = frozenset({Role.EMPLOYEE})
_MAKER = frozenset({Role.EMPLOYEE, Role.KB_ADMIN})


def staff() -> dict[str, Principal]:
    """Who works here, and one who works elsewhere under the same name."""
    everybody = [
        Principal(sub="ada", tenant="acme", roles=_MAKER, clearance=3),
        Principal(sub="eve", tenant="acme", roles=_MAKER),
        Principal(sub="bo", tenant="acme", roles=_WORKER, groups=frozenset({"g0"})),
        Principal(sub="cy", tenant="acme", roles=_WORKER, groups=frozenset({"g1"}), clearance=1),
        Principal(sub="di' or 1==1 --", tenant="acme", roles=_WORKER, groups=frozenset({HOSTILE_GROUP})),
        *(
            Principal(sub=sub, tenant="acme", roles=frozenset({role}), groups=frozenset(GROUPS), clearance=9)
            for sub, role in (("root", Role.SYSTEM_ADMIN), ("sec", Role.SECURITY_ADMIN))
        ),
    ]
    rival = Principal(sub="ada", tenant=HOSTILE_TENANT, roles=_MAKER, groups=frozenset(GROUPS), clearance=9)
    return {**{person.sub: person for person in everybody}, "rival": rival}


def person_of(principal: Principal, tokens: Collection[str]) -> Person:
    """Somebody as the directory describes them, with those of their groups that `tokens` name."""
    groups = frozenset(name for name in principal.groups if f"group:{name}" in tokens)
    return Person(
        sub=principal.sub, name=principal.name, groups=groups, roles=principal.roles, clearance=principal.clearance
    )


@dataclass
class Version:
    """A document's content: released in `start <= release < end`."""

    version_id: str
    canaries: frozenset[str]
    texts: tuple[str, ...]
    start: int
    end: int = NEVER

    def is_in(self, release: int) -> bool:
        return self.start <= release < self.end


@dataclass
class Shelf:
    """A knowledge base."""

    id: str
    tenant: str
    owner: str
    canary: str
    grants: dict[str, str]
    is_manual: bool = False
    published: int = 0
    draft: int = 1


@dataclass
class Document:
    id: str
    base: Shelf
    readers: frozenset[str] | None
    level: int
    versions: list[Version] = field(default_factory=list)
    staged: str | None = None
    fence: int = 1
    is_deleted: bool = False

    def at(self, release: int) -> Version | None:
        return next((version for version in self.versions if version.is_in(release)), None)


@dataclass
class Book:
    """Who may see what, worked out from what was done, never by asking the service."""

    people: dict[str, Principal] = field(default_factory=staff)
    bases: list[Shelf] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)

    def role(self, name: str, base: Shelf) -> str | None:
        person = self.people[name]
        if person.tenant != base.tenant:
            return None
        roles = [role for subject, role in base.grants.items() if subject in person.tokens]
        return max(roles, key=lambda role: RANK[role], default=None)

    def works_with_content(self, name: str) -> bool:
        return Role.EMPLOYEE in self.people[name].roles

    def may_read(self, name: str, document: Document) -> bool:
        """Whether somebody has the rights; whether a release holds the document is another question."""
        person = self.people[name]
        return (
            self.works_with_content(name)
            and not document.is_deleted
            and self.role(name, document.base) is not None
            and person.clearance >= document.level
            and (document.readers is None or bool(document.readers & person.tokens))
        )

    def readable(self, name: str, base: Shelf, release: int | None = None) -> list[tuple[Document, Version]]:
        """The documents of a release, by default the published one, in the order of ids."""
        number = base.published if release is None else release
        found = [
            (document, version)
            for document in self.documents
            if document.base is base and self.may_read(name, document) and (version := document.at(number))
        ]
        return sorted(found, key=lambda pair: pair[0].id)

    def may_see(self, name: str) -> set[str]:
        """Every canary that an answer to somebody may hold."""
        person = self.people[name]
        canaries: set[str] = set()
        for base in self.bases:
            if (self.works_with_content(name) and self.role(name, base)) or (
                Role.SECURITY_ADMIN in person.roles and base.tenant == person.tenant
            ):
                canaries.add(base.canary)
        for document in self.documents:
            if not self.may_read(name, document):
                continue
            is_editor = RANK[self.role(name, document.base) or "viewer"] > 1
            for version in document.versions:
                if version.is_in(document.base.published) or (is_editor and version.start < version.end):
                    canaries |= version.canaries
        return canaries


@dataclass(frozen=True)
class Answer:
    """A response as bytes."""

    status_code: int
    headers: bytes
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


class Direct:
    """Calls an app on this thread and no other, so that a hundred thousand requests take minutes and not hours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def request(self, method: str, path: str, token: str, body: bytes | None, params: Mapping[str, Any]) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": urlencode(params).encode(),
            "headers": [
                (PRINCIPAL_HEADER.lower().encode(), token.encode()),
                (b"content-type", b"application/json"),
                (b"x-request-id", b"same"),
            ],
            "client": ("test", 1),
            "server": ("test", 80),
        }
        return self._loop.run_until_complete(self._run(scope, body or b""))

    async def _run(self, scope: dict[str, Any], body: bytes) -> Answer:
        sent: list[MutableMapping[str, Any]] = []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        with patch.object(anyio.to_thread, "run_sync", _inline):
            await self._app(scope, receive, send)
        start = next(message for message in sent if message["type"] == "http.response.start")
        headers = b"\n".join(part for pair in start["headers"] for part in pair)
        return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in sent))

    def close(self) -> None:
        self._loop.close()


async def _inline(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
    return work(*arguments)


class World:
    """The service, driven by somebody's requests, and the book beside it."""

    def __init__(self, database: Database, folder: Path, index: MemoryIndex | BreakableIndex) -> None:
        self.index = index
        self.database = database
        self.blobs = FolderBlobStore(folder / "blobs")
        self.requests = 0
        self.book = Book()
        app = create_app(
            Settings(home=folder),
            database=database,
            index=self.index,
            blobs=self.blobs,
            embed=lambda _, query: hashed_vector(query),
            check_holds=LocalHolds().check,
            people=self,
        )
        self._signer: PrincipalSigner = app.state.signer
        self.http = Direct(app)
        self.series = 0
        self._canaries: Counter[int] = Counter()
        self._tokens: dict[Principal, str] = {}
        self._signed_at = time.monotonic()

    def reset(self) -> None:
        """An empty company."""
        self.book = Book()
        self.index.clear()
        self.index.is_broken = False
        self.series = 0
        self._canaries.clear()
        self._tokens.clear()
        with self.database.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))

    def close(self) -> None:
        self.http.close()

    def holders(self, principal: Principal, tokens: Iterable[str]) -> Sequence[Person]:
        """The directory, as explanations read it."""
        wanted = set(tokens)
        return [person_of(each, wanted) for each in self._staff(principal) if each.tokens & wanted]

    def person(self, principal: Principal, sub: str) -> Person | None:
        return next((person_of(each, each.tokens) for each in self._staff(principal) if each.sub == sub), None)

    def _staff(self, principal: Principal) -> list[Principal]:
        assert principal.sub == "svc-knowledge"
        return [each for each in self.book.people.values() if each.tenant == principal.tenant]

    def canary(self) -> str:
        """A new word that stands nowhere else."""
        self._canaries[self.series] += 1
        return f"cnr{self.series + self._canaries[self.series]:06d}x"

    @contextmanager
    def out_of_sight(self) -> Iterator[None]:
        """Number canaries apart, so that what follows takes none from what is in sight."""
        self.series = 500_000
        yield
        self.series = 0

    # Asking

    def send(self, principal: Principal, method: str, path: str, body: Any = None, **params: Any) -> "Answer":
        self.requests += 1
        if time.monotonic() - self._signed_at > _TOKENS_LAST_S:
            self._tokens.clear()
            self._signed_at = time.monotonic()
        token = self._tokens.get(principal)
        if token is None:
            token = self._tokens[principal] = self._signer.sign(principal)
        return self.http.request(method, path, token, None if body is None else json.dumps(body).encode(), params)

    def call(self, name: str, method: str, path: str, body: Any = None, **params: Any) -> "Answer":
        """Ask as somebody, and look for what they may not see in every byte of the answer."""
        response = self.send(self.book.people[name], method, path, body, **params)
        found = {match.decode().lower() for match in CANARY.findall(response.headers + b"\n" + response.content)}
        leaked = found - self.book.may_see(name)
        assert not leaked, f"{name} was shown {leaked} by {method} {path}"
        assert response.status_code < 500 or self.index.is_broken, f"{method} {path}: {response.text}"
        return response

    def json(self, name: str, method: str, path: str, body: Any = None, **params: Any) -> Any:
        response = self.call(name, method, path, body, **params)
        assert response.status_code < 300, f"{name} {method} {path}: {response.text}"
        return json.loads(response.content) if response.content else None

    # Doing

    def make_base(self, owner: str, *, name: str | None = None) -> Shelf:
        canary = self.canary()
        body = {"name": name or f"Base {canary}", "description": f"About {canary}"}
        made = self.json(owner, "POST", "/api/v1/knowledge-bases", body) if name else self._make_quietly(owner, body)
        principal = self.book.people[owner]
        base = Shelf(made["id"], principal.tenant, owner, canary, {f"user:{principal.sub}": "owner"})
        self.book.bases.append(base)
        return base

    def _make_quietly(self, owner: str, body: Any) -> Any:
        """Its own canary comes back before the book knows it."""
        response = self.send(self.book.people[owner], "POST", "/api/v1/knowledge-bases", body)
        assert response.status_code == 201, response.text
        return json.loads(response.content)

    def grant(self, base: Shelf, subject: str, role: str) -> None:
        path = f"/api/v1/knowledge-bases/{base.id}/grants"
        self.json(base.owner, "POST", path, {"subject": subject, "role": role})
        base.grants[subject] = role

    def revoke(self, base: Shelf, subject: str) -> None:
        path = f"/api/v1/knowledge-bases/{base.id}/grants"
        rows = self.json(base.owner, "GET", path)["items"]
        row = next(row for row in rows if row["subject"] == subject)
        self.json(base.owner, "DELETE", f"{path}/{row['id']}")
        del base.grants[subject]

    def upload(
        self,
        base: Shelf,
        document_id: str,
        readers: frozenset[str] | None,
        level: int,
        *,
        passages: int = 1,
        topic: str = "",
    ) -> Document:
        document = Document(document_id, base, readers, level)
        self.book.documents.append(document)
        self.write(document, passages=passages, topic=topic)
        return document

    def write(self, document: Document, *, passages: int = 1, topic: str = "", final: bool = True) -> None:
        """A new version of a document; not final, it stays on its way."""
        canary = self.canary()
        if document.staged is None:
            document.fence += 1
            document.staged = f"{document.id}-v{document.fence}"
        texts = tuple(f"common {topic} words {n} of {canary}" for n in range(passages))
        request = PublishRequest(
            target=self._target(document, canary),
            version_id=document.staged,
            fence=document.fence,
            part=0,
            final=final,
            embedding_model="hashed-words",
            passages=[
                PublishedPassage(
                    draft=PassageDraft(ordinal=n, text=text, heading_path=[f"Heading {canary}"], tokens=1),
                    vector=hashed_vector(text),
                )
                for n, text in enumerate(texts)
            ],
        )
        self.serve(document.base.tenant, "POST", "/internal/publish", json.loads(request.model_dump_json()))
        if final:
            self._note_version(document, document.staged, canary, texts)

    def _target(self, document: Document, canary: str) -> DocumentTarget:
        blob = self.blobs.put(io.BytesIO(f"original of {canary}".encode()), max_bytes=1000)
        return DocumentTarget(
            document_id=document.id,
            knowledge_base_id=document.base.id,
            source_id=canary,
            path=f"folder/{canary}.txt",
            title=f"Title {canary}",
            media_type="text/plain",
            blob=blob.name,
            size_bytes=blob.size_bytes,
            content_hash=blob.name,
            level=document.level,
            readers=None if document.readers is None else sorted(document.readers),
        )

    def _note_version(self, document: Document, version_id: str, canary: str, texts: tuple[str, ...]) -> None:
        base = document.base
        for version in document.versions:
            version.end = min(version.end, base.draft)
        with self.database.read() as session:
            # A part that was staged before belongs to the version as well.
            rows = session.execute(select(col(PassageRow.text)).where(col(PassageRow.version_id) == version_id))
            whole = tuple(sorted(row[0] for row in rows))
        words = {canary} | {match.decode() for text in whole for match in CANARY.findall(text.encode())}
        document.versions.append(Version(version_id, frozenset(words), whole or texts, base.draft))
        document.staged = None
        if not base.is_manual:
            base.published, base.draft = base.draft, base.draft + 1

    def erase(self, document: Document) -> None:
        document.fence += 1
        request = RetireRequest(tenant=document.base.tenant, document_id=document.id, fence=document.fence)
        self.serve(document.base.tenant, "POST", "/internal/retire", request.model_dump())
        document.is_deleted = True

    def set_acl(self, document: Document, readers: frozenset[str] | None, level: int) -> None:
        body = {"readers": None if readers is None else sorted(readers), "level": level}
        self.serve(document.base.tenant, "PUT", f"/internal/documents/{document.id}/acl", body)
        document.readers, document.level = readers, level

    def set_publishing(self, base: Shelf, *, manual: bool) -> None:
        body = {"publishing": "manual" if manual else "auto"}
        self.json(base.owner, "PATCH", f"/api/v1/knowledge-bases/{base.id}", body)
        base.is_manual = manual

    def release(self, base: Shelf) -> None:
        path = f"/api/v1/knowledge-bases/{base.id}/releases"
        number = self.json(base.owner, "POST", path, {"publish": True})["number"]
        assert number == base.draft
        base.published, base.draft = base.draft, base.draft + 1

    def roll_to(self, base: Shelf, number: int) -> None:
        self.json(base.owner, "POST", f"/api/v1/knowledge-bases/{base.id}/releases/{number}/publish")
        base.published = number
        base.is_manual = base.is_manual or number < base.draft - 1

    def move(self, name: str, *, groups: frozenset[str], clearance: int) -> None:
        """The directory changes; the next request comes with it."""
        changes = {"groups": groups, "clearance": clearance}
        self.book.people[name] = self.book.people[name].model_copy(update=changes)

    def serve(self, tenant: str, method: str, path: str, body: Any) -> None:
        """What the ingestion service does; while the index is broken it says so, and the tables have changed."""
        response = self.send(service_principal("ingestion", tenant), method, path, body)
        assert response.status_code < 300 or (self.index.is_broken and response.status_code == 503), response.text

    @contextmanager
    def broken_index(self) -> Iterator[None]:
        """The index does not follow; what is noted for it stays noted."""
        self.index.is_broken = True
        yield
        self.index.is_broken = False

    def mend(self) -> None:
        self.index.is_broken = False
        align_vectors(self.database, self.index)

    def passage_ids(self) -> dict[str, str]:
        """Every passage that there is, staged and closed ones too: text by id."""
        with self.database.read() as session:
            return {row[0]: row[1] for row in session.execute(select(col(PassageRow.id), col(PassageRow.text)))}
