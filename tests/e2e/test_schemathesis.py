"""Every address of every OpenAPI document under whatever its document allows, and what it does not.

The platform runs in this process and serves its public door and, for the services' own documents, its private one.
"""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import schemathesis
import uvicorn
from fastapi.routing import APIRoute
from schemathesis import Case
from schemathesis.checks import CheckFunction, allow_header_conformance, positive_data_acceptance
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from starlette.types import ASGIApp

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.http import GuardedRouter, openapi_document
from zhiku_platform.settings import Settings
from zhiku_services.assistant import routes as assistant
from zhiku_services.audit import routes as audit
from zhiku_services.embedded.app import Embedded
from zhiku_services.embedded.openapi import document, openai_document
from zhiku_services.finetune import routes as finetune
from zhiku_services.gateway import directory_routes
from zhiku_services.governance import case_routes as cases
from zhiku_services.governance import erasure_routes as erasures
from zhiku_services.governance import hold_routes as holds
from zhiku_services.governance import retention_routes as retention
from zhiku_services.governance import routes as governance
from zhiku_services.inference import routes as inference
from zhiku_services.ingestion import routes as ingestion
from zhiku_services.knowledge import routes as knowledge
from zhiku_services.safety import routes as safety

from .conftest import Logins, free_port, sign_in

pytestmark = pytest.mark.slow

EXAMPLES = 3
TIMEOUT_S = 30
SERVICES: dict[str, tuple[GuardedRouter, ...]] = {
    "assistant": (assistant.router, assistant.internal),
    "audit": (audit.router, audit.internal),
    "directory": (directory_routes.internal,),
    "inference": (inference.router, inference.internal),
    "finetune": (finetune.router,),
    "governance": (
        governance.router,
        governance.internal,
        cases.router,
        cases.internal,
        holds.router,
        holds.internal,
        retention.router,
        retention.internal,
        erasures.router,
        erasures.internal,
    ),
    "ingestion": (ingestion.router,),
    "knowledge": (knowledge.router, knowledge.internal),
    "safety": (safety.router, safety.internal),
}
ANYBODY = Principal(sub="zhao", tenant="default", roles=frozenset(Role), groups=frozenset({"finance"}), clearance=9)


def private_document() -> dict[str, Any]:
    """What services say to each other, as the private door has it: every service under its name."""
    owned = [
        (name, route)
        for name, routers in SERVICES.items()
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    principal = {"type": "apiKey", "in": "header", "name": PRINCIPAL_HEADER}
    described = openapi_document("Zhiku, within", [route for _, route in owned], {"principal": principal})
    paths: dict[str, dict[str, Any]] = {}
    for name, route in owned:
        operations = paths.setdefault(f"/{name}{route.path_format}", {})
        operations |= {
            each.lower(): described["paths"][route.path_format][each.lower()] for each in route.methods or ()
        }
    return {**described, "paths": paths}


def config(*also: int) -> SchemathesisConfig:
    """All checks, the same cases each time. What is missing or hidden is 404 and what is taken 409, by design."""
    accepted: list[str | int] = ["2xx", "3xx", 403, 404, 409, 422, 429, *also]
    checks = ChecksConfig(positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=accepted))
    # A made-up bearer token would stand before the session that each case brings, and all would be 401.
    generation = GenerationConfig(max_examples=EXAMPLES, deterministic=True, with_security_parameters=False)
    project = ProjectConfig(checks=checks, generation=generation, request_timeout=TIMEOUT_S)
    return SchemathesisConfig(seed=7, projects=ProjectsConfig(default=project))


@dataclass
class Doors:
    """The addresses of both doors, and what opens them."""

    public: str
    private: str
    signer: PrincipalSigner
    logins: Logins

    @property
    def employee(self) -> httpx2.Client:
        return self.logins.signed_in("zhao")

    @property
    def reviewer(self) -> httpx2.Client:
        return self.logins.signed_in("chen")

    def caller(self, case: Case[Any]) -> httpx2.Client:
        """Who may do it: reviewers read the trail and others' receipts, and no one else does."""
        reviewed = (
            "/api/v1/audit-",
            "/api/v1/receipts/",
            "/api/v1/review-",
            "/api/v1/sampling-",
            "/api/v1/safety-",
            "/api/v1/legal-",
            "/api/v1/retention-",
            "/api/v1/erasures",
        )
        return self.reviewer if case.path.startswith(reviewed) else self.employee


def sent_along(client: httpx2.Client) -> dict[str, str]:
    """The headers that the portal sends with this session."""
    return {name: client.headers[name] for name in ("X-CSRF-Token", "Origin")}


@contextmanager
def served(app: ASGIApp, embedded: Embedded, port: int) -> Iterator[str]:
    """The app on a port, on the platform's own event loop."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    listener = socket.create_server(("127.0.0.1", port))
    future = asyncio.run_coroutine_threadsafe(server.serve(sockets=[listener]), embedded.loop)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        future.result(timeout=30)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    port = free_port()
    settings = Settings(home=tmp_path_factory.mktemp("home"), port=port, rate_per_s=1e6, rate_burst=10**6)
    with (
        Embedded(settings) as embedded,
        served(embedded.private, embedded, free_port()) as private,
        served(embedded.public, embedded, port) as public,
        closing(Logins(public)) as logins,
    ):
        signer = PrincipalSigner(embedded.settings.secret_key.get_secret_value())
        yield Doors(public, private, signer, logins)


PUBLIC = schemathesis.openapi.from_dict(document(), config=config())
PRIVATE = schemathesis.openapi.from_dict(private_document(), config=config())
OPENAI = schemathesis.openapi.from_dict(openai_document(), config=config(400))


def beside(case: Case[Any]) -> list[CheckFunction]:
    """The checks that are wrong for an address."""
    # `GET /audit-events/facets` is there: as the event of the id `facets`, which the document has elsewhere.
    return [allow_header_conformance] if case.path.endswith("/audit-events/facets") else []


@PUBLIC.exclude(path=["/api/v1/auth/logout", "/api/v1/auth/callback"]).parametrize()
def test_the_public_door_does_what_its_document_says(case: Case[Any], doors: Doors) -> None:
    client = doors.caller(case)
    case.call_and_validate(
        base_url=doors.public,
        allow_redirects=False,
        excluded_checks=beside(case),
        headers=sent_along(client),
        cookies=dict(client.cookies),
    )


@OPENAI.parametrize()
def test_the_face_of_openai_does_what_its_document_says(case: Case[Any], doors: Doors) -> None:
    """What has no meaning here is refused with 400, as OpenAI does."""
    client = doors.employee
    case.call_and_validate(base_url=doors.public, headers=sent_along(client), cookies=dict(client.cookies))


@PUBLIC.include(path="/api/v1/auth/logout").parametrize()
def test_signing_out_does_what_its_document_says(case: Case[Any], doors: Doors) -> None:
    """With a session for each case: one that all share would be over for all."""
    with closing(sign_in(doors.public, "zhao")) as client:
        headers, cookies = sent_along(client), dict(client.cookies)
        case.call_and_validate(base_url=doors.public, allow_redirects=False, headers=headers, cookies=cookies)


@PUBLIC.include(path="/api/v1/auth/callback").parametrize()
def test_the_end_of_a_login_does_what_its_document_says(case: Case[Any], doors: Doors) -> None:
    # Without a login under way it is refused, and the document cannot say so of any request.
    excluded = [positive_data_acceptance]
    case.call_and_validate(base_url=doors.public, allow_redirects=False, excluded_checks=excluded)


def test_the_sessions_outlive_the_cases(doors: Doors) -> None:
    """Without them the cases above are all 401, and show nothing."""
    assert {client.get("/api/v1/session").status_code for client in doors.logins.clients.values()} == {200}


@PRIVATE.parametrize()
def test_the_private_door_does_what_its_document_says(case: Case[Any], doors: Doors) -> None:
    # The directory answers one service alone.
    caller = service_principal("knowledge", "default") if case.path.startswith("/directory/") else ANYBODY
    headers = {PRINCIPAL_HEADER: doors.signer.sign(caller)}
    case.call_and_validate(base_url=doors.private, headers=headers, excluded_checks=beside(case))


def guarded(described: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and address of each operation that needs credentials."""
    return [
        (method, re.sub(r"\{[^}]*\}", "x", path))
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if operation.get("security") != []
    ]


FORGED = PrincipalSigner("a secret that is not ours, of thirty-two bytes").sign(ANYBODY)


@pytest.mark.parametrize("headers", [{}, {PRINCIPAL_HEADER: "x"}, {PRINCIPAL_HEADER: FORGED}])
def test_no_guarded_address_answers_a_stranger(headers: dict[str, str], doors: Doors) -> None:
    """`ignored_auth` looks only where a case succeeds; this asks everywhere."""
    asked = [(doors.public, *each) for each in guarded(document())]
    asked += [(doors.public, *each) for each in guarded(openai_document())]
    asked += [(doors.private, *each) for each in guarded(private_document())]
    with httpx2.Client(headers=headers, timeout=TIMEOUT_S) as stranger:
        open_to_strangers = [
            f"{method} {path}"
            for door, method, path in asked
            if stranger.request(method.upper(), door + path, json={}).status_code != 401
        ]
    assert len(asked) >= 120
    assert open_to_strangers == []
