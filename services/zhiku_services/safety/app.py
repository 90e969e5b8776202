"""Builds the safety service."""

from fastapi import FastAPI

from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.safety.routes import internal
from zhiku_services.safety.service import Safety, open_safety


def create_app(settings: Settings, *, safety: Safety | None = None) -> FastAPI:
    """Build the service's app; it has no database, so that any replica can take any step."""
    app = create_service_app("safety", settings, [internal])
    app.state.safety = safety or open_safety()
    return app
