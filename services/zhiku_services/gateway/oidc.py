"""Our side of OpenID Connect: authorization code with PKCE, strict tokens, renewal and logout.

The same code meets the embedded provider and Keycloak; only the issuer differs.
"""

import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeGuard
from urllib.parse import quote, urlencode

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_services.gateway.errors import (
    LoginRefusedError,
    ProviderUnavailableError,
    RenewalRefusedError,
    TokenInvalidError,
)
from zhiku_services.gateway.keys import VerificationKey, read_keys
from zhiku_services.gateway.remembered import Remembered
from zhiku_services.gateway.tokens import Claims, ProviderLogout, ServiceCaller, TokenVerifier

_LEEWAY_S = 30
_SCOPE = "openid profile email"
_DEFAULT_LIFETIME_S = 300
_OK = 200
_TOO_MANY = 429


@dataclass(frozen=True)
class Login:
    """One login under way: what must come back unchanged, and where to go afterwards.

    `max_age_s` and `acr_values` (separated by blanks) are what a step-up asked for.
    """

    state: str
    nonce: str
    verifier: str
    next: str
    max_age_s: int | None = None
    acr_values: str | None = None

    @classmethod
    def begin(cls, next_path: str, *, max_age_s: int | None = None, acr_values: str | None = None) -> "Login":
        return cls(
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(48),
            next_path,
            max_age_s,
            acr_values,
        )

    @property
    def challenge(self) -> str:
        """The PKCE challenge, S256."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class ProviderTokens:
    """What the provider gave to renew a session with, and to end it; `lifetime_s` is the access token's."""

    id_token: str
    refresh_token: str | None
    lifetime_s: int


@dataclass(frozen=True)
class Identity:
    """Whom the provider vouches for, since when, how they signed in, and its own name for their session."""

    user: DirectoryUser
    provider_session: str | None
    vouched_at: datetime
    authenticated_at: datetime | None
    acr: str | None
    tokens: ProviderTokens


class _Configuration(BaseModel):
    """What we use of `/.well-known/openid-configuration`."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None
    revocation_endpoint: str | None = None


class OpenIdClient:
    """Signs people in at one issuer, and checks what it says about them and about services."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        redirect_uri: str,
        http: httpx2.AsyncClient,
        *,
        internal_url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._http = http
        self._internal_url = (internal_url or issuer).rstrip("/")
        self._clock = clock
        self._configuration = Remembered(self._fetch_configuration, clock=clock)
        self._keys = Remembered(self._fetch_keys, clock=clock)
        self._tokens = TokenVerifier(issuer, self._find_key, clock=clock)

    async def authorization_url(self, login: Login, **extra: str) -> str:
        """Where the browser goes to sign in; `extra` such as `prompt` and `ui_locales` is passed on.

        Raises:
            ProviderUnavailableError: the provider's configuration cannot be read.
        """
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": _SCOPE,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
            **({} if login.max_age_s is None else {"max_age": str(login.max_age_s)}),
            **({} if login.acr_values is None else {"acr_values": login.acr_values}),
            **extra,
        }
        return _address((await self._configuration.get()).authorization_endpoint, query)

    async def redeem(self, code: str, login: Login) -> Identity:
        """Change a code for the identity it stands for.

        Raises:
            LoginRefusedError: the provider refused the code, its ID token fails a check, or the login is not
                as fresh or as strong as was asked for.
            ProviderUnavailableError: the provider does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": login.verifier,
        }
        status, answer = await self._ask_for_tokens(form)
        tokens = _provider_tokens(answer) if status == _OK else None
        if tokens is None:
            raise LoginRefusedError("code")
        try:
            claims = await self.verify(tokens.id_token, login.nonce)
            self._check_step_up(claims, login)
            return _identity(claims, tokens)
        except TokenInvalidError as error:
            raise LoginRefusedError(error.reason) from error

    async def renew(self, before: ProviderTokens, sub: str) -> ProviderTokens:
        """New tokens for the session of `sub`; proof that the provider still lets it live.

        Raises:
            RenewalRefusedError: it does not, or what it gave is not this session's.
            ProviderUnavailableError: the provider does not answer.
        """
        form = {"grant_type": "refresh_token", "refresh_token": before.refresh_token or ""}
        status, answer = await self._ask_for_tokens(form)
        if status != _OK:
            if answer.get("error") == "invalid_grant":
                raise RenewalRefusedError("invalid_grant")
            # Anything else, such as our client's secret having changed, says nothing about the session.
            raise ProviderUnavailableError("token endpoint")
        tokens = _provider_tokens(answer, before)
        if tokens is None:
            raise RenewalRefusedError("malformed")
        if tokens.id_token != before.id_token:
            try:
                claims = await self._tokens.id_token(tokens.id_token, client_id=self._client_id, nonce=None)
            except TokenInvalidError as error:
                raise RenewalRefusedError(error.reason) from error
            if claims["sub"] != sub:
                raise RenewalRefusedError("sub")
        return tokens

    async def revoke(self, tokens: ProviderTokens) -> None:
        """Take the refresh token back at the provider, if it says how.

        Raises:
            ProviderUnavailableError: the provider does not answer.
        """
        endpoint = (await self._configuration.get()).revocation_endpoint
        if endpoint is not None and tokens.refresh_token is not None:
            await self._post(
                endpoint, {"token": tokens.refresh_token, "token_type_hint": "refresh_token"}, "revocation endpoint"
            )

    async def end_session_url(self, id_token: str | None, back_to: str) -> str | None:
        """Where the browser goes to end the provider's own session; None if the provider has no such address.

        Raises:
            ProviderUnavailableError: the provider's configuration cannot be read.
        """
        endpoint = (await self._configuration.get()).end_session_endpoint
        if endpoint is None:
            return None
        hint = {} if id_token is None else {"id_token_hint": id_token}
        return _address(endpoint, {"client_id": self._client_id, "post_logout_redirect_uri": back_to, **hint})

    async def verify(self, token: str, nonce: str) -> Claims:
        """The claims of an ID token that was made for us, by our issuer, for this login.

        Raises:
            TokenInvalidError: one of the checks fails; its reason names which.
        """
        return await self._tokens.id_token(token, client_id=self._client_id, nonce=nonce)

    async def service_caller(self, token: str, *, audience: str, clients: tuple[str, ...]) -> ServiceCaller:
        """Which of `clients` calls with this access token; see `TokenVerifier.access_token`."""
        return await self._tokens.access_token(token, audience=audience, clients=clients)

    async def logout(self, token: str) -> ProviderLogout:
        """Whose session ended, by the provider's logout token; see `TokenVerifier.logout_token`."""
        return await self._tokens.logout_token(token, client_id=self._client_id)

    def _check_step_up(self, claims: Claims, login: Login) -> None:
        """A provider may ignore `max_age` and `acr_values`; we may not."""
        if login.max_age_s is not None:
            authenticated_at = claims.get("auth_time")
            if not _is_time(authenticated_at) or self._clock() - authenticated_at > login.max_age_s + _LEEWAY_S:
                raise TokenInvalidError("auth_time")
        if login.acr_values is not None and claims.get("acr") not in login.acr_values.split():
            raise TokenInvalidError("acr")

    async def _find_key(self, kid: str) -> VerificationKey | None:
        return (await self._keys.get()).get(kid) or (await self._keys.get(again=True)).get(kid)

    async def _ask_for_tokens(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        endpoint = (await self._configuration.get()).token_endpoint
        response = await self._post(endpoint, form, "token endpoint")
        return response.status_code, _json_object(response, "token endpoint")

    async def _post(self, endpoint: str, form: Mapping[str, str], what: str) -> httpx2.Response:
        """Send a form as our client, with its secret if it has one."""
        headers = {}
        if self._client_secret is not None:
            credentials = f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
        try:
            response = await self._http.post(endpoint, data={**form, "client_id": self._client_id}, headers=headers)
        except httpx2.TransportError as error:
            raise ProviderUnavailableError(what) from error
        if response.status_code >= 500 or response.status_code == _TOO_MANY:
            raise ProviderUnavailableError(what)
        return response

    async def _fetch_configuration(self) -> _Configuration:
        document = await self._fetch(f"{self._internal_url}/.well-known/openid-configuration", "configuration")
        try:
            configuration = _Configuration.model_validate(document)
        except ValidationError as error:
            raise ProviderUnavailableError("configuration") from error
        if configuration.issuer != self.issuer:
            raise ProviderUnavailableError("configuration for this issuer")
        return configuration

    async def _fetch_keys(self) -> dict[str, VerificationKey]:
        document = await self._fetch((await self._configuration.get()).jwks_uri, "keys")
        found = read_keys(document.get("keys"))
        if not found:
            raise ProviderUnavailableError("keys")
        return found

    async def _fetch(self, url: str, what: str) -> dict[str, Any]:
        try:
            response = await self._http.get(url)
        except httpx2.TransportError as error:
            raise ProviderUnavailableError(what) from error
        if not response.is_success:
            raise ProviderUnavailableError(what)
        return _json_object(response, what)


def _address(endpoint: str, query: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def _json_object(response: httpx2.Response, what: str) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError as error:
        raise ProviderUnavailableError(what) from error
    if not isinstance(document, dict):
        raise ProviderUnavailableError(what)
    return document


def _provider_tokens(answer: Mapping[str, Any], before: ProviderTokens | None = None) -> ProviderTokens | None:
    """The tokens of an answer; what a renewal does not give anew stays as it was before."""
    id_token = answer.get("id_token", before and before.id_token)
    refresh_token = answer.get("refresh_token", before and before.refresh_token)
    lifetime_s = answer.get("expires_in", _DEFAULT_LIFETIME_S)
    if not isinstance(id_token, str) or not isinstance(refresh_token, str | None):
        return None
    return ProviderTokens(id_token, refresh_token, lifetime_s if _is_time(lifetime_s) else _DEFAULT_LIFETIME_S)


def _is_time(value: Any) -> TypeGuard[int]:
    """Whether `value` is a number of seconds that a date can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 253_402_300_800  # the year 10000


def _identity(claims: Claims, tokens: ProviderTokens) -> Identity:
    def text(name: str, limit: int) -> str:
        value = claims.get(name)
        return value[:limit] if isinstance(value, str) else ""

    username = text("preferred_username", 200) or text("sub", 200)
    try:
        user = DirectoryUser(
            sub=claims["sub"], username=username, name=text("name", 200) or username, email=text("email", 320)
        )
    except ValidationError as error:
        raise TokenInvalidError("sub") from error
    authenticated_at = claims.get("auth_time")
    return Identity(
        user=user,
        provider_session=text("sid", 200) or None,
        vouched_at=datetime.fromtimestamp(claims["iat"], UTC),
        authenticated_at=datetime.fromtimestamp(authenticated_at, UTC) if _is_time(authenticated_at) else None,
        acr=text("acr", 100) or None,
        tokens=tokens,
    )
