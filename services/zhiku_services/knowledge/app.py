"""Builds the knowledge service."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from zhiku_platform import erasure
from zhiku_platform.approvals import Approvals
from zhiku_platform.blobs import BlobStore
from zhiku_platform.db import Database
from zhiku_platform.holds import CheckHolds
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.knowledge.erasing import PersonalData
from zhiku_services.knowledge.explaining import People
from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.index_milvus import drop_milvus, open_milvus
from zhiku_services.knowledge.models import Base
from zhiku_services.knowledge.publishing import align_vectors
from zhiku_services.knowledge.ranking.words import warm_up
from zhiku_services.knowledge.routes import internal, router
from zhiku_services.knowledge.search import EmbedQuery
from zhiku_services.knowledge.viewing import Views
from zhiku_services.knowledge.warning import Safety

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("knowledge", settings.service_database_url("knowledge"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


def open_index(settings: Settings, model: str, dimensions: int) -> VectorIndex:
    """Open the passages of one embedding model, on the Milvus that the settings name.

    Raises:
        IndexUnavailableError: it does not answer, or another process holds its file.
        IndexMismatchError: it holds vectors of another length.
    """
    return open_milvus(_milvus(settings), model=model, dimensions=dimensions, token=_token(settings))


def drop_index(settings: Settings, model: str) -> None:
    """Delete every passage of an embedding model from the Milvus that the settings name."""
    drop_milvus(_milvus(settings), model=model, token=_token(settings))


def _milvus(settings: Settings) -> str:
    return settings.milvus_uri or str(settings.home / "milvus" / "milvus.db")


def _token(settings: Settings) -> str | None:
    return settings.milvus_token.get_secret_value() if settings.milvus_token else None


def create_app(
    settings: Settings,
    *,
    database: Database,
    index: VectorIndex,
    blobs: BlobStore,
    embed: EmbedQuery,
    check_holds: CheckHolds,
    people: People | None = None,
    approvals: Approvals | None = None,
    safety: Safety | None = None,
) -> FastAPI:
    """Build the service's app on what it is given; what an earlier stop left undone in the index is done first.

    `people` resolves groups in explanations; without it they are named as groups. Without `approvals` no knowledge
    base that holds documents can be deleted, and without `safety` nobody is warned of what a passage says.
    """
    align_vectors(database, index)
    routers = [router, internal, erasure.internal]
    app = create_service_app("knowledge", settings, routers, database=database, lifespan=_running)
    app.state.personal_data = PersonalData(database, index, check_holds)
    app.state.index = index
    app.state.blobs = blobs
    app.state.embed = embed
    app.state.check_holds = check_holds
    app.state.views = Views(database)
    app.state.people = people
    app.state.approvals = approvals
    app.state.safety = safety
    return app


@asynccontextmanager
async def _running(_app: FastAPI) -> AsyncIterator[None]:
    """Load the dictionary while the service starts, aside: the first Chinese question would wait for it."""
    threading.Thread(target=warm_up, name="dictionary", daemon=True).start()
    yield
