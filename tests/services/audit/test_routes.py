"""Reviewers search, follow and reveal; all of it is masked first, bound to their tenant, and in the log."""

from dataclasses import replace
from typing import Any

import pytest

from zhiku_platform.contracts.audit import AuditEvent, Detail, Outcome, ProducedEvent
from zhiku_services.audit.sequencer import sequence

from .conftest import CHEN, DIANA, KNOWLEDGE, LIN, STRANGER, Audit, MakeAudit, published

REASON = {"reason": "A complaint, case 17"}


def event(action: str, subject: str, *, actor: str = "lin", outcome: str = "done", **details: Detail) -> ProducedEvent:
    built = AuditEvent(
        action=action, tenant="acme", actor=actor, subject=subject, outcome=Outcome(outcome), details=details
    )
    return ProducedEvent(event=built)


@pytest.fixture
def trail(audit: Audit) -> Audit:
    """A day of two people, and one event of another tenant."""
    audit.append(
        event("knowledge_base.created", "kb_1", actor="zhao"),
        event("document.accepted", "doc_1", knowledge_base="kb_1"),
        event("document.indexed", "doc_1", actor="svc-ingestion", knowledge_base="kb_1"),
        event("question.asked", "ans_1", conversation="cnv_1"),
        event("answer.given", "ans_1", conversation="cnv_1", outcome="failed"),
        event("document.accepted", "doc_2", knowledge_base="kb_2", actor="zhao"),
        published(9, tenant="other", actor="olga"),
    )
    audit.settle()
    return audit


def found(trail: Audit, query: str) -> list[tuple[str, str]]:
    page = trail.get(f"/api/v1/audit-events?{query}")
    return [(item["action"], item["subject"]) for item in page["items"] if not item["action"].startswith("audit.")]


def pseudonym(trail: Audit, user: str) -> str:
    (only,) = trail.post("/api/v1/audit-pseudonyms", {**REASON, "user": user})["pseudonyms"]
    return str(only)


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("action=document.accepted", ["doc_2", "doc_1"]),
        ("knowledge_base=kb_1", ["doc_1", "doc_1", "kb_1"]),
        ("document=doc_1", ["doc_1", "doc_1"]),
        ("conversation=cnv_1", ["ans_1", "ans_1"]),
        ("outcome=failed", ["ans_1"]),
        ("actor=svc-ingestion", ["doc_1"]),
        ("subject=doc_9", []),
        ("since=2099-01-01T00:00:00Z", []),
        ("until=2000-01-01T00:00:00Z", []),
        ("document=doc_1&action=document.indexed", ["doc_1"]),
    ],
)
def test_a_search_finds_what_matches_the_newest_first(trail: Audit, query: str, subjects: list[str]) -> None:
    assert [subject for _, subject in found(trail, query)] == subjects


def test_a_cursor_goes_through_all_once_while_new_events_come(trail: Audit) -> None:
    seen: list[int] = []
    cursor = ""
    while True:
        page = trail.get(f"/api/v1/audit-events?limit=2&cursor={cursor}")
        seen += [item["index"] for item in page["items"]]
        trail.settle()
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [5, 4, 3, 2, 1, 0]


def test_people_are_masked_until_they_are_revealed_with_a_reason(trail: Audit) -> None:
    page = trail.client().get("/api/v1/audit-events?action=question.asked")
    (item,) = page.json()["items"]
    assert "lin" not in page.text
    assert item["actor"].startswith("psn_")

    address = f"/api/v1/audit-events/{item['id']}/reveal"
    assert trail.client().post(address, json={"reason": "no"}).status_code == 422
    assert trail.client(DIANA).post(address, json=REASON).status_code == 403
    shown = {"actor": "lin", "people": {item["actor"]: "lin"}, "sealed": None, "is_withheld": False}
    assert trail.post(address, REASON) == shown


def test_a_timeline_follows_one_person_from_the_first_event_on(trail: Audit) -> None:
    zhao = pseudonym(trail, "zhao")
    page = trail.get(f"/api/v1/audit-timelines/actor/{zhao}")
    assert [item["subject"] for item in page["items"]] == ["kb_1", "doc_2"]
    assert [item["sealed_at"] for item in page["items"]] == [7, 7]
    document = trail.get("/api/v1/audit-timelines/document/doc_1")
    assert [item["action"] for item in document["items"]] == ["document.accepted", "document.indexed"]
    assert trail.client().get("/api/v1/audit-timelines/mood/x").status_code == 422


def test_an_answer_is_found_by_every_document_that_it_read(audit: Audit) -> None:
    audit.append(
        event("answer.given", "ans_7", documents=["doc_1", "doc_2"], knowledge_bases=["kb_1", "kb_2"], passages=["p"]),
        event("search.run", "qry_7", documents=["doc_2"], knowledge_bases=["kb_2"]),
        event("conversation.deleted", "cnv_1"),
    )
    audit.settle()
    for query, subjects in {
        "document=doc_1": ["ans_7"],
        "document=doc_2": ["qry_7", "ans_7"],
        "knowledge_base=kb_2": ["qry_7", "ans_7"],
        "conversation=cnv_1": ["cnv_1"],
        "document=doc_1&knowledge_base=kb_2": ["ans_7"],
        "document=doc_3": [],
    }.items():
        assert [subject for _, subject in found(audit, query)] == subjects, query
    facets = audit.post("/api/v1/audit-events/facets", {"document": "doc_2"})
    assert facets["knowledge_base"] == [{"value": "kb_2", "count": 2}, {"value": "kb_1", "count": 1}]


def test_whoever_is_named_is_masked_and_in_their_timeline(audit: Audit) -> None:
    audit.append(
        event("document.acl_changed", "doc_1", actor="zhao", readers=["user:lin", "group:finance"]),
        event("grant.given", "kb_1", actor="zhao", holder="user:lin"),
        event("question.asked", "ans_1"),
    )
    audit.settle()
    lin = pseudonym(audit, "lin")
    changed = audit.get("/api/v1/audit-events?action=document.acl_changed")["items"][0]
    assert changed["details"]["readers"] == [f"user:{lin}", "group:finance"]
    assert "user:lin" not in str(audit.events())
    timeline = audit.get(f"/api/v1/audit-timelines/actor/{lin}")["items"]
    named = [item["subject"] for item in timeline if not item["action"].startswith("audit.")]
    assert named == ["doc_1", "kb_1", "ans_1"]
    assert [subject for _, subject in found(audit, f"actor={lin}")] == ["ans_1"]
    revealed = audit.post(f"/api/v1/audit-events/{changed['id']}/reveal", REASON)
    assert revealed["people"][lin] == "lin"


def test_a_search_does_not_write_the_names_that_were_typed_into_the_log(trail: Audit) -> None:
    assert trail.client().get("/api/v1/audit-events?actor=lin").status_code == 422
    assert trail.client().get("/api/v1/audit-timelines/actor/lin").status_code == 422
    trail.get("/api/v1/audit-events?subject=lin.zhang&document=doc_0123")
    trail.settle()
    (entry,) = trail.events()[7:]
    assert entry["data"]["unmapped"]["kb"] == {"by_document": "doc_0123"}
    assert "lin.zhang" not in str(entry)
    revealed = trail.post(f"/api/v1/audit-events/{entry['id']}/reveal", REASON)
    assert revealed["sealed"] == {"by_subject": "lin.zhang"}


@pytest.mark.parametrize(
    ("details", "is_withheld"),
    [
        ({"documents": ["doc_open"]}, False),
        ({"documents": []}, False),
        ({"documents": ["doc_open", "doc_closed"]}, True),
        ({"passages": ["psg_1"]}, True),
    ],
)
def test_what_repeats_documents_is_revealed_to_who_may_read_them_all(
    make_audit: MakeAudit, details: dict[str, Detail], is_withheld: bool
) -> None:
    audit = make_audit()
    trail = replace(audit.trail, documents=lambda principal, ids: {"doc_open"} & set(ids))
    audit.service.app.state.trail = trail
    given = event("answer.given", "ans_1").event.model_copy(update={"details": details})
    audit.append(ProducedEvent(event=given.model_copy(update={"sealed": {"answer": "Ask Mr Wu."}, "group": "cnv_1"})))
    audit.settle()
    revealed = audit.post(f"/api/v1/audit-events/{given.id}/reveal", REASON)
    assert (revealed["is_withheld"], revealed["sealed"]) == (
        is_withheld,
        None if is_withheld else {"answer": "Ask Mr Wu."},
    )


def test_a_receipts_digest_is_proven_once_its_entry_is_signed_and_untouched(audit: Audit) -> None:
    audit.append(event("answer.given", "ans_1", receipt="ab" * 32), event("question.asked", "ans_2"))
    address = "/internal/receipts/ans_1"
    assert audit.get(address) == {"sha256": None, "is_proven": False}
    while sequence(audit.database):
        pass
    assert audit.get(address) == {"sha256": "ab" * 32, "is_proven": False}
    audit.settle()
    assert audit.get(address) == {"sha256": "ab" * 32, "is_proven": True}
    assert audit.get(address, STRANGER) == {"sha256": None, "is_proven": False}
    assert audit.client(LIN).get(address).status_code == 403
    assert audit.get("/internal/receipts/ans_2") == {"sha256": None, "is_proven": False}
    audit.sql(f"UPDATE entry SET payload = CAST(replace(payload, '{'ab' * 32}', '{'cd' * 32}') AS BLOB) WHERE idx = 0")
    assert audit.get(address) == {"sha256": "cd" * 32, "is_proven": False}


def test_facets_count_what_a_search_finds(trail: Audit) -> None:
    facets = trail.post("/api/v1/audit-events/facets", {"knowledge_base": "kb_1"})
    assert facets["total"] == 3
    assert facets["outcome"] == [{"value": "done", "count": 3}]
    assert {facet["value"] for facet in facets["action"]} == {
        "knowledge_base.created",
        "document.accepted",
        "document.indexed",
    }


def test_another_tenants_events_do_not_exist(trail: Audit) -> None:
    ours = trail.get("/api/v1/audit-events?action=question.asked")["items"][0]["id"]
    for method, path, body in (
        ("GET", f"/api/v1/audit-events/{ours}", None),
        ("GET", f"/api/v1/audit-events/{ours}/proof", None),
        ("POST", f"/api/v1/audit-events/{ours}/reveal", REASON),
    ):
        theirs = trail.client(STRANGER).request(method, path, json=body)
        missing = trail.client(STRANGER).request(method, path.replace(ours, "evt_0"), json=body)
        assert theirs.status_code == missing.status_code == 404
        assert {**theirs.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
    items = trail.get("/api/v1/audit-events", STRANGER)["items"]
    assert [item["subject"] for item in items] == ["doc_9"]


def test_a_pseudonym_reveals_nobody_to_another_tenant(trail: Audit) -> None:
    lin = pseudonym(trail, "lin")
    theirs = trail.post("/api/v1/audit-pseudonyms", {**REASON, "user": "lin"}, STRANGER)["pseudonyms"]
    assert theirs != [lin]


READS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("GET", "/api/v1/audit-events", None, "audit.searched"),
    ("POST", "/api/v1/audit-events/facets", {}, "audit.searched"),
    ("GET", "/api/v1/audit-events/{id}", None, "audit.viewed"),
    ("GET", "/api/v1/audit-events/{id}/proof", None, "audit.viewed"),
    ("POST", "/api/v1/audit-events/{id}/reveal", REASON, "audit.revealed"),
    ("GET", "/api/v1/audit-timelines/document/doc_1", None, "audit.searched"),
    ("POST", "/api/v1/audit-pseudonyms", {**REASON, "user": "lin"}, "audit.person_looked_up"),
    ("GET", "/api/v1/audit-log", None, "audit.viewed"),
    ("GET", "/api/v1/audit-log/checkpoint", None, "audit.viewed"),
    ("GET", "/api/v1/audit-log/consistency?first=1&second=7", None, "audit.viewed"),
    ("POST", "/api/v1/audit-views", {"name": "failures", "filter": {"outcome": "failed"}}, "audit.view_saved"),
]


@pytest.mark.parametrize(("method", "path", "body", "action"), READS)
def test_whoever_reads_the_trail_is_in_it(
    trail: Audit, method: str, path: str, body: dict[str, Any] | None, action: str
) -> None:
    first = trail.events()[0]["id"]
    assert trail.client().request(method, path.format(id=first), json=body).status_code < 300
    trail.settle()
    assert trail.actions()[7:] == [action]
    assert trail.events()[7]["data"]["actor"]["user"]["uid"] == pseudonym(trail, "chen")
    assert trail.verify().ok


@pytest.mark.parametrize(("method", "path", "body", "action"), READS)
def test_an_employee_reads_none_of_it(
    trail: Audit, method: str, path: str, body: dict[str, Any] | None, action: str
) -> None:
    assert trail.client(LIN).request(method, path, json=body).status_code == 403


def test_saved_searches_are_their_owners(trail: Audit) -> None:
    saved = trail.post("/api/v1/audit-views", {"name": "failures", "filter": {"outcome": "failed"}})
    assert [view["id"] for view in trail.get("/api/v1/audit-views")["items"]] == [saved["id"]]
    assert trail.get("/api/v1/audit-views", DIANA)["items"] == []
    assert trail.client(DIANA).delete(f"/api/v1/audit-views/{saved['id']}").status_code == 404
    assert trail.client(CHEN).delete(f"/api/v1/audit-views/{saved['id']}").status_code == 204
    assert trail.get("/api/v1/audit-views")["items"] == []


def test_only_services_append_and_appending_twice_is_once(audit: Audit) -> None:
    body = {"events": [published(1).model_dump(mode="json")]}
    assert audit.client(CHEN).post("/internal/audit-events", json=body).status_code == 403
    for _ in range(2):
        assert audit.post("/internal/audit-events", body, KNOWLEDGE) == {"accepted": 1, "spooled": 0}
    audit.settle()
    assert audit.actions() == ["document.published"]


def test_a_reason_is_sealed(trail: Audit) -> None:
    first = trail.events()[0]["id"]
    trail.post(f"/api/v1/audit-events/{first}/reveal", {"reason": "Frau Müller has complained"})
    trail.settle()
    assert "Müller" not in str(trail.events())
    revealed = trail.post(f"/api/v1/audit-events/{trail.events()[7]['id']}/reveal", REASON)
    assert revealed["sealed"] == {"reason": "Frau Müller has complained"}


@pytest.mark.parametrize(
    "query",
    ["since=2026-01-01T00:00:00", "since=yesterday", "limit=0", "actor=%00", "outcome=maybe", f"action={'x' * 300}"],
)
def test_a_malformed_search_is_refused(audit: Audit, query: str) -> None:
    assert audit.client().get(f"/api/v1/audit-events?{query}").status_code == 422


@pytest.mark.parametrize("sizes", ["first=5&second=3", "first=1&second=99"])
def test_there_is_no_proof_about_what_is_not_there(trail: Audit, sizes: str) -> None:
    assert trail.client().get(f"/api/v1/audit-log/consistency?{sizes}").status_code == 422


def test_an_event_that_is_not_signed_yet_has_no_proof_yet(audit: Audit) -> None:
    from zhiku_services.audit.sequencer import sequence

    audit.append(published(1))
    sequence(audit.database)
    response = audit.client().get(f"/api/v1/audit-events/{audit.events()[0]['id']}/proof")
    assert (response.status_code, response.json()["code"]) == (503, "no_checkpoint")
