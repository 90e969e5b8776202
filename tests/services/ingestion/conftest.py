"""An ingestion service over real databases, a real knowledge service, and a real parser.

Only the embedding model is a double: words hashed into vectors.
"""

import asyncio
import io
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.blobs import FolderBlobStore
from zhiku_platform.clients.ingestion import IngestionClient
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.ingestion import DocumentVersion, VersionState
from zhiku_platform.contracts.knowledge import SearchMode, SearchRequest
from zhiku_platform.db import Database
from zhiku_platform.inprocess import InProcessTransport
from zhiku_platform.queue import Queue
from zhiku_platform.settings import Settings
from zhiku_platform.testing.embedding import HASHED_DIMENSIONS, HashedEmbedder, hashed_vector
from zhiku_platform.testing.servers import create_database, postgres_database, postgres_url, valkey_url
from zhiku_services.ingestion import app as ingestion_app
from zhiku_services.ingestion import tasks
from zhiku_services.ingestion.app import IngestionService
from zhiku_services.ingestion.models import Base
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.ingestion.timing import Timing
from zhiku_services.knowledge import app as knowledge_app
from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.index_milvus import open_milvus

from ..local_holds import LocalHolds

__all__ = ["postgres_database", "postgres_url", "valkey_url"]

OWNER = Principal(sub="olga", tenant="acme", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}))
EDITOR = Principal(sub="edda", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
VIEWER = Principal(sub="vito", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
STRANGER = Principal(sub="sten", tenant="acme", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}))
OTHER_TENANT = Principal(sub="olga", tenant="rival", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}))

PATIENT = Timing(progress_s=0.05, sweep_s=0.05, strike_backoff_s=0.0, defer_first_s=0.05, defer_longest_s=0.2)
"""As in production, with short pauses."""


def wait_for(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop that the services of the session run on."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=5)
    loop.close()


@pytest.fixture(scope="session")
def pool() -> Iterator[ParserPool]:
    with ParserPool(2) as pool:
        yield pool


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    index = open_milvus(
        str(tmp_path_factory.mktemp("milvus") / "milvus.db"),
        model="hashed-words",
        dimensions=HASHED_DIMENSIONS,
    )
    yield index
    index.close()


@dataclass
class Switch:
    """An app behind a switch: while it is off, the service cannot be reached."""

    app: FastAPI
    on: bool = True
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], object] = lambda path: None

    def transport(self, loop: asyncio.AbstractEventLoop) -> httpx2.BaseTransport:
        return _Switched(self, InProcessTransport(self.app, loop))


class _Switched(httpx2.BaseTransport):
    def __init__(self, switch: Switch, inner: httpx2.BaseTransport) -> None:
        self._switch = switch
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._switch.calls.append(request.url.path)
        self._switch.before(request.url.path)
        if not self._switch.on:
            raise httpx2.ConnectError("switched off")
        return self._inner.handle_request(request)


@dataclass
class House:
    """The services of a test, and what it does with them."""

    service: IngestionService
    settings: Settings
    database: Database
    blobs: FolderBlobStore
    client: IngestionClient
    knowledge: KnowledgeClient
    knowledge_http: httpx2.Client
    knowledge_switch: Switch
    embedder: HashedEmbedder
    holds: LocalHolds
    http: httpx2.Client
    signer: PrincipalSigner
    knowledge_base_id: str

    def upload(self, text: str, *, path: str = "note.txt", by: Principal = EDITOR, **more: object) -> DocumentVersion:
        return self.client.upload(by, self.knowledge_base_id, io.BytesIO(text.encode()), path=path, **more)  # type: ignore[arg-type]

    def work(self, version_id: str) -> DocumentVersion:
        """Let a worker do one task on a version, here and now."""
        tasks.process(version_id, self.service.tasks)
        return self.version(version_id)

    def version(self, version_id: str) -> DocumentVersion:
        return self.client.version(EDITOR, version_id)

    def push(self, document_id: str) -> None:
        tasks.push(document_id, self.service.tasks)

    def ended(self, version_id: str, state: VersionState, timeout_s: float = 30) -> DocumentVersion:
        wait_for(lambda: self.version(version_id).state == state, timeout_s)
        return self.version(version_id)

    def found(self, query: str, *, by: Principal = EDITOR) -> list[str]:
        """The texts that `by` finds in the knowledge base."""
        request = SearchRequest(
            query=query, knowledge_base_ids=[self.knowledge_base_id], mode=SearchMode.DENSE, limit=50
        )
        return [hit.passage.text for hit in self.knowledge.search(by, request).passages]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the service's tables, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "ingestion.sqlite3"
    database = Database("ingestion", f"sqlite:///{path}", Base.metadata)
    database.migrate(ingestion_app.MIGRATIONS)
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """A PostgreSQL database with the service's tables, to copy."""
    address = create_database(postgres_url)
    database = Database("ingestion", address, Base.metadata)
    database.migrate(ingestion_app.MIGRATIONS)
    database.close()
    return address


@pytest.fixture
def sqlite_database(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, tmp_path / "ingestion.sqlite3")
    database = Database("ingestion", f"sqlite:///{tmp_path}/ingestion.sqlite3", Base.metadata)
    yield database
    database.close()


@pytest.fixture
def postgres_service_database(migrated_postgres: str) -> Iterator[Database]:
    database = Database("ingestion", create_database(migrated_postgres, copy=True), Base.metadata)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> Database:
    """The service's database, migrated, on each engine."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_service_database"
    database: Database = request.getfixturevalue(name)
    return database


@dataclass
class KnowledgeSide:
    """The knowledge service of the session, and how to switch it off."""

    client: KnowledgeClient
    http: httpx2.Client
    switch: Switch
    blobs: FolderBlobStore
    signer: PrincipalSigner


@pytest.fixture(scope="session")
def knowledge_side(
    tmp_path_factory: pytest.TempPathFactory, index: VectorIndex, loop: asyncio.AbstractEventLoop
) -> Iterator[KnowledgeSide]:
    home = tmp_path_factory.mktemp("knowledge")
    settings = Settings(home=home)
    database = knowledge_app.open_database(settings)
    app = knowledge_app.create_app(
        settings,
        database=database,
        index=index,
        blobs=FolderBlobStore(home / "blobs"),
        embed=lambda _, query: hashed_vector(query),
        check_holds=LocalHolds().check,
    )
    switch = Switch(app)
    signer = PrincipalSigner(settings.secret_key.get_secret_value())
    with httpx2.Client(transport=switch.transport(loop), base_url="http://knowledge") as http:
        yield KnowledgeSide(KnowledgeClient(http, signer), http, switch, FolderBlobStore(home / "blobs"), signer)
    database.close()


@pytest.fixture
def make_house(
    tmp_path: Path, knowledge_side: KnowledgeSide, pool: ParserPool, loop: asyncio.AbstractEventLoop
) -> Iterator[Callable[..., House]]:
    """Build a house over a database; more than one may share it, as processes of a cluster do."""
    blobs = FolderBlobStore(tmp_path / "blobs")
    switch, signer, knowledge = knowledge_side.switch, knowledge_side.signer, knowledge_side.client
    switch.on, switch.before = True, lambda _: None
    switch.calls.clear()
    base = _knowledge_base(knowledge_side.http, signer)
    clients: list[httpx2.Client] = []
    holds = LocalHolds()

    def build(database: Database, *, timing: Timing = PATIENT, **settings: object) -> House:
        configured = Settings(home=tmp_path, files_roots=(tmp_path / "files",), **settings)  # type: ignore[arg-type]
        embedder = HashedEmbedder()
        service = IngestionService(
            configured,
            database=database,
            blobs=blobs,
            queue=Queue("ingestion", configured),
            knowledge=knowledge,
            check_holds=holds.check,
            embed=embedder.embed,
            count_tokens=lambda text: len(text.split()) + sum(ord(c) > 0x2E80 for c in text),
            pool=pool,
            timing=timing,
        )
        http = httpx2.Client(transport=InProcessTransport(service.app, loop), base_url="http://ingestion")
        clients.append(http)
        return House(
            service=service,
            settings=configured,
            database=database,
            blobs=blobs,
            client=IngestionClient(http, signer),
            holds=holds,
            knowledge=knowledge,
            knowledge_http=knowledge_side.http,
            knowledge_switch=switch,
            embedder=embedder,
            http=http,
            signer=signer,
            knowledge_base_id=base,
        )

    yield build
    for client in clients:
        client.close()


def _knowledge_base(http: httpx2.Client, signer: PrincipalSigner) -> str:
    headers = {"Zhiku-Principal": signer.sign(OWNER)}
    created = http.post("/api/v1/knowledge-bases", json={"name": f"Handbook {uuid.uuid4()}"}, headers=headers)
    assert created.status_code == 201, created.text
    knowledge_base_id: str = created.json()["id"]
    for subject, role in (("user:edda", "editor"), ("user:vito", "viewer")):
        path = f"/api/v1/knowledge-bases/{knowledge_base_id}/grants"
        assert http.post(path, json={"subject": subject, "role": role}, headers=headers).status_code == 201
    return knowledge_base_id


@pytest.fixture
def house(database: Database, make_house: Callable[..., House]) -> House:
    """A house whose tasks the test runs itself."""
    return make_house(database)
