"""The mirror of the identity provider's directory, and the principals that come out of it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session, col, select

from zhiku_platform.access import effective_roles
from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_services.gateway.models import UserRow

SelectedRow = Row[*tuple[Any, ...]]

USER_COLUMNS = (
    col(UserRow.sub),
    col(UserRow.tenant),
    col(UserRow.name),
    col(UserRow.groups),
    col(UserRow.roles),
    col(UserRow.clearance),
)
"""What `principal_of` reads. Selected as columns, a caller is found in a quarter of the time of objects."""


def find_principal(username: str, *, issuer: str, session: Session) -> Principal | None:
    """The principal of a user by the name they sign in with; None if the mirror has no such user."""
    query = select(UserRow).where(
        col(UserRow.issuer) == issuer, col(UserRow.username) == username, col(UserRow.is_active)
    )
    found = session.exec(query).first()
    return None if found is None else principal_of(found)


def principal_of(user: UserRow | SelectedRow, scopes: Iterable[str] | None = None) -> Principal:
    """The principal that `user` is, narrowed to `scopes` for an API key; a row needs `USER_COLUMNS`."""
    return Principal(
        sub=user.sub,
        tenant=user.tenant,
        name=user.name,
        groups=frozenset(user.groups),
        roles=effective_roles(frozenset(Role(role) for role in user.roles)),
        clearance=user.clearance,
        scopes=None if scopes is None else frozenset(ApiKeyScope(scope) for scope in scopes),
    )
