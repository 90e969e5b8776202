"""A stand-in for Keycloak's Admin API, for machines without a Keycloak.

It answers the calls that we make in the shapes of the Keycloak 26 Admin REST API documentation, over HTTP, from
memory. Where `ZHIKU_TEST_KEYCLOAK_URL` is set the same tests run against that server instead, as the administrator
`ZHIKU_TEST_KEYCLOAK_USERNAME` and `ZHIKU_TEST_KEYCLOAK_PASSWORD` (both `admin` by default).
"""

import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Item = dict[str, Any]

_SCOPES = ("basic", "acr", "profile", "email", "roles", "web-origins")
_MANAGEMENT_ROLES = ("view-users", "view-realm", "query-groups", "query-users", "manage-users", "realm-admin")


@dataclass(frozen=True)
class KeycloakServer:
    """A server to test against, and who administers it."""

    url: str
    username: str
    password: str
    requests: list[str] = field(default_factory=list[str])
    """What was asked of the stand-in, as `METHOD path`; empty for a real server."""


@contextmanager
def keycloak_server() -> Iterator[KeycloakServer]:
    """The Keycloak that the environment names, or the stand-in on a free port of 127.0.0.1."""
    if url := os.environ.get("ZHIKU_TEST_KEYCLOAK_URL"):
        username = os.environ.get("ZHIKU_TEST_KEYCLOAK_USERNAME", "admin")
        yield KeycloakServer(url, username, os.environ.get("ZHIKU_TEST_KEYCLOAK_PASSWORD", "admin"))
        return
    state = _Keycloak()

    class Handler(_Handler):
        keycloak = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield KeycloakServer(f"http://127.0.0.1:{server.server_port}", "admin", "admin", state.requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _RefusedError(Exception):
    def __init__(self, status: int, body: Item) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def _missing(what: str) -> _RefusedError:
    return _RefusedError(404, {"error": f"{what} not found"})


class _Realm:
    """One realm as it is after it was made: Keycloak adds clients, scopes and a default role of its own."""

    def __init__(self, body: Item) -> None:
        self.settings: Item = {"id": str(uuid.uuid4()), "enabled": False, "attributes": {}, **body}
        self.roles: dict[str, Item] = {}
        self.composites: dict[str, set[str]] = {}
        self.clients: dict[str, Item] = {}
        self.client_roles: dict[str, dict[str, Item]] = {}
        self.scopes = {name: str(uuid.uuid4()) for name in _SCOPES}
        self.users: dict[str, Item] = {}
        self.groups: dict[str, Item] = {}
        self.members: dict[str, set[str]] = {}
        self.role_users: dict[str, set[str]] = {}
        self.client_role_users: dict[tuple[str, str], set[str]] = {}
        own = ("username", "email", "firstName", "lastName")
        self.profile: Item = {"attributes": [{"name": name} for name in own], "groups": []}
        name = self.settings["realm"]
        self.add_role({"name": "offline_access"})
        self.add_role({"name": f"default-roles-{name.lower()}"})
        self.composites[f"default-roles-{name.lower()}"] = {"offline_access"}
        management = self.add_client({"clientId": "realm-management", "bearerOnly": True})
        self.client_roles[management] = {
            role: {"id": str(uuid.uuid4()), "name": role, "clientRole": True} for role in _MANAGEMENT_ROLES
        }

    @property
    def default_role(self) -> str:
        return f"default-roles-{self.settings['realm'].lower()}"

    def add_role(self, body: Item) -> str:
        if body["name"] in self.roles:
            raise _RefusedError(409, {"errorMessage": f"Role with name {body['name']} already exists"})
        role = {"id": str(uuid.uuid4()), "clientRole": False, "containerId": self.settings["id"], "attributes": {}}
        self.roles[body["name"]] = {**role, **body}
        return str(body["name"])

    def role(self, name: str) -> Item:
        found = self.roles.get(name)
        if found is None:
            raise _RefusedError(404, {"error": "Could not find role"})
        return {**found, "composite": bool(self.composites.get(name))}

    def add_client(self, body: Item) -> str:
        if any(client["clientId"] == body["clientId"] for client in self.clients.values()):
            raise _RefusedError(409, {"errorMessage": f"Client {body['clientId']} already exists"})
        key = str(uuid.uuid4())
        client: Item = {
            "id": key,
            "enabled": True,
            "publicClient": False,
            "bearerOnly": False,
            "redirectUris": [],
            "webOrigins": [],
            "fullScopeAllowed": True,
            "serviceAccountsEnabled": False,
            "defaultClientScopes": list(_SCOPES),
            **body,
        }
        # Keycloak sets some of its own attributes on every client.
        client["attributes"] = {"client.secret.creation.time": "1790000000", **body.get("attributes", {})}
        if not client["publicClient"] and not client["bearerOnly"]:
            client.setdefault("secret", uuid.uuid4().hex)
        self.clients[key] = client
        self.client_roles[key] = {}
        if client["serviceAccountsEnabled"]:
            self.add_user({"username": f"service-account-{client['clientId']}", "serviceAccountClientId": key})
        return key

    def client(self, key: str) -> Item:
        if key not in self.clients:
            raise _RefusedError(404, {"error": "Could not find client"})
        return self.clients[key]

    def add_user(self, body: Item) -> str:
        if any(user["username"] == body["username"] for user in self.users.values()):
            raise _RefusedError(409, {"errorMessage": "User exists with same username"})
        key = str(uuid.uuid4())
        self.users[key] = {"id": key, "enabled": False, "emailVerified": False, **self.managed(body)}
        self.role_users.setdefault(self.default_role, set()).add(key)
        return key

    def managed(self, body: Item) -> Item:
        """A user without the attributes that the profile does not have: Keycloak drops them in silence."""
        known = {attribute["name"] for attribute in self.profile["attributes"]}
        kept = {name: value for name, value in body.get("attributes", {}).items() if name in known}
        return {**body, "attributes": kept}

    def add_group(self, body: Item, parent: str | None = None) -> str:
        key = str(uuid.uuid4())
        above = self.groups[parent]["path"] if parent else ""
        path = f"{above}/{body['name'].replace('/', '~/')}"
        self.groups[key] = {"id": key, "parentId": parent, "path": path, "realmRoles": [], **body}
        self.members[key] = set()
        return key

    def shown_group(self, group: Item, brief: bool) -> Item:
        below = sum(other["parentId"] == group["id"] for other in self.groups.values())
        shown: Item = {"id": group["id"], "name": group["name"], "path": group["path"]}
        shown |= {"subGroupCount": below, "subGroups": []}
        if group["parentId"]:
            shown["parentId"] = group["parentId"]
        return shown if brief else {**shown, "attributes": {}, "realmRoles": group["realmRoles"], "clientRoles": {}}

    def roles_of(self, user: str) -> set[str]:
        """The effective roles: own ones, those of groups and of the groups above, and what they are composed of."""
        held = {name for name, users in self.role_users.items() if user in users}
        for key, users in self.members.items():
            group: Item | None = self.groups[key] if user in users else None
            while group is not None:
                held |= set(group["realmRoles"])
                group = self.groups.get(group["parentId"] or "")
        waiting = list(held)
        while waiting:
            new = self.composites.get(waiting.pop(), set()) - held
            held |= new
            waiting += new
        return held


class _Keycloak:
    """All realms, and the routes of the Admin API below `/admin/realms`."""

    def __init__(self) -> None:
        self.realms: dict[str, _Realm] = {}
        self.tokens: set[str] = set()
        self.requests: list[str] = []
        self.lock = threading.Lock()

    def sign_in(self, realm: str, form: dict[str, str]) -> Item:
        if form.get("grant_type") == "password":
            right = realm == "master" and (form.get("username"), form.get("password")) == ("admin", "admin")
        else:
            clients = self.realms[realm].clients.values() if realm in self.realms else ()
            wanted = (form.get("client_id"), form.get("client_secret"))
            right = any((client["clientId"], client.get("secret")) == wanted for client in clients)
        if not right:
            raise _RefusedError(401, {"error": "unauthorized_client"})
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return {"access_token": token, "expires_in": 60, "token_type": "Bearer", "scope": "email profile"}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, str | None]:
        """Status, JSON and the id of what was made."""
        if (method, path) == ("POST", "realms"):
            self.realms[body["realm"]] = _Realm(body)
            return 201, None, body["realm"]
        name, _, rest = path.removeprefix("realms/").partition("/")
        if name not in self.realms:
            raise _missing("Realm")
        if not rest and method == "DELETE":
            del self.realms[name]
            return 204, None, None
        for pattern, handlers in _ROUTES:
            if (match := re.fullmatch(pattern, rest)) and method in handlers:
                found = handlers[method](self.realms[name], [unquote(part) for part in match.groups()], query, body)
                if method == "GET":
                    return 200, found, None
                return (201, None, found) if found is not None else (204, None, None)
        raise _RefusedError(404, {"error": "HTTP 404 Not Found"})


Route = Callable[[_Realm, list[str], dict[str, str], Any], Any]


def _page(items: list[Item], query: dict[str, str]) -> list[Item]:
    first = int(query.get("first", 0))
    return items[first : first + int(query.get("max", 100))]


def _is_brief(query: dict[str, str]) -> bool:
    return query.get("briefRepresentation", "true").lower() == "true"


def _update_realm(realm: _Realm, _ids: list[str], _query: dict[str, str], body: Any) -> None:
    # As Keycloak does: fields that are not named stay, attributes that are not named go.
    realm.settings.update(body)


def _list_roles(realm: _Realm, _ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    return _page([realm.role(name) for name in sorted(realm.roles)], query)


def _put_role(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    realm.roles[realm.role(ids[0])["name"]].update(body)


def _composites(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> list[Item]:
    realm.role(ids[0])
    return [realm.role(name) for name in sorted(realm.composites.get(ids[0], ()))]


def _add_composites(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    realm.composites.setdefault(ids[0], set()).update(role["name"] for role in body)


def _role_users(realm: _Realm, ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    realm.role(ids[0])
    return _page([_brief_user(realm.users[key]) for key in sorted(realm.role_users.get(ids[0], ()))], query)


def _list_clients(realm: _Realm, _ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    wanted = query.get("clientId")
    return [client for client in realm.clients.values() if wanted in {None, client["clientId"]}]


def _put_client(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    apart = {"protocolMappers", "defaultClientScopes", "optionalClientScopes"}
    realm.client(ids[0]).update({name: value for name, value in body.items() if name not in apart})


def _add_mapper(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> str:
    key = str(uuid.uuid4())
    mapper = {"id": key, "consentRequired": False, **body}
    mapper["config"] = {"introspection.token.claim": "true", **body["config"]}
    realm.client(ids[0]).setdefault("protocolMappers", []).append(mapper)
    return key


def _put_mapper(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    mappers: list[Item] = realm.client(ids[0])["protocolMappers"]
    next(mapper for mapper in mappers if mapper["id"] == ids[1]).update(body)


def _add_scope(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> None:
    name = next(name for name, key in realm.scopes.items() if key == ids[1])
    realm.client(ids[0])["defaultClientScopes"].append(name)


def _service_account(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> Item:
    account = next((user for user in realm.users.values() if user.get("serviceAccountClientId") == ids[0]), None)
    if account is None:
        raise _RefusedError(400, {"errorMessage": "Service account not enabled for the client"})
    return account


def _client_role(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> Item:
    found = realm.client_roles.get(ids[0], {}).get(ids[1])
    if found is None:
        raise _RefusedError(404, {"error": "Could not find role"})
    return found


def _client_roles_of_user(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> list[Item]:
    roles = realm.client_roles[ids[1]].values()
    return [role for role in roles if ids[0] in realm.client_role_users.get((ids[1], role["name"]), ())]


def _give_client_roles(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    for role in body:
        realm.client_role_users.setdefault((ids[1], role["name"]), set()).add(ids[0])


def _user(realm: _Realm, key: str) -> Item:
    if key not in realm.users:
        raise _missing("User")
    return realm.users[key]


def _brief_user(user: Item) -> Item:
    return {name: value for name, value in user.items() if name != "attributes"}


def _list_users(realm: _Realm, _ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    # Keycloak does not list the accounts of services.
    people = [user for user in realm.users.values() if "serviceAccountClientId" not in user]
    people.sort(key=lambda user: str(user["username"]))
    return _page([_brief_user(user) if _is_brief(query) else user for user in people], query)


def _groups_of_user(realm: _Realm, ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    _user(realm, ids[0])
    groups = [realm.groups[key] for key, members in realm.members.items() if ids[0] in members]
    return _page([realm.shown_group(group, _is_brief(query)) for group in groups], query)


def _roles_of_user(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> list[Item]:
    _user(realm, ids[0])
    return [realm.role(name) for name in sorted(realm.roles_of(ids[0]))]


def _give_roles(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    for role in body:
        realm.role_users.setdefault(role["name"], set()).add(ids[0])


def _give_group_roles(realm: _Realm, ids: list[str], _query: dict[str, str], body: Any) -> None:
    realm.groups[ids[0]]["realmRoles"] += [role["name"] for role in body]


def _list_groups(realm: _Realm, ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    parent = ids[0] if ids else None
    groups = [group for group in realm.groups.values() if group["parentId"] == parent]
    groups.sort(key=lambda group: str(group["name"]))
    return _page([realm.shown_group(group, _is_brief(query)) for group in groups], query)


def _group_members(realm: _Realm, ids: list[str], query: dict[str, str], _body: Any) -> list[Item]:
    return _page([_brief_user(realm.users[key]) for key in sorted(realm.members[ids[0]])], query)


def _join(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> None:
    realm.members[ids[1]].add(_user(realm, ids[0])["id"])


def _delete_user(realm: _Realm, ids: list[str], _query: dict[str, str], _body: Any) -> None:
    del realm.users[_user(realm, ids[0])["id"]]
    for held in (*realm.members.values(), *realm.role_users.values()):
        held.discard(ids[0])


_ID = "([^/]+)"
_ROUTES: list[tuple[str, dict[str, Route]]] = [
    ("", {"GET": lambda realm, *_: realm.settings, "PUT": _update_realm}),
    ("roles", {"GET": _list_roles, "POST": lambda realm, _i, _q, body: realm.add_role(body)}),
    (f"roles/{_ID}", {"GET": lambda realm, ids, *_: realm.role(ids[0]), "PUT": _put_role}),
    (f"roles/{_ID}/composites", {"POST": _add_composites}),
    (f"roles/{_ID}/composites/realm", {"GET": _composites}),
    (f"roles/{_ID}/users", {"GET": _role_users}),
    ("clients", {"GET": _list_clients, "POST": lambda realm, _i, _q, body: realm.add_client(body)}),
    (f"clients/{_ID}", {"PUT": _put_client}),
    (f"clients/{_ID}/protocol-mappers/models", {"POST": _add_mapper}),
    (f"clients/{_ID}/protocol-mappers/models/{_ID}", {"PUT": _put_mapper}),
    (f"clients/{_ID}/default-client-scopes/{_ID}", {"PUT": _add_scope}),
    (f"clients/{_ID}/service-account-user", {"GET": _service_account}),
    (f"clients/{_ID}/roles/{_ID}", {"GET": _client_role}),
    ("client-scopes", {"GET": lambda realm, *_: [{"id": key, "name": name} for name, key in realm.scopes.items()]}),
    ("users", {"GET": _list_users, "POST": lambda realm, _i, _q, body: realm.add_user(body)}),
    (
        "users/profile",
        {"GET": lambda realm, *_: realm.profile, "PUT": lambda realm, _i, _q, body: realm.profile.update(body)},
    ),
    (
        f"users/{_ID}",
        {
            "GET": lambda realm, ids, *_: _user(realm, ids[0]),
            "PUT": lambda realm, ids, _q, body: _user(realm, ids[0]).update(realm.managed(body)),
            "DELETE": _delete_user,
        },
    ),
    (f"users/{_ID}/groups", {"GET": _groups_of_user}),
    (f"users/{_ID}/groups/{_ID}", {"PUT": _join}),
    (f"users/{_ID}/role-mappings/realm", {"POST": _give_roles}),
    (f"users/{_ID}/role-mappings/realm/composite", {"GET": _roles_of_user}),
    (f"users/{_ID}/role-mappings/clients/{_ID}", {"GET": _client_roles_of_user, "POST": _give_client_roles}),
    ("groups", {"GET": _list_groups, "POST": lambda realm, _i, _q, body: realm.add_group(body)}),
    (
        f"groups/{_ID}/children",
        {"GET": _list_groups, "POST": lambda realm, ids, _q, body: realm.add_group(body, ids[0])},
    ),
    (f"groups/{_ID}/members", {"GET": _group_members}),
    (f"groups/{_ID}/role-mappings/realm", {"POST": _give_group_roles}),
]


class _Handler(BaseHTTPRequestHandler):
    """HTTP around it: tokens, JSON, statuses and the `Location` of what was made."""

    protocol_version = "HTTP/1.1"
    # One packet for a response: in two, the second waits 40 ms for the first one's receipt.
    wbufsize = -1
    keycloak: _Keycloak

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        """Say nothing."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with self.keycloak.lock:
            self.keycloak.requests.append(f"{self.command} {url.path}")
            try:
                status, body, made = self._result(url.path, dict(parse_qsl(url.query)), content)
            except _RefusedError as error:
                status, body, made = error.status, error.body, None
            data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if made is not None:
            self.send_header("Location", f"http://{self.headers['Host']}{url.path}/{made}")
        if data:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _result(self, path: str, query: dict[str, str], content: str) -> tuple[int, Any, str | None]:
        if match := re.fullmatch(r"/realms/([^/]+)/protocol/openid-connect/token", path):
            return 200, self.keycloak.sign_in(match[1], dict(parse_qsl(content))), None
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.keycloak.tokens:
            raise _RefusedError(401, {"error": "HTTP 401 Unauthorized"})
        body = json.loads(content) if content else None
        return self.keycloak.answer(self.command, path.removeprefix("/admin/"), query, body)
