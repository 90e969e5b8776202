"""Brings a realm in step with the realm file: what the file names is made or changed, all else is left alone.

Nothing is ever deleted. An object that the file does not name, and a field that it does not name, stay as an
administrator set them; so a second run finds nothing to do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zhiku_services.gateway.keycloak.admin import Item, KeycloakApi
from zhiku_services.gateway.keycloak.realm import USER_ATTRIBUTES, Realm, RealmFileError

_HIDDEN = "***"
_PARTS = frozenset({"roles", "groups", "clients", "users"})
_APART = frozenset({"protocolMappers", "defaultClientScopes"})
_MISSING = object()

Action = Literal["create", "update"]


@dataclass(frozen=True)
class Difference:
    """One field as it is and as it should be; secrets are hidden."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class RealmChange:
    """One object that is made or changed."""

    kind: str
    name: str
    action: Action
    fields: tuple[Difference, ...]


class Reconciler:
    """One pass over a realm; with `dry_run` it reads only, and says what it would do.

    Every step raises `DirectoryUnavailableError` if Keycloak does not answer, or refuses; what was changed before
    stays, and the next run goes on from there.
    """

    def __init__(self, api: KeycloakApi, realm: Realm, *, dry_run: bool) -> None:
        if api.realm != realm["realm"]:
            raise RealmFileError(
                f"The realm file is for `{realm['realm']}` and the settings for `{api.realm}`.",
                remedy="Name the realm `$(env:ZHIKU_KEYCLOAK_REALM)` in the file.",
            )
        self._api = api
        self._realm = realm
        self._dry_run = dry_run
        self._changes: list[RealmChange] = []

    def run(self) -> list[RealmChange]:
        """Make or change what differs, in the order in which one thing needs another."""
        self._reconcile_realm()
        self._reconcile_user_profile()
        roles: list[Realm] = self._realm.get("roles", {}).get("realm", [])
        for role in roles:
            self._reconcile_role(role)
        # A role may be composed of one that the file names after it.
        for role in roles:
            self._reconcile_composites(role)
        for group in self._realm.get("groups", []):
            self._reconcile_group(group)
        for client in self._realm.get("clients", []):
            self._reconcile_client(client)
        for user in self._realm.get("users", []):
            self._reconcile_service_account(user)
        return self._changes

    def _reconcile_realm(self) -> None:
        wanted = {name: value for name, value in self._realm.items() if name not in _PARTS}
        actual = self._api.get()
        if not self._note("realm", self._realm["realm"], wanted, actual):
            return
        if actual is None:
            self._api.create_realm(wanted)
        else:
            # Keycloak drops the attributes that an update does not name, and keeps the other fields.
            changed = {name: value for name, value in wanted.items() if list(_differences(value, actual.get(name), ""))}
            self._api.put(
                body={**changed, "attributes": {**actual.get("attributes", {}), **wanted.get("attributes", {})}}
            )

    def _reconcile_user_profile(self) -> None:
        profile = self._api.get("users", "profile") or {"attributes": []}
        attributes: dict[str, Item] = {attribute["name"]: attribute for attribute in profile["attributes"]}
        wanted = {attribute["name"]: attribute for attribute in USER_ATTRIBUTES}
        changes = [self._note("user attribute", name, wanted[name], attributes.get(name)) for name in wanted]
        if any(changes):
            merged = [_merged(attributes.get(name, {}), wanted[name]) for name in wanted]
            kept = [attribute for name, attribute in attributes.items() if name not in wanted]
            self._api.put("users", "profile", body={**profile, "attributes": [*kept, *merged]})

    def _reconcile_role(self, role: Realm) -> None:
        wanted = {name: value for name, value in role.items() if name not in {"composite", "composites"}}
        actual = self._api.get("roles", role["name"])
        if not self._note("role", role["name"], wanted, actual):
            return
        if actual is None:
            self._api.post("roles", body=wanted)
        else:
            self._api.put("roles", role["name"], body={**actual, **wanted})

    def _reconcile_composites(self, role: Realm) -> None:
        wanted: list[str] = role.get("composites", {}).get("realm", [])
        if not wanted:
            return
        held = [part["name"] for part in self._api.items("roles", role["name"], "composites", "realm")]
        added = [name for name in wanted if name not in held]
        if added and self._note_added("role", role["name"], "composites", held, added):
            parts = [self._existing("roles", name) for name in added]
            self._api.post("roles", role["name"], "composites", body=parts)

    def _reconcile_group(self, group: Realm) -> None:
        """Make a group at the top of the tree, and give it the roles that it lacks."""
        name = group["name"]
        actual = self._group(name)
        if self._note("group", name, {"name": name}, actual):
            self._api.post("groups", body={"name": name})
            actual = self._group(name)
        held: list[str] = (actual or {}).get("realmRoles", [])
        added = [role for role in group.get("realmRoles", []) if role not in held]
        if added and self._note_added("group", name, "realmRoles", held, added):
            assert actual is not None
            roles = [self._existing("roles", role) for role in added]
            self._api.post("groups", actual["id"], "role-mappings", "realm", body=roles)

    def _group(self, name: str) -> Item | None:
        found = self._api.pages("groups", briefRepresentation="false")
        return next((group for group in found if group["name"] == name), None)

    def _reconcile_client(self, client: Realm) -> None:
        name = client["clientId"]
        wanted = {field: value for field, value in client.items() if field not in _APART}
        actual = self._client(name)
        if self._note("client", name, wanted, actual):
            if actual is None:
                self._api.post("clients", body=wanted)
            else:
                whole = {field: value for field, value in actual.items() if field not in _APART}
                self._api.put("clients", actual["id"], body=_merged(whole, wanted))
            actual = self._client(name)
        self._reconcile_mappers(client, actual)
        self._reconcile_scopes(client, actual)

    def _reconcile_mappers(self, client: Realm, actual: Item | None) -> None:
        present = {mapper["name"]: mapper for mapper in (actual or {}).get("protocolMappers", [])}
        for wanted in client.get("protocolMappers", []):
            mapper = present.get(wanted["name"])
            if not self._note("mapper", f"{client['clientId']}/{wanted['name']}", wanted, mapper):
                continue
            assert actual is not None
            path = ("clients", actual["id"], "protocol-mappers", "models")
            if mapper is None:
                self._api.post(*path, body=wanted)
            else:
                self._api.put(*path, mapper["id"], body=_merged(mapper, wanted))

    def _reconcile_scopes(self, client: Realm, actual: Item | None) -> None:
        held: list[str] = (actual or {}).get("defaultClientScopes", [])
        added = [name for name in client.get("defaultClientScopes", []) if name not in held]
        if not added or not self._note_added("client", client["clientId"], "defaultClientScopes", held, added):
            return
        assert actual is not None
        ids = {scope["name"]: scope["id"] for scope in self._api.items("client-scopes")}
        for name in added:
            if name not in ids:
                raise RealmFileError(f"There is no client scope `{name}`.", remedy="Make it, or take it out.")
            self._api.put("clients", actual["id"], "default-client-scopes", ids[name])

    def _reconcile_service_account(self, user: Realm) -> None:
        """Give a client's service account the roles of other clients that it lacks."""
        name = user["serviceAccountClientId"]
        client = self._client(name)
        account = None if client is None else self._api.get("clients", client["id"], "service-account-user")
        for owner, wanted in user.get("clientRoles", {}).items():
            of = self._client(owner)
            path = ("users", account["id"], "role-mappings", "clients", of["id"]) if account and of else None
            held = [role["name"] for role in self._api.items(*path)] if path else []
            added = [role for role in wanted if role not in held]
            if added and self._note_added("service account", name, f"roles of {owner}", held, added):
                if path is None or of is None:
                    raise RealmFileError(f"There is no client `{owner}`.", remedy="Name one of the realm's clients.")
                roles = [self._existing("clients", of["id"], "roles", role) for role in added]
                self._api.post(*path, body=roles)

    def _client(self, client_id: str) -> Item | None:
        found = self._api.items("clients", clientId=client_id)
        return next((client for client in found if client["clientId"] == client_id), None)

    def _existing(self, *segments: str) -> Item:
        found = self._api.get(*segments)
        if found is None:
            raise RealmFileError(f"There is no role `{segments[-1]}`.", remedy="Name it in the file, or take it out.")
        return found

    def _note(self, kind: str, name: str, wanted: Realm, actual: Item | None) -> bool:
        """Write down what differs, and say whether to act on it."""
        differences = tuple(_differences(wanted, _MISSING if actual is None else actual, ""))
        if not differences:
            return False
        self._changes.append(RealmChange(kind, name, "create" if actual is None else "update", differences))
        return not self._dry_run

    def _note_added(self, kind: str, name: str, field: str, held: list[str], added: list[str]) -> bool:
        difference = Difference(field, sorted(held), sorted({*held, *added}))
        self._changes.append(RealmChange(kind, name, "update", (difference,)))
        return not self._dry_run


def _differences(wanted: Any, actual: Any, field: str) -> Iterator[Difference]:
    """What of `wanted` is not so in `actual`; what only `actual` has is not looked at."""
    if isinstance(wanted, Mapping):
        for name, value in wanted.items():
            inner = actual.get(name, _MISSING) if isinstance(actual, Mapping) else _MISSING
            yield from _differences(value, inner, f"{field}.{name}" if field else name)
    elif _comparable(wanted) != _comparable(actual):
        hide = field.rsplit(".", 1)[-1] == "secret"
        before = None if actual is _MISSING else actual
        yield Difference(field, _HIDDEN if hide and before is not None else before, _HIDDEN if hide else wanted)


def _comparable(value: Any) -> Any:
    """Keycloak keeps addresses and languages in no order."""
    return sorted(map(str, value)) if isinstance(value, list) else value


def _merged(actual: Item, wanted: Realm) -> Item:
    merged = {**actual, **wanted}
    for name in ("attributes", "config"):
        if name in wanted:
            merged[name] = {**(actual.get(name) or {}), **wanted[name]}
    return merged
