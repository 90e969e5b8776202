"""Signing in through the embedded provider, and what the session is good for."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from zhiku_platform.access import permissions_of
from zhiku_platform.contracts.identity import DirectoryUser, Principal, Role
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.gateway.app import create_app, seed_directory
from zhiku_services.gateway.cookies import Cookies
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.login import local_path
from zhiku_services.gateway.oidc import Login

from .conftest import Gateway, Services

LOGIN = "/api/v1/auth/login"
CALLBACK = "/api/v1/auth/callback"


def test_signing_in_leads_back_to_where_one_wanted_to_go(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin", to="/chat?kb=1")
    session = browser.get("/api/v1/session").json()
    assert (session["sub"], session["name"], session["department"]) == ("lin", "林晓", "研发部 Engineering")
    assert session["roles"] == ["employee", "ml_engineer"]
    assert "assistant:ask" in session["permissions"]
    assert "knowledge_base:create" not in session["permissions"]


def test_roles_and_groups_come_from_the_mirror(gateway: Gateway) -> None:
    assert gateway.sign_in("zhao").get("/api/v1/session").json()["roles"] == ["employee", "kb_admin"]
    assert gateway.sign_in("chen").get("/api/v1/session").json()["roles"] == [
        "compliance_reviewer",
        "employee",
    ]


def test_the_directory_knows_users_by_name(gateway: Gateway) -> None:
    zhao = gateway.principal("zhao")
    assert zhao is not None
    assert zhao.tokens == {"user:zhao", "group:finance", "everyone"}
    assert gateway.principal("nobody") is None


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(gateway: Gateway) -> None:
    browser = gateway.browse()
    begun = browser.get(LOGIN)
    returned = browser.post(begun.headers["location"], data={"username": "lin", "password": "demo"})
    cookie = browser.get(returned.headers["location"]).headers.get_list("set-cookie")[0]
    name, *attributes = cookie.split("; ")
    assert name.startswith("zhiku_session=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(attributes)


def test_over_https_the_cookies_are_bound_to_this_host(settings: Settings) -> None:
    cookies = Cookies(Digests("secret"), secure=True, session_lifetime_s=60)
    from starlette.responses import Response

    response = Response()
    cookies.set_session(response, "value")
    cookies.set_login(response, Login.begin("/"))
    session, login = response.headers.getlist("set-cookie")
    assert session.startswith("__Host-zhiku=value; ")
    assert login.startswith("__Host-zhiku-login=")
    assert "Secure" in session
    assert "Secure" in login


def test_the_database_holds_no_session_cookie(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    cookie = browser.cookies["zhiku_session"]
    with gateway.database.read() as session:
        rows = str(session.connection().execute(text("SELECT * FROM session")).all())
    assert cookie not in rows
    assert "lin" in rows


def test_the_authorization_request_is_bound_to_this_login(gateway: Gateway) -> None:
    query = parse_qs(urlsplit(gateway.browse().get(LOGIN).headers["location"]).query)
    assert query["response_type"] == ["code"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/api/v1/auth/callback"]
    assert all(len(query[name][0]) >= 32 for name in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "evil",
        "",
        "/" + "a" * 3000,
    ],
)
def test_a_login_never_leads_to_another_site(gateway: Gateway, address: str) -> None:
    assert local_path(address) == "/"
    browser = gateway.browse()
    assert browser.get(LOGIN, params={"next": address}).status_code == 303


@pytest.mark.parametrize("address", ["/", "/chat", "/chat?a=b&c=//d", "/知识库#top", "/a//b"])
def test_a_path_of_this_site_is_kept(address: str) -> None:
    assert local_path(address) == address


def test_a_browser_that_came_by_another_name_is_sent_to_the_right_one(gateway: Gateway) -> None:
    response = gateway.browse().get("http://localhost:8000/api/v1/auth/login?next=/chat")
    assert response.headers["location"] == "http://127.0.0.1:8000/api/v1/auth/login?next=%2Fchat"


def test_a_callback_that_this_browser_did_not_ask_for_is_refused(gateway: Gateway) -> None:
    attacker, victim = gateway.browse(), gateway.browse()
    begun = attacker.get(LOGIN)
    returned = attacker.post(begun.headers["location"], data={"username": "lin", "password": "demo"})
    response = victim.get(returned.headers["location"])
    assert (response.status_code, response.json()["code"]) == (401, "login_refused")
    assert "zhiku_session" not in victim.cookies
    assert ("session.refused", "anonymous", {"reason": "state"}) in gateway.audited()


def test_another_logins_state_is_refused(gateway: Gateway) -> None:
    browser = gateway.browse()
    begun = browser.get(LOGIN)
    returned = browser.post(begun.headers["location"], data={"username": "lin", "password": "demo"})
    code = parse_qs(urlsplit(returned.headers["location"]).query)["code"][0]
    response = browser.get(CALLBACK, params={"code": code, "state": "other"})
    assert response.json()["code"] == "login_refused"
    assert ("session.refused", "anonymous", {"reason": "state"}) in gateway.audited()


def test_an_unknown_code_is_refused(gateway: Gateway) -> None:
    browser = gateway.browse()
    state = parse_qs(urlsplit(browser.get(LOGIN).headers["location"]).query)["state"][0]
    response = browser.get(CALLBACK, params={"code": "made-up", "state": state})
    assert (response.status_code, response.json()["code"]) == (401, "login_refused")
    assert ("session.refused", "anonymous", {"reason": "code"}) in gateway.audited()


def test_the_answer_of_another_issuer_is_refused(gateway: Gateway) -> None:
    browser = gateway.browse()
    state = parse_qs(urlsplit(browser.get(LOGIN).headers["location"]).query)["state"][0]
    response = browser.get(CALLBACK, params={"code": "x", "state": state, "iss": "https://evil.example"})
    assert response.json()["code"] == "login_refused"
    assert ("session.refused", "anonymous", {"reason": "iss"}) in gateway.audited()


def test_a_login_older_than_ten_minutes_is_refused(gateway: Gateway) -> None:
    browser = gateway.browse()
    begun = browser.get(LOGIN)
    gateway.clock.pass_time(minutes=11)
    returned = browser.post(begun.headers["location"], data={"username": "lin", "password": "demo"})
    assert browser.get(returned.headers["location"]).json()["code"] == "login_refused"


def test_a_person_sees_a_page_when_the_login_fails(gateway: Gateway) -> None:
    response = gateway.browse().get(CALLBACK, headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert LOGIN in response.text


def test_a_code_works_once(gateway: Gateway) -> None:
    browser = gateway.browse()
    begun = browser.get(LOGIN)
    sealed = browser.cookies["zhiku_login"]
    returned = browser.post(begun.headers["location"], data={"username": "lin", "password": "demo"})
    assert browser.get(returned.headers["location"]).status_code == 303
    again = gateway.browse()
    again.cookies.set("zhiku_login", sealed)
    assert again.get(returned.headers["location"]).json()["code"] == "login_refused"


def test_signing_in_again_ends_the_session_before(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    before = browser.cookies["zhiku_session"]
    gateway.sign_in("zhao", browser)
    assert browser.get("/api/v1/session").json()["sub"] == "zhao"
    old = gateway.browse()
    old.cookies.set("zhiku_session", before)
    assert old.get("/api/v1/session").status_code == 401
    assert [action for action, _, _ in gateway.audited()] == [
        "session.started",
        "session.ended",
        "session.started",
    ]


def test_signing_out_ends_the_session_on_the_server(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    cookie = browser.cookies["zhiku_session"]
    assert browser.post("/api/v1/auth/logout").status_code == 204
    thief = gateway.browse()
    thief.cookies.set("zhiku_session", cookie)
    assert thief.get("/api/v1/session").status_code == 401
    assert ("session.ended", "lin", {}) in gateway.audited()


def test_an_unused_session_expires(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.clock.pass_time(seconds=gateway.settings.session_idle_s - 1)
    assert browser.get("/api/v1/session").status_code == 200
    gateway.clock.pass_time(seconds=gateway.settings.session_idle_s)
    response = browser.get("/api/v1/session")
    assert (response.status_code, response.json()["code"]) == (401, "not_signed_in")


def test_a_session_in_use_expires_in_the_end(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    for _ in range(11):
        gateway.clock.pass_time(hours=2)
        assert browser.get("/api/v1/session").status_code == 200
    gateway.clock.pass_time(hours=2)
    assert browser.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize("cookie", ["", "made-up", "x" * 5000])
def test_a_made_up_cookie_is_nobody(gateway: Gateway, cookie: str) -> None:
    response = gateway.browse().get("/api/v1/session", headers={"Cookie": f"zhiku_session={cookie}"})
    assert (response.status_code, response.json()["code"]) == (401, "not_signed_in")


def test_a_change_needs_the_token_of_its_own_session(gateway: Gateway) -> None:
    browser, other = gateway.sign_in("lin"), gateway.sign_in("zhao")
    new = {"name": "k", "scopes": ["ask"]}
    right = browser.headers["X-CSRF-Token"]
    for wrong in ("", "x", right[:-1], other.headers["X-CSRF-Token"]):
        response = browser.post("/api/v1/api-keys", json=new, headers={"X-CSRF-Token": wrong})
        assert (response.status_code, response.json()["code"]) == (403, "cross_site_request")
    assert browser.post("/api/v1/api-keys", json=new).status_code == 201


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8001", "http://localhost:8000"])
def test_a_change_from_another_origin_is_refused_even_with_the_token(gateway: Gateway, origin: str) -> None:
    browser = gateway.sign_in("lin")
    response = browser.post("/api/v1/auth/logout", headers={"Origin": origin})
    assert (response.status_code, response.json()["code"]) == (403, "cross_site_request")
    assert browser.get("/api/v1/session").status_code == 200


def test_our_own_origin_may_change_things(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    assert browser.post("/api/v1/auth/logout", headers={"Origin": "http://127.0.0.1:8000"}).status_code == 204


def test_a_session_ends_with_a_switch_of_the_provider(gateway: Gateway, services: Services) -> None:
    cookie = gateway.sign_in("lin").cookies["zhiku_session"]
    elsewhere = gateway.settings.model_copy(update={"oidc_issuer": "https://id.example/realms/kb"})
    app = create_app(elsewhere, database=gateway.database, upstreams=services.upstreams(), clock=gateway.clock)
    with TestClient(app, base_url=gateway.settings.base_url) as browser:
        browser.cookies.set("zhiku_session", cookie)
        assert browser.get("/api/v1/session").status_code == 401


def test_the_mirror_converges(gateway: Gateway, database: Database) -> None:
    moved = DirectoryUser(
        sub="lin",
        username="lin",
        name="林晓",
        groups=frozenset({"finance"}),
        roles=frozenset({Role.EMPLOYEE}),
    )
    browser = gateway.sign_in("lin")
    seed_directory(gateway.settings, database, [moved])
    seed_directory(gateway.settings, database, [moved])
    lin = gateway.principal("lin")
    assert lin is not None
    assert lin.groups == {"finance"}
    assert browser.get("/api/v1/session").json()["department"] == ""


def test_a_user_without_a_place_in_the_mirror_is_an_employee_without_groups() -> None:
    newcomer = DirectoryUser(sub="0b7e", username="new", name="New")
    assert (set(newcomer.roles), set(newcomer.groups)) == ({Role.EMPLOYEE}, set())
    principal = Principal(sub="0b7e", tenant="t", roles=newcomer.roles)
    assert "assistant:ask" in permissions_of(principal)


def test_the_signing_keys_are_readable_by_their_owner_only(gateway: Gateway, tmp_path: Path) -> None:
    gateway.sign_in("lin")
    assert (tmp_path / "identity" / "keys.json").stat().st_mode & 0o777 == 0o600
