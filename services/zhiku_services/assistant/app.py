"""Builds the assistant service."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI

from zhiku_platform import erasure
from zhiku_platform.db import Database
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import get_logger
from zhiku_services.assistant.erasing import PersonalData
from zhiku_services.assistant.models import Base
from zhiku_services.assistant.ports import AuditLog, Holds, Inference, Knowledge, RetentionRules, Safety
from zhiku_services.assistant.records import close_abandoned
from zhiku_services.assistant.retention import Retention
from zhiku_services.assistant.routes import internal, router
from zhiku_services.assistant.service import Assistant, build_assistant

log = get_logger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
_CLOSE_EVERY_S = 30.0
_DELETE_DUE_EVERY_S = 3600.0


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
    rules: RetentionRules,
) -> FastAPI:
    """Build the service's app on what it is given; answers that an earlier stop cut off are closed first.

    Its lifespan stops running answers at the end; who runs no lifespan awaits `close(app)`.
    """
    close_abandoned(database, all_of_them=database.is_sqlite)
    app = create_service_app(
        "assistant", settings, [router, internal, erasure.internal], database=database, lifespan=_lifespan
    )
    app.state.personal_data = PersonalData(database, holds)
    app.state.retention = Retention(database, rules, holds)
    app.state.assistant = build_assistant(database, knowledge, inference, audit, safety, holds)
    return app


async def close(app: FastAPI) -> None:
    """Stop every running answer and keep its partial text."""
    assistant: Assistant = app.state.assistant
    await assistant.running.stop_all()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    # The one process on a SQLite file has closed what was abandoned, and abandons nothing while it lives.
    database: Database = app.state.assistant.database
    tasks = [asyncio.create_task(_delete_due_for_ever(app.state.retention))]
    if not database.is_sqlite:
        tasks.append(asyncio.create_task(_close_for_ever(database)))
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await close(app)


async def _delete_due_for_ever(retention: Retention) -> None:
    """Every hour; the first time when the other services are surely up."""
    while True:
        await asyncio.sleep(_DELETE_DUE_EVERY_S)
        try:
            if deleted := await to_thread.run_sync(retention.apply):
                log.info("conversations_expired", count=deleted)
        except Exception as error:  # noqa: BLE001 - the loop's outermost edge: the next turn finds the same again
            log.warning("retention_failed", error=type(error).__name__)


async def _close_for_ever(database: Database) -> None:
    """Close, now and then, what other processes began and left when they died."""
    while True:
        await asyncio.sleep(_CLOSE_EVERY_S)
        try:
            await to_thread.run_sync(partial(close_abandoned, database, all_of_them=False))
        except Exception as error:  # noqa: BLE001 - the loop's outermost edge: the next turn finds the same again
            log.warning("abandoned_not_closed", error=type(error).__name__)
