"""API keys: shown once, narrowed, and dead when they should be."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from zhiku_platform.access import SCOPE_PERMISSIONS, Permission, permissions_of
from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.identity import Principal, Role

from .conftest import Gateway


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_key_opens_what_its_scope_says_and_nothing_else(gateway: Gateway) -> None:
    secret = gateway.create_key("zhao", "search")["secret"]
    browser = gateway.browse()
    assert browser.get("/api/v1/documents/d1", headers=_bearer(secret)).json()["scopes"] == ["search"]
    for method, path in [
        ("GET", "/api/v1/api-keys"),
        ("GET", "/api/v1/session"),
        ("POST", "/api/v1/knowledge-bases"),
        ("POST", "/api/v1/conversations"),
        ("POST", "/api/v1/knowledge-bases/kb/uploads"),
        ("GET", "/v1/models"),
    ]:
        assert browser.request(method, path, headers=_bearer(secret)).status_code == 403, path


def test_a_key_never_gives_more_than_its_owner_has() -> None:
    reviewer = Principal(
        sub="c",
        tenant="t",
        roles=frozenset({Role.COMPLIANCE_REVIEWER}),
        scopes=frozenset({ApiKeyScope.INGEST}),
    )
    assert permissions_of(reviewer) == {Permission.KNOWLEDGE_BASE_READ, Permission.DOCUMENT_READ}


def test_no_scope_lets_a_key_make_keys_or_change_rights() -> None:
    opened = frozenset().union(*SCOPE_PERMISSIONS.values())
    assert opened.isdisjoint({Permission.API_KEY_MANAGE, Permission.SESSION_OWN, Permission.KNOWLEDGE_BASE_MANAGE})
    assert set(SCOPE_PERMISSIONS) == set(ApiKeyScope)


def test_a_principal_without_scopes_in_its_key_may_do_nothing() -> None:
    assert (
        permissions_of(Principal(sub="x", tenant="t", roles=frozenset({Role.EMPLOYEE}), scopes=frozenset()))
        == frozenset()
    )


def _wrong_secret(gateway: Gateway, created: dict[str, Any]) -> str:
    secret: str = created["secret"]
    return secret[:-1] + ("A" if secret[-1] != "A" else "B")


def _unknown_prefix(gateway: Gateway, created: dict[str, Any]) -> str:
    secret: str = created["secret"]
    return f"zk_{'0' * 12}_{secret.split('_', 2)[2]}"


def _expired(gateway: Gateway, created: dict[str, Any]) -> str:
    gateway.clock.pass_time(days=91)
    secret: str = created["secret"]
    return secret


def _revoked(gateway: Gateway, created: dict[str, Any]) -> str:
    owner = gateway.sign_in("lin")
    assert owner.delete(f"/api/v1/api-keys/{created['key']['id']}").status_code == 204
    secret: str = created["secret"]
    return secret


def _no_key(gateway: Gateway, created: dict[str, Any]) -> str:
    return "eyJhbGciOiJub25lIn0.e30."


@pytest.mark.parametrize("spoil", [_wrong_secret, _unknown_prefix, _expired, _revoked, _no_key])
def test_every_bad_key_is_refused_in_the_same_words(
    gateway: Gateway, spoil: Callable[[Gateway, dict[str, Any]], str]
) -> None:
    bad = spoil(gateway, gateway.create_key("lin", "search"))
    stranger = gateway.browse()
    refused, nobody = (
        stranger.get("/api/v1/documents/d1", headers=_bearer(bad)),
        stranger.get("/api/v1/documents/d1"),
    )
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert {**refused.json(), "request_id": ""} == {**nobody.json(), "request_id": ""}


def test_a_bad_key_is_not_saved_by_a_good_cookie(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    assert browser.get("/api/v1/session", headers=_bearer("zk_nope")).status_code == 401


def test_who_tries_a_dead_key_leaves_one_trace_a_minute(gateway: Gateway) -> None:
    created = gateway.create_key("lin", "search")
    bad = _wrong_secret(gateway, created)
    for _ in range(5):
        gateway.browse().get("/api/v1/documents/d1", headers=_bearer(bad))
    assert [event for event in gateway.audited() if event[0] == "api_key.refused"] == [
        ("api_key.refused", "anonymous", {"reason": "wrong_secret", "owner": "lin"})
    ]


def test_making_and_revoking_a_key_is_audited(gateway: Gateway) -> None:
    _revoked(gateway, gateway.create_key("lin", "ask", "search"))
    made, revoked = [event for event in gateway.audited() if event[0].startswith("api_key")]
    assert made == (
        "api_key.created",
        "lin",
        {"scopes": ["ask", "search"], "expires_at": "2027-02-21T09:00:00+00:00"},
    )
    assert revoked == ("api_key.revoked", "lin", {})


def test_the_database_holds_no_secret(gateway: Gateway) -> None:
    created = gateway.create_key("lin", "search")
    with gateway.database.read() as session:
        rows = str(session.connection().execute(text("SELECT * FROM api_key")).all())
    assert created["key"]["prefix"].removeprefix("zk_") in rows
    assert created["secret"].split("_", 2)[2] not in rows


def test_a_key_is_listed_without_its_secret_and_with_its_last_use(gateway: Gateway) -> None:
    created = gateway.create_key("zhao", "search")
    gateway.clock.pass_time(minutes=5)
    gateway.browse().get("/api/v1/documents/d1", headers=_bearer(created["secret"]))
    listed = gateway.sign_in("zhao").get("/api/v1/api-keys").json()["items"]
    assert [key["last_used_at"] for key in listed] == ["2026-11-23T09:05:00Z"]
    assert created["secret"] not in str(listed)


def test_nobody_sees_or_revokes_the_keys_of_others(gateway: Gateway) -> None:
    created = gateway.create_key("lin", "search")
    other = gateway.sign_in("zhao")
    assert other.get("/api/v1/api-keys").json()["items"] == []
    missing = other.delete("/api/v1/api-keys/key_missing")
    foreign = other.delete(f"/api/v1/api-keys/{created['key']['id']}")
    assert foreign.status_code == missing.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
    assert gateway.browse().get("/v1/models", headers=_bearer(created["secret"])).status_code == 403
    assert gateway.sign_in("lin").get("/api/v1/api-keys").json()["items"] != []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "", "scopes": ["ask"]},
        {"name": "k", "scopes": []},
        {"name": "k", "scopes": ["admin"]},
        {"name": "k", "scopes": ["ask"], "expires_in_days": 366},
    ],
)
def test_a_key_needs_a_name_a_scope_and_an_end(gateway: Gateway, wrong: dict[str, Any]) -> None:
    assert gateway.sign_in("lin").post("/api/v1/api-keys", json=wrong).status_code == 422
