"""ID tokens: what is accepted, and every known way to forge one."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from zhiku_services.gateway.errors import LoginRefusedError, ProviderUnavailableError, TokenInvalidError
from zhiku_services.gateway.oidc import Login, OpenIdClient

from .issuer import ISSUER, Issuer

NOW = 1_800_000_000


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        "rsa": RSAKey.generate_key(2048),
        "ec": ECKey.generate_key("P-256"),
        "okp": OKPKey.generate_key("Ed25519"),
    }


@pytest.fixture
def issuer(keys: dict[str, Any]) -> Issuer:
    return Issuer(dict(keys), NOW)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; None takes one away."""
    good = {
        "iss": ISSUER,
        "aud": "kb-portal",
        "azp": "kb-portal",
        "sub": "0b7e",
        "nonce": "n-1",
        "iat": NOW,
        "exp": NOW + 300,
        "typ": "ID",
        "preferred_username": "li",
        "sid": "s-1",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def verify(issuer: Issuer, token: str, client: OpenIdClient | None = None) -> dict[str, Any]:
    return dict(asyncio.run((client or issuer.client()).verify(token, "n-1")))


@pytest.mark.parametrize(("kid", "alg"), [("rsa", "RS256"), ("ec", "ES256"), ("okp", "Ed25519"), ("okp", "EdDSA")])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # and what Keycloak still calls it
def test_a_good_token_is_accepted(issuer: Issuer, kid: str, alg: str) -> None:
    assert verify(issuer, issuer.sign(claims(), kid=kid, alg=alg))["sub"] == "0b7e"


def test_a_token_for_us_among_others_is_accepted_if_it_was_made_for_us(issuer: Issuer) -> None:
    assert verify(issuer, issuer.sign(claims(aud=["account", "kb-portal"])))["azp"] == "kb-portal"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://id.example/realms/kb/"}, "iss"),
        ({"iss": "https://evil.example/realms/kb"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "account"}, "aud"),
        ({"aud": ["account"]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"azp": "another-client"}, "azp"),
        ({"aud": ["account", "kb-portal"], "azp": None}, "azp"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["n-1"]}, "nonce"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
        ({"exp": NOW - 31}, "expired_token"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": NOW + 31}, "iat"),
        ({"iat": NOW - 601}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": NOW + 31}, "nbf"),
    ],
)
def test_a_wrong_claim_is_refused_by_its_name(issuer: Issuer, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenInvalidError) as refused:
        verify(issuer, issuer.sign(claims(**changes)))
    assert refused.value.reason in {reason, "exp" if reason == "expired_token" else reason}


def test_clocks_may_differ_by_half_a_minute(issuer: Issuer) -> None:
    assert verify(issuer, issuer.sign(claims(exp=NOW - 29, iat=NOW + 29)))


def _encode(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _unsigned(issuer: Issuer) -> str:
    return _encode({"alg": "none", "kid": "rsa"}, claims())


def _unsigned_in_capitals(issuer: Issuer) -> str:
    return _encode({"alg": "NoNe", "kid": "rsa"}, claims())


def _stripped(issuer: Issuer) -> str:
    return issuer.sign(claims()).rsplit(".", 1)[0] + "."


def _public_key_as_secret(issuer: Issuer) -> str:
    signed = _encode({"alg": "HS256", "kid": "rsa"}, claims()).removesuffix(".")
    digest = hmac.digest(issuer.keys["rsa"].as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _own_key_in_the_header(issuer: Issuer) -> str:
    own = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "kid": "rsa", "jwk": own.as_dict(private=False)}
    return jwt.encode(header, claims(), own, algorithms=["RS256"])


def _own_key_by_its_kid(issuer: Issuer) -> str:
    return jwt.encode({"alg": "RS256", "kid": "rsa"}, claims(), RSAKey.generate_key(2048), algorithms=["RS256"])


def _algorithm_of_another_key(issuer: Issuer) -> str:
    return jwt.encode({"alg": "ES256", "kid": "rsa"}, claims(), issuer.keys["ec"], algorithms=["ES256"])


def _algorithm_off_the_list(issuer: Issuer) -> str:
    return jwt.encode({"alg": "RS512", "kid": "rsa"}, claims(), issuer.keys["rsa"], algorithms=["RS512"])


def _without_kid(issuer: Issuer) -> str:
    return jwt.encode({"alg": "RS256"}, claims(), issuer.keys["rsa"], algorithms=["RS256"])


def _changed_after_signing(issuer: Issuer) -> str:
    head, _, signature = issuer.sign(claims()).split(".")
    payload = urlsafe_b64encode(json.dumps(claims(sub="zhao")).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}.{signature}"


@pytest.mark.parametrize(
    "forge",
    [
        _unsigned,
        _unsigned_in_capitals,
        _stripped,
        _public_key_as_secret,
        _own_key_in_the_header,
        _own_key_by_its_kid,
        _algorithm_of_another_key,
        _algorithm_off_the_list,
        _without_kid,
        _changed_after_signing,
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_forged_token_is_refused(issuer: Issuer, forge: Callable[[Issuer], str]) -> None:
    with pytest.raises(TokenInvalidError):
        verify(issuer, forge(issuer))


@pytest.mark.parametrize("rubbish", ["", "a", "a.b.c", "..", "é.é.é", "e30.e30.e30", "a." * 1000])
def test_rubbish_is_refused(issuer: Issuer, rubbish: str) -> None:
    with pytest.raises(TokenInvalidError):
        verify(issuer, rubbish)


def test_a_symmetric_key_among_the_published_ones_is_never_used(issuer: Issuer) -> None:
    shared = OctKey.generate_key(256)
    token = jwt.encode({"alg": "HS256", "kid": "oct"}, claims(), shared, algorithms=["HS256"])

    def with_secret(request: httpx2.Request) -> httpx2.Response:
        response = issuer.handle(request)
        if request.url.path.endswith("/certs"):
            published = [{**shared.as_dict(), "kid": "oct"}, issuer.public("rsa")]
            return httpx2.Response(200, json={"keys": published})
        return response

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(with_secret))
    client = OpenIdClient(ISSUER, "kb-portal", None, "https://kb.example/cb", http, clock=lambda: NOW)
    with pytest.raises(TokenInvalidError):
        verify(issuer, token, client)


def test_a_new_key_is_fetched_when_its_first_token_comes(issuer: Issuer) -> None:
    async def scenario() -> None:
        client = issuer.client()
        await client.verify(issuer.sign(claims()), "n-1")
        issuer.keys["new"] = ECKey.generate_key("P-256")
        issuer.now += 31
        await client.verify(issuer.sign(claims(), kid="new", alg="ES256"), "n-1")

    asyncio.run(scenario())


def test_a_flood_of_unknown_keys_does_not_reach_the_provider(issuer: Issuer) -> None:
    async def scenario() -> int:
        client = issuer.client()
        await client.verify(issuer.sign(claims()), "n-1")
        for second in range(60):
            issuer.now = NOW + second
            for n in range(20):
                forged = jwt.encode(
                    {"alg": "ES256", "kid": f"{second}-{n}"},
                    claims(),
                    issuer.keys["ec"],
                    algorithms=["ES256"],
                )
                with pytest.raises(TokenInvalidError):
                    await client.verify(forged, "n-1")
        return issuer.fetched.count("/protocol/openid-connect/certs")

    # Once at the start, and once after 30 s.
    assert asyncio.run(scenario()) == 2


def test_many_logins_at_once_fetch_the_keys_once(issuer: Issuer) -> None:
    async def scenario() -> None:
        client, token = issuer.client(), issuer.sign(claims())
        await asyncio.gather(*(client.verify(token, "n-1") for _ in range(20)))

    asyncio.run(scenario())
    assert issuer.fetched.count("/protocol/openid-connect/certs") == 1


def test_the_last_good_keys_serve_while_the_provider_is_down(issuer: Issuer) -> None:
    async def scenario() -> None:
        client = issuer.client()
        await client.verify(issuer.sign(claims()), "n-1")
        issuer.is_down = True
        issuer.now += 5000
        await client.verify(issuer.sign(claims(iat=NOW + 5000, exp=NOW + 5300)), "n-1")

    asyncio.run(scenario())


def test_a_provider_that_never_answered_is_unavailable_until_it_does(issuer: Issuer) -> None:
    async def scenario() -> None:
        client = issuer.client()
        issuer.is_down = True
        with pytest.raises(ProviderUnavailableError):
            await client.authorization_url(Login.begin("/"))
        issuer.is_down = False
        issuer.now += 1
        assert (await client.authorization_url(Login.begin("/"))).startswith(f"{ISSUER}/protocol/")

    asyncio.run(scenario())


def test_a_configuration_of_another_issuer_is_not_used(issuer: Issuer) -> None:
    issuer.issuer = "https://evil.example/realms/kb"
    with pytest.raises(ProviderUnavailableError):
        asyncio.run(issuer.client().authorization_url(Login.begin("/")))


def test_a_confidential_client_proves_itself(issuer: Issuer) -> None:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return issuer.handle(request)

    issuer.token_answer = httpx2.Response(200, json={"id_token": issuer.sign(claims())})
    login = Login(state="s", nonce="n-1", verifier="v" * 64, next="/")
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    client = OpenIdClient(ISSUER, "kb-portal", "p@ss:w", "https://kb.example/cb", http, clock=lambda: NOW)
    identity = asyncio.run(client.redeem("code", login))
    assert (identity.user.sub, identity.user.username, identity.provider_session) == ("0b7e", "li", "s-1")
    (request,) = [request for request in seen if request.url.path.endswith("/token")]
    assert request.headers["Authorization"] == "Basic a2ItcG9ydGFsOnAlNDBzcyUzQXc="
    assert b"code_verifier=" + b"v" * 64 in request.content


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(400, json={"error": "invalid_grant"}), LoginRefusedError),
        (httpx2.Response(200, json={"access_token": "x"}), LoginRefusedError),
        (httpx2.Response(500, text="oops"), ProviderUnavailableError),
        (httpx2.Response(200, text="<html>"), ProviderUnavailableError),
        (httpx2.Response(200, json=["x"]), ProviderUnavailableError),
    ],
)
def test_a_token_endpoint_that_does_not_deliver_is_no_login(
    issuer: Issuer, answer: httpx2.Response, error: type[Exception]
) -> None:
    issuer.token_answer = answer
    with pytest.raises(error):
        asyncio.run(issuer.client().redeem("code", Login.begin("/")))


def test_the_token_of_another_login_is_refused(issuer: Issuer) -> None:
    issuer.token_answer = httpx2.Response(200, json={"id_token": issuer.sign(claims(nonce="of-another"))})
    with pytest.raises(LoginRefusedError) as refused:
        asyncio.run(issuer.client().redeem("code", Login.begin("/")))
    assert refused.value.reason == "nonce"
