"""Calls to the Admin API of one realm.

python-keycloak keeps the token and the connection. Its named methods are not used: `get_groups` hands the offset
of its own last page on to the listing of subgroups, and a query that it was given comes back changed.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from keycloak import KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakError
from requests import Response

from zhiku_platform.errors import UnsafeSettingsError
from zhiku_platform.settings import Settings
from zhiku_services.gateway.errors import DirectoryUnavailableError

_TIMEOUT_S = 10
_PAGE = 100

Item = dict[str, Any]


class KeycloakApi:
    """Reads and writes JSON below `/admin/realms/REALM`; a path is given in segments. May be used from threads.

    Every call raises `DirectoryUnavailableError` if Keycloak does not answer, or refuses.
    """

    def __init__(self, connection: KeycloakOpenIDConnection, realm: str) -> None:
        self.realm = realm
        self._connection = connection
        self._lock = threading.Lock()

    def get(self, *segments: str, **query: str) -> Item | None:
        """One object; None if there is none."""
        found: Item | None = self._json(segments, query, dict)
        return found

    def items(self, *segments: str, **query: str) -> list[Item]:
        """A listing that Keycloak gives whole; empty if there is no such address."""
        found: list[Item] | None = self._json(segments, query, list)
        return found or []

    def pages(self, *segments: str, **query: str) -> list[Item]:
        """A listing that Keycloak gives in pages, all of them."""
        found: list[Item] = []
        while True:
            page = self.items(*segments, **query, first=str(len(found)), max=str(_PAGE))
            found += page
            if len(page) < _PAGE:
                return found

    def post(self, *segments: str, body: object) -> None:
        self._send("POST", segments, lambda path: self._connection.raw_post(path, json.dumps(body)))

    def put(self, *segments: str, body: object = None) -> None:
        self._send("PUT", segments, lambda path: self._connection.raw_put(path, json.dumps(body)))

    def create_realm(self, body: object) -> None:
        self._checked("POST", "realms", lambda: self._connection.raw_post("admin/realms", json.dumps(body)))

    def _json(self, segments: tuple[str, ...], query: Mapping[str, str], kind: type) -> Any:
        response = self._send(
            "GET", segments, lambda path: self._connection.raw_get(path, **query), missing_is_none=True
        )
        if response is None:
            return None
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, kind):
            raise _unavailable("GET", "/".join(segments), "not as its documentation says")
        return found

    def _send(
        self,
        method: str,
        segments: tuple[str, ...],
        call: Callable[[str], Response],
        *,
        missing_is_none: bool = False,
    ) -> Response | None:
        path = "/".join(["admin", "realms", *(quote(part, safe="") for part in (self.realm, *segments))])
        what = "/".join(segments) or "realm"
        return self._checked(method, what, lambda: call(path), missing_is_none=missing_is_none)

    def _checked(
        self, method: str, what: str, call: Callable[[], Response], *, missing_is_none: bool = False
    ) -> Response | None:
        try:
            with self._lock:
                response = call()
        except KeycloakError as error:
            # It also says so when it refuses our credentials.
            raise _unavailable(method, what, f"with {error.response_code or 'nothing'}") from error
        if missing_is_none and response.status_code == 404:
            return None
        if not response.ok:
            raise _unavailable(method, what, f"with {response.status_code}")
        return response


def open_api(settings: Settings) -> KeycloakApi:
    """The API as the client that only reads users, for the sync.

    Raises:
        UnsafeSettingsError: the settings lack the client's secret.
    """
    if settings.keycloak_client_secret is None:
        raise UnsafeSettingsError(
            "`ZHIKU_KEYCLOAK_URL` is set and `ZHIKU_KEYCLOAK_CLIENT_SECRET` is not.",
            remedy=f"Set it to the secret of the client `{settings.keycloak_client_id}`.",
        )
    connection = KeycloakOpenIDConnection(
        server_url=_server(settings),
        realm_name=settings.keycloak_realm_name,
        client_id=settings.keycloak_client_id,
        client_secret_key=settings.keycloak_client_secret.get_secret_value(),
        timeout=_TIMEOUT_S,
    )
    return KeycloakApi(connection, settings.keycloak_realm_name)


def open_admin_api(settings: Settings) -> KeycloakApi:
    """The API as an administrator who may make realms, for `zhiku keycloak reconcile`.

    Raises:
        UnsafeSettingsError: the settings lack the administrator's credentials.
    """
    password, secret = settings.keycloak_admin_password, settings.keycloak_admin_client_secret
    if password is None and secret is None:
        raise UnsafeSettingsError(
            "No administrator of Keycloak is set.",
            remedy="Set `ZHIKU_KEYCLOAK_ADMIN_USERNAME` and `ZHIKU_KEYCLOAK_ADMIN_PASSWORD`, or "
            "`ZHIKU_KEYCLOAK_ADMIN_CLIENT_ID` and `ZHIKU_KEYCLOAK_ADMIN_CLIENT_SECRET`.",
        )
    connection = KeycloakOpenIDConnection(
        server_url=_server(settings),
        realm_name=settings.keycloak_admin_realm,
        username=settings.keycloak_admin_username,
        password=password.get_secret_value() if password else None,
        client_id=settings.keycloak_admin_client_id,
        client_secret_key=secret.get_secret_value() if secret else None,
        timeout=_TIMEOUT_S,
    )
    return KeycloakApi(connection, settings.keycloak_realm_name or "zhiku")


def _server(settings: Settings) -> str:
    if settings.keycloak_url is None:
        raise UnsafeSettingsError(
            "No Keycloak is set.", remedy="Set `ZHIKU_KEYCLOAK_URL`, such as http://keycloak:8080."
        )
    # Without the slash, a path such as `/auth` would be replaced and not extended.
    return settings.keycloak_url.rstrip("/") + "/"


def _unavailable(method: str, what: str, how: str) -> DirectoryUnavailableError:
    return DirectoryUnavailableError(
        f"Keycloak answered {method} {what} {how}.",
        remedy="Check `ZHIKU_KEYCLOAK_URL`, the realm, and the rights of the client.",
    )
