"""Services that call with an access token of their own: who is let in, and as what."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.http import GuardedRouter, Stream
from zhiku_platform.settings import Settings

from .conftest import Gateway


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"oidc_service_clients": ("svc-crawler",)})


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of Keycloak's token of a service account."""
    return {
        "aud": ["zhiku-api", "account"],
        "azp": "svc-crawler",
        "client_id": "svc-crawler",
        "sub": "5b0c7c3e-service",
        "typ": "Bearer",
        "jti": "trrtcc:1",
        "preferred_username": "service-account-svc-crawler",
        "scope": "email profile",
        "realm_access": {"roles": ["kb_admin", "system_admin"]},
        "groups": ["finance"],
        **changes,
    }


def embed(gateway: Gateway, token: str) -> httpx2.Response:
    """Call what a service may call."""
    body = {"model": "tiny", "input": ["a"]}
    return gateway.browse().post("/v1/embeddings", json=body, headers={"Authorization": f"Bearer {token}"})


def test_a_service_does_what_services_may_and_nothing_else(gateway: Gateway) -> None:
    token = gateway.sign(claims())
    assert embed(gateway, token).status_code == 200
    headers = {"Authorization": f"Bearer {token}"}
    for method, path in [
        ("GET", "/api/v1/documents/d1"),
        ("GET", "/api/v1/session"),
        ("GET", "/api/v1/api-keys"),
        ("POST", "/api/v1/knowledge-bases"),
    ]:
        assert gateway.browse().request(method, path, headers=headers, json={}).status_code == 403, path


@pytest.mark.parametrize(
    ("changes", "reason"), [({"aud": "account"}, "aud"), ({"azp": "zhiku-portal"}, "azp"), ({"sid": "s-1"}, "sid")]
)
def test_a_token_that_is_not_a_services_own_is_worth_nothing(
    gateway: Gateway, changes: dict[str, Any], reason: str
) -> None:
    assert embed(gateway, gateway.sign(claims(**changes))).status_code == 401
    assert ("session.refused", "anonymous", {"reason": f"access_token:{reason}"}) in gateway.audited()


def test_the_id_token_of_a_person_is_worth_nothing(gateway: Gateway) -> None:
    person = {"aud": "zhiku-portal", "azp": "zhiku-portal", "sub": "zhao", "nonce": "n", "auth_time": 1}
    assert embed(gateway, gateway.sign(person)).status_code == 401


def test_a_refused_token_leaves_one_trace_a_minute(gateway: Gateway) -> None:
    for _ in range(5):
        embed(gateway, gateway.sign(claims(aud="account")))
    refused = [event for event in gateway.audited() if event[0] == "session.refused"]
    assert refused == [("session.refused", "anonymous", {"reason": "access_token:aud"})]


def test_a_bad_token_is_not_saved_by_a_good_cookie(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    headers = {"Authorization": f"Bearer {gateway.sign(claims(aud='account'))}"}
    assert browser.get("/api/v1/session", headers=headers).status_code == 401


def test_a_service_may_not_act_while_the_providers_keys_were_never_read(gateway: Gateway) -> None:
    gateway.provider.is_down = True
    assert embed(gateway, gateway.sign(claims())).status_code == 503


class TestWithoutServices:
    """The default: no client is named, and no token is looked at."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"oidc_service_clients": ()})

    def test_no_token_opens_anything(self, gateway: Gateway) -> None:
        assert embed(gateway, gateway.sign(claims())).status_code == 401
        assert gateway.provider.asked == []


@pytest.mark.parametrize("name", ["crawler", "SVC-x", "svc-", "svc-x y", "service-account-x"])
def test_services_have_names_that_no_user_has(name: str) -> None:
    with pytest.raises(ValueError, match="svc-"):
        Settings(oidc_service_clients=(name,))


@pytest.mark.parametrize("loss", ["runs_out", "is_struck_off"])
def test_a_stream_is_cut_when_its_services_token_is_worth_nothing_any_more(gateway: Gateway, loss: str) -> None:
    """No address of today streams to a service; the rule holds for whichever does."""
    router = GuardedRouter()

    @router.get("/api/v1/news")
    async def news(_access: Annotated[Access, require(Permission.MODEL_READ)]) -> Stream:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            if loss == "runs_out":
                gateway.clock.pass_time(seconds=151)
            else:
                object.__setattr__(gateway.settings, "oidc_service_clients", ())
            await asyncio.sleep(30)
            yield b"data: second\n\n"

        return Stream(events(), media_type="text/event-stream")

    gateway.app.router.routes[:0] = router.routes
    token = gateway.sign(claims())
    answer = gateway.browse().get("/api/v1/news", headers={"Authorization": f"Bearer {token}"})
    assert answer.content == b"data: first\n\n"
