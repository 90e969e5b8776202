"""Refresh tokens: signed, used once each, and worth nothing once their session ended."""

# mypy: disable-error-code="misc"
# pyright: reportUntypedBaseClass=false, reportIncompatibleMethodOverride=false

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from joserfc import jwt
from joserfc.errors import JoseError

from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_services.identity_provider.accounts import find_account
from zhiku_services.identity_provider.keys import KeyRing

REFRESH_LIFETIME_S = 24 * 3600
ACR = "1"
"""What a login here is worth: one password, typed or clicked just now. There is no stronger one."""

_TYP = "Refresh"


class Ended(Protocol):
    """Which refresh tokens were used, and which sessions ended."""

    def end(self, token_or_session: str) -> None: ...

    def has_ended(self, token_or_session: str) -> bool: ...


@dataclass(frozen=True)
class Refresh:
    """One refresh token, and the login that it goes on from."""

    jti: str
    client_id: str
    username: str
    scope: str
    sid: str
    given_at: int

    @classmethod
    def begin(cls, login: Any) -> "Refresh":
        """The first token of a login; `login` is its authorization code."""
        return cls(secrets.token_urlsafe(16), login.client_id, login.username, login.scope, login.sid, login.given_at)

    def next(self) -> "Refresh":
        """The token that takes the place of this one."""
        return replace(self, jti=secrets.token_urlsafe(16))

    def check_client(self, client: Any) -> bool:
        return bool(client.client_id == self.client_id)

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> None:
        return None

    def get_auth_time(self) -> int:
        return self.given_at

    def get_acr(self) -> str:
        return ACR

    def get_amr(self) -> list[str]:
        return ["pwd"]


class RefreshTokens:
    """Signs refresh tokens and reads them back."""

    def __init__(self, issuer: str, keys: KeyRing, ended: Ended, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._keys = keys
        self._ended = ended
        self._clock = clock

    def sign(self, refresh: Refresh) -> str:
        key = self._keys.signing_key()
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "typ": _TYP,
            "exp": int(self._clock()) + REFRESH_LIFETIME_S,
            **asdict(refresh),
        }
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)

    def read(self, token: str) -> Refresh | None:
        """The refresh token, or None if it is not ours, was used, is too old, or its session ended."""
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._issuer},
            typ={"essential": True, "value": _TYP},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._keys.verification_keys(), algorithms=["RS256"]).claims
            registry.validate(claims)
        except (JoseError, ValueError):
            return None
        refresh = Refresh(**{name: claims[name] for name in Refresh.__dataclass_fields__})
        if self._ended.has_ended(refresh.jti) or self._ended.has_ended(refresh.sid):
            return None
        return refresh

    def session_of(self, id_token: str) -> str | None:
        """The session that an ID token of ours names, however old; None if it is not ours."""
        try:
            claims = jwt.decode(id_token, self._keys.verification_keys(), algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return None
        return str(claims["sid"]) if claims.get("iss") == self._issuer and "sid" in claims else None


class RefreshGrant(RefreshTokenGrant):
    """Changes a refresh token for new tokens; the old one is used up."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        found: Refresh | None = self.server.refresh_tokens.read(refresh_token)
        return found

    def authenticate_user(self, refresh_token: Refresh) -> DirectoryUser | None:
        account = find_account(refresh_token.username)
        return account.user if account else None

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        self.server.memory.end(refresh_token.jti)
