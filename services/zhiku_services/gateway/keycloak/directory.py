"""Keycloak's users with their groups and roles, read by the Admin API.

The listing reads whole sets (users, members of each group and of each role) and joins them here: a directory of
ten thousand users takes hundreds of requests and not tens of thousands.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from zhiku_platform.contracts.identity import DirectoryUser, Role
from zhiku_services.gateway.directory_sync import DirectoryEntry
from zhiku_services.gateway.errors import DirectoryUnavailableError
from zhiku_services.gateway.keycloak.admin import Item, KeycloakApi

# Nobody signs in as one of our processes, whatever the directory says.
_ROLES = {role.value: role for role in Role if role is not Role.SERVICE}


def role_of(name: str) -> Role | None:
    """The role that a realm role stands for: by our name, or the same with hyphens; None for all others."""
    return _ROLES.get(name.replace("-", "_"))


@dataclass(frozen=True)
class _Group:
    id: str
    names: frozenset[str]
    roles: frozenset[Role]


class KeycloakDirectory:
    """The users of one realm."""

    def __init__(self, api: KeycloakApi) -> None:
        self._api = api

    def read(self) -> Sequence[DirectoryEntry]:
        """Every user with groups and effective roles; a subgroup's member is one of the groups above it too."""
        implied = self._implied_roles()
        groups: defaultdict[str, set[str]] = defaultdict(set)
        roles: defaultdict[str, set[Role]] = defaultdict(set)
        for group in self._groups(implied):
            for member in self._members("groups", group.id, "members"):
                groups[member] |= group.names
                roles[member] |= group.roles
        for name, meant in implied.items():
            for member in self._members("roles", name, "users") if meant else ():
                roles[member] |= meant
        # Last, so that whoever is made meanwhile comes without rights and not with half of them.
        users = {user["id"]: user for user in self._api.pages("users", briefRepresentation="false")}
        return [_entry(user, groups[sub], roles[sub]) for sub, user in users.items()]

    def find(self, sub: str) -> DirectoryEntry | None:
        """One user with groups and effective roles."""
        user = self._api.get("users", sub)
        if user is None:
            return None
        groups = self._api.pages("users", sub, "groups", briefRepresentation="true")
        held = self._api.items("users", sub, "role-mappings", "realm", "composite")
        names = {name for group in groups for name in _names(group["path"])}
        return _entry(user, names, {role for item in held if (role := role_of(item["name"]))})

    def _implied_roles(self) -> Mapping[str, frozenset[Role]]:
        """Which of our roles each realm role brings, itself and by what it is composed of."""
        known = self._api.pages("roles", briefRepresentation="true")
        parts = {
            role["name"]: {part["name"] for part in self._api.items("roles", role["name"], "composites", "realm")}
            for role in known
            if role.get("composite")
        }
        return {role["name"]: frozenset(_closure(role["name"], parts)) for role in known}

    def _groups(self, implied: Mapping[str, frozenset[Role]]) -> Iterator[_Group]:
        """Every group, with the roles of the groups above it."""
        waiting = [(item, frozenset[Role]()) for item in self._children("groups")]
        while waiting:
            item, inherited = waiting.pop()
            own = (implied.get(name, frozenset()) for name in item.get("realmRoles", []))
            group = _Group(item["id"], frozenset(_names(item["path"])), inherited.union(*own))
            yield group
            if item.get("subGroupCount", 1):
                waiting += [(child, group.roles) for child in self._children("groups", group.id, "children")]

    def _children(self, *segments: str) -> list[Item]:
        return self._api.pages(*segments, briefRepresentation="false")

    def _members(self, *segments: str) -> Iterator[str]:
        for member in self._api.pages(*segments, briefRepresentation="true"):
            yield member["id"]


def _closure(name: str, parts: Mapping[str, Collection[str]]) -> Iterator[Role]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        waiting += parts.get(current, ())
        if role := role_of(current):
            yield role


def _names(path: str) -> Iterator[str]:
    """The names of a group and of all above it: `/a/b` is `a` and `a/b`. Keycloak writes a slash in a name `~/`."""
    names = path.lstrip("/").replace("~/", "\0").split("/")
    for length in range(1, len(names) + 1):
        yield "/".join(names[:length]).replace("\0", "~/")


def _entry(user: Item, groups: Iterable[str], roles: Iterable[Role]) -> DirectoryEntry:
    attributes = user.get("attributes") or {}
    username = user.get("username") or user["id"]
    name = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if part)
    try:
        return DirectoryEntry(
            DirectoryUser(
                sub=user["id"],
                username=username[:200],
                name=(name or username)[:200],
                email=(user.get("email") or "")[:320],
                department=_first(attributes, "department")[:200],
                roles=frozenset(roles),
                groups=frozenset(groups),
                clearance=_clearance(_first(attributes, "clearance")),
            ),
            is_enabled=user.get("enabled") is True,
        )
    except ValidationError as error:
        raise DirectoryUnavailableError(
            "Keycloak has a user whose description cannot be read.", remedy=f"Correct the user {user['id']}."
        ) from error


def _first(attributes: Mapping[str, list[str]], name: str) -> str:
    values = attributes.get(name) or [""]
    return str(values[0])


def _clearance(value: str) -> int:
    """A level from 0 to 9; whatever is not one opens nothing."""
    return int(value) if len(value) == 1 and value.isascii() and value.isdigit() else 0
