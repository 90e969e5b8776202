"""Builds the safety service."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.safety.routes import internal
from zhiku_services.safety.service import Safety, open_safety


def create_app(settings: Settings, *, safety: Safety | None = None) -> FastAPI:
    """Build the service's app; it has no database, so that any replica can take any step."""
    screen = safety or open_safety(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        screen.close()

    app = create_service_app("safety", settings, [internal], lifespan=lifespan)
    app.state.safety = screen
    return app
