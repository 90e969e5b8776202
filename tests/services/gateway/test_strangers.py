"""Nobody without good credentials gets anywhere, and nobody brings their own."""

import asyncio
import re
from typing import Any

import pytest

from zhiku_platform.access import PrincipalSigner, service_principal
from zhiku_platform.contracts.identity import Principal, Role

from .conftest import Gateway

PUBLIC = {("get", "/api/v1/auth/login"), ("get", "/api/v1/auth/callback"), ("get", "/api/v1/auth/logout")}
PROVIDERS = "/oidc/backchannel-logout"


def test_a_stranger_gets_nowhere(gateway: Gateway) -> None:
    stranger = gateway.browse()
    asked = 0
    for path, methods in gateway.app.openapi()["paths"].items():
        for method in methods:
            if (method, path) in PUBLIC:
                continue
            address = re.sub(r"\{[^}]*\}", "x", path)
            response = stranger.request(method.upper(), address, json={})
            assert response.status_code == 401, f"{method} {path}"
            asked += 1
    assert asked >= 40


def test_the_public_addresses_are_these(gateway: Gateway) -> None:
    assert set(gateway.app.openapi()["paths"]).issuperset({path for _, path in PUBLIC})
    # Open, and worth nothing without a token that the provider signed.
    assert gateway.browse().post(PROVIDERS, data={"logout_token": "x"}).status_code == 400
    open_to_all = ["/healthz", "/readyz", "/metrics", "/", "/chat"]
    assert {gateway.browse().get(path).status_code for path in open_to_all} <= {200, 503}


@pytest.mark.parametrize("name", ["Zhiku-Principal", "zhiku-principal", "ZHIKU-PRINCIPAL"])
def test_a_principal_from_outside_is_worth_nothing_even_if_we_signed_it(gateway: Gateway, name: str) -> None:
    signer = PrincipalSigner(gateway.settings.secret_key.get_secret_value())
    forged = signer.sign(Principal(sub="zhao", tenant="default", roles=frozenset({Role.KB_ADMIN})))
    response = gateway.browse().get("/api/v1/documents/d1", headers={name: forged})
    assert response.status_code == 401


def test_a_smuggled_principal_does_not_replace_the_callers_own(gateway: Gateway) -> None:
    signer = PrincipalSigner(gateway.settings.secret_key.get_secret_value())
    forged = signer.sign(
        Principal(sub="zhao", tenant="default", groups=frozenset({"finance"}), roles=frozenset({Role.EMPLOYEE}))
    )
    response = gateway.sign_in("lin").get("/api/v1/documents/d1", headers={"Zhiku-Principal": forged})
    assert response.status_code == 404
    assert gateway.services.seen == []


def test_a_service_cannot_come_in_by_the_public_door(gateway: Gateway) -> None:
    signer = PrincipalSigner(gateway.settings.secret_key.get_secret_value())
    forged = signer.sign(service_principal("ingestion", "default"))
    response = gateway.browse().get("/api/v1/models", headers={"Zhiku-Principal": forged})
    assert response.status_code == 401


def test_another_department_sees_the_404_of_a_missing_document(gateway: Gateway) -> None:
    finance, engineering = gateway.sign_in("zhao"), gateway.sign_in("lin")
    assert finance.get("/api/v1/documents/d1").json()["sub"] == "zhao"
    response = engineering.get("/api/v1/documents/d1")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/internal/secret",
        "/api/v1/../internal/secret",
        "/api/v1/documents/..%2f..%2f..%2finternal%2fsecret",
        "/api/v1/documents/%2e%2e/%2e%2e/internal/secret",
        "/api/v1/knowledge-bases/../../../internal/secret",
        "/api/v1/documents/..",
        "//internal/secret",
        "/api/v1/internal/secret",
    ],
)
def test_nothing_internal_can_be_reached(gateway: Gateway, path: str) -> None:
    response = gateway.sign_in("zhao").get(path)
    assert "never shown" not in response.text
    assert response.status_code in {401, 404, 503}


def test_what_the_edge_refuses_has_the_shape_of_the_face_that_was_asked(gateway: Gateway) -> None:
    browser = gateway.browse()
    refused = browser.get("/v1/models?x=%00")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.headers["X-Request-Id"]
    ours = browser.get("/api/v1/models?x=%00")
    assert (ours.status_code, ours.json()["code"]) == (422, "invalid_request")


def test_a_strangers_body_is_not_waited_for(gateway: Gateway) -> None:
    """Only its beginning, and not as a guest: the route behind the login sees none of it."""

    async def never() -> Any:
        if not begun:
            begun.append(True)
            return {"type": "http.request", "body": b"x" * 70_000, "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    begun: list[bool] = []
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [(b"content-length", b"1000000"), (b"host", b"127.0.0.1")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
        "root_path": "",
    }

    async def scenario() -> None:
        async with asyncio.timeout(5):
            await gateway.app(scope, never, send)

    asyncio.run(scenario())
    assert sent[0]["status"] == 401


def test_a_wish_for_a_language_that_makes_no_sense_keeps_nobody_out(gateway: Gateway) -> None:
    response = gateway.browse().get("/api/v1/auth/login?ui_locales=%F0%9F%A6%86", follow_redirects=False)
    assert response.status_code == 303
