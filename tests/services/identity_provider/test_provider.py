"""The embedded OpenID provider: a small one, but as strict as a large one."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet

from zhiku_platform.contracts.identity import Role
from zhiku_platform.errors import UnsafeSettingsError
from zhiku_platform.settings import Settings
from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS
from zhiku_services.identity_provider.app import create_app
from zhiku_services.identity_provider.keys import KeyRing

REALM = "/realms/zhiku"
PROTOCOL = f"{REALM}/protocol/openid-connect"
CALLBACK = "http://127.0.0.1:8000/api/v1/auth/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
GOOD = {
    "response_type": "code",
    "client_id": "zhiku-portal",
    "redirect_uri": CALLBACK,
    "scope": "openid profile email",
    "state": "st",
    "nonce": "no",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@dataclass
class Clock:
    now: float = 1_800_000_000

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    KeyRing(home / "identity" / "keys.json", clock=Clock()).rotate()
    return home


@pytest.fixture
def http(home: Path, clock: Clock) -> Iterator[TestClient]:
    app = create_app(Settings(home=home), clock=clock)
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client


def code(http: TestClient, username: str = "lin", **changes: str) -> str:
    """A fresh code for `username`."""
    response = http.post(
        f"{PROTOCOL}/auth", params={**GOOD, **changes}, data={"username": username, "password": "demo"}
    )
    assert response.status_code == 303, response.text
    return parse_qs(urlsplit(response.headers["location"]).query)["code"][0]


def redeem(http: TestClient, given: str, **changes: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "code": given,
        "client_id": "zhiku-portal",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return http.post(f"{PROTOCOL}/token", data={**form, **changes})


def test_the_configuration_is_laid_out_as_keycloaks(http: TestClient) -> None:
    found = http.get(f"{REALM}/.well-known/openid-configuration").json()
    assert found["issuer"] == "http://127.0.0.1:8000/realms/zhiku"
    assert found["token_endpoint"] == f"{found['issuer']}/protocol/openid-connect/token"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]


def test_a_code_becomes_an_id_token_that_its_keys_verify(http: TestClient, clock: Clock) -> None:
    answer = redeem(http, code(http, "zhao"))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    keys = KeySet.import_key_set(http.get(f"{PROTOCOL}/certs").json())
    claims = jwt.decode(answer.json()["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["sub"], claims["aud"], claims["azp"], claims["nonce"]) == (
        "zhao",
        "zhiku-portal",
        "zhiku-portal",
        "no",
    )
    assert (claims["iat"], claims["exp"]) == (clock.now, clock.now + 300)
    assert (claims["name"], claims["email"]) == ("赵敏", "zhao@zhiku.example")
    assert (claims["auth_time"], claims["acr"]) == (clock.now, "1")


def test_published_keys_are_public(http: TestClient) -> None:
    (key,) = http.get(f"{PROTOCOL}/certs").json()["keys"]
    assert set(key) == {"kty", "kid", "use", "alg", "n", "e"}


def test_the_access_token_opens_userinfo_for_five_minutes(http: TestClient, clock: Clock) -> None:
    headers = {"Authorization": f"Bearer {redeem(http, code(http)).json()['access_token']}"}
    assert http.get(f"{PROTOCOL}/userinfo", headers=headers).json()["preferred_username"] == "lin"
    clock.now += 301
    assert http.get(f"{PROTOCOL}/userinfo", headers=headers).status_code == 401
    assert http.get(f"{PROTOCOL}/userinfo").status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "http://127.0.0.1:8000@evil.example/api/v1/auth/callback"},
        {"redirect_uri": ""},
        {"client_id": "other"},
        {"client_id": '"><script>'},
        {"response_type": '"é'},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_of_a_stranger_is_never_redirected(http: TestClient, changes: dict[str, str], method: str) -> None:
    form = {"username": "lin", "password": "demo"} if method == "POST" else None
    response = http.request(method, f"{PROTOCOL}/auth", params={**GOOD, **changes}, data=form)
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "<script>" not in response.text


def test_two_redirect_addresses_are_one_too_many(http: TestClient) -> None:
    params = {**GOOD, "redirect_uri": [CALLBACK, "https://evil.example/cb"]}
    assert http.get(f"{PROTOCOL}/auth", params=params).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"nonce": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
    ],
)
def test_a_bad_request_of_our_client_goes_back_to_it(http: TestClient, changes: dict[str, str], error: str) -> None:
    params = {name: value for name, value in {**GOOD, **changes}.items() if value}
    for response in (
        http.get(f"{PROTOCOL}/auth", params=params),
        http.post(f"{PROTOCOL}/auth", params=params, data={"username": "lin", "password": "demo"}),
    ):
        location = urlsplit(response.headers["location"])
        assert f"{location.scheme}://{location.netloc}{location.path}" == CALLBACK
        query = parse_qs(location.query)
        assert (query["error"], query["state"]) == ([error], ["st"])
        assert "code" not in query


def test_a_code_works_once(http: TestClient) -> None:
    given = code(http)
    assert redeem(http, given).status_code == 200
    assert redeem(http, given).json()["error"] == "invalid_grant"


def test_a_code_works_for_a_minute(http: TestClient, clock: Clock) -> None:
    given = code(http)
    clock.now += 60
    assert redeem(http, given).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/cb"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"code": "made-up"}, "invalid_grant"),
    ],
)
def test_a_code_is_worth_nothing_to_somebody_else(http: TestClient, changes: dict[str, str], error: str) -> None:
    given = code(http)
    answer = redeem(http, given, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert "id_token" not in answer.json()


def _renew(http: TestClient, refresh_token: str, client_id: str = "zhiku-portal") -> Any:
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    return http.post(f"{PROTOCOL}/token", data=form)


def _claims(http: TestClient, token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(http.get(f"{PROTOCOL}/certs").json())
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def test_a_renewal_goes_on_from_the_login(http: TestClient, clock: Clock) -> None:
    first = redeem(http, code(http, "zhao")).json()
    signed_in = clock.now
    clock.now += 600
    second = _renew(http, first["refresh_token"]).json()
    before, after = _claims(http, first["id_token"]), _claims(http, second["id_token"])
    assert (after["sub"], after["sid"], after["auth_time"]) == ("zhao", before["sid"], signed_in)
    assert (after["iat"], "nonce" in after) == (clock.now, False)
    assert _renew(http, second["refresh_token"]).status_code == 200


def test_a_refresh_token_works_once_for_its_client_and_for_a_day(http: TestClient, clock: Clock) -> None:
    given = redeem(http, code(http)).json()["refresh_token"]
    assert _renew(http, given, "other").json()["error"] == "invalid_client"
    fresh = _renew(http, given).json()["refresh_token"]
    assert _renew(http, given).json()["error"] == "invalid_grant"
    clock.now += 24 * 3600 + 1
    assert _renew(http, fresh).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("rubbish", ["x", "a.b.c", ""])
def test_rubbish_renews_nothing(http: TestClient, rubbish: str) -> None:
    assert _renew(http, rubbish).status_code == 400
    assert http.post(f"{PROTOCOL}/revoke", data={"token": rubbish}).status_code == 200


def test_an_id_token_renews_nothing(http: TestClient) -> None:
    given = redeem(http, code(http)).json()
    assert _renew(http, given["id_token"]).json()["error"] == "invalid_grant"


def test_a_revoked_session_is_not_renewed(http: TestClient) -> None:
    given = redeem(http, code(http)).json()["refresh_token"]
    http.post(f"{PROTOCOL}/revoke", data={"token": given})
    assert _renew(http, given).json()["error"] == "invalid_grant"


def test_signing_out_ends_the_session_that_is_named(http: TestClient) -> None:
    mine, others = redeem(http, code(http)).json(), redeem(http, code(http, "zhao")).json()
    http.get(f"{PROTOCOL}/logout", params={"id_token_hint": mine["id_token"]})
    assert _renew(http, mine["refresh_token"]).json()["error"] == "invalid_grant"
    assert _renew(http, others["refresh_token"]).status_code == 200


def test_a_wrong_guess_burns_the_code(http: TestClient) -> None:
    given = code(http)
    redeem(http, given, code_verifier="w" * 43)
    assert redeem(http, given).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("username", "password"),
    [("lin", "wrong"), ("lin", ""), ("nobody", "demo"), ('"><b>x', "demo"), ("lin", "é")],
)
def test_a_wrong_password_shows_the_page_again(http: TestClient, username: str, password: str) -> None:
    response = http.post(f"{PROTOCOL}/auth", params=GOOD, data={"username": username, "password": password})
    assert response.status_code == 401
    assert 'role="alert"' in response.text
    assert "<b>x" not in response.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_login_form_of_another_site_is_refused(http: TestClient, origin: str) -> None:
    form = {"username": "lin", "password": "demo"}
    response = http.post(f"{PROTOCOL}/auth", params=GOOD, data=form, headers={"Origin": origin})
    assert response.status_code == 403


def test_a_huge_form_is_refused(http: TestClient) -> None:
    assert http.post(f"{PROTOCOL}/token", content=b"a=" + b"x" * 70_000).status_code == 413


class _Page(HTMLParser):
    """What a page shows and loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize(
    ("headers", "params", "lang", "words"),
    [
        (
            {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"},
            {},
            "zh-CN",
            ["登录知库", "林晓", "财务部", "可以查看"],
        ),
        ({"Accept-Language": "en-GB,en"}, {}, "en", ["Sign in to Zhiku", "Chen Lü", "Finance", "May read"]),
        ({"Accept-Language": "fr"}, {}, "en", ["Sign in"]),
        ({"Accept-Language": "en"}, {"ui_locales": "zh"}, "zh-CN", ["登录"]),
    ],
)
def test_the_login_page_shows_the_accounts_in_the_readers_language(
    http: TestClient, headers: dict[str, str], params: dict[str, str], lang: str, words: list[str]
) -> None:
    response = http.get(f"{PROTOCOL}/auth", params={**GOOD, **params}, headers=headers)
    page = _Page(response.text)
    assert page.all("html") == [{"lang": lang}]
    assert all(word in page.words for word in words)
    names = {field["value"] for field in page.all("input") if field.get("name") == "username"}
    assert {"lin", "zhao", "chen"} <= names
    assert "demo" in page.words


def test_the_login_page_loads_nothing_but_its_own_stylesheet(http: TestClient) -> None:
    response = http.get(f"{PROTOCOL}/auth", params=GOOD)
    page = _Page(response.text)
    assert page.all("script") == page.all("style") == page.all("img") == []
    (link,) = page.all("link")
    assert http.get(str(link["href"])).headers["content-type"].startswith("text/css")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_switching_the_language_keeps_the_request(http: TestClient) -> None:
    page = _Page(http.get(f"{PROTOCOL}/auth", params=GOOD, headers={"Accept-Language": "zh"}).text)
    (switch,) = page.all("a")
    assert dict(parse_qs(str(switch["href"]).removeprefix("?"))) == {
        **{name: [value] for name, value in GOOD.items()},
        "ui_locales": ["en"],
    }


def test_every_field_has_a_label(http: TestClient) -> None:
    page = _Page(http.get(f"{PROTOCOL}/auth", params=GOOD).text)
    labelled = {label["for"] for label in page.all("label")}
    visible = {field["id"] for field in page.all("input") if field.get("type") != "hidden"}
    assert visible == labelled == {"username", "password"}


def test_signing_out_leads_back_to_us_and_nowhere_else(http: TestClient) -> None:
    ours = http.get(f"{PROTOCOL}/logout", params={"post_logout_redirect_uri": "http://127.0.0.1:8000/"})
    assert ours.headers["location"] == "http://127.0.0.1:8000/"
    for address in ("https://evil.example/", "http://127.0.0.1:8000.evil.example/", ""):
        response = http.get(f"{PROTOCOL}/logout", params={"post_logout_redirect_uri": address})
        assert (response.status_code, "location" in response.headers) == (200, False)


def test_a_restart_keeps_the_key(tmp_path: Path) -> None:
    path = tmp_path / "identity" / "keys.json"
    kid = KeyRing(path, clock=Clock()).signing_key().kid
    assert KeyRing(path, clock=Clock()).signing_key().kid == kid
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_old_key_is_replaced_and_stays_published_for_one_more_turn(tmp_path: Path) -> None:
    clock = Clock()
    ring = KeyRing(tmp_path / "keys.json", clock=clock)
    first = ring.signing_key().kid
    clock.now += 91 * 24 * 3600
    second = ring.signing_key().kid
    assert [key["kid"] for key in ring.public_keys()["keys"]] == [second, first]
    clock.now += 91 * 24 * 3600
    third = ring.signing_key().kid
    assert [key["kid"] for key in ring.public_keys()["keys"]] == [third, second]
    assert len({first, second, third}) == 3


@pytest.mark.parametrize(
    "reachable",
    [
        {"host": "0.0.0.0", "secret_key": "x" * 40, "oidc_issuer": "https://id.example"},
        {"public_url": "https://kb.example", "secret_key": "x" * 40, "oidc_issuer": "https://id.example"},
    ],
)
def test_the_provider_refuses_to_serve_others(tmp_path: Path, reachable: dict[str, str]) -> None:
    with pytest.raises(UnsafeSettingsError, match="loopback"):
        create_app(Settings.model_validate({"home": tmp_path, **reachable}))


def test_the_demo_accounts_are_five_people_in_five_departments() -> None:
    assert {(account.user.sub, *account.user.groups) for account in DEMO_ACCOUNTS} == {
        ("lin", "engineering"),
        ("zhao", "finance"),
        ("chen", "compliance"),
        ("fang", "legal"),
        ("wu", "internal-audit"),
    }
    deciders = {account.user.sub for account in DEMO_ACCOUNTS if Role.COMPLIANCE_APPROVER in account.user.roles}
    assert deciders == {"fang", "wu"}
