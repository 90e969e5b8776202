"""Builds the governance service."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI

from zhiku_platform.contracts.retention import Kept
from zhiku_platform.db import Database, utc_now
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import get_logger
from zhiku_services.governance.case_routes import internal as internal_cases
from zhiku_services.governance.case_routes import router as cases
from zhiku_services.governance.erasure import Certify, Desk, Store
from zhiku_services.governance.erasure_register import ErasureRegister
from zhiku_services.governance.erasure_routes import internal as internal_erasures
from zhiku_services.governance.erasure_routes import router as erasures
from zhiku_services.governance.hold_routes import internal as internal_holds
from zhiku_services.governance.hold_routes import router as holds
from zhiku_services.governance.models import Base
from zhiku_services.governance.retention import CountDue
from zhiku_services.governance.retention_routes import internal as internal_retention
from zhiku_services.governance.retention_routes import router as retention
from zhiku_services.governance.routes import internal, router
from zhiku_services.governance.service import People, expire_due

log = get_logger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
_EXPIRE_EVERY_S = 30.0


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("governance", settings.service_database_url("governance"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


def create_app(
    settings: Settings,
    *,
    database: Database,
    people: People,
    stores: Mapping[str, Store] | None = None,
    certify: Certify | None = None,
    count_due: Mapping[Kept, CountDue] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Build the service's app; `people` says, when an approval is used, whether its approvers may still decide.

    Without `stores` and `certify` nobody can be erased. `count_due` asks the services that keep something under a rule.
    """
    routers = [router, internal, cases, internal_cases, holds, internal_holds, erasures, internal_erasures]
    routers += [retention, internal_retention]
    app = create_service_app("governance", settings, routers, database=database, lifespan=_expiring)
    app.state.people = people
    app.state.clock = clock
    app.state.count_due = count_due or {}
    app.state.desk = None
    if stores is not None and certify is not None:
        register = ErasureRegister(settings.home / "erasures")
        app.state.desk = Desk(database, register, stores, certify, people)
    return app


@asynccontextmanager
async def _expiring(app: FastAPI) -> AsyncGenerator[None]:
    """While the service runs, write down what has run out; it counts as expired before that too."""
    task = asyncio.create_task(_expire_for_ever(app))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _expire_for_ever(app: FastAPI) -> None:
    while True:
        try:
            await to_thread.run_sync(expire, app.state.database, app.state.clock())
            if app.state.desk is not None:
                await to_thread.run_sync(partial(app.state.desk.register.lines, now=app.state.clock()))
        except Exception as error:  # noqa: BLE001 - the loop's outermost edge: the next turn finds the same again
            log.warning("expiry_failed", error=type(error).__name__)
        await asyncio.sleep(_EXPIRE_EVERY_S)


def expire(database: Database, now: datetime) -> None:
    """Write down what has run out by `now`."""
    is_more = True
    while is_more:
        with database.write() as session:
            is_more = expire_due(session, now=now) > 0
