"""Our side of OpenID Connect: authorization code with PKCE, and strict ID tokens.

The same code meets the embedded provider and Keycloak; only the issuer differs.
"""

import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from pydantic import BaseModel, ConfigDict, ValidationError

from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_services.gateway.errors import LoginRefusedError, ProviderUnavailableError, TokenInvalidError
from zhiku_services.gateway.remembered import Remembered

ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
_LEEWAY_S = 30
_MAX_AGE_S = 600
_SCOPE = "openid profile email"

PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True)
class Login:
    """One login under way: what must come back unchanged, and where to go afterwards."""

    state: str
    nonce: str
    verifier: str
    next: str

    @classmethod
    def begin(cls, next_path: str) -> "Login":
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), next_path)

    @property
    def challenge(self) -> str:
        """The PKCE challenge, S256."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Identity:
    """Whom the provider vouches for, and its own name for their session."""

    user: DirectoryUser
    provider_session: str | None


class _Configuration(BaseModel):
    """What we use of `/.well-known/openid-configuration`."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class OpenIdClient:
    """Signs people in at one issuer."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        redirect_uri: str,
        http: httpx2.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._http = http
        self._clock = clock
        self._configuration = Remembered(self._fetch_configuration, clock=clock)
        self._keys = Remembered(self._fetch_keys, clock=clock)

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
            **extra,
        }
        endpoint = (await self._configuration.get()).authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def redeem(self, code: str, login: Login) -> Identity:
        """Change a code for the identity it stands for.

        Raises:
            LoginRefusedError: the provider refused the code, or its ID token fails a check.
            ProviderUnavailableError: the provider does not answer.
        """
        token = await self._exchange(code, login)
        try:
            return _identity(await self.verify(token, login.nonce))
        except TokenInvalidError as error:
            raise LoginRefusedError(error.reason) from error

    async def verify(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that was made for us, by our issuer, for this login.

        Raises:
            TokenInvalidError: one of the checks fails; its reason names which.
        """
        key = await self._key_for(token)
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise TokenInvalidError(_reason(error)) from error
        # joserfc would take a list that holds the right value for the value itself.
        if claims.get("nonce") != nonce:
            raise TokenInvalidError("nonce")
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims.get("azp", self._client_id if len(audiences) == 1 else None) != self._client_id:
            raise TokenInvalidError("azp")
        if self._clock() - claims["iat"] > _MAX_AGE_S:
            raise TokenInvalidError("iat")
        return claims

    async def _key_for(self, token: str) -> PublicKey:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise TokenInvalidError("malformed") from error
        kid = header.get("kid")
        if header.get("alg") not in ALGORITHMS:
            raise TokenInvalidError("alg")
        if not isinstance(kid, str):
            raise TokenInvalidError("kid")
        key = (await self._keys.get()).get(kid) or (await self._keys.get(again=True)).get(kid)
        if key is None:
            raise TokenInvalidError("kid")
        return key

    async def _exchange(self, code: str, login: Login) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": login.verifier,
            "client_id": self._client_id,
        }
        headers = {}
        if self._client_secret is not None:
            credentials = f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
        endpoint = (await self._configuration.get()).token_endpoint
        try:
            response = await self._http.post(endpoint, data=form, headers=headers)
        except httpx2.TransportError as error:
            raise ProviderUnavailableError("token endpoint") from error
        if response.status_code >= 500:
            raise ProviderUnavailableError("token endpoint")
        answer = _json_object(response, "token endpoint")
        if not response.is_success or not isinstance(answer.get("id_token"), str):
            raise LoginRefusedError("code")
        token: str = answer["id_token"]
        return token

    async def _fetch_configuration(self) -> _Configuration:
        document = await self._fetch(f"{self.issuer}/.well-known/openid-configuration", "configuration")
        try:
            configuration = _Configuration.model_validate(document)
        except ValidationError as error:
            raise ProviderUnavailableError("configuration") from error
        if configuration.issuer != self.issuer:
            raise ProviderUnavailableError("configuration for this issuer")
        return configuration

    async def _fetch_keys(self) -> dict[str, PublicKey]:
        document = await self._fetch((await self._configuration.get()).jwks_uri, "keys")
        found: dict[str, PublicKey] = {}
        for data in document.get("keys", []):
            key = _public_key(data)
            if key is not None:
                found[data["kid"]] = key
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


def _json_object(response: httpx2.Response, what: str) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError as error:
        raise ProviderUnavailableError(what) from error
    if not isinstance(document, dict):
        raise ProviderUnavailableError(what)
    return document


def _public_key(data: Any) -> PublicKey | None:
    """A key that may verify an ID token; others in the set are none of our business."""
    if not isinstance(data, dict) or not isinstance(data.get("kid"), str) or data.get("use", "sig") != "sig":
        return None
    try:
        key = import_key(data)
    except (JoseError, ValueError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _reason(error: Exception) -> str:
    """The claim that is wrong, or joserfc's code for what is wrong with the token as a whole."""
    return str(getattr(error, "claim", None) or getattr(error, "error", None) or "malformed")


def _identity(claims: Mapping[str, Any]) -> Identity:
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
    return Identity(user, text("sid", 200) or None)
