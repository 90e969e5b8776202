"""The public API as OpenAPI documents: every service's own routes with the gateway's, and the face of OpenAI."""

import json
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from zhiku_platform.http import GuardedRouter, openapi_document
from zhiku_services.assistant.routes import router as assistant
from zhiku_services.audit.routes import router as audit
from zhiku_services.finetune.routes import router as finetune
from zhiku_services.gateway.openai_routes import router as openai
from zhiku_services.gateway.rendering import OpenAIError
from zhiku_services.gateway.routes import router as gateway
from zhiku_services.governance.case_routes import router as cases
from zhiku_services.governance.erasure_routes import router as erasures
from zhiku_services.governance.hold_routes import router as holds
from zhiku_services.governance.retention_routes import router as retention
from zhiku_services.governance.routes import router as governance
from zhiku_services.inference.routes import router as inference
from zhiku_services.ingestion.routes import router as ingestion
from zhiku_services.knowledge.routes import router as knowledge
from zhiku_services.safety.routes import router as safety

_CREDENTIALS = {
    "session": {"type": "apiKey", "in": "cookie", "name": "zhiku_session", "description": "`__Host-zhiku` over HTTPS"},
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a service's access token"},
}

PUBLIC = (
    gateway,
    knowledge,
    ingestion,
    assistant,
    inference,
    audit,
    governance,
    cases,
    holds,
    retention,
    erasures,
    safety,
    finetune,
)


def public_routes() -> list[APIRoute]:
    """Every route of `/api/v1`, from the service that answers it."""
    return _routes(*PUBLIC)


def document() -> dict[str, Any]:
    """The OpenAPI document; the same for the same code."""
    return openapi_document("Zhiku", public_routes(), _CREDENTIALS)


def openai_document() -> dict[str, Any]:
    """The OpenAPI document of `/v1`, whose errors have OpenAI's shape."""
    error = ("application/json", OpenAIError)
    return openapi_document("Zhiku as OpenAI", _routes(openai), _CREDENTIALS, error=error)


def _routes(*routers: GuardedRouter) -> list[APIRoute]:
    routes: list[BaseRoute] = [route for router in routers for route in router.routes]
    return [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]


def render() -> str:
    """The document as JSON with sorted keys, so that two versions can be compared."""
    return json.dumps(document(), ensure_ascii=False, indent=2, sort_keys=True)
