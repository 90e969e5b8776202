"""The realm file, and what becomes of a realm by it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from zhiku_platform.access import Permission, permissions_of
from zhiku_platform.contracts.identity import ADMINISTRATORS, Principal, Role
from zhiku_platform.errors import UnsafeSettingsError
from zhiku_platform.settings import Settings
from zhiku_platform.testing.keycloak import KeycloakServer
from zhiku_services.commands.keycloak import app
from zhiku_services.gateway.errors import DirectoryUnavailableError
from zhiku_services.gateway.keycloak.admin import KeycloakApi, open_admin_api, open_api
from zhiku_services.gateway.keycloak.realm import REALM_FILE, RealmFileError, load_realm
from zhiku_services.gateway.keycloak.reconcile import Difference, RealmChange, Reconciler

from .conftest import SYNC_SECRET, Realm


def _reconcile(api: KeycloakApi, settings: Settings, *, dry_run: bool = False) -> list[RealmChange]:
    return Reconciler(api, load_realm(REALM_FILE, settings), dry_run=dry_run).run()


def _client(api: KeycloakApi, client_id: str) -> dict[str, Any]:
    (client,) = api.items("clients", clientId=client_id)
    return client


def test_a_second_run_changes_nothing(admin_api: KeycloakApi, keycloak_settings: Settings) -> None:
    first = _reconcile(admin_api, keycloak_settings)
    made = {(change.kind, change.name) for change in first if change.action == "create"}
    assert {("realm", admin_api.realm), ("client", "zhiku-portal"), ("client", "svc-crawler")} <= made
    assert _reconcile(admin_api, keycloak_settings) == []


def test_a_dry_run_says_the_same_and_writes_nothing(
    admin_api: KeycloakApi, keycloak_settings: Settings, keycloak: KeycloakServer
) -> None:
    before = len(keycloak.requests)
    announced = _reconcile(admin_api, keycloak_settings, dry_run=True)
    assert admin_api.get() is None
    written = [request for request in keycloak.requests[before:] if "/admin/" in request and request[:3] != "GET"]
    assert written == []
    done = _reconcile(admin_api, keycloak_settings)
    created = {(change.kind, change.name) for change in announced if change.action == "create"}
    assert created == {(change.kind, change.name) for change in done if change.action == "create"}


def test_every_role_of_ours_is_a_realm_role_but_the_services(realm: Realm) -> None:
    names = {role["name"] for role in realm.api.pages("roles")}
    assert {role.value for role in Role} - names == {"service"}


@pytest.mark.parametrize("administrator", sorted(ADMINISTRATORS))
def test_nobody_is_an_employee_by_default_least_of_all_an_administrator(realm: Realm, administrator: Role) -> None:
    realm.add_user("adm")
    realm.give("adm", administrator)
    realm.add_user("lin")
    realm.join("lin", next(group["id"] for group in realm.api.pages("groups") if group["name"] == "employees"))
    users = {entry.user.username: entry.user for entry in realm.directory().read()}
    assert users["adm"].roles == {administrator}
    assert Permission.DOCUMENT_READ not in permissions_of(
        Principal(sub="adm", tenant="default", roles=users["adm"].roles, groups=users["adm"].groups)
    )
    assert users["lin"].roles == {Role.EMPLOYEE}
    assert users["lin"].groups == {"employees"}


def test_a_group_that_lost_its_role_gets_it_again(realm: Realm) -> None:
    realm.api.post("groups", body={"name": "readers"})
    wanted = load_realm(REALM_FILE, realm.settings)
    wanted["groups"] = [{"name": "readers", "realmRoles": ["employee"]}]
    (change,) = Reconciler(realm.api, wanted, dry_run=False).run()
    assert change.fields == (Difference("realmRoles", [], ["employee"]),)
    assert Reconciler(realm.api, wanted, dry_run=False).run() == []


def test_the_clients_are_as_strict_as_the_design_wants(realm: Realm) -> None:
    portal, service = _client(realm.api, "zhiku-portal"), _client(realm.api, "svc-crawler")
    assert portal["redirectUris"] == ["http://127.0.0.1:8000/api/v1/auth/callback"]
    assert (portal["publicClient"], portal["fullScopeAllowed"], portal["directAccessGrantsEnabled"]) == (
        False,
        False,
        False,
    )
    assert portal["attributes"]["pkce.code.challenge.method"] == "S256"
    assert portal["attributes"]["backchannel.logout.url"] == "http://127.0.0.1:8000/oidc/backchannel-logout"
    assert (service["serviceAccountsEnabled"], service["standardFlowEnabled"]) == (True, False)
    (mapper,) = service["protocolMappers"]
    assert mapper["config"]["included.client.audience"] == "zhiku-api"


def test_what_an_administrator_added_stays(realm: Realm) -> None:
    api = realm.api
    api.post("roles", body={"name": "canteen"})
    api.post("clients", body={"clientId": "payroll", "redirectUris": ["https://payroll.example/*"]})
    portal = _client(api, "zhiku-portal")
    api.put("clients", portal["id"], body={**portal, "attributes": {**portal["attributes"], "login_theme": "ours"}})
    settings = api.get()
    assert settings is not None
    api.put(body={"attributes": {**settings["attributes"], "frontendUrl": "https://id.example"}})
    assert _reconcile(api, realm.settings) == []
    changed = realm.settings.model_copy(update={"public_url": "https://kb.example", "host": "127.0.0.1"})
    _reconcile(api, changed)
    assert api.get("roles", "canteen") is not None
    assert _client(api, "payroll")["redirectUris"] == ["https://payroll.example/*"]
    assert _client(api, "zhiku-portal")["attributes"]["login_theme"] == "ours"
    after = api.get()
    assert after is not None
    assert after["attributes"]["frontendUrl"] == "https://id.example"


def test_drift_is_named_field_by_field_and_mended(realm: Realm) -> None:
    portal = _client(realm.api, "zhiku-portal")
    drifted = {**portal, "redirectUris": ["https://evil.example/*"], "fullScopeAllowed": True}
    realm.api.put("clients", portal["id"], body=drifted)
    realm.api.put(body={"accessTokenLifespan": 86400})
    changes = _reconcile(realm.api, realm.settings)
    assert [(change.kind, change.action) for change in changes] == [("realm", "update"), ("client", "update")]
    assert changes[0].fields == (Difference("accessTokenLifespan", 86400, 300),)
    assert {field.field: (field.before, field.after) for field in changes[1].fields} == {
        "redirectUris": (["https://evil.example/*"], ["http://127.0.0.1:8000/api/v1/auth/callback"]),
        "fullScopeAllowed": (True, False),
    }
    assert _reconcile(realm.api, realm.settings) == []


def test_a_secret_is_changed_and_never_shown(realm: Realm) -> None:
    portal = _client(realm.api, "zhiku-portal")
    realm.api.put("clients", portal["id"], body={**portal, "secret": "somebody-elses"})
    changes = _reconcile(realm.api, realm.settings, dry_run=True)
    assert [change.fields for change in changes] == [(Difference("secret", "***", "***"),)]
    _reconcile(realm.api, realm.settings)
    assert _client(realm.api, "zhiku-portal")["secret"] == "a-secret-of-the-portal"


def test_a_secret_that_is_not_set_is_left_to_keycloak(realm: Realm) -> None:
    without = realm.settings.model_copy(update={"oidc_client_secret": None})
    assert _reconcile(realm.api, without) == []


def test_the_syncs_client_may_read_users_and_nothing_more(realm: Realm) -> None:
    api = realm.api
    client, management = _client(api, "zhiku-sync"), _client(api, "realm-management")
    account = api.get("clients", client["id"], "service-account-user")
    assert account is not None
    held = api.items("users", account["id"], "role-mappings", "clients", management["id"])
    assert {role["name"] for role in held} == {"view-users", "view-realm", "query-groups"}


def test_no_user_can_raise_their_own_clearance(realm: Realm) -> None:
    profile = realm.api.get("users", "profile")
    assert profile is not None
    attributes = {attribute["name"]: attribute for attribute in profile["attributes"]}
    assert {"username", "email", "firstName", "lastName"} <= set(attributes)
    assert attributes["clearance"]["permissions"] == {"view": ["admin", "user"], "edit": ["admin"]}
    loose = {**attributes["clearance"], "permissions": {"view": ["admin", "user"], "edit": ["admin", "user"]}}
    others = [attribute for name, attribute in attributes.items() if name != "clearance"]
    realm.api.put("users", "profile", body={**profile, "attributes": [*others, loose]})
    (change,) = _reconcile(realm.api, realm.settings)
    assert change.fields == (Difference("permissions.edit", ["admin", "user"], ["admin"]),)
    assert _reconcile(realm.api, realm.settings) == []


def test_the_realm_file_holds_no_secret_and_names_its_version() -> None:
    text = REALM_FILE.read_text()
    assert json.loads(text)["attributes"]["zhiku.realm.version"] == "1"
    assert all("$(env:" in line for line in text.splitlines() if '"secret"' in line)


def test_a_realm_file_of_another_realm_is_refused(
    admin_api: KeycloakApi, keycloak_settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "realm.json"
    file.write_text('{"realm": "another"}')
    with pytest.raises(RealmFileError, match="another"):
        Reconciler(admin_api, load_realm(file, keycloak_settings), dry_run=True)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"realm": "$(env:NO_SUCH)"}', '{"realm": "x", "clients": [{"clientId": "$(env:NO)-x"}]}']
)
def test_a_broken_realm_file_is_refused(keycloak_settings: Settings, tmp_path: Path, text: str) -> None:
    file = tmp_path / "realm.json"
    file.write_text(text)
    with pytest.raises(RealmFileError):
        load_realm(file, keycloak_settings)


def test_wrong_credentials_are_told_apart_from_a_missing_realm(keycloak_settings: Settings, realm: Realm) -> None:
    from pydantic import SecretStr

    wrong = keycloak_settings.model_copy(update={"keycloak_client_secret": SecretStr("guess")})
    with pytest.raises(DirectoryUnavailableError):
        open_api(wrong).get("users", "x")
    assert realm.api.get("users", "no-such-user") is None


@pytest.mark.parametrize("missing", ["keycloak_url", "keycloak_admin_password"])
def test_what_is_not_set_is_named(keycloak_settings: Settings, missing: str) -> None:
    with pytest.raises(UnsafeSettingsError, match=r"keycloak|Keycloak"):
        open_admin_api(keycloak_settings.model_copy(update={missing: None}))


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Logging as it was before a command sent it to a stream of its own, which ends with the command."""
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logging")
def test_the_command_prints_what_it_did(
    admin_api: KeycloakApi, keycloak_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = keycloak_settings.model_dump(mode="json", exclude_defaults=True, exclude={"home", "oidc_service_clients"})
    for name, value in shown.items():
        monkeypatch.setenv(f"ZHIKU_{name.upper()}", value)
    monkeypatch.setenv("ZHIKU_KEYCLOAK_ADMIN_PASSWORD", str(keycloak_settings.keycloak_admin_password and "admin"))
    monkeypatch.setenv("ZHIKU_KEYCLOAK_CLIENT_SECRET", SYNC_SECRET)
    home = ["--home", str(keycloak_settings.home)]
    first = CliRunner().invoke(app, ["reconcile", "--dry-run", "--json", *home])
    assert first.exit_code == 0, first.output
    announced = json.loads(first.stdout)
    assert announced["dry_run"] is True
    assert announced["changes"][0]["kind"] == "realm"
    second = CliRunner().invoke(app, ["reconcile", *home])
    assert "client zhiku-portal" in second.stdout
    third = CliRunner().invoke(app, ["reconcile", *home])
    assert third.stdout.strip() == "Nothing to change."
    assert "a-secret" not in first.stdout + second.stdout
