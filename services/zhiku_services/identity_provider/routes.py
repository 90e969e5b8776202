"""The OpenID provider's HTTP face, laid out as Keycloak's: `/realms/zhiku/protocol/openid-connect/…`."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2 import OAuth2Error
from fastapi import Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from zhiku_platform.access import public
from zhiku_platform.errors import ForbiddenError, NotSignedInError, PayloadTooLargeError
from zhiku_platform.http import GuardedRouter
from zhiku_services.identity_provider.accounts import check_password, find_account
from zhiku_services.identity_provider.grants import (
    SCOPES,
    Memory,
    Provider,
    WebRequest,
    WebResponse,
    user_info,
)
from zhiku_services.identity_provider.keys import KeyRing
from zhiku_services.identity_provider.pages import (
    HEADERS,
    Language,
    choose_language,
    login_page,
    refused_page,
    signed_out_page,
)
from zhiku_services.identity_provider.refreshing import ACR

REALM = "/realms/zhiku"
PROTOCOL = f"{REALM}/protocol/openid-connect"
_STYLESHEET = f"{REALM}/login.css"
_MAX_FORM_BYTES = 64 * 1024

router = GuardedRouter(include_in_schema=False)


@router.get(f"{REALM}/.well-known/openid-configuration")
@public
def discovery(request: Request) -> dict[str, Any]:
    """Say where everything is."""
    issuer: str = request.app.state.issuer
    protocol = issuer + PROTOCOL.removeprefix(REALM)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{protocol}/auth",
        "token_endpoint": f"{protocol}/token",
        "userinfo_endpoint": f"{protocol}/userinfo",
        "jwks_uri": f"{protocol}/certs",
        "end_session_endpoint": f"{protocol}/logout",
        "revocation_endpoint": f"{protocol}/revoke",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "acr_values_supported": [ACR],
        "prompt_values_supported": ["login"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "ui_locales_supported": ["zh", "en"],
        "claims_supported": [
            "sub",
            "name",
            "preferred_username",
            "email",
            "email_verified",
            "acr",
            "auth_time",
            "sid",
        ],
    }


@router.get(f"{PROTOCOL}/certs")
@public
def certificates(request: Request) -> dict[str, Any]:
    """The public keys."""
    keys: KeyRing = request.app.state.keys
    return keys.public_keys()


@router.get(f"{PROTOCOL}/auth")
@public
async def show_login(request: Request) -> Response:
    """Show the login page for a good authorization request."""
    refused = _refuse(request)
    return refused or HTMLResponse(
        login_page(request.url.query, _language(request), stylesheet=_STYLESHEET), headers=HEADERS
    )


@router.post(f"{PROTOCOL}/auth")
@public
async def log_in(request: Request) -> Response:
    """Check the password, and send the browser back to the client with a code."""
    _refuse_other_origins(request)
    if refused := _refuse(request):
        return refused
    form = dict(parse_qsl(await _read_form(request)))
    username = form.get("username", "")
    account = check_password(username, form.get("password", ""))
    if account is None:
        page = login_page(request.url.query, _language(request), stylesheet=_STYLESHEET, username=username, wrong=True)
        return HTMLResponse(page, status_code=401, headers=HEADERS)
    provider: Provider = request.app.state.provider
    return _answer(provider.grant(_web(request), account.user))


@router.post(f"{PROTOCOL}/token")
@public
async def token(request: Request) -> Response:
    """Change a code, or a refresh token, for an ID token, an access token and a refresh token."""
    provider: Provider = request.app.state.provider
    return _answer(provider.exchange(_web(request, await _read_form(request))))


@router.post(f"{PROTOCOL}/revoke")
@public
async def revoke(request: Request) -> Response:
    """End the session of a refresh token; for a token that is none, there is nothing to do (RFC 7009)."""
    provider: Provider = request.app.state.provider
    provider.revoke(dict(parse_qsl(await _read_form(request))).get("token", ""))
    return Response(headers={"Cache-Control": "no-store"})


@router.get(f"{PROTOCOL}/userinfo")
@public
def userinfo(request: Request) -> dict[str, Any]:
    """The claims of whoever the access token was given for."""
    memory: Memory = request.app.state.memory
    username = memory.user_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
    account = find_account(username or "")
    if account is None:
        raise NotSignedInError("The access token is unknown or expired.", remedy="Sign in again.")
    return user_info(account.user, " ".join(SCOPES))


@router.get(f"{PROTOCOL}/logout")
@public
def end_session(request: Request) -> Response:
    """End the session that the ID token names, and send the browser on."""
    provider: Provider = request.app.state.provider
    provider.end_session(request.query_params.get("id_token_hint", ""))
    target = request.query_params.get("post_logout_redirect_uri", "")
    if target and _origin(target) == _origin(provider.client.redirect_uri):
        return RedirectResponse(target, status_code=303)
    page = signed_out_page(_language(request), stylesheet=_STYLESHEET, home=_origin(provider.client.redirect_uri))
    return HTMLResponse(page, headers=HEADERS)


@router.get(_STYLESHEET)
@public
def stylesheet() -> FileResponse:
    """The login page's looks."""
    return FileResponse(Path(__file__).parent / "login.css", headers={"X-Content-Type-Options": "nosniff"})


def _refuse(request: Request) -> Response | None:
    """The answer to a bad authorization request, or None if it is good."""
    provider: Provider = request.app.state.provider
    if not _may_be_told(request, provider):
        page = refused_page(_language(request), stylesheet=_STYLESHEET, home=_origin(provider.client.redirect_uri))
        return HTMLResponse(page, status_code=400, headers=HEADERS)
    try:
        provider.check(_web(request))
    except OAuth2Error as error:
        return _answer(WebResponse(*error()))
    return None


def _may_be_told(request: Request, provider: Provider) -> bool:
    """Whether the client is ours and the redirect its own; if not, an error must not be redirected.

    What Authlib would quote in an error has to be plain as well: OAuth allows no other characters there.
    """
    query = request.query_params
    plain = query.get("response_type", "").replace(" ", "").isalnum()
    return (
        plain
        and query.get("client_id") == provider.client.client_id
        and query.getlist("redirect_uri") == [provider.client.redirect_uri]
    )


def _refuse_other_origins(request: Request) -> None:
    """A login form posted by somebody else's page would sign the reader in as somebody else."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != _origin(request.app.state.issuer):
        raise ForbiddenError("This form was sent by another site.", remedy="Open Zhiku and sign in there.")


async def _read_form(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise PayloadTooLargeError("The form is larger than 64 KiB.", remedy="Send only the fields of the form.")
    return body.decode("utf-8", "replace")


def _web(request: Request, body: str = "") -> WebRequest:
    # The issuer's address, not the Host header, says whether the transport is secure enough.
    return WebRequest(request.method, request.app.state.issuer, dict(request.headers), request.url.query, body)


def _answer(found: WebResponse) -> Response:
    headers = {**dict(found.headers), "Cache-Control": "no-store"}
    if found.status == 302:
        return Response(status_code=303, headers={**HEADERS, **headers})
    return JSONResponse(found.body, found.status, {k: v for k, v in headers.items() if k != "Content-Type"})


def _language(request: Request) -> Language:
    return choose_language(request.url.query, request.headers.get("Accept-Language", ""))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
