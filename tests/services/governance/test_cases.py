"""Review cases: urgent first, one reviewer at a time, two opinions apart, and nobody on their own affair."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from zhiku_platform.access import service_principal
from zhiku_platform.clients.governance import put_before_people
from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.contracts.cases import AnswerToSample, CaseKind, NewCase, Severity, Verdict
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.errors import RemoteProblemError
from zhiku_services.governance.cases import agreement

from .conftest import FANG, HE, LIN, WU, ZHAO, Governance

SAFETY = service_principal("safety", "acme")
REVIEWER = frozenset({Role.EMPLOYEE, Role.COMPLIANCE_REVIEWER})
CHEN, QIN, TANG = (Principal(sub=sub, tenant="acme", name=sub, roles=REVIEWER) for sub in ("chen", "qin", "tang"))
ELSEWHERE = Principal(sub="uma", tenant="other", roles=REVIEWER)
WHY = "It quotes the handbook"


def new(n: int = 1, **changes: Any) -> NewCase:
    fields: dict[str, Any] = {
        "kind": CaseKind.SAFETY_FINDING,
        "severity": Severity.LOW,
        "source_id": f"finding_{n}",
        "subject_kind": "answer",
        "subject_id": f"ans_{n}",
        "categories": ["violence"],
        "person": "lin",
    }
    return NewCase.model_validate(fields | changes)


def opened(governance: Governance, case: NewCase | None = None, *, is_double: bool = False) -> str:
    """A case of which one opinion is enough, or else two are needed; which is drawn from its id."""
    for n in range(200):
        found = governance.client.open_case(SAFETY, case or new(n))
        with governance.database.engine.connect() as connection:
            query = f"SELECT needs_second FROM review_case WHERE id = '{found.id}'"
            if bool(connection.exec_driver_sql(query).scalar()) == is_double:
                return found.id
    raise AssertionError("no lot fell that way")


def act(governance: Governance, who: Principal, case_id: str, what: str, body: Any = None) -> Any:
    response = governance.call(who, "POST", f"/api/v1/review-cases/{case_id}/{what}", body)
    return response.json() if response.is_success else (response.status_code, response.json()["code"])


def decide(governance: Governance, who: Principal, case_id: str, verdict: Verdict = Verdict.CONFIRMED) -> Any:
    taken = act(governance, who, case_id, "claim")
    return act(governance, who, case_id, "decide", {"verdict": verdict, "reason": WHY}) if "id" in taken else taken


def get(governance: Governance, who: Principal, path: str) -> Any:
    response = governance.call(who, "GET", f"/api/v1/{path}")
    assert response.is_success, response.text
    return response.json()


def test_what_is_urgent_comes_first_and_page_after_page(governance: Governance) -> None:
    for n, severity in enumerate([Severity.LOW, Severity.HIGH, Severity.MEDIUM, Severity.HIGH]):
        governance.client.open_case(SAFETY, new(n, severity=severity))
    first = get(governance, CHEN, "review-cases?limit=3")
    second = get(governance, CHEN, f"review-cases?limit=3&cursor={first['next_cursor']}")
    found = [item["subject_id"] for item in first["items"] + second["items"]]
    assert found == ["ans_1", "ans_3", "ans_2", "ans_0"]
    assert second["next_cursor"] is None


def test_the_clock_says_what_is_late(governance: Governance) -> None:
    governance.client.open_case(SAFETY, new(1, severity=Severity.HIGH))
    governance.client.open_case(SAFETY, new(2, severity=Severity.LOW))
    assert get(governance, CHEN, "review-cases?overdue=true")["items"] == []
    governance.pass_time(hours=5)
    assert [item["subject_id"] for item in get(governance, CHEN, "review-cases?overdue=true")["items"]] == ["ans_1"]
    assert get(governance, CHEN, "review-figures")["overdue"] == 1


def test_the_same_source_opens_one_case(governance: Governance) -> None:
    assert governance.client.open_case(SAFETY, new()).id == governance.client.open_case(SAFETY, new()).id
    appeal = governance.client.open_case(SAFETY, new(kind=CaseKind.APPEAL))
    assert len({item["id"] for item in get(governance, CHEN, "review-cases")["items"]} | {appeal.id}) == 2


def test_one_opinion_decides_where_one_is_enough(governance: Governance) -> None:
    case_id = opened(governance)
    decided = decide(governance, CHEN, case_id, Verdict.DISMISSED)
    assert (decided["state"], decided["verdict"], decided["decisions"][0]["by"]) == ("decided", "dismissed", "chen")
    assert decide(governance, QIN, case_id) == (409, "case_closed")
    actions = [action for action, _ in governance.events()]
    assert actions[-2:] == ["review.claimed", "review.decided"]


def test_one_reviewer_looks_at_a_time_and_loses_what_they_leave_lying(governance: Governance) -> None:
    case_id = opened(governance)
    assert act(governance, CHEN, case_id, "decide", {"verdict": "confirmed", "reason": WHY}) == (403, "not_your_case")
    act(governance, CHEN, case_id, "claim")
    assert act(governance, QIN, case_id, "claim") == (409, "case_taken")
    assert [item["id"] for item in get(governance, CHEN, "review-cases?mine=true")["items"]] == [case_id]
    governance.pass_time(minutes=31)
    assert act(governance, QIN, case_id, "claim")["claimed_by"] == "qin"
    assert act(governance, CHEN, case_id, "decide", {"verdict": "confirmed", "reason": WHY}) == (403, "not_your_case")
    assert act(governance, QIN, case_id, "release")["claimed_by"] is None


def test_a_second_reviewer_decides_without_knowing_what_the_first_one_said(governance: Governance) -> None:
    case_id = opened(governance, is_double=True)
    act(governance, CHEN, case_id, "claim")
    act(governance, CHEN, case_id, "notes", {"text": "I think it is harmless"})
    first = act(governance, CHEN, case_id, "decide", {"verdict": "dismissed", "reason": "It is harmless"})
    assert (first["state"], first["verdict"], len(first["decisions"])) == ("second", None, 1)
    assert decide(governance, CHEN, case_id) == (403, "not_your_case")
    shown = get(governance, QIN, f"review-cases/{case_id}")
    assert (shown["decisions"], shown["notes"]) == ([], [])
    done = decide(governance, QIN, case_id, Verdict.DISMISSED)
    assert (done["state"], done["verdict"], [each["by"] for each in done["decisions"]]) == (
        "decided", "dismissed", ["chen", "qin"],
    )  # fmt: skip


def test_where_two_disagree_an_approver_decides(governance: Governance) -> None:
    case_id = opened(governance, is_double=True)
    decide(governance, CHEN, case_id, Verdict.DISMISSED)
    assert decide(governance, QIN, case_id, Verdict.CONFIRMED)["state"] == "escalated"
    assert decide(governance, TANG, case_id) == (403, "not_your_case")
    done = decide(governance, FANG, case_id, Verdict.CONFIRMED)
    assert (done["state"], done["verdict"], len(done["decisions"])) == ("decided", "confirmed", 3)
    found = get(governance, CHEN, "review-figures")
    assert found["agreement"] == {"cases": 1, "share": 0.0, "kappa": 0.0}


def test_passing_a_case_on_does_not_save_the_second_opinion(governance: Governance) -> None:
    case_id = opened(governance, is_double=True)
    act(governance, CHEN, case_id, "claim")
    assert act(governance, CHEN, case_id, "escalate", {"reason": "Beyond me"})["notes"][0]["text"] == "Beyond me"
    assert decide(governance, FANG, case_id)["state"] == "escalated"
    assert decide(governance, FANG, case_id) == (403, "not_your_case")
    assert decide(governance, WU, case_id)["state"] == "decided"


def test_an_appeal_is_decided_by_others_than_what_it_is_against(governance: Governance) -> None:
    case_id = opened(governance)
    decide(governance, CHEN, case_id)
    subject = get(governance, CHEN, f"review-cases/{case_id}")["subject_id"]
    appeal = governance.client.open_case(SAFETY, new(kind=CaseKind.APPEAL, source_id="appeal_1", subject_id=subject)).id
    assert decide(governance, CHEN, appeal) == (403, "not_your_case")
    decide(governance, QIN, appeal, Verdict.DISMISSED)
    assert decide(governance, TANG, appeal, Verdict.DISMISSED)["verdict"] == "dismissed"
    assert get(governance, CHEN, "review-figures")["overturned_appeals"] == 1


def test_nobody_sees_a_case_about_themselves_nor_one_of_another_tenant(governance: Governance) -> None:
    case_id = opened(governance, new(person="chen", severity=Severity.HIGH), is_double=True)
    for who in (CHEN, ELSEWHERE):
        assert governance.call(who, "GET", f"/api/v1/review-cases/{case_id}").status_code == 404
        assert get(governance, who, "review-cases")["items"] == []
        assert act(governance, who, case_id, "claim") == (404, "not_found")
    assert get(governance, QIN, f"review-cases/{case_id}")["id"] == case_id


@pytest.mark.parametrize("who", [LIN, ZHAO, SAFETY])
def test_only_reviewers_review_and_only_services_open(governance: Governance, who: Principal) -> None:
    case_id = opened(governance)
    assert act(governance, who, case_id, "claim") == (403, "forbidden")
    assert governance.call(who, "GET", "/api/v1/review-cases").status_code == 403


def test_people_do_not_open_cases_by_the_inner_door(governance: Governance) -> None:
    with pytest.raises(RemoteProblemError):
        governance.client.open_case(CHEN, new())


def test_a_share_of_answers_comes_to_a_reviewer_and_the_same_ones_again(governance: Governance) -> None:
    def drawn(knowledge_base: str) -> set[str]:
        where = [knowledge_base]
        answers = (AnswerToSample(answer_id=f"ans_{n}", knowledge_base_ids=where, person="lin") for n in range(400))
        return {each.answer_id for each in answers if governance.client.sample(SAFETY, each)}

    assert drawn("kb_1") == set()
    assert governance.call(CHEN, "POST", "/api/v1/sampling-rules", {"per_mille": 100}).status_code == 403
    new_rule = {"knowledge_base_id": "kb_1", "per_mille": 100}
    rule = governance.call(FANG, "POST", "/api/v1/sampling-rules", new_rule).json()
    first = drawn("kb_1")
    assert 15 <= len(first) <= 70
    assert drawn("kb_1") == first
    assert drawn("kb_2") == set()
    assert get(governance, CHEN, "review-figures")["waiting"] == {"sample": len(first)}
    assert governance.call(FANG, "DELETE", f"/api/v1/sampling-rules/{rule['id']}").status_code == 204
    assert drawn("kb_1") == set()


def test_the_order_of_a_page_must_come_as_it_was_given(governance: Governance) -> None:
    for cursor in ("x", "2026-11-23T09:00:00|case_1"):
        assert governance.call(CHEN, "GET", f"/api/v1/review-cases?cursor={cursor}").status_code == 422


WRONG: list[Callable[[str], str]] = [
    lambda i: f"UPDATE review_case SET state = 'decided', verdict = 'confirmed' WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET first = 'lin', first_verdict = 'confirmed' WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET first = 'a', first_verdict = 'confirmed', second = 'a',"
    f" second_verdict = 'confirmed' WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET first = 'a', first_verdict = 'confirmed', verdict = 'confirmed',"
    f" state = 'decided' WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET third = 'a', third_verdict = 'confirmed', verdict = 'confirmed',"
    f" state = 'decided' WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET needs_second = FALSE WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET person = NULL WHERE id = '{i}'",
    lambda i: f"UPDATE review_case SET first = 'a', first_verdict = 'perhaps' WHERE id = '{i}'",
    lambda i: f"DELETE FROM review_case WHERE id = '{i}'",
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_the_database_refuses_what_the_service_would(governance: Governance, wrong: Callable[[str], str]) -> None:
    case_id = opened(governance, is_double=True)
    with pytest.raises(DBAPIError), governance.database.engine.begin() as connection:
        connection.exec_driver_sql(wrong(case_id))


def test_what_was_decided_never_changes(governance: Governance) -> None:
    case_id = opened(governance)
    decide(governance, CHEN, case_id)
    for change in ("first = 'qin'", "first_verdict = 'dismissed'", "verdict = 'dismissed'", "state = 'open'"):
        with pytest.raises(DBAPIError), governance.database.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE review_case SET {change} WHERE id = '{case_id}'")


verdicts = st.sampled_from(Verdict)


@given(st.lists(st.tuples(verdicts, verdicts), max_size=30))
def test_agreement_is_within_its_bounds_and_the_same_seen_from_either_side(
    pairs: list[tuple[Verdict, Verdict]],
) -> None:
    found = agreement(pairs)
    assert found == agreement([(other, one) for one, other in pairs])
    assert found.kappa is None or -1 <= found.kappa <= 1
    if pairs and all(one == other for one, other in pairs):
        assert (found.share, found.kappa) in {(1.0, 1.0), (1.0, None)}


def test_kappa_is_cohens() -> None:
    yes, no = Verdict.CONFIRMED, Verdict.DISMISSED
    # Twenty agree on yes, fifteen on no, five and ten differ: (0.7 - 0.5) / (1 - 0.5).
    pairs = [(yes, yes)] * 20 + [(no, no)] * 15 + [(yes, no)] * 5 + [(no, yes)] * 10
    assert agreement(pairs).kappa == 0.4


def test_an_approver_reviews_as_well(governance: Governance) -> None:
    assert decide(governance, HE, opened(governance))["state"] == "decided"


def happened(action: str, subject: str, why: str = "", /, **details: Any) -> ProducedEvent:
    event = AuditEvent(action=action, tenant="acme", actor="lin", subject=subject, details=details)
    return ProducedEvent(event=event.model_copy(update={"sealed": {"reason": why}, "group": "g"} if why else {}))


def test_what_the_assistant_tells_the_log_is_put_before_people_once(governance: Governance) -> None:
    found = {"surfaces": ["question"], "categories": ["injection"], "severities": ["high"]}
    events = [
        happened("safety.found", "ans_1", **found, verdicts=["block"], policy="a" * 64),
        happened("safety.found", "ans_2", **found, verdicts=["warn"], policy="a" * 64),
        happened("answer.appealed", "ans_1", "It was a quotation", problem="question_blocked"),
        happened("answer.given", "ans_3", knowledge_bases=["kb_1"]),
        happened("conversation.created", "cnv_1"),
    ]
    for _ in range(2):
        put_before_people(governance.client, events)
    items = get(governance, CHEN, "review-cases")["items"]
    assert [(item["kind"], item["severity"], item["subject_id"], item["categories"]) for item in items] == [
        ("safety_finding", "high", "ans_1", ["injection"]),
        ("appeal", "medium", "ans_1", []),
    ]
    # What lin says stands with the appeal, without the name, also for who gives the second opinion.
    appeal = items[1]["id"]
    decide(governance, CHEN, appeal, Verdict.DISMISSED)
    for who in (CHEN, QIN):
        assert [(note["by"], note["text"]) for note in get(governance, who, f"review-cases/{appeal}")["notes"]] == [
            (None, "It was a quotation")
        ]
    # It is about lin, who decides on neither.
    assert get(governance, LIN.model_copy(update={"roles": REVIEWER}), "review-cases")["items"] == []
