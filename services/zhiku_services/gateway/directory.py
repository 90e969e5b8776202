"""The mirror of the identity provider's directory, and the principals that come out of it."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Row, and_
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from zhiku_platform.access import Access, effective_roles, service_principal
from zhiku_platform.contracts.directory import People, Person
from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.identity import Principal, PrincipalKind, Role
from zhiku_platform.errors import ForbiddenError
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


def holders(access: Access, tokens: Collection[str], *, issuer: str, session: Session) -> People:
    """Everybody who holds one of the ACL tokens; of their groups, only those that the tokens name.

    Raises:
        ForbiddenError: the caller is not the knowledge service.
    """
    _check_caller(access, "knowledge")
    query = columns(*USER_COLUMNS).where(_active(access, issuer)).order_by(col(UserRow.sub))
    found = [principal_of(row) for row in session.connection().execute(query)]
    return People(people=[_person(each, tokens) for each in found if each.tokens.intersection(tokens)])


def person(access: Access, sub: str, *, issuer: str, session: Session) -> People:
    """The user of this `sub` with all groups, or nobody.

    Raises:
        ForbiddenError: the caller is neither the knowledge service nor governance.
    """
    _check_caller(access, "knowledge", "governance")
    query = columns(*USER_COLUMNS).where(_active(access, issuer), col(UserRow.sub) == sub)
    found = [principal_of(row) for row in session.connection().execute(query)]
    return People(people=[_person(each, each.tokens) for each in found])


def _check_caller(access: Access, *services: str) -> None:
    """Only these may ask: knowledge tells people no more than explains their own, governance nobody."""
    principal = access.principal
    subs = {service_principal(name, access.tenant).sub for name in services}
    if principal.kind is not PrincipalKind.SERVICE or principal.sub not in subs:
        raise ForbiddenError(
            "The directory answers our own services alone.", remedy="Ask the knowledge service for an explanation."
        )


def _active(access: Access, issuer: str) -> ColumnElement[bool]:
    return and_(col(UserRow.tenant) == access.tenant, col(UserRow.issuer) == issuer, col(UserRow.is_active))


def _person(principal: Principal, tokens: Collection[str]) -> Person:
    return Person(
        sub=principal.sub,
        name=principal.name,
        groups=frozenset(name for name in principal.groups if f"group:{name}" in tokens),
        roles=principal.roles,
        clearance=principal.clearance,
    )
