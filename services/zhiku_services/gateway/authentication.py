"""Who is calling: the one place where a cookie, a key or a service's token becomes a principal."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiku_platform.errors import ZhikuError
from zhiku_platform.http import BUFFERED_BYTES
from zhiku_services.gateway.bodies import announced_bytes, too_large
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.errors import CrossSiteRequestError
from zhiku_services.gateway.rendering import render_error
from zhiku_services.gateway.renewal import renew_if_due
from zhiku_services.gateway.service_accounts import find_service, find_service_again, is_token
from zhiku_services.gateway.sessions import is_csrf_token
from zhiku_services.gateway.streams import FindAgain, Identified

GUARDED_PATHS = ("/api/", "/v1/")
_INTERNAL_HEADERS = b"zhiku-"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticate:
    """ASGI middleware: puts `principal` (and `signed_in`, for a session) into the request's state.

    `find_again` looks up a session, the holder of a key or a service once more.

    Without good credentials it puts nothing there, and the routes' own permissions refuse. A header that
    only our services may send to each other never passes from outside.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door
        # Its own threads: a caller must not wait for a name tag behind other callers' slow requests.
        self._threads = CapacityLimiter(8)
        self._threads_of_streams = CapacityLimiter(4)
        parts = urlsplit(door.settings.base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = [
            (name, value) for name, value in scope["headers"] if not name.lower().startswith(_INTERNAL_HEADERS)
        ]
        request = Request(scope)
        if scope["path"].startswith(GUARDED_PATHS):
            try:
                await self._identify(request)
            except ZhikuError as error:
                await render_error(request, error)(scope, receive, send)
                return
            if getattr(request.state, "principal", None) is None:
                receive = _nothing(receive)
        elif _is_large(request):
            # Here nobody has said who they are: what they send is a form.
            await render_error(request, too_large(BUFFERED_BYTES))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _identify(self, request: Request) -> None:
        authorization = request.headers.get("Authorization")
        cookie = self._door.cookies.session(request.cookies)
        if authorization is not None:
            await self._identify_bearer(request, authorization)
        elif cookie is not None:
            await self._identify_session(request, cookie)

    async def _identify_bearer(self, request: Request, authorization: str) -> None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return
        if is_token(secret.strip()):
            await self._identify_service(request, secret.strip())
        else:
            await self._identify_key(request, secret.strip())

    async def _identify_key(self, request: Request, secret: str) -> None:
        holder = await to_thread.run_sync(self._door.key_holder, secret, limiter=self._threads)
        if holder is not None:
            self._door.limiter.take(holder.key_id)
            request.state.principal = holder.principal
            request.state.find_again = self._again(self._door.key_holder, secret)

    async def _identify_service(self, request: Request, token: str) -> None:
        client = request.client.host if request.client else "unknown"
        service = await find_service(self._door, token, client)
        if service is not None:
            self._door.limiter.take(service.principal.sub)
            request.state.principal = service.principal
            request.state.find_again = partial(find_service_again, self._door, token)

    async def _identify_session(self, request: Request, cookie: str) -> None:
        found = await to_thread.run_sync(self._door.signed_in, cookie, limiter=self._threads)
        if found is not None:
            found = await renew_if_due(self._door, found, self._threads)
        if found is None:
            return
        if request.method not in _SAFE_METHODS:
            self._refuse_other_sites(request, cookie)
        self._door.limiter.take(found.principal.sub)
        request.state.principal = found.principal
        request.state.signed_in = found
        request.state.find_again = self._again(self._door.signed_in, cookie)

    def _again(self, find: Callable[[str], Identified | None], secret: str) -> FindAgain:
        async def again() -> Identified | None:
            return await to_thread.run_sync(find, secret, limiter=self._threads_of_streams)

        return again

    def _refuse_other_sites(self, request: Request, cookie: str) -> None:
        """Check that our own page sends this change: browsers say whence, and only ours has the token."""
        token = request.headers.get("X-CSRF-Token", "")
        if request.headers.get("Origin", self._origin) != self._origin:
            raise CrossSiteRequestError
        if not is_csrf_token(token, cookie, self._door.digests):
            raise CrossSiteRequestError


def _is_large(request: Request) -> bool:
    length = request.headers.get("Content-Length")
    return "Transfer-Encoding" in request.headers or announced_bytes(length) > BUFFERED_BYTES


def _nothing(receive: Receive) -> Receive:
    """An empty body in place of a stranger's, which no route behind a login needs: nobody waits for it to arrive."""
    is_read = False

    async def nothing() -> Message:
        nonlocal is_read
        if not is_read:
            is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] == "http.request":
            pass
        return message

    return nothing
