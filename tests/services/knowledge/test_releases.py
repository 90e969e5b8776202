"""Draft, publish, roll back: what readers see moves with a pointer, and rights hold in every release."""

from typing import Any

import pytest
from sqlmodel import select

from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import RetireRequest
from zhiku_services.knowledge import releases
from zhiku_services.knowledge.index import ALL_ACLS, KnowledgeBaseScope, Scope
from zhiku_services.knowledge.models import AUDIT_OUTBOX, PassageRow

from .conftest import INGESTION, LIN, STRANGER, ZHAO, Knowledge

EDITOR = Principal(sub="edda", tenant="acme", roles=frozenset({Role.EMPLOYEE}))


@pytest.fixture
def kb(knowledge: Knowledge) -> str:
    """A knowledge base that waits for its owner; lin views it, edda edits it."""
    made = knowledge.create("Handbook", "group:engineering")
    path, headers = f"/api/v1/knowledge-bases/{made}", knowledge.headers(ZHAO)
    assert knowledge.http.patch(path, json={"publishing": "manual"}, headers=headers).status_code == 200
    grant = {"subject": "user:edda", "role": "editor"}
    assert knowledge.http.post(f"{path}/grants", json=grant, headers=headers).status_code == 201
    return made


def call(knowledge: Knowledge, by: Principal, method: str, path: str, **options: Any) -> Any:
    response = knowledge.http.request(
        method, f"/api/v1/knowledge-bases/{path}", headers=knowledge.headers(by), **options
    )
    return response.status_code, response.json()


def release(knowledge: Knowledge, kb: str, **new: Any) -> int:
    status, body = call(knowledge, ZHAO, "POST", f"{kb}/releases", json={"publish": True, **new})
    assert status == 201, body
    number: int = body["number"]
    return number


def search(knowledge: Knowledge, by: Principal, query: str, kb: str, number: int | None = None) -> Any:
    body = {"query": query, "knowledge_base_ids": [kb], "release": number}
    response = knowledge.http.post("/api/v1/search", json=body, headers=knowledge.headers(by))
    if response.status_code != 200:
        return response.status_code, response.json()["code"]
    return [found["passage"]["text"] for found in response.json()["passages"]]


def listed(knowledge: Knowledge, by: Principal, kb: str) -> list[str]:
    return [item["title"] for item in call(knowledge, by, "GET", f"{kb}/documents")[1]["items"]]


def test_a_draft_is_seen_by_nobody_before_it_is_published(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    assert [listed(knowledge, by, kb) for by in (LIN, ZHAO)] == [[], []]
    assert search(knowledge, LIN, "annual leave", kb) == []
    assert knowledge.http.get("/api/v1/documents/leave", headers=knowledge.headers(ZHAO)).status_code == 404
    assert release(knowledge, kb) == 1
    assert listed(knowledge, LIN, kb) == ["Title of leave"]
    assert search(knowledge, LIN, "annual leave", kb) == ["Annual leave is 15 days."]


def test_rolling_back_brings_back_text_title_and_original(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "leave", "Annual leave is 15 days.", title="Leave 2025")
    first = release(knowledge, kb)
    knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=2, title="Leave 2026")
    assert (listed(knowledge, LIN, kb), search(knowledge, LIN, "leave", kb)) == (
        ["Leave 2025"],
        ["Annual leave is 15 days."],
    )
    release(knowledge, kb)
    assert (listed(knowledge, LIN, kb), search(knowledge, LIN, "leave", kb)) == (
        ["Leave 2026"],
        ["Annual leave is 20 days."],
    )
    assert call(knowledge, ZHAO, "POST", f"{kb}/releases/{first}/publish")[0] == 200
    assert (listed(knowledge, LIN, kb), search(knowledge, LIN, "leave", kb)) == (
        ["Leave 2025"],
        ["Annual leave is 15 days."],
    )


def test_rolling_back_stops_a_knowledge_base_from_publishing_by_itself(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "a", "Alpha text.")
    knowledge.publish(kb, "b", "Beta text.")
    assert call(knowledge, ZHAO, "POST", f"{kb}/releases/1/publish")[1]["state"] == "published"
    knowledge.publish(kb, "c", "Gamma text.")
    assert search(knowledge, LIN, "text", kb) == ["Alpha text."]
    assert call(knowledge, ZHAO, "GET", kb)[1]["publishing"] == "manual"


def test_editors_search_any_release_and_viewers_the_published_one(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    knowledge.publish(kb, "a", "Beta text.", version="v2", fence=2)
    for by in (EDITOR, ZHAO):
        assert search(knowledge, by, "text", kb, 0) == []
        assert search(knowledge, by, "text", kb, 1) == ["Alpha text."]
        assert search(knowledge, by, "text", kb, 2) == ["Beta text."]
        assert search(knowledge, by, "text", kb, 3) == (404, "not_found")
    # Not even the published number may be tried out: it tells of documents that a viewer may not see.
    assert {search(knowledge, LIN, "text", kb, number) for number in (0, 1, 2, 3)} == {(403, "role_too_small")}
    assert {search(knowledge, STRANGER, "text", kb, number) for number in (0, 1, 2, 3)} == {(404, "not_found")}


def test_a_release_without_one_knowledge_base_is_malformed(knowledge: Knowledge, kb: str) -> None:
    for ids, name in (([], {"release": 1}), ([kb, "kb_2"], {"release": 1}), ([kb], {"releases": {"kb_2": 1}})):
        body = {"query": "x", "knowledge_base_ids": ids, **name}
        assert knowledge.http.post("/api/v1/search", json=body, headers=knowledge.headers(ZHAO)).status_code == 422


def test_a_service_searches_for_a_viewer_at_the_release_of_an_earlier_answer(knowledge: Knowledge, kb: str) -> None:
    other = knowledge.create("Other", "everyone")
    knowledge.publish(other, "c", "Gamma text.")
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    knowledge.publish(kb, "a", "Beta text.", version="v2", fence=2)
    release(knowledge, kb)
    knowledge.publish(kb, "a", "Delta text.", version="v3", fence=3)

    def at(number: int) -> Any:
        body = {"query": "text", "knowledge_base_ids": [kb, other], "releases": {kb: number}}
        response = knowledge.http.post("/internal/search", json=body, headers=knowledge.headers(LIN))
        found = response.json()
        return response.status_code, sorted(each["passage"]["text"] for each in found.get("passages", ()))

    assert at(1) == (200, ["Alpha text.", "Gamma text."])
    assert at(2) == (200, ["Beta text.", "Gamma text."])
    assert at(3) == (403, [])
    # An answer of before a roll-back can be looked into as well.
    call(knowledge, ZHAO, "POST", f"{kb}/releases/1/publish")
    assert at(2) == (200, ["Beta text.", "Gamma text."])
    assert at(3) == (403, [])


def test_viewers_are_not_told_release_numbers(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    body = {"query": "alpha", "knowledge_base_ids": [kb]}
    seen = {
        (by.sub, path): knowledge.http.post(path, json=body, headers=knowledge.headers(by)).json()["releases"]
        for by in (LIN, EDITOR)
        for path in ("/api/v1/search", "/internal/search")
    }
    assert seen == {
        ("lin", "/api/v1/search"): {},
        ("lin", "/internal/search"): {kb: 1},
        ("edda", "/api/v1/search"): {kb: 1},
        ("edda", "/internal/search"): {kb: 1},
    }
    assert call(knowledge, LIN, "GET", kb)[1]["published_release"] is None
    assert call(knowledge, EDITOR, "GET", kb)[1]["published_release"] == 1


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "releases", {"zhao", "edda"}),
        ("GET", "releases/0/diff/1", {"zhao", "edda"}),
        ("GET", "releases/0/diff/1/documents/a", {"zhao", "edda"}),
        ("POST", "releases", {"zhao"}),
        ("POST", "releases/1/publish", {"zhao"}),
    ],
)
def test_who_may_do_what_with_releases(
    knowledge: Knowledge, kb: str, method: str, path: str, allowed: set[str]
) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    statuses = {
        by.sub: call(knowledge, by, method, f"{kb}/{path}", **({"json": {}} if path == "releases" else {}))[0]
        for by in (ZHAO, EDITOR, LIN, STRANGER)
    }
    assert {sub for sub, status in statuses.items() if status < 300} == allowed
    assert {statuses[sub] for sub in {"edda", "lin"} - allowed} <= {403}
    assert statuses["eve"] == 404


def test_releases_are_listed_latest_first_in_pages(knowledge: Knowledge, kb: str) -> None:
    for note in ("one", "two", "three"):
        release(knowledge, kb, note=note)
    call(knowledge, ZHAO, "POST", f"{kb}/releases/2/publish")
    seen: list[tuple[int, str, str]] = []
    cursor: Any = ""
    while cursor is not None:
        page = call(knowledge, ZHAO, "GET", f"{kb}/releases", params={"limit": 2, "cursor": cursor})[1]
        seen += [(item["number"], item["state"], item["note"]) for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [
        (4, "draft", ""),
        (3, "kept", "three"),
        (2, "published", "two"),
        (1, "kept", "one"),
        (0, "kept", ""),
    ]


@pytest.mark.parametrize("number", ["2", "99"])
def test_what_is_no_release_cannot_be_published(knowledge: Knowledge, kb: str, number: str) -> None:
    release(knowledge, kb)
    assert call(knowledge, ZHAO, "POST", f"{kb}/releases/{number}/publish")[0] == 404


@pytest.mark.parametrize("number", ["-1", "x", str(2**63), str(10**30)])
def test_a_number_that_no_database_holds_is_malformed(knowledge: Knowledge, kb: str, number: str) -> None:
    assert call(knowledge, ZHAO, "POST", f"{kb}/releases/{number}/publish")[0] == 422


def test_a_diff_tells_added_removed_and_changed_documents(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "gone", "Old text.")
    knowledge.publish(kb, "grown", "Same text.", "Left text.")
    knowledge.publish(kb, "same", "Steady text.")
    release(knowledge, kb)
    knowledge.publish(kb, "grown", "Same text.", "New text.", "More text.", version="v2", fence=2, title="Grown")
    knowledge.publish(kb, "fresh", "Fresh text.")
    release(knowledge, kb)
    body = call(knowledge, ZHAO, "GET", f"{kb}/releases/1/diff/2")[1]
    assert [tuple(item.values()) for item in body["items"]] == [
        ("fresh", "Title of fresh", "added", 1, 0, 0),
        ("grown", "Grown", "changed", 2, 1, 1),
    ]
    counts = ("documents_added", "documents_removed", "documents_changed", "passages_added", "passages_removed")
    assert [body[name] for name in counts] == [1, 0, 1, 3, 1]
    back = call(knowledge, ZHAO, "GET", f"{kb}/releases/2/diff/1")[1]
    assert [(item["document_id"], item["change"]) for item in back["items"]] == [
        ("fresh", "removed"),
        ("grown", "changed"),
    ]
    passages = call(knowledge, ZHAO, "GET", f"{kb}/releases/1/diff/2/documents/grown")[1]["items"]
    assert [(item["change"], item["passage"]["text"]) for item in passages] == [
        ("removed", "Left text."),
        ("added", "New text."),
        ("added", "More text."),
    ]


def test_a_diff_comes_in_pages_with_whole_totals(knowledge: Knowledge, kb: str) -> None:
    for n in range(5):
        knowledge.publish(kb, f"doc{n}", f"Text {n}.")
    seen: list[str] = []
    cursor: Any = ""
    while cursor is not None:
        options = {"params": {"limit": 2, "cursor": cursor}}
        page = call(knowledge, ZHAO, "GET", f"{kb}/releases/0/diff/1", **options)[1]
        assert page["documents_added"] == 5
        seen += [item["document_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"doc{n}" for n in range(5)]


def test_a_diff_hides_what_its_reader_may_not_read(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "open", "Open text.")
    knowledge.publish(kb, "closed", "Closed text.", readers=["user:zhao"], title="Merger")
    status, body = call(knowledge, EDITOR, "GET", f"{kb}/releases/0/diff/1")
    assert (status, body["documents_added"], body["passages_added"]) == (200, 1, 1)
    assert "Merger" not in str(body)
    assert "closed" not in str(body)
    hidden, missing = (
        call(knowledge, EDITOR, "GET", f"{kb}/releases/0/diff/1/documents/{name}") for name in ("closed", "missing")
    )
    for _, problem in (hidden, missing):
        del problem["request_id"]
    assert hidden == missing


def test_a_deleted_document_is_in_no_release(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    knowledge.publish(kb, "a", "Beta text.", version="v2", fence=2)
    release(knowledge, kb)
    request = RetireRequest(tenant="acme", document_id="a", fence=3)
    answer = knowledge.http.post(
        "/internal/retire", content=request.model_dump_json(), headers=knowledge.headers(INGESTION)
    )
    assert answer.json()["passages"] == 2
    for number in range(4):
        assert search(knowledge, ZHAO, "text", kb, number) == []
        scope = Scope("acme", 9, (KnowledgeBaseScope(kb, ALL_ACLS, number),))
        assert knowledge.index.count(scope) == 0
    assert call(knowledge, ZHAO, "GET", f"{kb}/releases/1/diff/2")[1]["items"] == []
    with knowledge.database.read() as session:
        assert session.exec(select(PassageRow)).all() == []


def test_a_narrower_acl_holds_in_every_release(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    knowledge.publish(kb, "a", "Beta text.", version="v2", fence=2)
    path, acl = "/api/v1/documents/a/acl", {"readers": ["user:zhao"]}
    assert knowledge.http.put(path, json=acl, headers=knowledge.headers(EDITOR)).status_code == 200
    assert search(knowledge, LIN, "text", kb) == []
    assert [search(knowledge, EDITOR, "text", kb, number) for number in (1, 2)] == [[], []]
    assert [search(knowledge, ZHAO, "text", kb, number) for number in (1, 2)] == [["Alpha text."], ["Beta text."]]


def test_an_editor_changes_the_acl_of_a_document_that_only_the_draft_holds(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    path, acl = "/api/v1/documents/a/acl", {"readers": ["user:zhao"]}
    statuses = [
        knowledge.http.put(path, json=acl, headers=knowledge.headers(by)).status_code for by in (LIN, EDITOR, ZHAO)
    ]
    assert statuses == [404, 200, 200]


def test_a_passage_of_a_rolled_back_release_is_no_longer_readable(knowledge: Knowledge, kb: str) -> None:
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    knowledge.publish(kb, "a", "Beta text.", version="v2", fence=2)
    release(knowledge, kb)
    with knowledge.database.read() as session:
        ids = {row.text: row.id for row in session.exec(select(PassageRow))}
    body = {"passage_ids": list(ids.values())}

    def readable() -> set[str]:
        path = "/internal/readable-passages"
        found = knowledge.http.post(path, json=body, headers=knowledge.headers(LIN)).json()["passage_ids"]
        return {text for text, passage_id in ids.items() if passage_id in found}

    # What an earlier answer cited stays readable; what was withdrawn does not.
    assert readable() == {"Alpha text.", "Beta text."}
    call(knowledge, ZHAO, "POST", f"{kb}/releases/1/publish")
    assert readable() == {"Alpha text."}


def test_what_no_kept_release_holds_leaves_the_index(
    knowledge: Knowledge, kb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "KEPT_RELEASES", 2)
    for n in range(1, 5):
        knowledge.publish(kb, "a", f"Text number {n}.", version=f"v{n}", fence=n)
        release(knowledge, kb)
    knowledge.publish(kb, "b", "Another.")
    held = [knowledge.index.count(Scope("acme", 9, (KnowledgeBaseScope(kb, ALL_ACLS, n),))) for n in range(6)]
    assert held == [0, 0, 0, 1, 1, 2]
    assert search(knowledge, ZHAO, "text", kb, 2) == (409, "release_pruned")
    assert call(knowledge, ZHAO, "POST", f"{kb}/releases/2/publish")[1]["code"] == "release_pruned"
    states = [item["state"] for item in call(knowledge, ZHAO, "GET", f"{kb}/releases")[1]["items"]]
    assert states == ["draft", "published", "kept", "pruned", "pruned", "pruned"]


def test_the_published_release_is_kept_however_old(
    knowledge: Knowledge, kb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "KEPT_RELEASES", 2)
    knowledge.publish(kb, "a", "Alpha text.")
    release(knowledge, kb)
    for n in range(2, 6):
        knowledge.publish(kb, "a", f"Text number {n}.", version=f"v{n}", fence=n)
        release(knowledge, kb, publish=False)
    assert search(knowledge, LIN, "alpha", kb) == ["Alpha text."]


def test_releases_leave_audit_events(knowledge: Knowledge, kb: str) -> None:
    release(knowledge, kb)
    release(knowledge, kb, publish=False)
    call(knowledge, ZHAO, "POST", f"{kb}/releases/2/publish")
    call(knowledge, ZHAO, "POST", f"{kb}/releases/1/publish")
    with knowledge.database.read() as session:
        events = [
            (row.action, row.actor, row.details["release"])
            for row in session.execute(AUDIT_OUTBOX.select().order_by(AUDIT_OUTBOX.c.seq))
            if row.action.startswith("release.")
        ]
    assert events == [
        ("release.created", "zhao", 1),
        ("release.published", "zhao", 1),
        ("release.created", "zhao", 2),
        ("release.published", "zhao", 2),
        ("release.rolled_back", "zhao", 1),
    ]
