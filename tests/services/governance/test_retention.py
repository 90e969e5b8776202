"""How long things are kept: read by compliance, changed by one with the approval of two others."""

import pytest

from zhiku_platform.access import service_principal
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.retention import Kept

from .conftest import FANG, LIN, STRANGER, WU, Governance

SUN = Principal(sub="sun", tenant="acme", name="孙悦", roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_REVIEWER}))
PATH = "/api/v1/retention-rules/conversations"
CHANGE = {"days": 90, "reason": "Ninety days are enough"}


def change(governance: Governance, **other: object) -> Approval:
    """Ask, and have two others approve."""
    asked = governance.call(SUN, "PUT", PATH, {**CHANGE, **other})
    assert asked.status_code == 202, asked.text
    approval = Approval.model_validate_json(asked.content)
    assert governance.approve(approval, FANG, WU).status_code == 200
    return approval


def in_force(governance: Governance, tenant: str = "acme") -> dict[Kept, int | None]:
    rules = governance.client.retention_rules(service_principal("assistant", tenant))
    return {rule.kind: rule.days for rule in rules}


def test_a_rule_changes_with_the_approval_of_two_others(governance: Governance) -> None:
    asked = governance.call(SUN, "PUT", PATH, CHANGE)
    approval = Approval.model_validate_json(asked.content)
    acting = f"{PATH}?approval={approval.id}"
    governance.approve(approval, FANG)
    assert governance.call(SUN, "PUT", acting, CHANGE).json()["code"] == "approval_waiting"
    assert in_force(governance) == {}
    governance.approve(approval, WU)
    assert governance.call(SUN, "PUT", acting, CHANGE).json()["days"] == 90
    assert in_force(governance) == {Kept.CONVERSATIONS: 90}
    assert in_force(governance, "other") == {}
    assert ("retention.changed", "sun") in governance.events()


def test_what_was_approved_is_that_change_and_no_other(governance: Governance) -> None:
    approval = change(governance)
    acting = f"{PATH}?approval={approval.id}"
    other = governance.call(SUN, "PUT", acting, {**CHANGE, "days": 1})
    assert other.json()["code"] == "approval_mismatch"
    assert governance.call(SUN, "PUT", acting, CHANGE).status_code == 200
    assert governance.call(SUN, "PUT", acting, CHANGE).json()["code"] == "nothing_changes"


def test_an_approval_of_an_earlier_rule_changes_no_later_one(governance: Governance) -> None:
    early = change(governance, days=30)
    late = change(governance, days=60)
    assert governance.call(SUN, "PUT", f"{PATH}?approval={late.id}", {**CHANGE, "days": 60}).status_code == 200
    refused = governance.call(SUN, "PUT", f"{PATH}?approval={early.id}", {**CHANGE, "days": 30})
    assert refused.json()["code"] == "approval_mismatch"
    assert in_force(governance) == {Kept.CONVERSATIONS: 60}


def test_for_ever_is_a_rule_too(governance: Governance) -> None:
    first = change(governance)
    governance.call(SUN, "PUT", f"{PATH}?approval={first.id}", CHANGE)
    governance.pass_time(hours=1)
    second = change(governance, days=None)
    assert governance.call(SUN, "PUT", f"{PATH}?approval={second.id}", {**CHANGE, "days": None}).status_code == 200
    assert in_force(governance) == {Kept.CONVERSATIONS: None}
    assert [rule["days"] for rule in governance.call(FANG, "GET", "/api/v1/retention-rules").json()] == [None]


@pytest.mark.parametrize("days", [0, -1, 40_000, "ninety", 1.5])
def test_a_rule_of_no_days_is_refused(governance: Governance, days: object) -> None:
    assert governance.call(SUN, "PUT", PATH, {**CHANGE, "days": days}).status_code == 422
    assert governance.call(SUN, "PUT", PATH, {"reason": "Ninety days are enough"}).status_code == 422


def test_only_reviewers_change_and_only_compliance_reads(governance: Governance) -> None:
    for who in (LIN, FANG):
        assert governance.call(who, "PUT", PATH, CHANGE).status_code == 403
    assert governance.call(LIN, "GET", "/api/v1/retention-rules").status_code == 403
    assert governance.call(STRANGER, "GET", "/api/v1/retention-rules").json() == []
    assert governance.call(FANG, "GET", f"{PATH}/due?days=30").json() == {"due": 70}
    assert governance.call(LIN, "GET", f"{PATH}/due?days=30").status_code == 403
