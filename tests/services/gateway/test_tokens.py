"""The three kinds of token: what each must say, and every known way to forge one."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from zhiku_services.gateway.errors import TokenInvalidError
from zhiku_services.gateway.keys import read_keys
from zhiku_services.gateway.oidc import OpenIdClient

from .issuer import ISSUER, Issuer

NOW = 1_800_000_000
CERTS = "/protocol/openid-connect/certs"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
Claims = dict[str, Any]

KINDS: dict[str, Claims] = {
    "id": {"aud": "kb-portal", "azp": "kb-portal", "sub": "0b7e", "nonce": "n-1", "typ": "ID"},
    "access": {
        "aud": ["zhiku-api", "account"],
        "azp": "svc-crawler",
        "client_id": "svc-crawler",
        "sub": "5b0c",
        "typ": "Bearer",
        "preferred_username": "service-account-svc-crawler",
    },
    "logout": {"aud": "kb-portal", "jti": "j-1", "sub": "0b7e", "sid": "s-1", "events": {LOGOUT_EVENT: {}}},
}


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {"rsa": RSAKey.generate_key(2048), "other": RSAKey.generate_key(2048), "ec": ECKey.generate_key("P-256")}


@pytest.fixture
def issuer(keys: dict[str, Any]) -> Issuer:
    return Issuer({"rsa": keys["rsa"], "ec": keys["ec"]}, NOW)


def claims(kind: str, **changes: Any) -> Claims:
    """The claims of a good token, changed; None takes one away."""
    whole = {"iss": ISSUER, "iat": NOW, "exp": NOW + 300, **KINDS[kind], **changes}
    return {name: value for name, value in whole.items() if value is not None}


async def check(client: OpenIdClient, kind: str, token: str) -> object:
    if kind == "id":
        return await client.verify(token, "n-1")
    if kind == "access":
        return await client.service_caller(token, audience="zhiku-api", clients=("svc-crawler",))
    return await client.logout(token)


def refusal(issuer: Issuer, kind: str, token: str, client: OpenIdClient | None = None) -> str:
    """Why a token was refused; empty if it was not."""
    try:
        asyncio.run(check(client or issuer.client(), kind, token))
    except TokenInvalidError as error:
        return error.reason
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_token_is_accepted(issuer: Issuer, kind: str) -> None:
    assert refusal(issuer, kind, issuer.sign(claims(kind))) == ""
    assert refusal(issuer, kind, issuer.sign_raw('{"alg":"RS256","kid":"rsa"}', claims(kind))) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example/realms/kb"}, "iss"),
        ({"iss": [ISSUER]}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": NOW - 31}, "expired_token"),
        ({"exp": None}, "exp"),
        ({"nbf": NOW + 31}, "nbf"),
        ({"iat": NOW + 31}, "iat"),
        ({"iat": None}, "iat"),
        ({"typ": "Offline"}, "typ"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_all_kinds_must_say_is_checked_in_each(issuer: Issuer, kind: str, changes: Claims, reason: str) -> None:
    found = refusal(issuer, kind, issuer.sign(claims(kind, **changes)))
    assert found in {reason, "exp" if reason == "expired_token" else reason}


@pytest.mark.parametrize(
    ("changes", "header", "reason"),
    [
        ({"azp": "svc-stranger", "client_id": None}, {}, "azp"),
        ({"azp": "kb-portal"}, {}, "azp"),
        ({"azp": ["svc-crawler"]}, {}, "azp"),
        ({"azp": None, "client_id": None}, {}, "azp"),
        ({"client_id": "svc-stranger"}, {}, "client_id"),
        ({"typ": "ID"}, {}, "typ"),
        ({"typ": "Refresh"}, {}, "typ"),
        ({"typ": None}, {}, "typ"),
        ({"typ": "Logout"}, {"typ": "at+jwt"}, "typ"),
        ({}, {"typ": "logout+jwt"}, "typ"),
        ({"sid": "s-1"}, {}, "sid"),
        ({"session_state": "s-1"}, {}, "sid"),
        ({"auth_time": 1}, {}, "sid"),
        ({"nonce": "n"}, {}, "sid"),
        ({"preferred_username": "zhao"}, {}, "preferred_username"),
        ({"sub": None}, {}, "sub"),
        ({"exp": NOW + 3601}, {}, "exp"),
    ],
)
def test_an_access_token_that_is_not_a_services_own_is_refused(
    issuer: Issuer, changes: Claims, header: Claims, reason: str
) -> None:
    assert refusal(issuer, "access", issuer.sign(claims("access", **changes), **header)) == reason


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "AT+JWT", "JWT"])
def test_both_ways_to_mark_an_access_token_are_known(issuer: Issuer, typ: str) -> None:
    assert refusal(issuer, "access", issuer.sign(claims("access"), typ=typ)) == ""


def test_an_access_token_by_the_standard_needs_no_claims_of_keycloaks(issuer: Issuer) -> None:
    token = issuer.sign(claims("access", typ=None, azp=None, preferred_username=None), typ="at+jwt")
    assert refusal(issuer, "access", token) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iat": NOW - 601}, "iat"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
        ({"events": None}, "events"),
        ({"events": {}}, "events"),
        ({"events": {LOGOUT_EVENT: None}}, "events"),
        ({"events": LOGOUT_EVENT}, "events"),
        ({"events": [LOGOUT_EVENT]}, "events"),
        ({"nonce": "n"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"sub": None, "sid": None}, "sub"),
        ({"sub": 7, "sid": None}, "sub"),
        ({"typ": "ID"}, "typ"),
        ({"typ": "Bearer"}, "typ"),
    ],
)
def test_a_logout_token_with_a_wrong_claim_is_refused(issuer: Issuer, changes: Claims, reason: str) -> None:
    assert refusal(issuer, "logout", issuer.sign(claims("logout", **changes))) == reason


@pytest.mark.parametrize("signed", KINDS)
@pytest.mark.parametrize("expected", KINDS)
def test_no_kind_passes_for_another(issuer: Issuer, signed: str, expected: str) -> None:
    accepted = refusal(issuer, expected, issuer.sign(claims(signed))) == ""
    assert accepted == (signed == expected)


def _encode(header: Claims, payload: Claims, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _hmac_with(secret: Callable[[Issuer], bytes]) -> Callable[[Issuer, Claims], str]:
    def forge(issuer: Issuer, payload: Claims) -> str:
        signed = _encode({"alg": "HS256", "kid": "rsa"}, payload).removesuffix(".")
        digest = hmac.digest(secret(issuer), signed.encode(), "sha256")
        return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    return forge


def _own_key(**header: Any) -> Callable[[Issuer, Claims], str]:
    """Signed by the attacker, whose header says where to find the attacker's key."""

    def forge(issuer: Issuer, payload: Claims) -> str:
        own = RSAKey.generate_key(2048)
        public = {**own.as_dict(private=False), "kid": "rsa"}
        filled = {name: public if value is ... else value for name, value in header.items()}
        attacker = Issuer({"rsa": own}, NOW)
        return attacker.sign_raw(json.dumps({"alg": "RS256", "kid": "rsa", **filled}), payload)

    return forge


FORGERIES: dict[str, Callable[[Issuer, Claims], str]] = {
    "unsigned": lambda _, payload: _encode({"alg": "none", "kid": "rsa"}, payload),
    "unsigned in capitals": lambda _, payload: _encode({"alg": "NONE", "kid": "rsa"}, payload),
    "unsigned without kid": lambda _, payload: _encode({"alg": "none"}, payload),
    "stripped": lambda issuer, payload: issuer.sign(payload).rsplit(".", 1)[0] + ".",
    "public key as secret (PEM)": _hmac_with(lambda issuer: issuer.keys["rsa"].as_pem(private=False)),
    "public key as secret (DER)": _hmac_with(lambda issuer: issuer.keys["rsa"].as_der(private=False)),
    "public key as secret (JWK)": _hmac_with(lambda issuer: json.dumps(issuer.public("rsa")).encode()),
    "empty secret": _hmac_with(lambda _: b""),
    "own key by the same kid": _own_key(),
    "own key in jwk": _own_key(jwk=...),
    "own key at jku": _own_key(jku="https://evil.example/jwks.json"),
    "own key at x5u": _own_key(x5u="https://evil.example/cert.pem"),
    "own key in x5c": _own_key(x5c=["MIIB"]),
    "own key and a path for kid": _own_key(kid="../../dev/null"),
    "own key and an address for kid": _own_key(kid="https://evil.example/jwks.json"),
    "own key and an injection for kid": _own_key(kid="rsa' OR '1'='1"),
    "own key and no kid": _own_key(kid=None),
    "own key and a list for kid": _own_key(kid=["rsa"]),
    "own key and a huge kid": _own_key(kid="k" * 5000),
    "algorithm of another key": lambda issuer, payload: jwt.encode(
        {"alg": "ES256", "kid": "rsa"}, payload, issuer.keys["ec"], algorithms=["ES256"]
    ),
    "algorithm off the list": lambda issuer, payload: jwt.encode(
        {"alg": "PS256", "kid": "rsa"}, payload, issuer.keys["rsa"], algorithms=["PS256"]
    ),
    "critical header": lambda issuer, payload: issuer.sign_raw(
        '{"alg":"RS256","kid":"rsa","crit":["exp"],"exp":1}', payload
    ),
    "critical b64": lambda issuer, payload: issuer.sign_raw(
        '{"alg":"RS256","kid":"rsa","crit":["b64"],"b64":false}', payload
    ),
    "empty crit": lambda issuer, payload: issuer.sign_raw('{"alg":"RS256","kid":"rsa","crit":[]}', payload),
    "two kids": lambda issuer, payload: issuer.sign_raw('{"alg":"RS256","kid":"x","kid":"rsa"}', payload),
    "two algs": lambda issuer, payload: issuer.sign_raw('{"alg":"none","alg":"RS256","kid":"rsa"}', payload),
    "header that is no object": lambda issuer, payload: issuer.sign_raw('["RS256"]', payload),
    "deep header": lambda issuer, payload: issuer.sign_raw("[" * 3000 + "]" * 3000, payload),
    "five parts": lambda issuer, payload: issuer.sign(payload) + ".a.b",
    "changed after signing": lambda issuer, payload: _swap_payload(issuer.sign(payload), {**payload, "sub": "zhao"}),
}


def _swap_payload(token: str, payload: Claims) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused_and_nobody_else_is_asked(issuer: Issuer, kind: str, forgery: str) -> None:
    asked: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return issuer.handle(request)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    client = OpenIdClient(ISSUER, "kb-portal", None, "https://kb.example/cb", http, clock=lambda: NOW)
    assert refusal(issuer, kind, FORGERIES[forgery](issuer, claims(kind)), client) != ""
    assert set(asked) <= {"id.example"}


def test_two_claims_of_one_name_are_refused(issuer: Issuer) -> None:
    whole = json.dumps(claims("id"))
    doubled = whole[:-1] + ', "sub": "zhao"}'
    parts = [b'{"alg":"RS256","kid":"rsa"}', doubled.encode()]
    signed = ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    good = issuer.sign_raw('{"alg":"RS256","kid":"rsa"}', claims("id"))
    assert refusal(issuer, "id", good) == ""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = issuer.keys["rsa"].private_key.sign(signed.encode(), PKCS1v15(), SHA256())
    token = f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert refusal(issuer, "id", token) == "duplicate"


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_of_unknown_keys_reaches_the_provider_once_in_half_a_minute(issuer: Issuer, kind: str) -> None:
    async def flood() -> None:
        client = issuer.client()
        for second in range(61):
            issuer.now = NOW + second
            tokens = [_encode({"alg": "ES256", "kid": f"{second}-{n}"}, claims(kind), b"x" * 64) for n in range(20)]
            results = await asyncio.gather(*(check(client, kind, token) for token in tokens), return_exceptions=True)
            assert all(isinstance(result, TokenInvalidError) for result in results)

    asyncio.run(flood())
    # At the start, after 30 s, and after 60 s: 3 for 1,220 tokens.
    assert issuer.fetched.count(CERTS) == 3


def test_a_kid_of_two_published_keys_names_neither(keys: dict[str, Any]) -> None:
    published = [{**keys[name].as_dict(private=False), "kid": "twice", "use": "sig"} for name in ("rsa", "other")]
    single = {**keys["ec"].as_dict(private=False), "kid": "once", "use": "sig"}
    assert set(read_keys([*published, single])) == {"once"}


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "RSA-OAEP"},
        {"alg": "PS256"},
        {"alg": "HS256"},
        {"alg": 7},
        {"kid": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"n": "!"},
    ],
)
def test_a_published_key_that_is_not_for_signatures_is_not_used(keys: dict[str, Any], change: Claims) -> None:
    good = {**keys["rsa"].as_dict(private=False), "kid": "k", "use": "sig", "alg": "RS256"}
    assert set(read_keys([good])) == {"k"}
    assert read_keys([{**good, **change}]) == {}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_weak_and_foreign_keys_are_not_used() -> None:
    weak = {**RSAKey.generate_key(1024).as_dict(private=False), "kid": "weak"}
    foreign = {**ECKey.generate_key("secp256k1").as_dict(private=False), "kid": "foreign"}
    assert read_keys([weak, foreign, "rubbish", None]) == {}
    assert read_keys({"keys": []}) == {}


def test_a_key_that_was_withdrawn_is_refused_after_ten_minutes(issuer: Issuer, keys: dict[str, Any]) -> None:
    async def scenario() -> list[str]:
        client = issuer.client()
        found = []
        for moment in (NOW, NOW + 599, NOW + 601):
            issuer.now = moment
            token = Issuer({"rsa": keys["rsa"]}, moment).sign(claims("id", iat=moment, exp=moment + 300))
            try:
                await client.verify(token, "n-1")
                found.append("")
            except TokenInvalidError as error:
                found.append(error.reason)
            issuer.keys.pop("rsa", None)
        return found

    assert asyncio.run(scenario()) == ["", "", "kid"]


def test_keys_that_could_not_be_renewed_for_a_day_are_believed_no_more(issuer: Issuer) -> None:
    from zhiku_services.gateway.errors import ProviderUnavailableError

    async def scenario() -> None:
        client = issuer.client()
        await client.verify(issuer.sign(claims("id")), "n-1")
        issuer.is_down = True
        for age_s in (3600, 86_399):
            issuer.now = NOW + age_s
            await client.verify(issuer.sign(claims("id", iat=NOW + age_s, exp=NOW + age_s + 60)), "n-1")
        issuer.now = NOW + 86_401
        with pytest.raises(ProviderUnavailableError):
            await client.verify(issuer.sign(claims("id", iat=NOW + 86_401, exp=NOW + 86_500)), "n-1")

    asyncio.run(scenario())


def test_a_caller_who_leaves_does_not_take_the_others_fetch_along(issuer: Issuer) -> None:
    async def scenario() -> None:
        client, token = issuer.client(), issuer.sign(claims("id"))
        first = asyncio.create_task(check(client, "id", token))
        second = asyncio.create_task(check(client, "id", token))
        await asyncio.sleep(0)
        first.cancel()
        await second

    asyncio.run(scenario())
    assert issuer.fetched.count(CERTS) == 1
