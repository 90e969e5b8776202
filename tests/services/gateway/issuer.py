"""An identity provider that signs whatever a test wants, and counts what it is asked."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt

from zhiku_services.gateway.oidc import OpenIdClient

ISSUER = "https://id.example/realms/kb"


@dataclass
class Issuer:
    """An identity provider of its own, with Keycloak's addresses and one key of each kind."""

    keys: dict[str, Any]
    now: float
    is_down: bool = False
    issuer: str = ISSUER
    token_answer: httpx2.Response | None = None
    fetched: list[str] = field(default_factory=list[str])

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/realms/kb")
        self.fetched.append(path)
        if self.is_down:
            raise httpx2.ConnectError("down")
        if path == "/.well-known/openid-configuration":
            protocol = f"{ISSUER}/protocol/openid-connect"
            return httpx2.Response(
                200,
                json={
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{protocol}/auth",
                    "token_endpoint": f"{protocol}/token",
                    "jwks_uri": f"{protocol}/certs",
                },
            )
        if path == "/protocol/openid-connect/certs":
            return httpx2.Response(200, json={"keys": [self.public(kid) for kid in self.keys]})
        assert self.token_answer is not None
        return self.token_answer

    def public(self, kid: str) -> dict[str, Any]:
        key = self.keys[kid]
        return {**key.as_dict(private=False), "kid": kid, "use": "sig"}

    def sign(self, claims: dict[str, Any], *, kid: str = "rsa", alg: str = "RS256", **header: Any) -> str:
        return jwt.encode({"alg": alg, "kid": kid, **header}, claims, self.keys[kid], algorithms=[alg])

    def sign_raw(self, header: str, payload: dict[str, Any], *, kid: str = "rsa") -> str:
        """A token with this very header, signed by `cryptography` alone: joserfc would not sign some of them."""
        parts = [header.encode(), json.dumps(payload).encode()]
        signed = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        signature = self.keys[kid].private_key.sign(signed, PKCS1v15(), SHA256())
        return f"{signed.decode()}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def client(self, secret: str | None = None) -> OpenIdClient:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self.handle))
        return OpenIdClient(ISSUER, "kb-portal", secret, "https://kb.example/cb", http, clock=lambda: self.now)
