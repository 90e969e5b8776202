"""The realm file: what `zhiku keycloak reconcile` makes of a realm, in Keycloak's own import format.

`$(env:NAME)` stands for a setting, as keycloak-config-cli writes it. The file holds no secret.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zhiku_platform.errors import ZhikuError
from zhiku_platform.settings import Settings

REALM_FILE = Path(__file__).parent / "realm.json"

_PLACEHOLDER = re.compile(r"\$\(env:([A-Z0-9_]+)\)")
_MAPPER = "zhiku-api-audience"

Realm = dict[str, Any]

_BY_ADMINISTRATORS = {"view": ["admin", "user"], "edit": ["admin"]}
USER_ATTRIBUTES: tuple[Realm, ...] = (
    {
        "name": "department",
        "displayName": "Department",
        "permissions": _BY_ADMINISTRATORS,
        "validations": {"length": {"max": 200}},
    },
    {
        "name": "clearance",
        "displayName": "Clearance, 0 to 9",
        "permissions": _BY_ADMINISTRATORS,
        "validations": {"integer": {"min": "0", "max": "9"}},
    },
)
"""What the user profile needs besides Keycloak's own. Without it Keycloak drops the attributes in silence, and with
any other permission a user could raise their own clearance. The import format has no place for it."""


class RealmFileError(ZhikuError):
    """The realm file cannot be used."""

    status = 422
    code = "realm_file_invalid"
    title = "The realm file cannot be used"


def load_realm(path: Path, settings: Settings) -> Realm:
    """The realm file with the settings filled in, and a client for each service that may call.

    A secret that the settings do not have is left out, and so left as it is.

    Raises:
        RealmFileError: it is not JSON, or names a variable that is not set.
    """
    try:
        realm = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RealmFileError(
            f"{path} cannot be read.", remedy="Give a JSON file in Keycloak's import format."
        ) from error
    if not isinstance(realm, dict) or not isinstance(realm.get("realm"), str):
        raise RealmFileError(f"{path} names no realm.", remedy="Set `realm` to its name.")
    filled: Realm = _fill(realm, _variables(settings))
    filled["clients"] = [*filled.get("clients", []), *service_clients(settings)]
    return filled


def service_clients(settings: Settings) -> Iterable[Realm]:
    """A confidential client for each service: its account alone, and only for our audience."""
    for name in settings.oidc_service_clients:
        yield {
            "clientId": name,
            "description": "A service that calls Zhiku with its own credentials.",
            "enabled": True,
            "protocol": "openid-connect",
            "publicClient": False,
            "standardFlowEnabled": False,
            "implicitFlowEnabled": False,
            "directAccessGrantsEnabled": False,
            "serviceAccountsEnabled": True,
            "fullScopeAllowed": False,
            "protocolMappers": [
                {
                    "name": _MAPPER,
                    "protocol": "openid-connect",
                    "protocolMapper": "oidc-audience-mapper",
                    "config": {
                        "included.client.audience": settings.oidc_audience,
                        "access.token.claim": "true",
                        "id.token.claim": "false",
                    },
                }
            ],
        }


def _variables(settings: Settings) -> Mapping[str, str | None]:
    def shown(secret: Any) -> str | None:
        return None if secret is None else secret.get_secret_value()

    return {
        "ZHIKU_KEYCLOAK_REALM": settings.keycloak_realm_name or "zhiku",
        "ZHIKU_PUBLIC_URL": settings.base_url,
        "ZHIKU_OIDC_CLIENT_ID": settings.oidc_client_id,
        "ZHIKU_OIDC_CLIENT_SECRET": shown(settings.oidc_client_secret),
        "ZHIKU_OIDC_AUDIENCE": settings.oidc_audience,
        "ZHIKU_KEYCLOAK_CLIENT_ID": settings.keycloak_client_id,
        "ZHIKU_KEYCLOAK_CLIENT_SECRET": shown(settings.keycloak_client_secret),
    }


def _fill(value: Any, variables: Mapping[str, str | None]) -> Any:
    if isinstance(value, dict):
        filled = {key: _fill(item, variables) for key, item in value.items()}
        return {key: item for key, item in filled.items() if item is not None}
    if isinstance(value, list):
        return [_fill(item, variables) for item in value]
    if not isinstance(value, str):
        return value
    if (whole := _PLACEHOLDER.fullmatch(value)) and whole[1] in variables:
        return variables[whole[1]]
    return _PLACEHOLDER.sub(lambda match: _look_up(match[1], variables), value)


def _look_up(name: str, variables: Mapping[str, str | None]) -> str:
    value = variables.get(name)
    if value is None:
        raise RealmFileError(f"The realm file needs `{name}`, which is not set.", remedy="Set it, or take it out.")
    return value
