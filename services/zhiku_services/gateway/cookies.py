"""The gateway's cookies: the session, a login under way, and a logout under way."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.responses import Response

from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.oidc import Login

_LOGIN_LIFETIME_S = 600
_LEAVING_LIFETIME_S = 60
_MAX_COOKIE_CHARS = 3500
_LEAVING = "leaving"


class Cookies:
    """Sets, reads and clears our cookies: HttpOnly, SameSite=Lax, and bound to this host over HTTPS."""

    def __init__(
        self,
        digests: Digests,
        *,
        secure: bool,
        session_lifetime_s: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secure = secure
        self._clock = clock
        self._session_lifetime_s = session_lifetime_s
        self._digests = digests
        self._key = OctKey.import_key(digests.key("login"))
        # Browsers accept the `__Host-` names over HTTPS only, and then from this very host only.
        self._session = "__Host-zhiku" if secure else "zhiku_session"
        self._login = "__Host-zhiku-login" if secure else "zhiku_login"
        self._leaving = "__Host-zhiku-leaving" if secure else "zhiku_leaving"

    def session(self, cookies: Mapping[str, str]) -> str | None:
        return cookies.get(self._session)

    def set_session(self, response: Response, value: str) -> None:
        self._set(response, self._session, value, self._session_lifetime_s)

    def clear_session(self, response: Response) -> None:
        self._set(response, self._session, "", 0)

    def set_login(self, response: Response, login: Login) -> None:
        """Keep a login in the browser that began it, sealed against change, for ten minutes."""
        claims = {**asdict(login), "exp": int(self._clock()) + _LOGIN_LIFETIME_S}
        self._set(response, self._login, jwt.encode({"alg": "HS256"}, claims, self._key), _LOGIN_LIFETIME_S)

    def login(self, cookies: Mapping[str, str]) -> Login | None:
        """The login that this browser began, or None if it did not, or too long ago."""
        registry = jwt.JWTClaimsRegistry(now=lambda: int(self._clock()), exp={"essential": True})
        try:
            claims = jwt.decode(cookies.get(self._login, ""), self._key, algorithms=["HS256"]).claims
            registry.validate(claims)
        except (JoseError, ValueError):
            return None
        return Login(
            claims["state"],
            claims["nonce"],
            claims["verifier"],
            claims["next"],
            claims.get("max_age_s"),
            claims.get("acr_values"),
        )

    def clear_login(self, response: Response) -> None:
        self._set(response, self._login, "", 0)

    def set_leaving(self, response: Response, id_token: str) -> None:
        """Keep the ID token of a session that just ended, sealed, until the browser has been to the provider.

        One too long for a cookie is left out; the provider then asks its user to confirm.
        """
        sealed = self._digests.seal(_LEAVING, "", id_token)
        if len(sealed) <= _MAX_COOKIE_CHARS:
            self._set(response, self._leaving, sealed, _LEAVING_LIFETIME_S)

    def leaving(self, cookies: Mapping[str, str]) -> str | None:
        """The ID token of the session that this browser just ended, or None."""
        return self._digests.unseal(_LEAVING, "", cookies.get(self._leaving, ""))

    def clear_leaving(self, response: Response) -> None:
        self._set(response, self._leaving, "", 0)

    def _set(self, response: Response, name: str, value: str, max_age_s: int) -> None:
        response.set_cookie(
            name, value, max_age=max_age_s, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
