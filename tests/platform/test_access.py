"""Permissions and the principal's token."""

from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from zhiku_platform.access import (
    ROLE_PERMISSIONS,
    Access,
    Permission,
    PrincipalSigner,
    authorize,
    permission_matrix,
    permissions_of,
)
from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.errors import ForbiddenError, NotSignedInError

EMPLOYEE = Principal(sub="lin", tenant="t1", groups=frozenset({"engineering"}), roles=frozenset({Role.EMPLOYEE}))


def test_an_access_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Access(EMPLOYEE, Permission.SEARCH, _made_by=object())


def test_a_permission_that_no_role_gives_is_refused() -> None:
    with pytest.raises(ForbiddenError):
        authorize(EMPLOYEE, Permission.PASSAGE_PUBLISH)


def test_an_api_key_opens_no_more_than_its_scopes() -> None:
    key = EMPLOYEE.model_copy(update={"scopes": frozenset({ApiKeyScope.INGEST})})
    assert authorize(key, Permission.DOCUMENT_WRITE).principal is key
    with pytest.raises(ForbiddenError):
        authorize(key, Permission.SEARCH)


def test_a_principal_without_roles_may_do_nothing() -> None:
    assert permissions_of(Principal(sub="x", tenant="t1")) == frozenset()


def test_two_administrators_in_one_person_are_none() -> None:
    one = Principal(sub="x", tenant="t1", roles=frozenset({Role.SECURITY_ADMIN}))
    both = Principal(sub="x", tenant="t1", roles=frozenset({Role.SECURITY_ADMIN, Role.AUDIT_ADMIN, Role.EMPLOYEE}))
    assert Permission.DIRECTORY_READ in permissions_of(one)
    assert permissions_of(both) == permissions_of(EMPLOYEE)


@pytest.mark.parametrize("role", [Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN])
def test_no_administrator_reads_content(role: Role) -> None:
    content = {Permission.DOCUMENT_READ, Permission.SEARCH, Permission.ASK, Permission.CONVERSATION_READ}
    assert permissions_of(Principal(sub="x", tenant="t1", roles=frozenset({role}))).isdisjoint(content)


def test_every_permission_is_somebody_s_and_the_documentation_says_whose() -> None:
    assert all(any(permission in held for held in ROLE_PERMISSIONS.values()) for permission in Permission)
    documented = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert documented.endswith(permission_matrix())


def test_tokens_name_the_user_the_groups_and_everyone() -> None:
    assert EMPLOYEE.tokens == {"user:lin", "group:engineering", "everyone"}


def test_a_signed_principal_arrives_unchanged() -> None:
    signer = PrincipalSigner("one secret of a test")
    assert signer.verify(signer.sign(EMPLOYEE)) == EMPLOYEE


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x.y.z",
        PrincipalSigner("another secret").sign(EMPLOYEE),
        PrincipalSigner("one secret of a test", clock=lambda: 1_000_000.0).sign(EMPLOYEE),
    ],
    ids=["empty", "garbage", "foreign key", "expired"],
)
def test_a_bad_token_is_nobody(token: str) -> None:
    with pytest.raises(NotSignedInError):
        PrincipalSigner("one secret of a test").verify(token)


@pytest.mark.parametrize("name", ["sub", "tenant"])
def test_a_name_that_no_table_can_hold_is_nobody(name: str) -> None:
    signer = PrincipalSigner("s" * 32)
    with pytest.raises(NotSignedInError):
        signer.verify(signer.sign(EMPLOYEE.model_copy(update={name: "\x00"})))


def test_an_unsigned_token_is_nobody() -> None:
    key = OctKey.import_key(b"one secret of a test".ljust(32, b"\0"))
    genuine = jwt.encode({"alg": "HS256"}, {"principal": {}}, key)
    unsigned = "eyJhbGciOiJub25lIn0." + genuine.split(".")[1] + "."
    with pytest.raises(NotSignedInError):
        PrincipalSigner("one secret of a test").verify(unsigned)
