"""Calls between services of one process stream, wait and stop like calls over a network."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from zhiku_platform.http import Stream
from zhiku_platform.inprocess import AsyncInProcessTransport, InProcessTransport, ServiceStoppedError


class Upstream:
    """An app that counts what it has produced and notes when it ended."""

    def __init__(self) -> None:
        self.produced = 0
        self.ended = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/echo", self.echo, methods=["POST"]),
                Route("/stream", self.stream),
                Route("/crash", self.crash),
                Route("/late-crash", self.late_crash),
            ]
        )

    async def echo(self, request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse({"body": body.decode(), "query": request.url.query, "header": request.headers["x-test"]})

    async def stream(self, request: Request) -> Stream:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                for n in range(1000):
                    self.produced += 1
                    yield f"{n},".encode()
            finally:
                self.ended.set()

        return Stream(chunks())

    async def crash(self, request: Request) -> JSONResponse:
        raise ValueError("broken")

    async def late_crash(self, request: Request) -> Stream:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("broken halfway")

        return Stream(chunks())


def client_of(upstream: Upstream) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=AsyncInProcessTransport(upstream.app), base_url="http://service")


def test_a_request_arrives_whole() -> None:
    async def scenario() -> dict[str, str]:
        async with client_of(Upstream()) as client:
            response = await client.post("/echo?a=1", content="你好", headers={"X-Test": "yes"})
            answer: dict[str, str] = response.json()
            return answer

    assert asyncio.run(scenario()) == {"body": "你好", "query": "a=1", "header": "yes"}


def test_a_slow_reader_holds_the_producer_back() -> None:
    async def scenario() -> int:
        upstream = Upstream()
        async with client_of(upstream) as client, client.stream("GET", "/stream") as response:
            await anext(response.aiter_raw())
            await asyncio.sleep(0.05)
            return upstream.produced

    assert asyncio.run(scenario()) <= 4


def test_closing_the_response_cancels_the_producer() -> None:
    async def scenario() -> int:
        upstream = Upstream()
        async with client_of(upstream) as client:
            async with client.stream("GET", "/stream") as response:
                await anext(response.aiter_raw())
            await asyncio.wait_for(upstream.ended.wait(), timeout=5)
            return upstream.produced

    assert asyncio.run(scenario()) < 1000


def test_a_crash_before_the_response_reaches_the_caller() -> None:
    async def scenario() -> None:
        async with client_of(Upstream()) as client:
            await client.get("/crash")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(scenario())


def test_a_crash_halfway_is_an_error_and_not_the_end() -> None:
    async def scenario() -> None:
        async with client_of(Upstream()) as client:
            await client.get("/late-crash")

    with pytest.raises(ValueError, match="halfway"):
        asyncio.run(scenario())


@pytest.mark.parametrize("has_begun", [False, True])
def test_who_calls_a_service_that_is_cancelled_is_told(has_begun: bool) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise asyncio.CancelledError

    async def scenario() -> None:
        transport = AsyncInProcessTransport(app)
        async with asyncio.timeout(5), httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            await client.get("/")

    with pytest.raises(ServiceStoppedError):
        asyncio.run(scenario())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_thread_can_call_and_stream(loop: asyncio.AbstractEventLoop) -> None:
    upstream = Upstream()
    with httpx2.Client(transport=InProcessTransport(upstream.app, loop), base_url="http://service") as client:
        assert client.post("/echo", content="hi", headers={"X-Test": "t"}).json()["body"] == "hi"
        with client.stream("GET", "/stream") as response:
            assert sum(chunk.count(b",") for chunk in response.iter_raw()) == 1000
