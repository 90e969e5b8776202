"""The HTTP edge of every service: guarded routes, problem+json, health, metrics."""

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiku_platform.access import Permission, PrincipalSigner, RequirePermission, public
from zhiku_platform.db import Database
from zhiku_platform.errors import (
    NotFoundError,
    Problem,
    RemoteProblemError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnprocessableError,
    ZhikuError,
)
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import ObserveRequests, get_logger

log = get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-Id"
PROBLEM_MEDIA_TYPE = "application/problem+json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class UnguardedRouteError(TypeError):
    """A route was declared without a permission and without `@public`."""


class _GuardedRoute(APIRoute):
    """Refuses to exist without a permission; the check runs when the module is imported."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if not is_public(self) and permission_of(self) is None:
            raise UnguardedRouteError(
                f"{path}: declare `Annotated[Access, require(Permission.…)]`, or mark the endpoint `@public`"
            )


class GuardedRouter(APIRouter):
    """A router whose every route has a permission or says `@public`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=_GuardedRoute, **options)


def is_public(route: APIRoute) -> bool:
    """Whether the endpoint is marked `@public`."""
    return bool(getattr(route.endpoint, "__zhiku_public__", False))


def permission_of(route: APIRoute) -> Permission | None:
    """The permission that the route needs, or None if it declares none."""
    return next(iter(_permissions(route.dependant)), None)


def _permissions(dependant: Dependant) -> list[Permission]:
    own = [dependant.call.permission] if isinstance(dependant.call, RequirePermission) else []
    return own + [found for child in dependant.dependencies for found in _permissions(child)]


def openapi_document(
    title: str,
    routes: Sequence[APIRoute],
    credentials: Mapping[str, Mapping[str, str]],
    *,
    error: tuple[str, type[BaseModel]] = (PROBLEM_MEDIA_TYPE, Problem),
) -> dict[str, Any]:
    """Describe routes as an OpenAPI document: all have one kind of error, and only public routes need no credentials.

    `credentials` are security schemes by name, of which any one opens a route that is not public. `error` is the media
    type and the shape of errors.
    """
    media_type, shape = error
    described = get_openapi(title=title, version="1", routes=routes)
    components = described.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs, None)
    schemas[shape.__name__] = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas[shape.__name__].pop("$defs", {})
    components["securitySchemes"] = {name: dict(scheme) for name, scheme in credentials.items()}
    described["security"] = [{name: []} for name in credentials]
    reference = {"$ref": f"#/components/schemas/{shape.__name__}"}
    problem = {"description": "An error", "content": {media_type: {"schema": reference}}}
    for route in routes:
        for method in route.methods or ():
            operation = described["paths"][route.path_format][method.lower()]
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
            if is_public(route):
                operation["security"] = []
    return described


def create_app(
    service: str,
    settings: Settings,
    routers: Sequence["GuardedRouter"],
    *,
    database: Database | None = None,
    ready: Callable[[], None] = lambda: None,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """Build a service's app: its routers, `/healthz`, `/readyz`, `/metrics`, and one error handler.

    `ready` raises a `ZhikuError` while the service cannot do its work.
    """
    app = FastAPI(
        title=f"Zhiku {service}",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.signer = PrincipalSigner(settings.secret_key.get_secret_value())
    app.state.database = database
    for router in [*routers, _operations(ready)]:
        app.include_router(router)
    app.add_exception_handler(ZhikuError, _render)
    app.add_exception_handler(RequestValidationError, _render_validation)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_middleware(Bulkhead)
    app.add_middleware(BodyFirst)
    app.add_middleware(RequestEdge, service=service)
    app.add_middleware(ObserveRequests, service=service)
    return app


def _operations(ready: Callable[[], None]) -> GuardedRouter:
    router = GuardedRouter(include_in_schema=False)

    # These are asynchronous so that they need no thread: they answer however busy the service is.
    @router.get("/healthz")
    @public
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    @public
    async def readyz() -> dict[str, str]:
        ready()
        return {"status": "ready"}

    @router.get("/metrics")
    @public
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


class Stream(StreamingResponse):
    """A streamed response whose source is closed at once when the client leaves.

    Starlette's own leaves a suspended generator to the garbage collector, and what it holds running.
    """

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                await close()


class RequestEdge:
    """ASGI middleware: gives the request an id, and turns what nobody caught into a plain 500."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Request(scope).headers.get(REQUEST_ID_HEADER, "")
        # A caller's own id goes into every log line, so it must look like one.
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode("latin-1"))]
            await send(message)

        with structlog.contextvars.bound_contextvars(service=self._service, request_id=request_id):
            if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
                refusal = UnprocessableError("The address holds a zero byte.", remedy="Take it out.")
                await problem_response(refusal.problem(request_id))(scope, receive, with_id)
                return
            try:
                await self._app(scope, receive, with_id)
            except Exception as error:  # noqa: BLE001 - what nobody caught becomes a plain 500
                # Only the type: an exception's text may quote what a user wrote.
                log.error("request_failed", error=type(error).__name__, where=_where(error))
                if started:
                    raise BrokenResponseError from None
                problem = ZhikuError(
                    "Zhiku could not handle this request.",
                    remedy=f"Try again; if it stays, give an administrator the request id {request_id}.",
                ).problem(request_id)
                await problem_response(problem)(scope, receive, with_id)


class BrokenResponseError(Exception):
    """A response broke off in the middle; the server closes the connection, so that the caller sees it.

    It stands for the error that broke it, whose text may quote a user.
    """


THREADS_PER_SERVICE = 40
"""How many requests a service handles at once. A process that runs several services needs as many threads for each:
a route may wait for another service's route, and must then find a thread that nobody else can hold."""
_LONGEST_WAIT_S = 30.0
_UNBOUNDED = frozenset({"/healthz", "/readyz", "/metrics"})


class Bulkhead:
    """ASGI middleware: lets as many requests in as have threads; the others wait in line without one.

    A request leaves when its response starts, for what then streams holds no thread.
    """

    def __init__(self, app: ASGIApp, *, at_once: int = THREADS_PER_SERVICE) -> None:
        self._app = app
        self._places = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNBOUNDED:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            busy = ServiceUnavailableError("Zhiku has too much to do right now.", remedy="Try again in a moment.")
            await problem_response(busy.problem(scope["state"]["request_id"]))(scope, receive, send)
            return
        is_inside = True

        async def leaving(message: Message) -> None:
            nonlocal is_inside
            if message["type"] == "http.response.start" and is_inside:
                is_inside = False
                self._places.release()
            await send(message)

        try:
            await self._app(scope, receive, leaving)
        finally:
            if is_inside:
                self._places.release()


BUFFERED_BYTES = 64 * 1024
"""What is read of a body before its request takes a place."""
_BODY_BEGINS_S = 15.0
_BODY_SILENT_S = 30.0


class BodyFirst:
    """ASGI middleware: reads the beginning of a body before the request may take one of the service's places.

    Whoever sends slowly, or never, then holds up nobody else. The rest of a large body is passed on as it comes, as
    long as it comes.
    """

    def __init__(self, app: ASGIApp, *, begins_s: float = _BODY_BEGINS_S, silent_s: float = _BODY_SILENT_S) -> None:
        self._app = app
        self._begins_s = begins_s
        self._silent_s = silent_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        begun: deque[Message] = deque()
        try:
            async with asyncio.timeout(self._begins_s):
                size = 0
                while size < BUFFERED_BYTES:
                    message = await receive()
                    begun.append(message)
                    size += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        break
        except TimeoutError:
            await problem_response(_too_slow().problem(scope["state"]["request_id"]))(scope, receive, send)
            return
        is_over = not begun[-1].get("more_body", False)

        async def rest() -> Message:
            nonlocal is_over
            if begun:
                return begun.popleft()
            if is_over:
                # What comes now is only that the caller has left, for which a stream waits as long as it runs.
                return await receive()
            try:
                async with asyncio.timeout(self._silent_s):
                    message = await receive()
            except TimeoutError as error:
                # Whoever reads the body takes any other exception for a malformed one.
                raise HTTPException(RequestTimeoutError.status, "The request's body stopped coming.") from error
            is_over = not message.get("more_body", False)
            return message

        await self._app(scope, rest, send)


def _has_body(scope: Scope) -> bool:
    headers = {name.lower(): value for name, value in scope["headers"]}
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip() not in {b"", b"0"}


def _too_slow() -> RequestTimeoutError:
    return RequestTimeoutError(
        "The request's body did not come in time.", remedy="Send it again, over a connection that is faster."
    )


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno}"


def problem_response(problem: Problem) -> JSONResponse:
    """An error as `application/problem+json`, with `Retry-After` where trying again makes sense."""
    headers = {"Retry-After": "5"} if problem.status in {429, 503} else {}
    return JSONResponse(problem.model_dump(mode="json"), problem.status, headers, media_type=PROBLEM_MEDIA_TYPE)


def _request_id(request: Request) -> str | None:
    found: str | None = getattr(request.state, "request_id", None)
    return found


def _render(request: Request, error: Exception) -> Response:
    assert isinstance(error, ZhikuError)
    problem = error.problem(_request_id(request))
    if problem.status >= 500 and not isinstance(error, RemoteProblemError):
        log.warning("request_refused", code=problem.code, error=type(error).__name__)
    return problem_response(problem)


def _render_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [{"field": ".".join(str(part) for part in item["loc"]), "problem": item["msg"]} for item in error.errors()]
    return problem_response(
        Problem.model_validate(
            {
                "type": "urn:zhiku:error:invalid_request",
                "title": "Invalid request",
                "status": 422,
                "detail": "The request does not have the form that this address takes.",
                "code": "invalid_request",
                "remedy": "Correct the fields listed in `fields`.",
                "fields": fields,
                "request_id": _request_id(request),
            }
        )
    )


def _render_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == NotFoundError.status:
        return problem_response(NotFoundError("address").problem(_request_id(request)))
    response = problem_response(
        Problem(
            type=f"urn:zhiku:error:http_{error.status_code}",
            title="Request refused",
            status=error.status_code,
            detail=str(error.detail),
            code=f"http_{error.status_code}",
            remedy="Check the method and the form of the request.",
            request_id=_request_id(request),
        )
    )
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> list[str]:
    """Every method of this address; Starlette names those of the first route that has it (RFC 9110, 10.2.1: all)."""
    routes = request.app.routes
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
