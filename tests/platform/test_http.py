"""The HTTP edge: guarded routes and problem+json."""

import asyncio
import traceback
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from zhiku_platform.access import PRINCIPAL_HEADER, Access, Permission, PrincipalSigner, public, require
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.errors import ConflictError
from zhiku_platform.http import (
    BodyFirst,
    BrokenResponseError,
    Bulkhead,
    GuardedRouter,
    UnguardedRouteError,
    create_app,
)
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


@pytest.mark.parametrize("address", ["/number?n=1&x=%00", "/who%00ami"])
def test_a_zero_byte_in_an_address_is_refused_before_any_database_sees_it(client: TestClient, address: str) -> None:
    response = client.get(address)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


class Slow:
    """A caller whose body comes in these parts, and then no more."""

    def __init__(self, *parts: bytes, is_over: bool = False) -> None:
        self.messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if is_over:
            self.messages[-1]["more_body"] = False
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        if self.messages:
            return self.messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def post(self, app: Any) -> int:
        headers = [(b"content-length", b"1000000")]
        scope = {"type": "http", "headers": headers, "state": {"request_id": "req_1"}, "path": "/"}
        asyncio.run(app(scope, self.receive, self.send))
        status: int = self.sent[0]["status"]
        return status


async def reads_all(_scope: Any, receive: Any, send: Any) -> None:
    size, is_more = 0, True
    while is_more:
        message = await receive()
        size += len(message["body"])
        is_more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-size", str(size).encode())]})
    await send({"type": "http.response.body", "body": b""})


def test_a_body_that_never_comes_takes_no_place() -> None:
    """Forty places, and as many strangers who send one byte each: the next one is served all the same."""
    entered = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal entered
        entered += 1
        await reads_all(scope, receive, send)

    edge = BodyFirst(Bulkhead(app, at_once=2), begins_s=0.2)

    async def scenario() -> list[int]:
        slow, quick = [Slow(b"x") for _ in range(10)], Slow(b"x" * 10, is_over=True)
        headers = [(b"content-length", b"1000")]

        def call(caller: Slow) -> Any:
            scope = {"type": "http", "headers": headers, "state": {"request_id": "r"}, "path": "/"}
            return edge(scope, caller.receive, caller.send)

        waiting = [asyncio.create_task(call(each)) for each in slow]
        await asyncio.sleep(0)
        await call(quick)
        assert entered == 1
        await asyncio.gather(*waiting)
        return [each.sent[0]["status"] for each in [quick, *slow]]

    assert asyncio.run(scenario()) == [200, *[408] * 10]
    assert entered == 1


def test_a_large_body_may_take_its_time_as_long_as_it_comes() -> None:
    parts = [b"x" * 40_000] * 5
    edge = BodyFirst(reads_all, begins_s=0.2, silent_s=0.2)
    whole = Slow(*parts, is_over=True)
    assert whole.post(edge) == 200
    assert whole.sent[0]["headers"] == [(b"x-size", b"200000")]
    with pytest.raises(HTTPException) as caught:
        Slow(*parts).post(edge)
    assert caught.value.status_code == 408


def test_what_breaks_a_response_stays_out_of_the_servers_log(caplog: pytest.LogCaptureFixture) -> None:
    router = GuardedRouter()

    @router.get("/broken")
    @public
    def broken() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"begun"
            raise ValueError("the question was: who earns what")

        return StreamingResponse(parts())

    with pytest.raises(BrokenResponseError) as caught:
        TestClient(create_app("test", Settings(), [router])).get("/broken")
    shown = "".join(traceback.format_exception(caught.value))
    assert "who earns what" not in shown + caplog.text
