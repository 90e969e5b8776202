"""Service calls without a network: HTTP requests straight into another ASGI app of this process.

`AsyncInProcessTransport` runs the app as a task of the caller's event loop and streams both ways: a response
chunk waits until its reader wants it (back-pressure), a request chunk is fetched when the app asks for it,
and closing the response cancels the app.
`InProcessTransport` is the same for threads, but for the request, which is read whole; the app runs on the
event loop it is given.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

import httpx2
from starlette.types import ASGIApp, Message

T = TypeVar("T")


class ServiceStoppedError(httpx2.TransportError):
    """The app ended before it answered."""


class _Exchange:
    """One request to the app and its response, chunk by chunk."""

    def __init__(self, app: ASGIApp, request: httpx2.Request, body: AsyncIterable[bytes]) -> None:
        self._app = app
        self._request = request
        self._body = aiter(body)
        self._start: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(maxsize=1)
        self._closed = asyncio.Event()
        self._body_sent = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        url = self._request.url
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(key.lower(), value) for key, value in self._request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": (url.host, url.port or 80),
        }
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:  # the HTTP edge: an app's failure is this request's, and nobody else's
            is_failure = isinstance(error, Exception)
            told = error if is_failure else ServiceStoppedError("the service was cancelled")
            if not self._start.done():
                self._start.set_exception(told)
            elif is_failure:
                await self._chunks.put(told)
            else:
                # There is no time to wait until what stands there is taken.
                while not self._chunks.empty():
                    self._chunks.get_nowait()
                self._chunks.put_nowait(told)
            if not is_failure:
                raise
        else:
            if not self._start.done():
                self._start.set_exception(ServiceStoppedError("the service ended without a response"))
            await self._chunks.put(None)

    async def _receive(self) -> Message:
        if not self._body_sent:
            try:
                return {"type": "http.request", "body": await anext(self._body), "more_body": True}
            except StopAsyncIteration:
                self._body_sent = True
                return {"type": "http.request", "body": b"", "more_body": False}
        await self._closed.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start.set_result(message)
        elif message["type"] == "http.response.body" and message.get("body"):
            await self._chunks.put(message["body"])

    async def start(self) -> Message:
        """Wait for the response's status and headers."""
        try:
            return await self._start
        except asyncio.CancelledError:
            await self.close()
            raise

    async def next_chunk(self) -> bytes | None:
        """Wait for the next part of the body; None is its end."""
        chunk = await self._chunks.get()
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    async def close(self) -> None:
        """Tell the app that nobody listens, and cancel what it still does."""
        self._closed.set()
        if not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._exchange.next_chunk()) is not None:
            yield chunk

    async def aclose(self) -> None:
        await self._exchange.close()


class AsyncInProcessTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport that calls `app` on the running event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        exchange = _Exchange(self._app, request, request.stream)
        start = await exchange.start()
        return httpx2.Response(start["status"], headers=start["headers"], stream=_AsyncBody(exchange))


class _Body(httpx2.SyncByteStream):
    def __init__(self, exchange: _Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := _wait(self._exchange.next_chunk(), self._loop)) is not None:
            yield chunk

    def close(self) -> None:
        _wait(self._exchange.close(), self._loop)


class InProcessTransport(httpx2.BaseTransport):
    """The same for a thread: `app` runs on `loop`, which must be running in another thread."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange, start = _wait(self._begin(request, httpx2.ByteStream(request.read())), self._loop)
        return httpx2.Response(start["status"], headers=start["headers"], stream=_Body(exchange, self._loop))

    async def _begin(self, request: httpx2.Request, body: AsyncIterable[bytes]) -> tuple[_Exchange, Message]:
        exchange = _Exchange(self._app, request, body)
        return exchange, await exchange.start()


def _wait(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result()
