"""Step-up: a sensitive act needs a login that is fresh, and strong enough."""

from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.http import GuardedRouter
from zhiku_services.gateway.proxy import _dependencies
from zhiku_services.gateway.routing import proxied_routes
from zhiku_services.gateway.step_up import MAX_AGE_S, RequireStepUp, require_step_up

from .conftest import Gateway

SENSITIVE_PATH = "/api/v1/sensitive"
CanAsk = Annotated[Access, require(Permission.ASK)]


@pytest.fixture
def guarded(gateway: Gateway) -> Gateway:
    """The gateway with one more route, which needs a login of the last five minutes."""
    router = GuardedRouter()

    @router.get(SENSITIVE_PATH)
    def sensitive(access: CanAsk, _fresh: Annotated[None, require_step_up(300)]) -> dict[str, str]:
        return {"sub": access.principal.sub}

    gateway.app.router.routes[:0] = router.routes
    return gateway


def step_up(browser: TestClient, login_url: str, username: str = "lin") -> Any:
    """Follow `login_url` through the provider and back."""
    begun = browser.get(login_url)
    returned = browser.post(begun.headers["location"], data={"username": username, "password": "demo"})
    return browser.get(returned.headers["location"])


def test_a_fresh_login_is_let_through(guarded: Gateway) -> None:
    browser = guarded.sign_in("lin")
    guarded.clock.pass_time(seconds=300)
    assert browser.get(SENSITIVE_PATH).json() == {"sub": "lin"}


def test_an_older_login_is_sent_to_sign_in_again(guarded: Gateway) -> None:
    browser = guarded.sign_in("lin")
    guarded.clock.pass_time(seconds=301)
    refused = browser.get(SENSITIVE_PATH)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (401, "step_up_required")
    assert (problem["max_age"], problem["acr_values"]) == (300, None)
    assert problem["login_url"] == "/api/v1/auth/login?max_age=300"
    challenge = refused.headers["WWW-Authenticate"]
    assert challenge == 'Bearer error="insufficient_user_authentication", max_age="300"'
    assert browser.get("/api/v1/session").status_code == 200
    assert step_up(browser, problem["login_url"]).status_code == 303
    assert browser.get(SENSITIVE_PATH).status_code == 200


def test_a_step_up_begins_a_new_session(guarded: Gateway) -> None:
    browser = guarded.sign_in("lin")
    before = browser.cookies["zhiku_session"]
    step_up(browser, "/api/v1/auth/login?max_age=0")
    old = guarded.browse()
    old.cookies.set("zhiku_session", before)
    assert old.get("/api/v1/session").status_code == 401


def test_what_was_asked_reaches_the_provider(guarded: Gateway) -> None:
    begun = guarded.browse().get("/api/v1/auth/login?max_age=60&acr_values=2%203&prompt=login")
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert (query["max_age"], query["acr_values"], query["prompt"]) == (["60"], ["2 3"], ["login"])


def test_a_login_weaker_than_asked_is_refused(guarded: Gateway) -> None:
    refused = step_up(guarded.browse(), "/api/v1/auth/login?acr_values=2")
    assert (refused.status_code, refused.json()["code"]) == (401, "login_refused")
    assert ("session.refused", "anonymous", {"reason": "acr"}) in guarded.audited()
    assert step_up(guarded.browse(), "/api/v1/auth/login?acr_values=2%201").status_code == 303


@pytest.mark.parametrize("query", ["max_age=-1", "max_age=x", "max_age=999999", "acr_values=%0d%0a", "acr_values="])
def test_nonsense_is_not_passed_on(guarded: Gateway, query: str) -> None:
    assert guarded.browse().get(f"/api/v1/auth/login?{query}").status_code == 422


def test_permission_comes_first(guarded: Gateway) -> None:
    assert guarded.browse().get(SENSITIVE_PATH).json()["code"] == "not_signed_in"


def test_a_key_has_no_login_that_could_be_fresh(guarded: Gateway) -> None:
    headers = {"Authorization": f"Bearer {guarded.create_key('lin', 'ask')['secret']}"}
    assert guarded.browse().get(SENSITIVE_PATH, headers=headers).json()["code"] == "step_up_required"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/audit-events/{event_id}/reveal"),
        ("POST", "/approvals/{approval_id}/approve"),
        ("POST", "/erasures/{erasure_id}/run"),
        ("POST", "/legal-holds/{hold_id}/release"),
        ("PUT", "/retention-rules/{kind}"),
        ("PUT", "/safety-policy"),
        ("POST", "/knowledge-bases/{knowledge_base_id}/deletion"),
    ],
)
def test_sensitive_routes_need_it_without_being_told(method: str, path: str) -> None:
    [route] = [each for each in proxied_routes() if (each.method, each.path) == (method, f"/api/v1{path}")]
    needed = [dependency.dependency for dependency in _dependencies(route)]
    assert [type(found).__name__ for found in needed] == ["RequirePermission", "RequireStepUp"]
    assert isinstance(needed[1], RequireStepUp)
    assert needed[1].max_age_s == MAX_AGE_S


@pytest.mark.parametrize("path", ["/erasures", "/legal-holds", "/retention-rules", "/safety-policy"])
def test_looking_needs_none(path: str) -> None:
    [route] = [each for each in proxied_routes() if (each.method, each.path) == ("GET", f"/api/v1{path}")]
    assert len(_dependencies(route)) == 1


def test_a_key_is_made_with_a_fresh_login_alone(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    new = {"name": "mine", "scopes": ["ask"], "expires_in_days": 1}
    assert browser.post("/api/v1/api-keys", json=new).status_code == 201
    assert gateway.browse().post("/api/v1/api-keys", json=new).json()["code"] == "not_signed_in"
    gateway.clock.pass_time(seconds=301)
    assert browser.post("/api/v1/api-keys", json=new).json()["code"] == "step_up_required"
    assert browser.get("/api/v1/api-keys").status_code == 200


class TestWithAnAuthenticationClass:
    """The same where sensitive acts need a second factor, which the demo accounts do not have."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"oidc_step_up_acr": "2"})

    def test_a_fresh_login_of_a_lower_class_is_not_enough(self, guarded: Gateway) -> None:
        problem = guarded.sign_in("lin").get(SENSITIVE_PATH).json()
        assert (problem["code"], problem["acr_values"]) == ("step_up_required", "2")
        assert problem["login_url"] == "/api/v1/auth/login?max_age=300&acr_values=2"
