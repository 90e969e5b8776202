"""What the identity provider signs, and what we check before we believe it.

Three kinds of token reach us: the ID token of a login, the access token of a service, and the logout token of
a back-channel logout. Each is refused in the place of another.
"""

import json
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from zhiku_services.gateway.errors import TokenInvalidError
from zhiku_services.gateway.keys import ALGORITHMS, VerificationKey

Claims = Mapping[str, Any]
FindKey = Callable[[str], Awaitable[VerificationKey | None]]

_LEEWAY_S = 30
_MAX_TOKEN_CHARS = 16_384
_MAX_AGE_S = 600
_MAX_ACCESS_LIFETIME_S = 3600
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_ACCESS_HEADERS = frozenset({"at+jwt", "application/at+jwt"})


@dataclass(frozen=True)
class ServiceCaller:
    """A service that authenticated with its own credentials; `client_id` is on the list of those we let in."""

    client_id: str


@dataclass(frozen=True)
class ProviderLogout:
    """The provider's word that a session ended: the one named `sid`, or all of `sub` where that is None."""

    token_id: str
    sid: str | None
    sub: str | None
    at: datetime
    expires_at: datetime


class TokenVerifier:
    """Checks tokens of one issuer; `find_key` gives the key of a `kid`, or None if the issuer has none."""

    def __init__(self, issuer: str, find_key: FindKey, *, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._find_key = find_key
        self._clock = clock

    async def id_token(self, token: str, *, client_id: str, nonce: str | None) -> Claims:
        """The claims of an ID token that was made for `client_id` and the login of `nonce`.

        None as the nonce is for the token of a renewal, which has no login of its own.

        Raises:
            TokenInvalidError: one of the checks fails; its reason names which.
        """
        header, claims = await self._signed(token)
        _refuse_unless(_typ(header) in {None, "jwt"}, "typ")
        _refuse_unless(claims.get("typ", "ID") == "ID", "typ")
        # joserfc would take a list that holds the right value for the value itself.
        _refuse_unless(nonce is None or claims.get("nonce") == nonce, "nonce")
        audiences = _audiences(claims)
        _refuse_unless(client_id in audiences, "aud")
        _refuse_unless(claims.get("azp", client_id if len(audiences) == 1 else None) == client_id, "azp")
        _refuse_unless(self._clock() - claims["iat"] <= _MAX_AGE_S, "iat")
        return claims

    async def access_token(self, token: str, *, audience: str, clients: Collection[str]) -> ServiceCaller:
        """Which of `clients` calls, by an access token of its own service account for `audience`.

        A person's token is refused even if it was made for one of `clients`.

        Raises:
            TokenInvalidError: one of the checks fails; its reason names which.
        """
        header, claims = await self._signed(token)
        is_marked = _typ(header) in _ACCESS_HEADERS
        _refuse_unless(is_marked or _typ(header) in {None, "jwt"}, "typ")
        _refuse_unless(claims.get("typ", "Bearer" if is_marked else None) == "Bearer", "typ")
        _refuse_unless(audience in _audiences(claims), "aud")
        caller = claims.get("azp", claims.get("client_id"))
        _refuse_unless(isinstance(caller, str) and caller in clients, "azp")
        _refuse_unless(claims.get("client_id", caller) == caller, "client_id")
        # What only somebody who signed in has: a session, a login's time, and a name that is not the service's.
        _refuse_unless(not claims.keys() & {"sid", "session_state", "auth_time", "nonce"}, "sid")
        own_name = f"service-account-{caller}"
        _refuse_unless(claims.get("preferred_username", own_name) == own_name, "preferred_username")
        _refuse_unless(claims["exp"] - claims["iat"] <= _MAX_ACCESS_LIFETIME_S, "exp")
        return ServiceCaller(str(caller))

    async def logout_token(self, token: str, *, client_id: str) -> ProviderLogout:
        """Whose session ended, by OpenID Connect Back-Channel Logout 1.0, section 2.6.

        Whether its id was used before is for the caller to check.

        Raises:
            TokenInvalidError: one of the checks fails; its reason names which.
        """
        header, claims = await self._signed(token, required=())
        _refuse_unless(_typ(header) in {None, "jwt", "logout+jwt"}, "typ")
        _refuse_unless(claims.get("typ", "Logout") == "Logout", "typ")
        _refuse_unless(client_id in _audiences(claims), "aud")
        _refuse_unless("nonce" not in claims, "nonce")
        events = claims.get("events")
        _refuse_unless(isinstance(events, dict) and isinstance(events.get(_LOGOUT_EVENT), dict), "events")
        token_id = _text(claims, "jti")
        _refuse_unless(token_id is not None, "jti")
        sid, sub = _text(claims, "sid"), _text(claims, "sub")
        _refuse_unless(sid is not None or sub is not None, "sub")
        _refuse_unless(self._clock() - claims["iat"] <= _MAX_AGE_S, "iat")
        return ProviderLogout(str(token_id), sid, sub, _moment(claims["iat"]), _moment(claims["exp"] + _LEEWAY_S + 1))

    async def _signed(self, token: str, required: tuple[str, ...] = ("sub",)) -> tuple[Claims, Claims]:
        """Header and claims of a token that our issuer signed and whose time is now."""
        header = _header(token)
        key = await self._find_key(header["kid"])
        _refuse_unless(key is not None, "kid")
        assert key is not None
        _refuse_unless(header["alg"] in key.algorithms, "alg")
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            claims = jwt.decode(token, key.key, algorithms=ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise TokenInvalidError(_reason(error)) from error
        _unambiguous(token.split(".")[1])
        _refuse_unless(claims["iss"] == self._issuer, "iss")
        for name in required:
            _refuse_unless(_text(claims, name) is not None, name)
        return header, claims


def _header(token: str) -> Claims:
    """The header of a token that says nothing we do not understand.

    Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are never looked at: a token cannot say which
    key to believe.
    """
    if len(token) > _MAX_TOKEN_CHARS or token.count(".") != 2:
        raise TokenInvalidError("malformed")
    header = _unambiguous(token.split(".", 1)[0])
    _refuse_unless(header.get("alg") in ALGORITHMS, "alg")
    _refuse_unless("crit" not in header and "b64" not in header, "crit")
    kid = header.get("kid")
    _refuse_unless(isinstance(kid, str) and 0 < len(kid) <= 200, "kid")
    return header


def _unambiguous(part: str) -> Claims:
    """A part of a token, if it is an object and no name in it stands twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise TokenInvalidError("duplicate")
        return found

    try:
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=once)
    except (ValueError, Base64Error, RecursionError) as error:
        raise TokenInvalidError("malformed") from error
    if not isinstance(value, dict):
        raise TokenInvalidError("malformed")
    return value


def _refuse_unless(is_right: bool, reason: str) -> None:
    if not is_right:
        raise TokenInvalidError(reason)


def _typ(header: Claims) -> str | None:
    typ = header.get("typ")
    return None if typ is None else str(typ).lower()


def _audiences(claims: Claims) -> list[Any]:
    audience = claims["aud"]
    return audience if isinstance(audience, list) else [audience]


def _text(claims: Claims, name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= 200 else None


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise TokenInvalidError("exp") from error


def _reason(error: Exception) -> str:
    """The claim that is wrong, or joserfc's code for what is wrong with the token as a whole."""
    return str(getattr(error, "claim", None) or getattr(error, "error", None) or "malformed")
