"""The public API as one OpenAPI document: every service's own routes, and the gateway's."""

import json
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from zhiku_platform.http import openapi_document
from zhiku_services.assistant.routes import router as assistant
from zhiku_services.audit.routes import router as audit
from zhiku_services.gateway.routes import router as gateway
from zhiku_services.inference.routes import router as inference
from zhiku_services.ingestion.routes import router as ingestion
from zhiku_services.knowledge.routes import router as knowledge

_CREDENTIALS = {
    "session": {"type": "apiKey", "in": "cookie", "name": "zhiku_session", "description": "`__Host-zhiku` over HTTPS"},
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a service's access token"},
}

PUBLIC = (gateway, knowledge, ingestion, assistant, inference, audit)


def public_routes() -> list[APIRoute]:
    """Every route of `/api/v1` and `/v1`, from the service that answers it."""
    routes: list[BaseRoute] = [route for router in PUBLIC for route in router.routes]
    return [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]


def document() -> dict[str, Any]:
    """The OpenAPI document; the same for the same code."""
    return openapi_document("Zhiku", public_routes(), _CREDENTIALS)


def render() -> str:
    """The document as JSON with sorted keys, so that two versions can be compared."""
    return json.dumps(document(), ensure_ascii=False, indent=2, sort_keys=True)
