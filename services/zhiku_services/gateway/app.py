"""Builds the gateway: the only public door."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import text
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from zhiku_platform import erasure
from zhiku_platform.access import PrincipalSigner
from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import PayloadTooLargeError, ZhikuError
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.inprocess import AsyncInProcessTransport
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import get_logger
from zhiku_services.gateway import directory_routes, openai_routes, portal, routes
from zhiku_services.gateway.authentication import Authenticate
from zhiku_services.gateway.bodies import MAX_BODY_BYTES, too_large
from zhiku_services.gateway.cookies import Cookies
from zhiku_services.gateway.denials import RECORD_EVERY_S, Denials, RecordDenials, record_denials
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.directory_sync import Directory, DirectorySync, StaticDirectory
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.erasing import PersonalData
from zhiku_services.gateway.headers import SecurityHeaders
from zhiku_services.gateway.limits import OncePer, RateLimiter
from zhiku_services.gateway.models import Base
from zhiku_services.gateway.oidc import OpenIdClient
from zhiku_services.gateway.proxy import proxy_router
from zhiku_services.gateway.rendering import (
    SpeakOpenAI,
    is_openai,
    render_error,
    render_openai_http,
    render_openai_validation,
)
from zhiku_services.gateway.sessions import Lifetimes
from zhiku_services.gateway.streams import EndWithRights

log = get_logger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
EMBEDDED_REALM = "/realms/zhiku"
_REALMS = "/realms/"


def open_database(settings: Settings) -> Database:
    """Open the gateway's database, migrated to what this code expects."""
    database = Database("gateway", settings.service_database_url("gateway"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


def issuer_of(settings: Settings) -> str:
    """Who vouches for users: the configured provider, or the embedded one at our own address."""
    return (settings.oidc_issuer or settings.base_url + EMBEDDED_REALM).rstrip("/")


def seed_directory(settings: Settings, database: Database, users: Iterable[DirectoryUser]) -> None:
    """Bring the mirror in step with a directory of exactly these users; running it again changes nothing."""
    directory_sync(settings, database, StaticDirectory(users)).run()


def directory_sync(
    settings: Settings, database: Database, directory: Directory, *, clock: Callable[[], datetime] = utc_now
) -> DirectorySync:
    """What keeps the mirror of the issuer's users in step with `directory`."""
    return DirectorySync(directory, database=database, issuer=issuer_of(settings), tenant=settings.tenant, clock=clock)


def open_directory(settings: Settings) -> Directory | None:
    """The directory that the settings connect, or None."""
    if settings.keycloak_url is None:
        return None
    # It brings `requests` along, which nobody needs without Keycloak.
    from zhiku_services.gateway.keycloak.admin import open_api
    from zhiku_services.gateway.keycloak.directory import KeycloakDirectory

    return KeycloakDirectory(open_api(settings))


def create_app(
    settings: Settings,
    *,
    database: Database,
    upstreams: Mapping[str, httpx2.AsyncClient],
    identity_provider: ASGIApp | None = None,
    oidc_http: httpx2.AsyncClient | None = None,
    directory: Directory | None = None,
    static: Path = portal.STATIC,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Build the gateway.

    `upstreams` has an async client for each of `knowledge`, `ingestion`, `assistant` and `inference`. The
    embedded `identity_provider`, if given, is served under `/realms/` and called without a network;
    otherwise `oidc_http` is the client that reaches the configured one. While the app runs it keeps the mirror of
    users in step with `directory`, or else with the one that the settings connect.
    """
    http = oidc_http or _oidc_client(identity_provider)
    door = _door(settings, database, http, clock, directory)
    denials = Denials()
    app = create_service_app(
        "gateway",
        settings,
        [routes.router, routes.provider_router, openai_routes.router, proxy_router()],
        database=database,
        ready=lambda: _check(database),
        lifespan=_running(door, denials, None if oidc_http is not None else http),
    )
    # Last, for it answers every address that is left.
    app.include_router(portal.router)
    app.router.redirect_slashes = False
    app.state.door = door
    app.state.upstreams = upstreams
    app.state.static = static
    _render_each_face(app)
    # Innermost, so that its refusals have a request id and are counted.
    app.user_middleware.append(Middleware(Authenticate, door=app.state.door))
    app.user_middleware.append(Middleware(EndWithRights))
    app.user_middleware.append(Middleware(RecordDenials, door=door, denials=denials))
    app.add_middleware(SpeakOpenAI)
    app.add_middleware(SecurityHeaders, https=_is_https(settings))
    if identity_provider is not None:
        app.add_middleware(_ServeProvider, provider=identity_provider)
    return app


def create_directory_app(settings: Settings, *, database: Database) -> FastAPI:
    """Build the mirror's face for other services; it is never served where the gateway is."""
    routers = [directory_routes.internal, erasure.internal]
    app = create_service_app("directory", settings, routers, database=database, ready=lambda: _check(database))
    app.state.personal_data = PersonalData(database)
    app.state.issuer = issuer_of(settings)
    return app


class _ServeProvider:
    """ASGI middleware: hands `/realms/…` to the embedded provider, which has its own headers and sessions."""

    def __init__(self, app: ASGIApp, provider: ASGIApp) -> None:
        self._app = app
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_provider = scope["type"] == "http" and scope["path"].startswith(_REALMS)
        await (self._provider if is_for_provider else self._app)(scope, receive, send)


def _running(
    door: Door, denials: Denials, http: httpx2.AsyncClient | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that keeps up what is done again and again, and closes `http` in the end.

    The directory is read, if one is connected, and refusals are recorded.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_keep_record(door, denials))]
        if door.directory is not None:
            tasks.append(asyncio.create_task(_keep_in_step(door, door.directory)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await to_thread.run_sync(record_denials, door, denials.take().items())
            if http is not None:
                await http.aclose()

    return lifespan


async def _keep_record(door: Door, denials: Denials) -> None:
    while True:
        await asyncio.sleep(RECORD_EVERY_S)
        try:
            await to_thread.run_sync(record_denials, door, denials.take().items())
        except Exception as error:  # noqa: BLE001 - the outermost loop: the next turn may succeed
            log.error("denials_lost", error=type(error).__name__)


async def _keep_in_step(door: Door, sync: DirectorySync) -> None:
    period_s = door.settings.keycloak_sync_s
    while True:
        try:
            await to_thread.run_sync(sync.run_if_due, timedelta(seconds=period_s))
        except Exception as error:  # noqa: BLE001 - the outermost loop: the next turn may succeed
            code = error.code if isinstance(error, ZhikuError) else "internal"
            log.error("directory_sync_failed", code=code, error=type(error).__name__)
        await asyncio.sleep(period_s)


def _door(
    settings: Settings,
    database: Database,
    http: httpx2.AsyncClient,
    clock: Callable[[], datetime],
    directory: Directory | None,
) -> Door:
    digests = Digests(settings.secret_key.get_secret_value())
    secret = settings.oidc_client_secret
    source = directory or open_directory(settings)
    return Door(
        settings=settings,
        database=database,
        signer=PrincipalSigner(settings.secret_key.get_secret_value()),
        digests=digests,
        lifetimes=Lifetimes(
            idle=timedelta(seconds=settings.session_idle_s),
            absolute=timedelta(seconds=settings.session_absolute_s),
        ),
        cookies=Cookies(
            digests,
            secure=_is_https(settings),
            session_lifetime_s=settings.session_absolute_s,
            clock=lambda: clock().timestamp(),
        ),
        openid=OpenIdClient(
            issuer_of(settings),
            settings.oidc_client_id,
            secret.get_secret_value() if secret else None,
            f"{settings.base_url}/api/v1/auth/callback",
            http,
            internal_url=settings.oidc_internal_url,
            clock=lambda: clock().timestamp(),
        ),
        limiter=RateLimiter(settings.rate_per_s, settings.rate_burst),
        refusals=OncePer(60),
        clock=clock,
        directory=None if source is None else directory_sync(settings, database, source, clock=clock),
    )


def _oidc_client(identity_provider: ASGIApp | None) -> httpx2.AsyncClient:
    transport = AsyncInProcessTransport(identity_provider) if identity_provider is not None else None
    return httpx2.AsyncClient(transport=transport, timeout=10)


def _render_each_face(app: FastAPI) -> None:
    """Render errors as OpenAI's under `/v1`, and as ours everywhere else."""
    ours = dict(app.exception_handlers)
    app.add_exception_handler(ZhikuError, render_error)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if is_openai(request):
            return render_openai_validation(error)
        return ours[RequestValidationError](request, error)  # type: ignore[no-any-return]

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == PayloadTooLargeError.status:
            return render_error(request, too_large(MAX_BODY_BYTES))
        refusal = ours[HTTPException](request, error)
        assert isinstance(refusal, Response)
        return render_openai_http(refusal) if is_openai(request) else refusal

    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def _check(database: Database) -> None:
    with database.read() as session:
        session.connection().execute(text("SELECT 1"))


def _is_https(settings: Settings) -> bool:
    return settings.base_url.startswith("https://")
