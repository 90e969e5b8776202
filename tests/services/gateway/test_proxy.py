"""What the gateway passes on: everything as it comes, and nothing that is nobody's business."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from zhiku_platform.http import BUFFERED_BYTES
from zhiku_platform.inprocess import AsyncInProcessTransport
from zhiku_services.gateway.app import seed_directory
from zhiku_services.gateway.routing import proxied_routes
from zhiku_services.gateway.streams import ASK_EVERY_S
from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS

from .conftest import Gateway

MIB = 1024 * 1024
UPLOAD = "/api/v1/knowledge-bases/kb_1/uploads"
STREAM = "/api/v1/answers/ans_1/stream"


@pytest.fixture
def finance(gateway: Gateway) -> TestClient:
    return gateway.sign_in("zhao")


def run(gateway: Gateway, signed_in: TestClient, scenario: Callable[[httpx2.AsyncClient], Awaitable[Any]]) -> Any:
    """Run `scenario` with an async client that has the browser's session, on an event loop of its own."""

    async def main() -> Any:
        gateway.services.released, gateway.services.stopped = asyncio.Event(), asyncio.Event()
        async with httpx2.AsyncClient(
            transport=AsyncInProcessTransport(gateway.app),
            base_url=gateway.settings.base_url,
            cookies=dict(signed_in.cookies),
            headers={"X-CSRF-Token": signed_in.headers["X-CSRF-Token"]},
        ) as client:
            return await asyncio.wait_for(scenario(client), timeout=20)

    return asyncio.run(main())


def test_the_service_sees_the_principal_and_none_of_the_credentials(gateway: Gateway, finance: TestClient) -> None:
    finance.get(
        "/api/v1/documents/d1",
        params={"a": "1", "b": "知"},
        headers={
            "Accept-Language": "zh",
            "Authorization-Extra": "x",
            "X-Forwarded-For": "1.2.3.4",
            "X-Real-Ip": "1.2.3.4",
            "Zhiku-Anything": "x",
            "Range": "bytes=0-9",
        },
    )
    (seen,) = gateway.services.seen
    assert seen["query"] == "a=1&b=%E7%9F%A5"
    assert (seen["accept-language"], seen["range"]) == ("zh", "bytes=0-9")
    assert "zhiku-principal" in seen
    assert not {
        "cookie",
        "authorization",
        "x-csrf-token",
        "authorization-extra",
        "x-forwarded-for",
        "x-real-ip",
        "zhiku-anything",
    } & set(seen)


def test_one_request_has_one_id_everywhere(gateway: Gateway, finance: TestClient) -> None:
    response = finance.get("/api/v1/documents/d1", headers={"X-Request-Id": "req-7"})
    assert response.headers.get_list("x-request-id") == ["req-7"]
    assert gateway.services.seen[0]["x-request-id"] == "req-7"
    strange = finance.get("/api/v1/documents/d1", headers={"X-Request-Id": "a b" * 100})
    assert strange.headers["x-request-id"].startswith("req_")


def test_a_path_parameter_arrives_as_it_was_and_stays_one_segment(gateway: Gateway, finance: TestClient) -> None:
    finance.get("/api/v1/documents/%E7%9F%A5%20%3F%23%25")
    assert gateway.services.seen[0]["id"] == "知 ?#%"


def test_an_error_of_the_service_arrives_as_it_was(gateway: Gateway) -> None:
    response = gateway.sign_in("lin").get("/api/v1/documents/d1")
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_service_that_is_away_is_unavailable(gateway: Gateway, finance: TestClient) -> None:
    gateway.app.state.upstreams["inference"] = httpx2.AsyncClient(base_url="http://127.0.0.1:9")
    response = finance.get("/api/v1/models")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


def test_an_upload_streams_through_in_small_pieces(gateway: Gateway, finance: TestClient) -> None:
    made = 0

    async def file() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(64):
            made += 1
            # Nothing lies in between: what was made before this piece has reached the service.
            assert gateway.services.received_bytes >= (made - 3) * MIB
            yield bytes(MIB)

    async def scenario(client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.post(UPLOAD, content=file())

    response: httpx2.Response = run(gateway, finance, scenario)
    assert (response.status_code, response.json()) == (202, {"size": 64 * MIB})
    assert gateway.services.largest_chunk == MIB


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_that_is_too_large_is_cut_off(gateway: Gateway, finance: TestClient, announced: bool) -> None:
    object.__setattr__(gateway.settings, "max_upload_bytes", 2 * MIB)

    async def file() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield bytes(MIB)

    async def scenario(client: httpx2.AsyncClient) -> httpx2.Response:
        headers = {"Content-Length": str(16 * MIB)} if announced else {}
        return await client.post(UPLOAD, content=file(), headers=headers)

    response: httpx2.Response = run(gateway, finance, scenario)
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert gateway.services.received_bytes <= 3 * MIB


@pytest.mark.parametrize("path", ["/api/v1/search", "/api/v1/api-keys", "/v1/chat/completions"])
def test_other_requests_may_not_be_large(gateway: Gateway, finance: TestClient, path: str) -> None:
    assert finance.post(path, content=bytes(5 * MIB)).status_code == 413


def test_events_pass_as_they_are_made(gateway: Gateway, finance: TestClient) -> None:
    async def scenario(client: httpx2.AsyncClient) -> list[bytes]:
        async with client.stream("GET", STREAM) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers.get_list("x-accel-buffering") == ["no"]
            chunks = response.aiter_raw()
            first = await anext(chunks)
            # The service has not been let go on: if anybody collected, this line would not be reached.
            gateway.services.released.set()
            return [first, *[chunk async for chunk in chunks]]

    assert run(gateway, finance, scenario) == [b"id: 1\ndata: first\n\n", b"id: 2\ndata: second\n\n"]


def test_a_caller_who_leaves_stops_the_service(gateway: Gateway, finance: TestClient) -> None:
    async def scenario(client: httpx2.AsyncClient) -> bool:
        async with client.stream("GET", STREAM) as response:
            await anext(response.aiter_raw())
        await asyncio.wait_for(gateway.services.stopped.wait(), timeout=5)
        return True

    assert run(gateway, finance, scenario)


def test_a_caller_who_leaves_as_a_server_sees_it_stops_the_service(gateway: Gateway, finance: TestClient) -> None:
    """Servers do not cancel us: they say `http.disconnect` while we wait for the next event."""

    async def scenario(_: httpx2.AsyncClient) -> list[str]:
        sent: list[str] = []
        has_started = asyncio.Event()
        messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await has_started.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message["type"])
            if message.get("body"):
                has_started.set()

        await gateway.app(_scope("GET", STREAM, finance), receive, send)
        await asyncio.wait_for(gateway.services.stopped.wait(), timeout=5)
        return sent

    assert run(gateway, finance, scenario) == ["http.response.start", "http.response.body"]


def leave_a_group(gateway: Gateway) -> None:
    users = {account.user.username: account.user for account in DEMO_ACCOUNTS}
    moved = users["zhao"].model_copy(update={"groups": users["zhao"].groups - {"finance"}})
    seed_directory(gateway.settings, gateway.database, {**users, "zhao": moved}.values())


def leave_the_company(gateway: Gateway) -> None:
    others = [account.user for account in DEMO_ACCOUNTS if account.user.username != "zhao"]
    seed_directory(gateway.settings, gateway.database, others)


@pytest.mark.parametrize("change", [leave_a_group, leave_the_company])
def test_a_stream_is_cut_when_its_caller_has_other_rights(
    gateway: Gateway, finance: TestClient, change: Callable[[Gateway], None]
) -> None:
    async def scenario(client: httpx2.AsyncClient) -> list[bytes]:
        async with client.stream("GET", STREAM) as response:
            chunks = response.aiter_raw()
            first = await anext(chunks)
            await asyncio.to_thread(change, gateway)
            rest = [chunk async for chunk in chunks]
        await asyncio.wait_for(gateway.services.stopped.wait(), timeout=5)
        return [first, *rest]

    assert run(gateway, finance, scenario) == [b"id: 1\ndata: first\n\n"]


def test_a_stream_goes_on_while_its_caller_is_the_same(gateway: Gateway, finance: TestClient) -> None:
    async def scenario(client: httpx2.AsyncClient) -> list[bytes]:
        async with client.stream("GET", STREAM) as response:
            chunks = response.aiter_raw()
            first = await anext(chunks)
            await asyncio.sleep(2.5 * ASK_EVERY_S)
            gateway.services.released.set()
            return [first, *[chunk async for chunk in chunks]]

    assert len(run(gateway, finance, scenario)) == 2


def test_an_upload_that_breaks_off_never_arrives_as_a_whole(gateway: Gateway, finance: TestClient) -> None:
    # More than what is read of a body before anybody is asked.
    half = b"x" * (BUFFERED_BYTES + 1)

    async def scenario(_: httpx2.AsyncClient) -> list[Message]:
        messages: list[Message] = [
            {"type": "http.disconnect"},
            {"type": "http.request", "body": half, "more_body": True},
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        await gateway.app(_scope("POST", UPLOAD, finance), receive, send)
        return sent

    assert run(gateway, finance, scenario) == []
    assert gateway.services.received_bytes == len(half)


def test_hop_by_hop_headers_stay_on_their_hop(gateway: Gateway, finance: TestClient) -> None:
    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"connection", b"close, x-private"),
            (b"x-private", b"1"),
            (b"keep-alive", b"timeout=5"),
            (b"server", b"inner"),
            (b"content-type", b"application/json"),
            (b"etag", b'"e"'),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    transport = AsyncInProcessTransport(upstream)
    gateway.app.state.upstreams["inference"] = httpx2.AsyncClient(transport=transport, base_url="http://inference")
    headers = finance.get("/api/v1/models").headers
    assert (headers["etag"], headers["content-type"]) == ('"e"', "application/json")
    assert not {"connection", "x-private", "keep-alive", "server"} & set(headers)


def test_every_proxied_route_has_a_name_of_its_own_and_is_public_api() -> None:
    routes = list(proxied_routes())
    assert len({route.name for route in routes}) == len(routes)
    assert all(route.path.startswith("/api/v1/") for route in routes)


def _scope(method: str, path: str, browser: TestClient) -> Scope:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"cookie", cookie.encode()),
            (b"x-csrf-token", str(browser.headers["X-CSRF-Token"]).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
