"""Builds the safety service."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from zhiku_platform.approvals import Approvals
from zhiku_platform.db import Database
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.safety.models import Base
from zhiku_services.safety.policies import Policies
from zhiku_services.safety.routes import internal, router
from zhiku_services.safety.service import Safety, open_safety

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("safety", settings.service_database_url("safety"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


def create_app(
    settings: Settings, *, database: Database, approvals: Approvals | None = None, safety: Safety | None = None
) -> FastAPI:
    """Build the service's app; its database holds changed policies alone, so that any replica can take any step.

    Without `approvals` the policy cannot be changed.
    """
    screen = safety or open_safety(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        screen.close()

    app = create_service_app("safety", settings, [router, internal], database=database, lifespan=lifespan)
    app.state.policies = Policies(database, screen)
    app.state.approvals = approvals
    return app
