"""Sessions and API keys over HTTP."""

import re
from typing import Annotated, Literal
from urllib.parse import urlencode, urlsplit

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from zhiku_platform.access import Access, Permission, public, require
from zhiku_platform.contracts.gateway import ApiKey, CreatedApiKey, NewApiKey, Session
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.gateway import api_keys, provider_logouts, sessions
from zhiku_services.gateway.bodies import MAX_BODY_BYTES
from zhiku_services.gateway.door import Door, door_of
from zhiku_services.gateway.login import finish, local_path
from zhiku_services.gateway.logout import leave, provider_address
from zhiku_services.gateway.oidc import Login
from zhiku_services.gateway.sessions import SignedIn
from zhiku_services.gateway.step_up import MAX_AGE_S, require_step_up

router = GuardedRouter(prefix="/api/v1", tags=["gateway"], max_body_size=MAX_BODY_BYTES)

provider_router = GuardedRouter(include_in_schema=False, max_body_size=MAX_BODY_BYTES)
"""What the identity provider itself calls; outside `/api`, for it has no credentials of ours."""

CanOwnSession = Annotated[Access, require(Permission.SESSION_OWN)]
CanManageKeys = Annotated[Access, require(Permission.API_KEY_MANAGE)]
FreshLogin = Annotated[None, require_step_up(MAX_AGE_S)]
_LOCALES = re.compile(r"[A-Za-z -]{1,40}")


@router.get("/auth/login", status_code=303, response_class=RedirectResponse)
@public
async def log_in(
    request: Request,
    next: str = "/",  # noqa: A002 - the name in the address
    prompt: Literal["login", "select_account"] | None = None,
    ui_locales: str | None = None,
    max_age: Annotated[int | None, Query(ge=0, le=86_400)] = None,
    acr_values: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9:._ -]{1,100}$")] = None,
) -> Response:
    """Send the browser to the identity provider; with `max_age` or `acr_values`, for a fresher or stronger login."""
    door = door_of(request)
    target = local_path(next)
    if _came_by_another_name(request, door):
        # Cookies belong to one host name; the provider will send the browser back to this one.
        query = urlencode({**dict(request.query_params), "next": target})
        return RedirectResponse(f"{door.settings.base_url}/api/v1/auth/login?{query}", status_code=303)
    login = Login.begin(target, max_age_s=max_age, acr_values=acr_values)
    # A wish, and no reason to turn anybody away from the login.
    languages = ui_locales if ui_locales and _LOCALES.fullmatch(ui_locales) else None
    extra = {"prompt": prompt, "ui_locales": languages}
    url = await door.openid.authorization_url(login, **{name: value for name, value in extra.items() if value})
    response = RedirectResponse(url, status_code=303)
    door.cookies.set_login(response, login)
    return response


@router.get("/auth/callback", status_code=303, response_class=RedirectResponse)
@public
async def finish_login(request: Request) -> Response:
    """Take the browser back from the identity provider, and begin a session."""
    door = door_of(request)
    cookies = door.cookies
    cookie, target = await finish(
        door,
        request.query_params,
        cookies.login(request.cookies),
        cookies.session(request.cookies),
        request.client.host if request.client else "unknown",
    )
    response = RedirectResponse(target, status_code=303)
    cookies.set_session(response, cookie)
    cookies.clear_login(response)
    return response


@router.post("/auth/logout", status_code=204)
async def log_out(_access: CanOwnSession, request: Request, response: Response) -> None:
    """End the session, and take its tokens back at the identity provider."""
    door = door_of(request)
    id_token = await leave(door, _signed_in(request))
    door.cookies.clear_session(response)
    if id_token is not None:
        door.cookies.set_leaving(response, id_token)


@router.get("/auth/logout", status_code=303, response_class=RedirectResponse)
@public
async def log_out_at_provider(request: Request) -> Response:
    """Send the browser to the identity provider to end its session there too; come here after signing out."""
    door = door_of(request)
    url = await provider_address(door, door.cookies.leaving(request.cookies))
    response = RedirectResponse(url, status_code=303)
    door.cookies.clear_leaving(response)
    return response


@provider_router.post("/oidc/backchannel-logout")
@public
async def accept_logout(
    request: Request, response: Response, logout_token: Annotated[str, Form(max_length=16_384)] = ""
) -> None:
    """End the sessions that the identity provider's logout token names."""
    client = request.client.host if request.client else "unknown"
    await provider_logouts.accept(door_of(request), logout_token, client)
    response.headers["Cache-Control"] = "no-store"


@router.get("/session")
def get_session(_access: CanOwnSession, request: Request) -> Session:
    """Say who is signed in, and what they may do."""
    return sessions.describe(_signed_in(request), door_of(request).digests)


@router.get("/api-keys")
def list_api_keys(access: CanManageKeys, request: Request, session: ReadSession) -> Page[ApiKey]:
    """List your API keys."""
    return api_keys.list_own(access, issuer=door_of(request).issuer, session=session)


@router.post("/api-keys", status_code=201)
def create_api_key(
    access: CanManageKeys, _fresh: FreshLogin, request: Request, session: WriteSession, new: NewApiKey
) -> CreatedApiKey:
    """Create an API key; its secret is shown this once."""
    door = door_of(request)
    return api_keys.create(access, new, issuer=door.issuer, digests=door.digests, at=door.clock(), session=session)


@router.delete("/api-keys/{api_key_id}", status_code=204)
def revoke_api_key(access: CanManageKeys, request: Request, session: WriteSession, api_key_id: str) -> None:
    """Revoke one of your API keys."""
    door = door_of(request)
    api_keys.revoke(access, api_key_id, issuer=door.issuer, at=door.clock(), session=session)


def _signed_in(request: Request) -> SignedIn:
    found: SignedIn = request.state.signed_in
    return found


def _came_by_another_name(request: Request, door: Door) -> bool:
    """Whether the browser used `localhost` for `127.0.0.1`; behind a proxy that is not ours to say."""
    return door.settings.is_loopback and request.url.netloc != urlsplit(door.settings.base_url).netloc
