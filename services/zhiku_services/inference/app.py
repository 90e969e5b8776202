"""Builds the inference service."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.routes import internal, router
from zhiku_services.inference.service import Models, open_models


def create_app(settings: Settings, *, models: Models | None = None, embedding: ResolvedModel | None = None) -> FastAPI:
    """Build the service's app; its lifespan loads the models in the background and lets go of them.

    Without a lifespan the models load on their first use. `/readyz` passes once embeddings can be made. `embedding` is
    the model with which the index was opened; without it the settings are asked when it is loaded.
    """
    served = models or open_models(settings, embedding=embedding)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
        served.start()
        yield
        await served.close()

    app = create_service_app("inference", settings, [router, internal], ready=served.require_ready, lifespan=lifespan)
    app.state.models = served
    return app
