"""Asking, deciding and using, by the rules."""

from collections.abc import Callable
from typing import Any

import pytest

from zhiku_platform.access import service_principal
from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.governance import (
    RULES,
    Approval,
    ApprovalAction,
    ApprovalSubject,
    BreakGlass,
    Claim,
    Resource,
)
from zhiku_platform.contracts.identity import PrincipalKind, Role
from zhiku_platform.errors import RemoteProblemError
from zhiku_services.governance.app import expire
from zhiku_services.governance.service import LEASE_S

from .conftest import DELETION, FANG, HE, LIN, STRANGER, WU, ZHAO, Governance

REASON = {"reason": "This is not to be done"}


def code(refused: Callable[[], Any]) -> str:
    with pytest.raises(RemoteProblemError) as error:
        refused()
    return error.value.remote_code


def test_two_others_make_an_act_possible_once(governance: Governance) -> None:
    asked = governance.ask()
    assert (asked.state, asked.approvers_needed, asked.may) == ("waiting", 2, ["withdraw"])
    assert governance.approve(asked, FANG).json()["state"] == "waiting"
    assert governance.approve(asked, WU).json()["state"] == "approved"
    assert governance.get(asked.id).may == ["use", "withdraw"]
    governance.complete(governance.use(asked))
    done = governance.get(asked.id)
    assert (done.state, [vote.sub for vote in done.approvals], done.may) == ("used", ["fang", "wu"], [])
    assert done.completed_at == done.used_at == governance.now
    assert code(lambda: governance.use(asked, act="act_2")) == "approval_used"
    assert governance.events() == [
        ("approval.requested", ZHAO.sub),
        ("approval.approved", "fang"),
        ("approval.approved", "wu"),
        ("approval.used", "zhao"),
    ]


def test_a_reveal_takes_one_other(governance: Governance) -> None:
    subject = ApprovalSubject(
        action=ApprovalAction.PERSONAL_DATA_REVEAL, resource=Resource(kind="finding", id="fnd_1", title="Finding")
    )
    asked = governance.ask(subject, service="vault")
    assert governance.approve(asked, FANG).json()["state"] == "approved"
    assert governance.use(asked, subject, service="vault").fence == 1


def test_asking_for_the_same_again_gives_the_same_request(governance: Governance) -> None:
    asked = governance.ask()
    assert governance.ask(reason="Another reason for it").id == asked.id
    assert governance.ask(requester=LIN).id != asked.id
    other = DELETION.model_copy(update={"terms": {**DELETION.terms, "documents": 4}})
    assert governance.ask(other).id != asked.id
    governance.call(ZHAO, "POST", f"/api/v1/approvals/{asked.id}/withdraw")
    assert governance.ask().id != asked.id


def test_nobody_decides_on_their_own_request(governance: Governance) -> None:
    asked = governance.ask(requester=FANG)
    for step, body in (("approve", {"digest": asked.digest}), ("refuse", REASON)):
        answer = governance.call(FANG, "POST", f"/api/v1/approvals/{asked.id}/{step}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, "own_approval")


def test_one_person_counts_once(governance: Governance) -> None:
    asked = governance.ask()
    answer = governance.approve(asked, FANG, FANG)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_approved")
    renamed = FANG.model_copy(update={"name": "Somebody else", "groups": frozenset({"finance"})})
    assert governance.approve(asked, renamed).status_code == 409
    assert governance.get(asked.id).state == "waiting"


def test_who_has_no_role_for_it_does_not_decide(governance: Governance) -> None:
    asked = governance.ask()
    assert governance.approve(asked, LIN).status_code == 403
    key = FANG.model_copy(update={"scopes": frozenset({ApiKeyScope.SEARCH})})
    assert governance.approve(asked, key).status_code == 403
    service = FANG.model_copy(update={"kind": PrincipalKind.SERVICE})
    assert governance.approve(asked, service).json()["code"] == "not_a_person"
    assert governance.approve(asked, STRANGER).status_code == 404
    assert governance.get(asked.id).approvals == []


def test_a_yes_is_to_what_was_shown(governance: Governance) -> None:
    asked = governance.ask()
    answer = governance.call(FANG, "POST", f"/api/v1/approvals/{asked.id}/approve", {"digest": "0" * 64})
    assert (answer.status_code, answer.json()["code"]) == (409, "approval_mismatch")


def test_a_refusal_ends_it_even_after_others_agreed(governance: Governance) -> None:
    approved = governance.approved()
    answer = governance.call(HE, "POST", f"/api/v1/approvals/{approved.id}/refuse", REASON).json()
    assert (answer["state"], answer["refusal"]["sub"], answer["refusal"]["reason"]) == (
        "refused",
        "he",
        *REASON.values(),
    )
    assert code(lambda: governance.use(approved)) == "approval_closed"
    assert governance.approve(approved, HE).json()["code"] == "approval_closed"


def test_only_who_asked_withdraws(governance: Governance) -> None:
    approved = governance.approved()
    path = f"/api/v1/approvals/{approved.id}/withdraw"
    assert governance.call(FANG, "POST", path).json()["code"] == "approval_of_another_person"
    assert governance.call(LIN, "POST", path).status_code == 404
    assert governance.call(ZHAO, "POST", path).json()["state"] == "withdrawn"
    assert code(lambda: governance.use(approved)) == "approval_closed"


ELSEWHERE = Resource(kind="knowledge_base", id="kb_2", title="Handbook")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"subject": DELETION.model_copy(update={"terms": {"documents": 4}})}, "approval_mismatch"),
        ({"subject": DELETION.model_copy(update={"resource": ELSEWHERE})}, "approval_for_another"),
        (
            {"subject": DELETION.model_copy(update={"action": ApprovalAction.RELEASE_ROLL_BACK})},
            "approval_for_another",
        ),
        ({"requester": LIN}, "not_found"),
        ({"requester": HE}, "approval_of_another_person"),
        ({"requester": ZHAO.model_copy(update={"scopes": frozenset({ApiKeyScope.INGEST})})}, "not_a_person"),
        ({"requester": ZHAO.model_copy(update={"tenant": "other"})}, "not_the_owner"),
        ({"service": "audit"}, "not_the_owner"),
        ({"service": "governance"}, "not_the_owner"),
    ],
)
def test_an_approval_is_good_for_one_act_of_one_person(
    governance: Governance, change: dict[str, Any], refusal: str
) -> None:
    approved = governance.approved()
    assert code(lambda: governance.use(approved, **change)) == refusal
    assert governance.get(approved.id).state == "approved"


def test_what_is_not_approved_is_not_used(governance: Governance) -> None:
    asked = governance.ask()
    assert code(lambda: governance.use(asked)) == "approval_waiting"
    governance.approve(asked, FANG)
    assert code(lambda: governance.use(asked)) == "approval_waiting"
    missing = asked.model_copy(update={"id": "apr_" + "0" * 28})
    assert code(lambda: governance.use(missing)) == "not_found"


@pytest.mark.parametrize("roles", [None, frozenset({Role.EMPLOYEE}), frozenset({Role.COMPLIANCE_REVIEWER})])
def test_whoever_approved_has_to_be_one_who_may_when_it_is_used(
    governance: Governance, roles: frozenset[Role] | None
) -> None:
    approved = governance.approved()
    if roles is None:
        del governance.directory.people["wu"]
    else:
        governance.directory.people["wu"] = roles
    assert code(lambda: governance.use(approved)) == "approver_gone"
    governance.directory.people["wu"] = WU.roles
    assert governance.use(approved).fence == 1


def test_what_has_run_out_is_expired_before_anybody_writes_it_down(governance: Governance) -> None:
    waiting = governance.ask()
    approved = governance.approved(DELETION.model_copy(update={"resource": ELSEWHERE}))
    governance.pass_time(hours=72)
    assert code(lambda: governance.use(approved, approved_subject(approved))) == "approval_expired"
    assert governance.approve(waiting, FANG).json()["code"] == "approval_expired"
    assert governance.get(waiting.id).state == "expired"
    listed = governance.call(ZHAO, "GET", "/api/v1/approvals?state=expired").json()["items"]
    assert {each["id"] for each in listed} == {waiting.id, approved.id}
    assert governance.call(ZHAO, "GET", "/api/v1/approvals?state=waiting").json()["items"] == []
    expire(governance.database, governance.now)
    expire(governance.database, governance.now)
    assert [event for event in governance.events() if event[0] == "approval.expired"] == [
        ("approval.expired", "svc-governance")
    ] * 2


def approved_subject(approval: Approval) -> ApprovalSubject:
    return ApprovalSubject(action=approval.action, resource=approval.resource, terms=approval.terms)


def test_asking_anew_for_what_has_run_out_is_a_new_request(governance: Governance) -> None:
    asked = governance.ask()
    governance.pass_time(hours=73)
    assert governance.ask().id != asked.id


def test_a_claim_said_again_is_the_same_claim(governance: Governance) -> None:
    approved = governance.approved()
    claim = governance.use(approved)
    assert governance.use(approved) == claim
    governance.complete(claim)
    governance.complete(claim)
    assert [action for action, _ in governance.events()].count("approval.used") == 1


def test_after_a_crash_the_act_can_be_claimed_again_and_the_first_claim_is_worth_nothing(
    governance: Governance,
) -> None:
    approved = governance.approved()
    dead = governance.use(approved, act="act_dead")
    assert code(lambda: governance.use(approved, act="act_2")) == "approval_in_use"
    assert governance.get(approved.id).may == ["use"]
    governance.pass_time(seconds=LEASE_S)
    later = governance.use(approved, act="act_2")
    assert later.fence == dead.fence + 1
    assert code(lambda: governance.complete(dead)) == "stale_claim"
    governance.complete(later)
    governance.pass_time(seconds=LEASE_S)
    assert code(lambda: governance.use(approved, act="act_3")) == "approval_used"
    assert [action for action, _ in governance.events()].count("approval.used") == 2


def test_a_claim_cannot_outlive_its_approval(governance: Governance) -> None:
    approved = governance.approved()
    governance.use(approved)
    governance.pass_time(hours=72)
    assert code(lambda: governance.use(approved, act="act_2")) == "approval_expired"


@pytest.mark.parametrize("made_up", [{"fence": 2}, {"act_id": "act_x"}, {"approval_id": "apr_x"}])
def test_a_made_up_claim_completes_nothing(governance: Governance, made_up: dict[str, Any]) -> None:
    claim = governance.use(governance.approved())
    assert code(lambda: governance.complete(claim.model_copy(update=made_up))) == "stale_claim"


def break_glass(governance: Governance, action: ApprovalAction, service: str = "knowledge") -> Claim:
    subject = ApprovalSubject(action=action, resource=Resource(kind="release", id="rel_1", title="3"))
    new = BreakGlass(subject=subject, requester=ZHAO, reason="Readers see the wrong prices", act_id="act_1")
    return governance.client.break_glass(service_principal(service, "acme"), new)


def test_glass_is_broken_for_going_back_and_everybody_who_decides_sees_it(governance: Governance) -> None:
    subject = ApprovalSubject(
        action=ApprovalAction.RELEASE_ROLL_BACK, resource=Resource(kind="release", id="rel_1", title="3")
    )
    waiting = governance.ask(subject)
    claim = break_glass(governance, ApprovalAction.RELEASE_ROLL_BACK)
    assert claim.approval_id != waiting.id
    governance.complete(claim)
    seen = governance.get(claim.approval_id, FANG)
    assert (seen.state, seen.is_break_glass, seen.approvals) == ("used", True, [])
    assert governance.events() == [("approval.requested", "zhao"), ("approval.break_glass", "zhao")]


@pytest.mark.parametrize("action", [action for action in ApprovalAction if action != "release.roll_back"])
def test_no_other_glass_is_broken(governance: Governance, action: ApprovalAction) -> None:
    (owner, *_) = RULES[action].owners
    assert code(lambda: break_glass(governance, action, owner)) == "not_the_owner"
    assert governance.events() == []


def test_who_decides_sees_all_and_others_see_their_own(governance: Governance) -> None:
    asked = governance.ask()
    own = governance.ask(requester=FANG)

    def listed(principal: Any, query: str = "") -> list[str]:
        return [each["id"] for each in governance.call(principal, "GET", f"/api/v1/approvals{query}").json()["items"]]

    assert listed(ZHAO) == [asked.id]
    assert listed(LIN) == listed(STRANGER) == []
    assert listed(FANG) == [own.id, asked.id]
    assert listed(FANG, "?whose=mine") == [own.id]
    assert listed(FANG, "?whose=to_decide") == [asked.id]
    governance.approve(asked, FANG)
    assert listed(FANG, "?whose=to_decide") == []
    assert listed(WU, "?whose=to_decide") == [own.id, asked.id]
    assert governance.call(LIN, "GET", f"/api/v1/approvals/{asked.id}").status_code == 404
    assert governance.call(STRANGER, "GET", f"/api/v1/approvals/{asked.id}").status_code == 404


def test_a_long_list_comes_in_pages(governance: Governance) -> None:
    asked = [governance.ask(DELETION.model_copy(update={"terms": {"n": n}})).id for n in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = governance.call(ZHAO, "GET", f"/api/v1/approvals?limit=2&cursor={cursor}").json()
        seen += [each["id"] for each in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == sorted(asked, reverse=True)


@pytest.mark.parametrize("path", ["", "/apr_1/use", "/complete", "/break-glass"])
def test_people_reach_none_of_what_services_say(governance: Governance, path: str) -> None:
    for principal in (ZHAO, FANG):
        assert governance.call(principal, "POST", f"/internal/approvals{path}", {}).status_code == 403
