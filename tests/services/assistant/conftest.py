"""The assistant service on SQLite, with a knowledge service in memory and a scripted model."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner
from zhiku_platform.contracts.assistant import Answer, AnswerEvent, DoneEvent
from zhiku_platform.contracts.audit import LoggedReceipt
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelInfo, ModelList, ModelState
from zhiku_platform.contracts.safety import (
    Category,
    Screening,
    ScreenRequest,
    Severity,
    StreamStep,
    StreamStepped,
    Surface,
)
from zhiku_platform.db import Database
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.inprocess import AsyncInProcessTransport
from zhiku_platform.settings import Settings
from zhiku_platform.testing.knowledge import LocalKnowledge
from zhiku_services.assistant.app import close, create_app, open_database
from zhiku_services.assistant.streaming import EVENTS
from zhiku_services.safety.lexicon import Term
from zhiku_services.safety.service import Safety

from ..local_holds import LocalHolds

LIN = Principal(sub="lin", tenant="acme", groups=frozenset({"engineering"}), roles=frozenset({Role.EMPLOYEE}))
ZHAO = Principal(sub="zhao", tenant="acme", groups=frozenset({"finance"}), roles=frozenset({Role.EMPLOYEE}))

TERMS = [
    Term(text="online casino", category=Category.GAMBLING, severity=Severity.MEDIUM),
    Term(text="赌博", category=Category.GAMBLING, severity=Severity.MEDIUM),
    Term(text="sell heroin", category=Category.DRUGS, severity=Severity.HIGH),
]

Script = Callable[[ChatRequest], AsyncIterator[str]]
Numbered = tuple[int, AnswerEvent]


@dataclass
class ScriptedInference:
    """Stands where the inference clients stand. `model` None is a platform without a chat model."""

    model: ModelInfo | None = None
    script: Script | None = None
    requests: list[ChatRequest] = field(default_factory=list)
    closed: int = 0

    def says(self, *pieces: str) -> None:
        """Let a capable model stream these pieces."""

        async def script(_: ChatRequest) -> AsyncIterator[str]:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece

        self.runs(script)

    def runs(self, script: Script, *, origin: str = "endpoint http://vllm", languages: tuple[str, ...] = ()) -> None:
        self.script = script
        self.model = ModelInfo(
            id="scripted",
            role="chat",
            state=ModelState.READY,
            languages=list(languages),
            origin=origin,
            context_tokens=8192,
        )

    def models(self, principal: Principal) -> ModelList:
        return ModelList(models=[] if self.model is None else [self.model])

    async def stream_chat(self, principal: Principal, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        self.requests.append(request)
        assert self.script is not None
        try:
            async for piece in self.script(request):
                yield ChatDelta(text=piece)
            yield ChatDelta(finish_reason="stop", prompt_tokens=1, completion_tokens=1)
        finally:
            self.closed += 1


async def fails(_: ChatRequest) -> AsyncIterator[str]:
    """A model that breaks off."""
    yield "Employees get "
    raise ServiceUnavailableError("The model stopped.", remedy="Try again.")


@dataclass
class OutboxLog:
    """Stands where the audit client stands: says what the assistant's own outbox holds, as if it were sealed.

    The service itself has the route behind it in `tests/services/audit`.
    """

    database: Database
    is_proven: bool = True

    def logged_receipt(self, principal: Principal, answer_id: str) -> LoggedReceipt:
        query = (
            "SELECT json_extract(details, '$.receipt') FROM audit_outbox WHERE action = 'answer.given' AND subject = ?"
        )
        with self.database.engine.connect() as connection:
            digest = connection.exec_driver_sql(query, (answer_id,)).scalar()
        return LoggedReceipt(sha256=digest, is_proven=digest is not None and self.is_proven)


@dataclass
class LocalSafety:
    """The safety service's own rules on a few terms, without its process; `is_down` is one that does not answer."""

    rules: Safety = field(default_factory=lambda: Safety(TERMS))
    is_down: bool = False

    def screen(self, principal: Principal, surface: Surface, texts: Sequence[str]) -> Screening:
        self._require_up()
        return self.rules.screen(ScreenRequest(surface=surface, texts=list(texts)))

    def step(self, principal: Principal, step: StreamStep) -> StreamStepped:
        self._require_up()
        return self.rules.step(step)

    def _require_up(self) -> None:
        if self.is_down:
            raise ServiceUnavailableError("The safety service does not answer.", remedy="Try again in a moment.")


@dataclass
class Assistant:
    """The service's app, its parts, and calls as one principal or another."""

    app: FastAPI
    database: Database
    knowledge: LocalKnowledge
    inference: ScriptedInference
    log: OutboxLog
    safety: LocalSafety
    open_clients: list[httpx2.AsyncClient] = field(default_factory=list)

    def client(self, principal: Principal = LIN) -> httpx2.AsyncClient:
        signer: PrincipalSigner = self.app.state.signer
        client = httpx2.AsyncClient(
            transport=AsyncInProcessTransport(self.app),
            base_url="http://assistant",
            headers={PRINCIPAL_HEADER: signer.sign(principal)},
        )
        self.open_clients.append(client)
        return client

    async def open(self, principal: Principal = LIN) -> str:
        """A new conversation's id."""
        response = await self.client(principal).post("/api/v1/conversations", json={})
        assert response.status_code == 201, response.text
        conversation_id: str = response.json()["id"]
        return conversation_id

    async def events(self, conversation_id: str, text: str, principal: Principal = LIN) -> list[Numbered]:
        """Ask, and read the stream to its end."""
        path = f"/api/v1/conversations/{conversation_id}/questions"
        response = await self.client(principal).post(path, json={"text": text})
        assert response.status_code == 200, response.text
        return read_events(response.text)

    async def ask(self, text: str, principal: Principal = LIN, conversation_id: str | None = None) -> Answer:
        conversation_id = conversation_id or await self.open(principal)
        return final(await self.events(conversation_id, text, principal))

    async def resume(self, answer_id: str, after: int, principal: Principal = LIN) -> list[Numbered]:
        response = await self.client(principal).get(
            f"/api/v1/answers/{answer_id}/stream", headers={"Last-Event-ID": str(after)}
        )
        assert response.status_code == 200, response.text
        return read_events(response.text)

    async def get(self, path: str, principal: Principal = LIN) -> Any:
        response = await self.client(principal).get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def audit(self) -> list[dict[str, Any]]:
        """The audit outbox, in order, without what is done to conversations."""
        with self.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT action, subject, outcome, details FROM audit_outbox ORDER BY seq")
            return [dict(row._mapping) for row in rows if not row.action.startswith("conversation.")]

    async def close(self) -> None:
        await close(self.app)
        for client in self.open_clients:
            await client.aclose()


def read_events(text: str) -> list[Numbered]:
    """Read server-sent events; comments are left out."""
    events: list[Numbered] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            event = EVENTS.validate_json(fields["data"])
            assert fields["event"] == event.type
            events.append((int(fields["id"]), event))
    return events


def final(events: list[Numbered]) -> Answer:
    """The whole answer that ends a stream."""
    last = events[-1][1]
    assert isinstance(last, DoneEvent)
    return last.answer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def knowledge() -> LocalKnowledge:
    found = LocalKnowledge()
    found.add(
        "Leave policy",
        "Every employee gets 15 days of annual leave a year. Unused days expire on 31 March of the following"
        " year. Managers approve leave requests within 3 working days.",
        heading_path=["Leave"],
        page=2,
    )
    found.add(
        "考勤制度",
        "正式员工每年享有15天年假。未休年假可结转至次年3月31日。病假每年最多30天，须提供医院证明。加班不得超过每月36小时。",
        heading_path=["休假"],
        page=4,
    )
    found.add("差旅制度", "国内出差住宿上限为每晚500元。海外出差住宿上限为每晚1200元。报销须在30天内提交。", page=1)
    found.add(
        "Bonus plan",
        "The bonus pool for 2026 is 18.6 million yuan.",
        base="Finance",
        readers=["group:finance"],
    )
    return found


@pytest.fixture
def inference() -> ScriptedInference:
    return ScriptedInference()


@pytest.fixture
def safety() -> LocalSafety:
    return LocalSafety()


@pytest.fixture
def holds() -> LocalHolds:
    return LocalHolds()


@pytest.fixture
def make_assistant(
    tmp_path: Path, knowledge: LocalKnowledge, inference: ScriptedInference, safety: LocalSafety, holds: LocalHolds
) -> Iterator[Callable[[], Assistant]]:
    """Build the service on the same database again and again, as restarts do."""
    databases: list[Database] = []

    def make() -> Assistant:
        settings = Settings(home=tmp_path)
        database = open_database(settings)
        databases.append(database)
        log = OutboxLog(database)
        app = create_app(
            settings,
            database=database,
            knowledge=knowledge,
            inference=inference,
            audit=log,
            safety=safety,
            holds=holds,
            rules=lambda _: [],
        )
        return Assistant(app, database, knowledge, inference, log, safety)

    yield make
    for database in databases:
        database.close()


@pytest.fixture
async def assistant(make_assistant: Callable[[], Assistant]) -> AsyncIterator[Assistant]:
    made = make_assistant()
    yield made
    await made.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something becomes true, for at most five seconds."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
