"""A realm of the tests' own, on a real Keycloak where one is set and on the stand-in otherwise."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from zhiku_platform.settings import Settings
from zhiku_platform.testing.keycloak import KeycloakServer, keycloak_server
from zhiku_services.gateway.keycloak.admin import KeycloakApi, open_admin_api, open_api
from zhiku_services.gateway.keycloak.directory import KeycloakDirectory
from zhiku_services.gateway.keycloak.realm import REALM_FILE, load_realm
from zhiku_services.gateway.keycloak.reconcile import Reconciler

SYNC_SECRET = "a-secret-of-the-sync-client"


@dataclass
class Realm:
    """A realm that was made by the realm file, and people to put into it."""

    settings: Settings
    api: KeycloakApi
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def add_user(self, username: str, *, enabled: bool = True, **fields: Any) -> str:
        self.api.post("users", body={"username": username, "enabled": enabled, **fields})
        self.ids[username] = next(
            user["id"] for user in self.api.pages("users", username=username) if user["username"] == username
        )
        return self.ids[username]

    def add_group(self, name: str, *, parent: str | None = None, roles: tuple[str, ...] = ()) -> str:
        above = ("groups", parent, "children") if parent else ("groups",)
        self.api.post(*above, body={"name": name})
        group = next(group["id"] for group in self.api.pages(*above) if group["name"] == name)
        if roles:
            self.api.post("groups", group, "role-mappings", "realm", body=[self.role(role) for role in roles])
        return str(group)

    def join(self, username: str, group: str) -> None:
        self.api.put("users", self.ids[username], "groups", group)

    def give(self, username: str, *roles: str) -> None:
        self.api.post("users", self.ids[username], "role-mappings", "realm", body=[self.role(role) for role in roles])

    def role(self, name: str) -> dict[str, Any]:
        found = self.api.get("roles", name)
        assert found is not None
        return found

    def disable(self, username: str) -> None:
        user = self.api.get("users", self.ids[username])
        assert user is not None
        self.api.put("users", self.ids[username], body={**user, "enabled": False})

    def remove(self, username: str) -> None:
        path = f"admin/realms/{self.api.realm}/users/{self.ids[username]}"
        self.api._connection.raw_delete(path)

    def directory(self) -> KeycloakDirectory:
        """The directory as the sync's own client reads it."""
        return KeycloakDirectory(open_api(self.settings))


@pytest.fixture(scope="session")
def keycloak() -> Iterator[KeycloakServer]:
    with keycloak_server() as server:
        yield server


@pytest.fixture
def keycloak_settings(keycloak: KeycloakServer, tmp_path: Path) -> Settings:
    """Settings for a realm that nobody else has; it does not exist yet."""
    realm = f"zhiku-test-{uuid.uuid4().hex[:12]}"
    return Settings(
        home=tmp_path,
        oidc_issuer=f"{keycloak.url}/realms/{realm}",
        oidc_client_secret=SecretStr("a-secret-of-the-portal"),
        oidc_service_clients=("svc-crawler",),
        keycloak_url=keycloak.url,
        keycloak_client_secret=SecretStr(SYNC_SECRET),
        keycloak_admin_username=keycloak.username,
        keycloak_admin_password=SecretStr(keycloak.password),
    )


@pytest.fixture
def admin_api(keycloak_settings: Settings) -> Iterator[KeycloakApi]:
    """The realm's API as the server's administrator; the realm is taken away in the end."""
    api = open_admin_api(keycloak_settings)
    yield api
    api._connection.raw_delete(f"admin/realms/{api.realm}")


@pytest.fixture
def realm(keycloak_settings: Settings, admin_api: KeycloakApi) -> Realm:
    """A realm that the realm file made."""
    Reconciler(admin_api, load_realm(REALM_FILE, keycloak_settings), dry_run=False).run()
    return Realm(keycloak_settings, admin_api)
