"""Permissions and the principal's token."""

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from zhiku_platform.access import Access, Permission, PrincipalSigner, authorize, permissions_of
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.errors import ForbiddenError, NotSignedInError

EMPLOYEE = Principal(sub="lin", tenant="t1", groups=frozenset({"engineering"}), roles=frozenset({Role.EMPLOYEE}))


def test_an_access_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Access(EMPLOYEE, Permission.SEARCH, _made_by=object())


def test_a_permission_that_no_role_gives_is_refused() -> None:
    with pytest.raises(ForbiddenError):
        authorize(EMPLOYEE, Permission.PASSAGE_PUBLISH)


def test_a_principal_without_roles_may_do_nothing() -> None:
    assert permissions_of(Principal(sub="x", tenant="t1")) == frozenset()


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


def test_an_unsigned_token_is_nobody() -> None:
    key = OctKey.import_key(b"one secret of a test".ljust(32, b"\0"))
    genuine = jwt.encode({"alg": "HS256"}, {"principal": {}}, key)
    unsigned = "eyJhbGciOiJub25lIn0." + genuine.split(".")[1] + "."
    with pytest.raises(NotSignedInError):
        PrincipalSigner("one secret of a test").verify(unsigned)
