"""Passes requests on to the services: streaming both ways, as the principal that the gateway found.

A request's body goes on as it comes, a response's as it is made, and a caller who leaves takes the call to
the service along. The credentials stay here; the service gets a principal signed for this one request.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx2
from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from zhiku_platform.access import PRINCIPAL_HEADER, require
from zhiku_platform.clients.base import unreachable
from zhiku_platform.errors import NotFoundError, ZhikuError
from zhiku_platform.http import REQUEST_ID_HEADER, GuardedRouter
from zhiku_platform.telemetry import trace_headers
from zhiku_services.gateway.bodies import MAX_BODY_BYTES, announced_bytes, too_large
from zhiku_services.gateway.door import door_of
from zhiku_services.gateway.routing import ProxiedRoute, proxied_routes
from zhiku_services.gateway.step_up import MAX_AGE_S, is_sensitive, require_step_up

Upstreams = Mapping[str, httpx2.AsyncClient]

_MULTIPART_OVERHEAD_BYTES = 64 * 1024

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What a service may know of the request. All else stays here: credentials, forged headers, addresses.
_PASSED_ON = frozenset(
    {
        "accept",
        "accept-language",
        "content-length",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "last-event-id",
        "range",
        "user-agent",
    }
)
_NO_BUFFER = (b"x-accel-buffering", b"no")
# The gateway's own server says these.
_OURS = frozenset({"date", "server", "x-request-id"})


def proxy_router() -> GuardedRouter:
    """A route for every line of the routing table."""
    router = GuardedRouter()
    for route in proxied_routes():
        router.add_api_route(
            route.path,
            _forwarder(route),
            methods=[route.method],
            dependencies=_dependencies(route),
            name=route.name,
            tags=[route.service],
            response_class=Response,
        )
    return router


def _dependencies(route: ProxiedRoute) -> list[Any]:
    sensitive = is_sensitive(route.method, route.path, route.permission)
    return [require(route.permission), *([require_step_up(MAX_AGE_S)] if sensitive else [])]


def _forwarder(route: ProxiedRoute) -> Callable[[Request], Awaitable[Response]]:
    async def forward(request: Request) -> Response:
        door = door_of(request)
        upstreams: Upstreams = request.app.state.upstreams
        limit = door.settings.max_upload_bytes + _MULTIPART_OVERHEAD_BYTES if route.takes_upload else MAX_BODY_BYTES
        headers = {
            **_passed_on(request),
            "Accept-Encoding": "identity",
            PRINCIPAL_HEADER: door.signer.sign(request.state.principal),
            REQUEST_ID_HEADER: request.state.request_id,
            **trace_headers(),
        }
        return Forwarded(route, _path(route, request.path_params), headers, upstreams[route.service], limit)

    return forward


def _passed_on(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name in _PASSED_ON}


def _path(route: ProxiedRoute, params: Mapping[str, str]) -> str:
    """The service's path, built from the table: a parameter can never become another segment."""
    if any(value in {".", ".."} for value in params.values()):
        raise NotFoundError("address")
    return route.path.format_map({name: quote(value, safe="") for name, value in params.items()})


class Forwarded(Response):
    """A response that is still at the service when it is returned."""

    def __init__(
        self,
        route: ProxiedRoute,
        path: str,
        headers: dict[str, str],
        upstream: httpx2.AsyncClient,
        max_bytes: int,
    ) -> None:
        super().__init__()
        self._route = route
        self._path = path
        self._request_headers = headers
        self._upstream = upstream
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _RequestBody(receive, self._max_bytes, announced_bytes(self._request_headers.get("content-length")))
        exchange = asyncio.create_task(self._exchange(scope, body, send))
        caller = asyncio.create_task(body.wait_until_caller_leaves())
        try:
            await asyncio.wait({exchange, caller}, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done():
                exchange.result()
        finally:
            for task in (exchange, caller):
                task.cancel()
            await asyncio.gather(exchange, caller, return_exceptions=True)

    async def _exchange(self, scope: Scope, body: "_RequestBody", send: Send) -> None:
        try:
            response = await self._upstream.send(self._request(scope, body), stream=True)
        except httpx2.TransportError as error:
            raise unreachable(self._route.service) from error
        try:
            if body.problem is not None:
                raise body.problem
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status_code,
                    "headers": _returned(response),
                }
            )
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await response.aclose()

    def _request(self, scope: Scope, body: "_RequestBody") -> httpx2.Request:
        query = scope["query_string"].decode("latin-1")
        url = self._upstream.base_url.join(f"{self._path}?{query}" if query else self._path)
        has_body = self._route.method in {"POST", "PUT", "PATCH"}
        if not has_body:
            body.skip()
            self._request_headers.pop("content-length", None)
        return httpx2.Request(
            self._route.method,
            url,
            headers=self._request_headers,
            content=body.chunks() if has_body else None,
            extensions={"timeout": self._upstream.timeout.as_dict()},
        )


class _RequestBody:
    """The caller's body, chunk by chunk, and the news that the caller has gone.

    Both come by `receive`, so one asks after the other: first the body, then the news.
    """

    def __init__(self, receive: Receive, max_bytes: int, announced: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._is_read = asyncio.Event()
        self._has_left = False
        self.problem: ZhikuError | None = None
        if announced > max_bytes:
            raise too_large(max_bytes)

    def skip(self) -> None:
        """There is no body to pass on."""
        self._is_read.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, as it comes; it does not end if the caller leaves, lest a part be taken for the whole.

        Raises:
            PayloadTooLargeError: more came than is allowed.
        """
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._has_left = True
                self._is_read.set()
                await asyncio.Event().wait()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                self.problem = too_large(self._max_bytes)
                raise self.problem
            if chunk:
                yield chunk
            more = message.get("more_body", False)
        self._is_read.set()

    async def wait_until_caller_leaves(self) -> None:
        """Return when the connection is closed."""
        await self._is_read.wait()
        while not self._has_left:
            self._has_left = (await self._receive())["type"] == "http.disconnect"


def _returned(response: httpx2.Response) -> list[tuple[bytes, bytes]]:
    """The service's headers, less those that concern one connection only."""
    named = {name.strip().lower() for name in response.headers.get("connection", "").split(",")}
    dropped = _HOP_BY_HOP | _OURS | named
    headers = [(name.lower(), value) for name, value in response.headers.raw if name.decode().lower() not in dropped]
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        # Tells a reverse proxy in front of us not to collect the stream.
        headers = [*(pair for pair in headers if pair[0] != _NO_BUFFER[0]), _NO_BUFFER]
    return headers
