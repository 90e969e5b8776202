"""Builds the assistant service."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from zhiku_platform.db import Database
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.assistant.models import Base
from zhiku_services.assistant.ports import AuditLog, Holds, Inference, Knowledge, Safety
from zhiku_services.assistant.records import close_abandoned
from zhiku_services.assistant.routes import internal, router
from zhiku_services.assistant.service import Assistant, build_assistant

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("assistant", settings.service_database_url("assistant"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


def create_app(
    settings: Settings,
    *,
    database: Database,
    knowledge: Knowledge,
    inference: Inference,
    audit: AuditLog,
    safety: Safety,
    holds: Holds,
) -> FastAPI:
    """Build the service's app on what it is given; answers that an earlier stop cut off are closed first.

    Its lifespan stops running answers at the end; who runs no lifespan awaits `close(app)`.
    """
    close_abandoned(database, all_of_them=database.is_sqlite)
    app = create_service_app("assistant", settings, [router, internal], database=database, lifespan=_lifespan)
    app.state.assistant = build_assistant(database, knowledge, inference, audit, safety, holds)
    return app


async def close(app: FastAPI) -> None:
    """Stop every running answer and keep its partial text."""
    assistant: Assistant = app.state.assistant
    await assistant.running.stop_all()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    yield
    await close(app)
