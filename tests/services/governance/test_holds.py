"""Legal holds: placed by one, lifted by three, and never told to who deletes."""

import httpx2
import pytest
from sqlalchemy.exc import DBAPIError

from zhiku_platform.access import Permission, PrincipalSigner, authorize, service_principal
from zhiku_platform.clients.governance import GovernanceClient
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.holds import Held, HoldScope, NewDeletion
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.holds import HeldError, Holds

from .conftest import FANG, LIN, STRANGER, WU, Governance

SUN = Principal(sub="sun", tenant="acme", name="孙悦", roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_REVIEWER}))
OF_LIN = Held(scope=HoldScope.USER, id="lin")
NEW = {"held": OF_LIN.model_dump(), "matter": "Case 2026-17", "reason": "A court asked for it"}
WHY = {"reason": "The case was settled"}


@pytest.fixture
def hold_id(governance: Governance) -> str:
    response = governance.call(SUN, "POST", "/api/v1/legal-holds", NEW)
    assert response.status_code == 201
    found: str = response.json()["id"]
    return found


def is_held(governance: Governance, *things: Held, tenant: str = "acme") -> bool:
    deletion = NewDeletion(requester="lin", things=list(things))
    return governance.client.check_holds(service_principal("assistant", tenant), deletion).is_held


@pytest.mark.usefixtures("hold_id")
def test_a_hold_keeps_what_it_names_and_nothing_else(governance: Governance) -> None:
    assert is_held(governance, Held(scope=HoldScope.USER, id="zhao"), OF_LIN)
    assert not is_held(governance, Held(scope=HoldScope.USER, id="zhao"))
    assert not is_held(governance, OF_LIN, tenant="other")
    assert governance.events() == [("legal_hold.placed", "sun"), ("legal_hold.kept", "lin")]


@pytest.mark.usefixtures("hold_id")
def test_who_deletes_is_told_that_it_is_kept_and_not_why(governance: Governance) -> None:
    holds = Holds("assistant", lambda: governance.client)
    with pytest.raises(HeldError) as refused:
        holds.check(authorize(LIN, Permission.ASK), [OF_LIN])
    said = refused.value.problem().model_dump_json()
    assert "Case 2026-17" not in said
    assert "sun" not in said
    assert "court" not in said


def test_without_an_answer_nothing_is_deleted() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("nobody there", request=request)

    with httpx2.Client(transport=httpx2.MockTransport(refuse), base_url="http://governance") as http:
        holds = Holds("assistant", lambda: GovernanceClient(http, PrincipalSigner("secret")))
        with pytest.raises(ServiceUnavailableError):
            holds.check(authorize(LIN, Permission.ASK), [OF_LIN])


def test_only_reviewers_place_and_only_compliance_reads(governance: Governance, hold_id: str) -> None:
    assert governance.call(LIN, "POST", "/api/v1/legal-holds", NEW).status_code == 403
    assert governance.call(FANG, "POST", "/api/v1/legal-holds", NEW).status_code == 403
    assert governance.call(LIN, "GET", "/api/v1/legal-holds").status_code == 403
    assert governance.call(STRANGER, "GET", "/api/v1/legal-holds").json()["items"] == []
    assert [each["id"] for each in governance.call(FANG, "GET", "/api/v1/legal-holds").json()["items"]] == [hold_id]


def test_a_hold_is_lifted_with_the_approval_of_two_others(governance: Governance, hold_id: str) -> None:
    path = f"/api/v1/legal-holds/{hold_id}/release"
    asked = governance.call(SUN, "POST", path, WHY)
    assert asked.status_code == 202
    approval = Approval.model_validate_json(asked.content)
    acting = f"{path}?approval={approval.id}"
    governance.approve(approval, FANG)
    assert governance.call(SUN, "POST", acting, WHY).json()["code"] == "approval_waiting"
    assert is_held(governance, OF_LIN)
    assert governance.approve(approval, WU).status_code == 200
    lifted = governance.call(SUN, "POST", acting, WHY)
    assert (lifted.status_code, lifted.json()["released_by"]) == (200, "sun")
    assert not is_held(governance, OF_LIN)
    assert governance.call(SUN, "POST", acting, WHY).json()["code"] == "hold_released"
    assert governance.call(SUN, "GET", "/api/v1/legal-holds").json()["items"] == []
    everything = governance.call(SUN, "GET", "/api/v1/legal-holds?with_released=true").json()["items"]
    assert [each["approval_id"] for each in everything] == [approval.id]


def test_an_approval_lifts_only_its_own_hold(governance: Governance, hold_id: str) -> None:
    other = governance.call(SUN, "POST", "/api/v1/legal-holds", NEW).json()["id"]
    asked = governance.call(SUN, "POST", f"/api/v1/legal-holds/{hold_id}/release", WHY)
    approval = Approval.model_validate_json(asked.content)
    governance.approve(approval, FANG, WU)
    tried = governance.call(SUN, "POST", f"/api/v1/legal-holds/{other}/release?approval={approval.id}", WHY)
    assert tried.json()["code"] == "approval_for_another"
    assert is_held(governance, OF_LIN)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM legal_hold",
        "UPDATE legal_hold SET held_id = 'zhao'",
        "UPDATE legal_hold SET released_at = placed_at, released_by = 'sun'",
        "UPDATE legal_hold SET tenant = 'other'",
    ],
)
@pytest.mark.usefixtures("hold_id")
def test_nobody_lifts_one_behind_the_service(governance: Governance, statement: str) -> None:
    with pytest.raises(DBAPIError), governance.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert is_held(governance, OF_LIN)
