"""A knowledge service on SQLite or PostgreSQL and on Milvus Lite, with three users of two departments."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.blobs import FolderBlobStore
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import (
    DocumentTarget,
    PassageDraft,
    PublishedPassage,
    PublishRequest,
    PublishResult,
)
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.embedding import HASHED_DIMENSIONS, hashed_vector
from zhiku_platform.testing.servers import create_database, postgres_database, postgres_url
from zhiku_services.knowledge.app import MIGRATIONS, create_app, open_database
from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.index_milvus import open_milvus
from zhiku_services.knowledge.models import Base

from ..local_holds import LocalHolds

__all__ = ["postgres_database", "postgres_url"]

ZHAO = Principal(
    sub="zhao", tenant="acme", groups=frozenset({"finance"}), roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN})
)
LIN = Principal(sub="lin", tenant="acme", groups=frozenset({"engineering"}), roles=frozenset({Role.EMPLOYEE}))
STRANGER = Principal(sub="eve", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
OTHER_TENANT = Principal(
    sub="zhao", tenant="rival", groups=frozenset({"finance"}), roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN})
)
INGESTION = service_principal("ingestion", "acme")


@dataclass
class Knowledge:
    """The service's app, its parts, and calls as one principal or another."""

    http: TestClient
    database: Database
    index: VectorIndex
    blobs: FolderBlobStore

    def headers(self, principal: Principal) -> dict[str, str]:
        signer: PrincipalSigner = self.http.app.state.signer  # type: ignore[attr-defined]  # a FastAPI app has state
        return {PRINCIPAL_HEADER: signer.sign(principal), "Content-Type": "application/json"}

    def create(self, name: str, *subjects: str, role: str = "viewer") -> str:
        """A knowledge base that zhao owns and `subjects` may view."""
        headers = self.headers(ZHAO)
        response = self.http.post("/api/v1/knowledge-bases", json={"name": name}, headers=headers)
        assert response.status_code == 201, response.text
        knowledge_base_id: str = response.json()["id"]
        for subject in subjects:
            grant = {"subject": subject, "role": role}
            path = f"/api/v1/knowledge-bases/{knowledge_base_id}/grants"
            assert self.http.post(path, json=grant, headers=headers).status_code == 201
        return knowledge_base_id

    def publish(
        self,
        knowledge_base_id: str,
        document_id: str,
        *texts: str,
        readers: list[str] | None = None,
        version: str = "v1",
        fence: int = 1,
        part: int = 0,
        final: bool = True,
        first_ordinal: int = 0,
        title: str | None = None,
        level: int = 0,
        blob: str = "0" * 64,
        acl_revision: int = 0,
    ) -> PublishResult:
        """Publish texts as the passages of one document version."""
        request = PublishRequest(
            target=DocumentTarget(
                document_id=document_id,
                knowledge_base_id=knowledge_base_id,
                path=f"{document_id}.txt",
                title=title or f"Title of {document_id}",
                media_type="text/plain",
                blob=blob,
                size_bytes=1,
                content_hash="0" * 64,
                readers=readers,
                level=level,
                acl_revision=acl_revision,
            ),
            version_id=f"{document_id}-{version}",
            fence=fence,
            part=part,
            final=final,
            embedding_model="hashed-words",
            passages=[
                PublishedPassage(
                    draft=PassageDraft(ordinal=first_ordinal + n, text=text, tokens=len(text)),
                    vector=hashed_vector(text),
                )
                for n, text in enumerate(texts)
            ],
        )
        response = self.http.post(
            "/internal/publish", content=request.model_dump_json(), headers=self.headers(INGESTION)
        )
        assert response.status_code == 200, response.text
        return PublishResult.model_validate(response.json())

    def search(self, principal: Principal, query: str, *knowledge_base_ids: str, mode: str = "hybrid") -> list[str]:
        """The texts found, best first."""
        body = {"query": query, "knowledge_base_ids": list(knowledge_base_ids), "mode": mode, "limit": 20}
        response = self.http.post("/api/v1/search", json=body, headers=self.headers(principal))
        assert response.status_code == 200, response.text
        return [found["passage"]["text"] for found in response.json()["passages"]]


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    folder = tmp_path_factory.mktemp("milvus")
    index = open_milvus(str(folder / "milvus.db"), model="hashed-words", dimensions=HASHED_DIMENSIONS)
    yield index
    index.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with every table and no row."""
    home = tmp_path_factory.mktemp("migrated")
    open_database(Settings(home=home)).close()
    return home / "db" / "knowledge.sqlite3"


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """The same on PostgreSQL."""
    address = create_database(postgres_url)
    database = Database("knowledge", address, Base.metadata)
    database.migrate(MIGRATIONS)
    database.close()
    return address


@pytest.fixture
def sqlite_database(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Database]:
    copy = tmp_path / "knowledge.sqlite3"
    shutil.copy(migrated_sqlite, copy)
    database = Database("knowledge", f"sqlite:///{copy}", Base.metadata)
    yield database
    database.close()


@pytest.fixture
def postgres_service_database(migrated_postgres: str) -> Iterator[Database]:
    database = Database("knowledge", create_database(migrated_postgres, copy=True), Base.metadata)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> Database:
    """The service's database, on both engines."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_service_database"
    found: Database = request.getfixturevalue(name)
    return found


@pytest.fixture
def holds() -> LocalHolds:
    return LocalHolds()


@pytest.fixture
def knowledge(tmp_path: Path, database: Database, index: VectorIndex, holds: LocalHolds) -> Iterator[Knowledge]:
    blobs = FolderBlobStore(tmp_path / "blobs")
    embed: Callable[[Principal, str], list[float]] = lambda _, query: hashed_vector(query)  # noqa: E731
    app = create_app(
        Settings(home=tmp_path), database=database, index=index, blobs=blobs, embed=embed, check_holds=holds.check
    )
    with TestClient(app) as http:
        yield Knowledge(http, database, index, blobs)
