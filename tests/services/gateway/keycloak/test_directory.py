"""Users, groups and roles as the Admin API has them."""

import pytest

from zhiku_platform.contracts.identity import Role
from zhiku_services.gateway.errors import DirectoryUnavailableError
from zhiku_services.gateway.keycloak.directory import _clearance, role_of

from .conftest import Realm


@pytest.fixture
def company(realm: Realm) -> Realm:
    """Three people, a tree of groups, and roles that come in every way there is."""
    realm.add_user(
        "lin",
        firstName="晓",
        lastName="林",
        email="lin@example.com",
        attributes={"department": ["研发部"], "clearance": ["3"]},
    )
    realm.add_user("zhao")
    realm.add_user("gone", enabled=False)
    employees = next(group["id"] for group in realm.api.pages("groups") if group["name"] == "employees")
    realm.join("lin", employees)
    realm.join("zhao", employees)
    realm.api.post("roles", f"default-roles-{realm.api.realm}", "composites", body=[realm.role("compliance_reviewer")])
    research = realm.add_group("research", roles=("ml_engineer",))
    realm.join("lin", realm.add_group("vision", parent=research))
    realm.join("zhao", realm.add_group("a/b"))
    realm.api.post("roles", body={"name": "kb-bundle"})
    realm.api.post("roles", "kb-bundle", "composites", body=[realm.role("kb_admin")])
    realm.give("zhao", "kb-bundle")
    return realm


def test_users_come_with_the_groups_above_theirs(company: Realm) -> None:
    users = {entry.user.username: entry.user for entry in company.directory().read()}
    assert users["lin"].groups == {"employees", "research", "research/vision"}
    assert users["zhao"].groups == {"employees", "a~/b"}
    assert users["lin"].sub == company.ids["lin"]


def test_roles_come_directly_by_default_by_group_and_by_composition(company: Realm) -> None:
    users = {entry.user.username: entry.user for entry in company.directory().read()}
    assert users["lin"].roles == {Role.COMPLIANCE_REVIEWER, Role.EMPLOYEE, Role.ML_ENGINEER}
    assert users["zhao"].roles == {Role.COMPLIANCE_REVIEWER, Role.EMPLOYEE, Role.KB_ADMIN}


@pytest.mark.parametrize("username", ["lin", "zhao", "gone"])
def test_one_user_is_read_as_in_the_listing(company: Realm, username: str) -> None:
    directory = company.directory()
    listed = {entry.user.username: entry for entry in directory.read()}
    assert directory.find(company.ids[username]) == listed[username]


def test_who_is_disabled_is_listed_as_such(company: Realm) -> None:
    entries = {entry.user.username: entry.is_enabled for entry in company.directory().read()}
    assert entries == {"lin": True, "zhao": True, "gone": False}


def test_the_accounts_of_services_are_nobody(company: Realm) -> None:
    assert not any("service-account" in entry.user.username for entry in company.directory().read())


def test_profile_fields_are_taken_over(company: Realm) -> None:
    found = company.directory().find(company.ids["lin"])
    assert found is not None
    lin = found.user
    assert (lin.name, lin.email) == ("晓 林", "lin@example.com")
    assert (lin.department, lin.clearance) == ("研发部", 3)


@pytest.mark.parametrize("value", ["", "10", "-1", "x", "٣", "3.0"])
def test_a_clearance_that_is_no_level_opens_nothing(value: str) -> None:
    assert _clearance(value) == 0


def test_a_stranger_is_not_found(company: Realm) -> None:
    assert company.directory().find("00000000-0000-0000-0000-000000000000") is None
    assert company.directory().find("../../clients") is None


def test_more_than_a_page_of_everything_is_read_whole(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    group = realm.add_group("everybody")
    for n in range(7):
        realm.add_user(f"u{n}")
        realm.join(f"u{n}", group)
    for n in range(4):
        realm.add_group(f"g{n}", parent=group)
    last = next(item["id"] for item in realm.api.pages("groups", group, "children") if item["name"] == "g3")
    realm.join("u6", realm.add_group("deep", parent=last))
    monkeypatch.setattr("zhiku_services.gateway.keycloak.admin._PAGE", 3)
    users = {entry.user.username: entry.user for entry in realm.directory().read()}
    assert len(users) == 7
    assert all("everybody" in user.groups for user in users.values())
    assert users["u6"].groups == {"everybody", "everybody/g3", "everybody/g3/deep"}


def test_a_directory_that_is_not_there_is_unavailable_and_not_empty(realm: Realm) -> None:
    nowhere = realm.settings.model_copy(update={"keycloak_url": "http://127.0.0.1:9"})
    with pytest.raises(DirectoryUnavailableError):
        Realm(nowhere, realm.api).directory().read()


def test_a_realm_that_is_not_there_is_unavailable_and_not_empty(realm: Realm) -> None:
    elsewhere = realm.settings.model_copy(update={"keycloak_realm": "no-such-realm"})
    with pytest.raises(DirectoryUnavailableError):
        Realm(elsewhere, realm.api).directory().read()


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("kb_admin", Role.KB_ADMIN),
        ("kb-admin", Role.KB_ADMIN),
        ("compliance-reviewer", Role.COMPLIANCE_REVIEWER),
        ("service", None),
        ("KB_ADMIN", None),
        ("offline_access", None),
    ],
)
def test_a_realm_role_is_ours_by_its_name(name: str, role: Role | None) -> None:
    assert role_of(name) is role
