"""The HTTP edge: guarded routes and problem+json."""

from typing import Annotated

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from zhiku_platform.access import PRINCIPAL_HEADER, Access, Permission, PrincipalSigner, public, require
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.errors import ConflictError
from zhiku_platform.http import GuardedRouter, UnguardedRouteError, create_app
from zhiku_platform.settings import Settings

CanSearch = Annotated[Access, require(Permission.SEARCH)]


@pytest.fixture
def app() -> FastAPI:
    router = GuardedRouter()

    @router.get("/whoami")
    def whoami(access: CanSearch) -> str:
        return access.principal.sub

    @router.get("/conflict")
    @public
    def conflict() -> None:
        raise ConflictError("Two of them.", remedy="Take one.")

    @router.get("/crash")
    @public
    def crash() -> None:
        raise RuntimeError("the secret is 12345")

    @router.get("/number")
    @public
    def number(n: int) -> int:
        return n

    return create_app("test", Settings(), [router])


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app)


def signed(app: FastAPI, role: Role) -> dict[str, str]:
    signer: PrincipalSigner = app.state.signer
    return {PRINCIPAL_HEADER: signer.sign(Principal(sub="lin", tenant="t", roles=frozenset({role})))}


def test_a_route_without_a_permission_cannot_be_declared() -> None:
    router = GuardedRouter()
    with pytest.raises(UnguardedRouteError):

        @router.get("/open")
        def unguarded() -> None: ...


def test_a_stranger_gets_401_as_a_problem(client: TestClient) -> None:
    response = client.get("/whoami")
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_signed_in"


def test_a_caller_with_the_permission_gets_through(app: FastAPI, client: TestClient) -> None:
    assert client.get("/whoami", headers=signed(app, Role.EMPLOYEE)).json() == "lin"


def test_a_caller_without_the_permission_gets_403(app: FastAPI, client: TestClient) -> None:
    assert client.get("/whoami", headers=signed(app, Role.SERVICE)).status_code == 403


def test_a_typed_error_keeps_its_status_code_and_remedy(client: TestClient) -> None:
    problem = client.get("/conflict").json()
    assert (problem["status"], problem["code"], problem["remedy"]) == (409, "conflict", "Take one.")
    assert problem["request_id"].startswith("req_")


def test_a_crash_says_nothing_of_what_it_held(client: TestClient) -> None:
    response = client.get("/crash")
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "12345" not in response.text


def test_a_malformed_request_names_the_field_and_not_its_text(client: TestClient) -> None:
    response = client.get("/number", params={"n": "my private words"})
    assert response.status_code == 422
    assert response.json()["fields"][0]["field"] == "query.n"
    assert "private" not in response.text


def test_an_unknown_address_is_a_problem_too(client: TestClient) -> None:
    response = client.get("/nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_operations_answer_without_a_principal(client: TestClient, path: str) -> None:
    response: httpx2.Response = client.get(path)
    assert response.status_code == 200
