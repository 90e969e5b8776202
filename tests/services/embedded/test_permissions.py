"""Every permission opens something, in one service or another."""

from fastapi.routing import APIRoute

from zhiku_platform import erasure
from zhiku_platform.access import Permission
from zhiku_platform.http import permission_of
from zhiku_services.assistant import routes as assistant
from zhiku_services.audit import routes as audit
from zhiku_services.finetune import routes as finetune
from zhiku_services.gateway import directory_routes, openai_routes
from zhiku_services.gateway import routes as gateway
from zhiku_services.governance import case_routes as cases
from zhiku_services.governance import erasure_routes as erasures
from zhiku_services.governance import hold_routes as holds
from zhiku_services.governance import retention_routes as retention
from zhiku_services.governance import routes as governance
from zhiku_services.inference import routes as inference
from zhiku_services.ingestion import routes as ingestion
from zhiku_services.knowledge import routes as knowledge
from zhiku_services.safety import routes as safety

ROUTERS = [
    *(
        each
        for service in (assistant, audit, governance, cases, holds, retention, erasures, inference, knowledge, safety)
        for each in (service.router, service.internal)
    ),
    finetune.router,
    ingestion.router,
    gateway.router,
    openai_routes.router,
    directory_routes.internal,
    erasure.internal,
]


def test_no_permission_is_given_that_no_route_asks_for() -> None:
    asked = {permission_of(route) for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    assert set(Permission) - asked == set()
