"""The authorization-code and refresh-token grants, with PKCE, on Authlib's framework-agnostic parts.

Authlib has no FastAPI provider; what a framework integration must supply is small: a request that answers
`payload`, `args` and `form`, and a response. Codes and access tokens live in memory, for they live a minute
and five, and the provider is one process. Refresh tokens are signed instead, so that sessions outlive a restart.
"""

# Authlib has no types: its classes are `Any` to the type checkers, so deriving from them needs leave.
# mypy: disable-error-code="misc"
# pyright: reportUntypedBaseClass=false, reportIncompatibleMethodOverride=false, reportAssignmentType=false
# ruff: noqa: ARG002 - Authlib prescribes the signatures

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from joserfc.jwk import RSAKey

from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_services.identity_provider.accounts import find_account
from zhiku_services.identity_provider.keys import KeyRing
from zhiku_services.identity_provider.refreshing import (
    ACR,
    REFRESH_LIFETIME_S,
    Refresh,
    RefreshGrant,
    RefreshTokens,
)

_CODE_LIFETIME_S = 60
_TOKEN_LIFETIME_S = 300
_MAX_PENDING = 10_000

SCOPES = ("openid", "profile", "email")


@dataclass(frozen=True)
class WebRequest:
    """What the grants need of an HTTP request; `query` and `body` are form-encoded."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: str
    body: str = ""


@dataclass(frozen=True)
class WebResponse:
    status: int
    body: str | dict[str, Any]
    headers: list[tuple[str, str]]


class _Payload(OAuth2Payload):
    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    @property
    def data(self) -> dict[str, str]:
        return dict(self._pairs)

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value for key, value in self._pairs if key == name] for name, _ in self._pairs}


class _Request(OAuth2Request):
    def __init__(self, request: WebRequest) -> None:
        super().__init__(request.method, request.url, headers=request.headers)
        self._form = dict(parse_qsl(request.body))
        self._query = parse_qsl(request.query)
        self.payload = _Payload([*self._query, *self._form.items()])

    @property
    def args(self) -> dict[str, str]:
        return dict(self._query)

    @property
    def form(self) -> dict[str, str]:
        return self._form


@dataclass(frozen=True)
class Client(ClientMixin):
    """A public client: it has no secret, so PKCE is what binds its codes to it."""

    client_id: str
    redirect_uri: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(name for name in (scope or "").split() if name in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "refresh_token"}


@dataclass(frozen=True)
class _Code:
    """One authorization code, and what it was given for."""

    client_id: str
    redirect_uri: str
    scope: str
    nonce: str
    username: str
    code_challenge: str
    code_challenge_method: str
    given_at: int
    sid: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.given_at

    def get_acr(self) -> str:
        return ACR

    def get_amr(self) -> list[str]:
        return ["pwd"]


@dataclass
class Memory:
    """Codes and access tokens that were given and not yet used up."""

    clock: Callable[[], float] = time.time
    codes: dict[str, _Code] = field(default_factory=dict[str, "_Code"])
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    ended: dict[str, float] = field(default_factory=dict[str, float])
    """Refresh tokens that were used (`jti`) and sessions that ended (`sid`), until they would have expired."""

    def put_code(self, code: str, given: _Code) -> None:
        self.codes = {key: kept for key, kept in self.codes.items() if self._is_fresh(kept)}
        if len(self.codes) >= _MAX_PENDING:
            raise InvalidRequestError("Too many logins are under way.")
        self.codes[code] = given

    def take_code(self, code: str, client_id: str) -> _Code | None:
        """Give the code out once: whoever asks second, or late, or for another client, gets nothing."""
        given = self.codes.pop(code, None)
        return given if given and given.client_id == client_id and self._is_fresh(given) else None

    def put_token(self, token: str, username: str) -> None:
        now = self.clock()
        self.tokens = {key: kept for key, kept in self.tokens.items() if kept[1] > now}
        self.tokens[token] = (username, now + _TOKEN_LIFETIME_S)

    def user_of(self, token: str) -> str | None:
        username, expires_at = self.tokens.get(token, ("", 0.0))
        return username if expires_at > self.clock() else None

    def end(self, token_or_session: str) -> None:
        now = self.clock()
        self.ended = {key: until for key, until in self.ended.items() if until > now}
        self.ended[token_or_session] = now + REFRESH_LIFETIME_S

    def has_ended(self, token_or_session: str) -> bool:
        return token_or_session in self.ended

    def _is_fresh(self, given: _Code) -> bool:
        return given.given_at + _CODE_LIFETIME_S > self.clock()


class _CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code: str, request: Any) -> None:
        data: dict[str, str] = request.payload.data
        memory: Memory = self.server.memory
        memory.put_code(
            code,
            _Code(
                client_id=request.client.client_id,
                redirect_uri=data["redirect_uri"],
                scope=request.scope,
                nonce=data.get("nonce", ""),
                username=request.user.username,
                code_challenge=data["code_challenge"],
                code_challenge_method=data["code_challenge_method"],
                given_at=int(memory.clock()),
                sid=secrets.token_urlsafe(16),
            ),
        )

    def query_authorization_code(self, code: str, client: Client) -> _Code | None:
        return cast("Memory", self.server.memory).take_code(code, client.client_id)

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Nothing is left to delete: `query_authorization_code` took it out."""

    def authenticate_user(self, authorization_code: _Code) -> DirectoryUser | None:
        account = find_account(authorization_code.username)
        return account.user if account else None


class _RequiredChallenge(CodeChallenge):
    """PKCE with S256, always; Authlib alone shows the login page to a request without a challenge."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data: dict[str, str] = grant.request.payload.data
        if "code_challenge" not in data or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with code_challenge_method=S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class _OpenId(OpenIDCode):
    def __init__(self, issuer: str, keys: KeyRing, clock: Callable[[], float]) -> None:
        super().__init__(require_nonce=True)
        self._clock = clock
        self._issuer = issuer
        self._keys = keys

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self._keys.signing_key()

    def get_client_algorithm(self, client: Client) -> str:
        return "RS256"

    def get_encode_header(self, client: Client) -> dict[str, str | None]:
        return {"alg": "RS256", "kid": self._keys.signing_key().kid}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        now = int(self._clock())
        return {
            "iss": self._issuer,
            "aud": client.client_id,
            "azp": client.client_id,
            "iat": now,
            "exp": now + _TOKEN_LIFETIME_S,
        }

    def get_authorization_code_claims(self, authorization_code: _Code | Refresh) -> dict[str, Any]:
        claims: dict[str, Any] = super().get_authorization_code_claims(authorization_code)  # pyright: ignore[reportAttributeAccessIssue]
        return {**claims, "sid": authorization_code.sid}

    def validate_openid_authorization_request(self, grant: Any, redirect_uri: str) -> None:
        # Every login here is typed or clicked anew, so any age is fresh enough; it must only be one.
        max_age: str = grant.request.payload.data.get("max_age", "0")
        if not (max_age.isascii() and max_age.isdigit()):
            raise InvalidRequestError("max_age must be a number of seconds.")
        super().validate_openid_authorization_request(grant, redirect_uri)

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        # A nonce protects the client, which binds it to one browser; a replayed one gains nothing here.
        return False

    def generate_user_info(self, user: DirectoryUser, scope: str) -> dict[str, Any]:
        return user_info(user, scope)


class _RenewedOpenId(_OpenId):
    """The ID token of a renewal: the login it goes on from says when and how its user signed in."""

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_create_token_response", self.process_token)

    def encode_id_token(self, token: dict[str, Any], request: Any) -> str:
        request.authorization_code = request.refresh_token
        encoded: str = super().encode_id_token(token, request)  # pyright: ignore[reportAttributeAccessIssue]
        return encoded


class Provider(AuthorizationServer):
    """The authorization server for the demo accounts and one public client."""

    def __init__(self, issuer: str, client: Client, keys: KeyRing, memory: Memory) -> None:
        super().__init__(scopes_supported=SCOPES)
        self.client = client
        self.memory = memory
        self.register_grant(_CodeGrant, [_RequiredChallenge(required=True), _OpenId(issuer, keys, memory.clock)])
        self.refresh_tokens = RefreshTokens(issuer, keys, memory, memory.clock)
        self.register_grant(RefreshGrant, [_RenewedOpenId(issuer, keys, memory.clock)])
        self.register_token_generator(
            "default",
            BearerTokenGenerator(lambda **_: secrets.token_urlsafe(32), expires_generator=lambda *_: _TOKEN_LIFETIME_S),
        )

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        self.memory.put_token(token["access_token"], request.user.username)
        before: Refresh | None = request.refresh_token
        refresh = before.next() if before else Refresh.begin(request.authorization_code)
        token["refresh_token"] = self.refresh_tokens.sign(refresh)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: WebRequest | _Request) -> _Request:
        return request if isinstance(request, _Request) else _Request(request)

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> WebResponse:
        return WebResponse(status, body, headers)

    def check(self, request: WebRequest) -> None:
        """Check an authorization request before the login page is shown.

        Raises:
            OAuth2Error: it is refused; with a `redirect_uri` if the client may be told.
        """
        self.get_consent_grant(request)

    def grant(self, request: WebRequest, user: DirectoryUser) -> WebResponse:
        """Send the browser back to the client with a code."""
        oauth = self.create_oauth2_request(request)
        found: WebResponse = self.create_authorization_response(
            oauth, grant_user=user, grant=self.get_authorization_grant(oauth)
        )
        return found

    def revoke(self, refresh_token: str) -> None:
        """End the session of a refresh token, if it is one of ours."""
        if refresh := self.refresh_tokens.read(refresh_token):
            self.memory.end(refresh.sid)

    def end_session(self, id_token: str) -> None:
        """End the session that an ID token names, if it is one of ours."""
        if sid := self.refresh_tokens.session_of(id_token):
            self.memory.end(sid)

    def exchange(self, request: WebRequest) -> WebResponse:
        """Answer the token endpoint."""
        found: WebResponse = self.create_token_response(request)
        return found


def user_info(user: DirectoryUser, scope: str) -> dict[str, Any]:
    """The claims about `user` that `scope` opens."""
    claims: dict[str, Any] = {"sub": user.sub}
    if "profile" in scope.split():
        claims |= {"name": user.name, "preferred_username": user.username}
    if "email" in scope.split():
        claims |= {"email": user.email, "email_verified": True}
    return claims
