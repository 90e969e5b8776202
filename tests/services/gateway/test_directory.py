"""The mirror's face for other services: knowledge is told, governance of single people, and nobody else."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.clients.directory import DirectoryClient
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.db import Database
from zhiku_platform.errors import RemoteProblemError
from zhiku_platform.settings import Settings
from zhiku_services.gateway.app import create_directory_app
from zhiku_services.gateway.models import UserRow

from .conftest import Gateway

KNOWLEDGE = service_principal("knowledge", "default")


@pytest.fixture
def http(settings: Settings, database: Database) -> Iterator[TestClient]:
    with TestClient(create_directory_app(settings, database=database)) as http:
        yield http


@pytest.fixture
def directory(http: TestClient, settings: Settings) -> DirectoryClient:
    return DirectoryClient(http, PrincipalSigner(settings.secret_key.get_secret_value()))


def test_it_names_holders_with_the_groups_that_were_asked_for(directory: DirectoryClient) -> None:
    (zhao,) = directory.holders(KNOWLEDGE, ["group:finance", "user:nobody"])
    assert (zhao.sub, zhao.name, set(zhao.groups)) == ("zhao", "赵敏", {"finance"})
    assert zhao.roles == {Role.EMPLOYEE, Role.KB_ADMIN}
    (by_name,) = directory.holders(KNOWLEDGE, ["user:zhao"])
    assert by_name.groups == frozenset()
    assert [each.sub for each in directory.holders(KNOWLEDGE, ["everyone"])] == ["chen", "fang", "lin", "wu", "zhao"]
    assert directory.holders(KNOWLEDGE, []) == []


def test_it_says_what_one_user_holds(directory: DirectoryClient) -> None:
    zhao = directory.person(KNOWLEDGE, "zhao")
    assert zhao is not None
    assert zhao.groups == {"finance"}
    assert directory.person(KNOWLEDGE, "nobody' OR 1=1") is None


def test_who_left_and_who_is_of_another_tenant_or_issuer_is_not_there(
    directory: DirectoryClient, database: Database
) -> None:
    assert directory.person(service_principal("knowledge", "rival"), "zhao") is None
    with database.write() as session:
        session.execute(update(UserRow).where(UserRow.sub == "zhao").values(is_active=False))  # type: ignore[arg-type]  # a column
        session.execute(update(UserRow).where(UserRow.sub == "lin").values(issuer="https://old"))  # type: ignore[arg-type]  # a column
    assert [each.sub for each in directory.holders(KNOWLEDGE, ["everyone"])] == ["chen", "fang", "wu"]
    assert directory.person(KNOWLEDGE, "zhao") is None
    assert directory.person(KNOWLEDGE, "lin") is None


@pytest.mark.parametrize(
    "caller",
    [
        Principal(sub="svc-knowledge", tenant="default", roles=frozenset(Role)),
        Principal(sub="sec", tenant="default", roles=frozenset({Role.SECURITY_ADMIN})),
        service_principal("ingestion", "default"),
    ],
)
def test_nobody_but_knowledge_is_told(directory: DirectoryClient, caller: Principal) -> None:
    with pytest.raises(RemoteProblemError) as refused:
        directory.holders(caller, ["everyone"])
    assert refused.value.problem().status == 403
    with pytest.raises(RemoteProblemError):
        directory.person(caller, "zhao")


def test_governance_is_told_of_single_people_alone(directory: DirectoryClient) -> None:
    governance = service_principal("governance", "default")
    found = directory.person(governance, "fang")
    assert found is not None
    assert Role.COMPLIANCE_APPROVER in found.roles
    with pytest.raises(RemoteProblemError):
        directory.holders(governance, ["everyone"])


@pytest.mark.parametrize("path", ["holders", "person"])
def test_no_public_address_leads_there(gateway: Gateway, http: TestClient, path: str) -> None:
    body: dict[str, Any] = {"tokens": ["everyone"]} if path == "holders" else {"sub": "zhao"}
    signed = {PRINCIPAL_HEADER: PrincipalSigner(gateway.settings.secret_key.get_secret_value()).sign(KNOWLEDGE)}
    address = f"/internal/directory/{path}"
    assert http.post(address, json=body, headers=signed).status_code == 200
    assert http.post(address, json=body).status_code == 401
    assert gateway.browse().post(address, json=body, headers=signed).status_code in {404, 405}
