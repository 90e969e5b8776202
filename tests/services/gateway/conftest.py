"""A gateway on SQLite with the embedded provider, before small services that say what reached them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from joserfc import jwt
from sqlalchemy import select
from starlette.types import ASGIApp, Receive, Scope, Send

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerEvent,
    AnswerMode,
    AnswerProblem,
    AnswerState,
    AskRequest,
    Citation,
    CitationEvent,
    DoneEvent,
    PhaseEvent,
    ResetEvent,
    Sentence,
    SentenceEvent,
    StartEvent,
)
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import EmbedRequest, EmbedResponse
from zhiku_platform.contracts.knowledge import GrantRole, KnowledgeBase
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import Database
from zhiku_platform.errors import NotFoundError
from zhiku_platform.http import GuardedRouter, Stream
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.inprocess import AsyncInProcessTransport
from zhiku_platform.settings import Settings
from zhiku_services.gateway.app import create_app, directory_sync, issuer_of, open_database
from zhiku_services.gateway.directory import find_principal
from zhiku_services.gateway.directory_sync import ACTOR, StaticDirectory
from zhiku_services.gateway.models import AUDIT_OUTBOX, Base
from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS
from zhiku_services.identity_provider.app import create_app as create_provider
from zhiku_services.identity_provider.keys import KeyRing

CanRead = Annotated[Access, require(Permission.DOCUMENT_READ)]
CanList = Annotated[Access, require(Permission.KNOWLEDGE_BASE_READ)]
CanWrite = Annotated[Access, require(Permission.DOCUMENT_WRITE)]
CanEmbed = Annotated[Access, require(Permission.INFERENCE_RUN)]
CanAsk = Annotated[Access, require(Permission.ASK)]


@dataclass
class Clock:
    """The time, as the tests set it."""

    now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class Services:
    """Four real apps behind the gateway; what reached them stands in `seen`."""

    settings: Settings
    seen: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    questions: list[AskRequest] = field(default_factory=list[AskRequest])
    script: list[AnswerEvent] = field(default_factory=list[AnswerEvent])
    received_bytes: int = 0
    largest_chunk: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self, service: str) -> FastAPI:
        router = GuardedRouter()
        {
            "knowledge": self._knowledge,
            "ingestion": self._ingestion,
            "assistant": self._assistant,
            "inference": self._inference,
        }[service](router)
        return create_service_app(service, self.settings, [router])

    def upstreams(self) -> dict[str, httpx2.AsyncClient]:
        return {
            name: httpx2.AsyncClient(transport=AsyncInProcessTransport(self.app(name)), base_url=f"http://{name}")
            for name in ("knowledge", "ingestion", "assistant", "inference")
        }

    def _knowledge(self, router: GuardedRouter) -> None:
        @router.get("/api/v1/knowledge-bases")
        def list_knowledge_bases(access: CanList, cursor: str = "", limit: int = 100) -> Page[KnowledgeBase]:
            readable = [
                KnowledgeBase(
                    id=f"kb_{group}",
                    name=group,
                    description="",
                    language="mixed",
                    role=GrantRole.VIEWER,
                    documents=1,
                    created_at=datetime(2026, 1, 1, tzinfo=UTC),
                )
                for group in sorted(access.principal.groups)
            ]
            return Page(items=readable)

        @router.get("/api/v1/documents/{document_id}")
        def get_document(access: CanRead, request: Request, document_id: str) -> dict[str, Any]:
            if not access.principal.tokens.intersection({"group:finance"}):
                raise NotFoundError("document")
            self.seen.append({"id": document_id, "query": request.url.query, **dict(request.headers)})
            return {"id": document_id, "sub": access.principal.sub, "scopes": access.principal.scopes}

        @router.get("/internal/secret")
        def secret(access: CanRead) -> dict[str, str]:
            return {"secret": "never shown"}

    def _ingestion(self, router: GuardedRouter) -> None:
        @router.post("/api/v1/knowledge-bases/{knowledge_base_id}/uploads", status_code=202)
        async def upload(access: CanWrite, request: Request, knowledge_base_id: str) -> dict[str, int]:
            async for chunk in request.stream():
                self.received_bytes += len(chunk)
                self.largest_chunk = max(self.largest_chunk, len(chunk))
            return {"size": self.received_bytes}

    def _inference(self, router: GuardedRouter) -> None:
        @router.post("/internal/embeddings")
        def embed(access: CanEmbed, request: EmbedRequest) -> EmbedResponse:
            vectors = [[0.5, -0.25, float(len(text))] for text in request.texts]
            return EmbedResponse(model="tiny", dimensions=3, vectors=vectors, tokens=7)

    def _assistant(self, router: GuardedRouter) -> None:
        @router.get("/api/v1/answers/{answer_id}/stream")
        async def stream(access: CanRead, answer_id: str) -> Stream:
            async def events() -> AsyncIterator[bytes]:
                try:
                    yield b"id: 1\ndata: first\n\n"
                    await self.released.wait()
                    yield b"id: 2\ndata: second\n\n"
                finally:
                    self.stopped.set()

            return Stream(events(), media_type="text/event-stream")

        @router.post("/internal/ask")
        async def ask(access: CanAsk, question: AskRequest) -> Stream:
            self.questions.append(question)
            if question.question == "forbidden fruit":
                raise NotFoundError("knowledge base")

            async def events() -> AsyncIterator[bytes]:
                try:
                    for n, event in enumerate(self.script, 1):
                        yield f"id: {n}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()
                        if question.question == "wait" and n == 1:
                            await self.released.wait()
                finally:
                    self.stopped.set()

            return Stream(events(), media_type="text/event-stream")


def answered(*texts: str, state: AnswerState = AnswerState.DONE, withdrawn: str | None = None) -> list[AnswerEvent]:
    """The events of an answer of these sentences; `withdrawn` was said before a reset."""
    citation = Citation(
        n=1,
        passage_id="psg_1",
        document_id="doc_1",
        document="手册",
        knowledge_base_id="kb_finance",
        heading_path=["差旅"],
        page=3,
        regions=[],
        quote="每晚 500 元",
        score=0.9,
    )
    sentences = [Sentence(text=text, citations=[1]) for text in texts]
    answer = Answer(
        id="ans_1",
        conversation_id="",
        question="?",
        rewritten_question=None,
        state=state,
        mode=AnswerMode.EXTRACTIVE,
        text="".join(texts),
        sentences=sentences,
        citations=[citation],
        searched=["finance"],
        timings_ms={},
        problem=AnswerProblem(code="x", detail="The model is gone.", remedy="Ask again.")
        if state is AnswerState.FAILED
        else None,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    before: list[AnswerEvent] = []
    if withdrawn is not None:
        before = [
            SentenceEvent(index=0, sentence=Sentence(text=withdrawn, citations=[])),
            ResetEvent(reason="unsupported"),
        ]
    return [
        StartEvent(answer_id="ans_1", conversation_id=""),
        PhaseEvent(phase="searching"),
        *before,
        CitationEvent(citation=citation),
        *(SentenceEvent(index=n, sentence=sentence) for n, sentence in enumerate(sentences)),
        DoneEvent(answer=answer),
    ]


@dataclass
class Provider:
    """The embedded provider, which can be down, and what it was asked."""

    app: ASGIApp
    is_down: bool = False
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append(f"{scope['method']} {scope['path'].rsplit('/', 1)[-1]}")
            if self.is_down:
                # Ends without an answer, which the caller meets as a broken connection.
                return
        await self.app(scope, receive, send)


@dataclass
class Gateway:
    """The gateway under test, and browsers that visit it."""

    settings: Settings
    app: FastAPI
    database: Database
    services: Services
    provider: Provider
    clock: Clock
    browse: Callable[[], TestClient]

    def sign_in(self, username: str, browser: TestClient | None = None, *, to: str = "/") -> TestClient:
        """A browser that went through the whole login as `username`."""
        browser = browser or self.browse()
        begun = browser.get("/api/v1/auth/login", params={"next": to})
        login_page = begun.headers["location"]
        returned = browser.post(login_page, data={"username": username, "password": "demo"})
        finished = browser.get(returned.headers["location"])
        assert (finished.status_code, finished.headers["location"]) == (303, to), finished.text
        browser.headers["X-CSRF-Token"] = browser.get("/api/v1/session").json()["csrf_token"]
        return browser

    def create_key(self, username: str, *scopes: str, days: int = 90) -> dict[str, Any]:
        """An API key of `username`: its `key` and its `secret`."""
        new = {"name": "test", "scopes": list(scopes), "expires_in_days": days}
        response = self.sign_in(username).post("/api/v1/api-keys", json=new)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A token that the embedded provider might have signed; claims of None are left out."""
        key = KeyRing(self.settings.home / "identity" / "keys.json", clock=Clock.now.timestamp).signing_key()
        now = int(self.clock().timestamp())
        whole = {"iss": issuer_of(self.settings), "iat": now, "exp": now + 120, **claims}
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, kept, key)

    def principal(self, username: str) -> Principal | None:
        """Whom the mirror knows by this name."""
        with self.database.read() as session:
            return find_principal(username, issuer=issuer_of(self.settings), session=session)

    def audited(self) -> list[tuple[str, str, dict[str, Any]]]:
        """What people did so far, as the audit has it, oldest first: action, actor, details."""
        return [event for event in self._audited() if event[1] != ACTOR]

    def audited_of_directory(self) -> list[tuple[str, dict[str, Any]]]:
        """What syncs of the directory did so far, as the audit has it, oldest first: action, details."""
        return [(action, details) for action, actor, details in self._audited() if actor == ACTOR]

    def _audited(self) -> list[tuple[str, str, dict[str, Any]]]:
        with self.database.read() as session:
            rows = session.connection().execute(select(AUDIT_OUTBOX).order_by(AUDIT_OUTBOX.c.seq)).all()
        return [(row.action, row.actor, row.details) for row in rows]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def provider_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's key file, made once: an RSA key takes longer than a test."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    KeyRing(path, clock=Clock.now.timestamp).rotate()
    return path


@pytest.fixture
def settings(tmp_path: Path, provider_keys: Path) -> Settings:
    (tmp_path / "identity").mkdir()
    copy(provider_keys, tmp_path / "identity" / "keys.json")
    return Settings(home=tmp_path)


@pytest.fixture
def services(settings: Settings) -> Services:
    return Services(settings, script=answered("每晚 500 元。", "Ask your manager."))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the gateway's tables, made once."""
    home = tmp_path_factory.mktemp("migrated")
    open_database(Settings(home=home)).close()
    return home / "db" / "gateway.sqlite3"


@pytest.fixture
def database(settings: Settings, migrated: Path, clock: Clock) -> Iterator[Database]:
    (settings.home / "db").mkdir()
    copy(migrated, settings.home / "db" / "gateway.sqlite3")
    database = Database("gateway", settings.service_database_url("gateway"), Base.metadata)
    directory_sync(settings, database, StaticDirectory([each.user for each in DEMO_ACCOUNTS]), clock=clock).run()
    yield database
    database.close()


@pytest.fixture
def gateway(
    settings: Settings, services: Services, database: Database, clock: Clock, tmp_path: Path
) -> Iterator[Gateway]:
    provider = Provider(create_provider(settings, clock=lambda: clock().timestamp()))
    app = create_app(
        settings,
        database=database,
        upstreams=services.upstreams(),
        identity_provider=provider,
        static=tmp_path / "static",
        clock=clock,
    )
    # One running loop for all browsers, as a server has.
    with TestClient(app) as first:

        def browse() -> TestClient:
            browser = TestClient(app, base_url=settings.base_url, follow_redirects=False)
            browser.portal = first.portal
            return browser

        yield Gateway(settings, app, database, services, provider, clock, browse)
