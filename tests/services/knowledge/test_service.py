"""Knowledge bases, grants and documents, as their users see them."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import RetireRequest
from zhiku_platform.http import is_public
from zhiku_services.knowledge.models import AUDIT_OUTBOX
from zhiku_services.knowledge.routes import internal, router

from .conftest import INGESTION, LIN, STRANGER, ZHAO, Knowledge


def test_an_employee_cannot_create_a_knowledge_base(knowledge: Knowledge) -> None:
    response = knowledge.http.post("/api/v1/knowledge-bases", json={"name": "Mine"}, headers=knowledge.headers(LIN))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_a_name_is_taken_once(knowledge: Knowledge) -> None:
    knowledge.create("Handbook")
    response = knowledge.http.post(
        "/api/v1/knowledge-bases", json={"name": "Handbook"}, headers=knowledge.headers(ZHAO)
    )
    assert (response.status_code, response.json()["code"]) == (409, "name_taken")


def test_everyone_sees_their_own_role(knowledge: Knowledge) -> None:
    knowledge.create("Handbook", "group:engineering")
    roles = {
        principal.sub: [
            kb["role"]
            for kb in knowledge.http.get("/api/v1/knowledge-bases", headers=knowledge.headers(principal)).json()[
                "items"
            ]
        ]
        for principal in (ZHAO, LIN, STRANGER)
    }
    assert roles == {"zhao": ["owner"], "lin": ["viewer"], "eve": []}


def test_a_viewer_is_told_which_role_it_lacks(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "user:lin")
    response = knowledge.http.get(f"/api/v1/knowledge-bases/{kb}/grants", headers=knowledge.headers(LIN))
    assert (response.status_code, response.json()["code"]) == (403, "role_too_small")


def test_the_last_owner_stays(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook")
    headers = knowledge.headers(ZHAO)
    path = f"/api/v1/knowledge-bases/{kb}/grants"
    grant = knowledge.http.get(path, headers=headers).json()["items"][0]
    demotion = {"subject": grant["subject"], "role": "viewer"}
    assert knowledge.http.delete(f"{path}/{grant['id']}", headers=headers).json()["code"] == "last_owner"
    assert knowledge.http.post(path, json=demotion, headers=headers).json()["code"] == "last_owner"


def test_counts_and_listings_hold_only_what_the_caller_may_read(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "Open text.")
    knowledge.publish(kb, "closed", "Closed text.", readers=["user:zhao"], title="Merger with Rival")
    seen = knowledge.http.get(f"/api/v1/knowledge-bases/{kb}", headers=knowledge.headers(LIN)).json()
    listed = knowledge.http.get(f"/api/v1/knowledge-bases/{kb}/documents", headers=knowledge.headers(LIN))
    assert seen["documents"] == 1
    assert [item["id"] for item in listed.json()["items"]] == ["open"]
    assert "Merger" not in listed.text


@pytest.mark.parametrize("path", ["", "/content", "/passages"])
def test_a_hidden_document_and_a_missing_one_are_the_same_404(knowledge: Knowledge, path: str) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "closed", "Closed text.", readers=["user:zhao"])
    headers = {**knowledge.headers(LIN), "X-Request-Id": "same"}
    hidden = knowledge.http.get(f"/api/v1/documents/closed{path}", headers=headers)
    missing = knowledge.http.get(f"/api/v1/documents/nothing{path}", headers=headers)
    assert hidden.status_code == 404
    assert (hidden.content, hidden.headers) == (missing.content, missing.headers)


def test_a_reader_who_is_no_editor_cannot_change_readers(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "Open text.")
    response = knowledge.http.put(
        "/api/v1/documents/open/acl", json={"readers": ["user:lin"]}, headers=knowledge.headers(LIN)
    )
    assert (response.status_code, response.json()["code"]) == (403, "role_too_small")


def test_content_is_served_in_ranges_and_sandboxed(knowledge: Knowledge, tmp_path: Path) -> None:
    kb = knowledge.create("Handbook", "everyone")
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as content:
        stored = knowledge.blobs.put(content, max_bytes=100)
    knowledge.publish(kb, "open", "Open text.", blob=stored.name)
    response = knowledge.http.get(
        "/api/v1/documents/open/content", headers={**knowledge.headers(LIN), "Range": "bytes=2-4"}
    )
    assert (response.status_code, response.content) == (206, b"234")
    assert "sandbox" in response.headers["content-security-policy"]


def test_only_an_empty_knowledge_base_is_deleted_by_one_person(knowledge: Knowledge) -> None:
    empty, used = knowledge.create("Empty"), knowledge.create("Used")
    knowledge.publish(used, "doc", "Text.")
    headers = knowledge.headers(ZHAO)
    assert knowledge.http.delete(f"/api/v1/knowledge-bases/{empty}", headers=headers).status_code == 204
    response = knowledge.http.delete(f"/api/v1/knowledge-bases/{used}", headers=headers)
    assert (response.status_code, response.json()["code"]) == (409, "knowledge_base_in_use")


def test_pages_of_a_listing_follow_each_other(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    for n in range(5):
        knowledge.publish(kb, f"doc{n}", f"Text {n}.")
    seen: list[str] = []
    cursor = ""
    while True:
        page = knowledge.http.get(
            f"/api/v1/knowledge-bases/{kb}/documents",
            params={"limit": 2, "cursor": cursor},
            headers=knowledge.headers(LIN),
        ).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == [f"doc{n}" for n in range(5)]


def test_a_stranger_gets_nowhere(knowledge: Knowledge) -> None:
    routes = [route for each in (router, internal) for route in each.routes if isinstance(route, APIRoute)]
    assert not [route.path for route in routes if is_public(route)]
    for route in routes:
        for method in route.methods or ():
            assert knowledge.http.request(method, route.path).status_code == 401, route.path


def test_every_change_leaves_an_audit_event(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "Open text.")
    with knowledge.database.read() as session:
        actions = [row.action for row in session.execute(AUDIT_OUTBOX.select().order_by(AUDIT_OUTBOX.c.seq))]
    assert actions == [
        "knowledge_base.created",
        "grant.given",
        "document.acl_changed",
        "document.published",
        "release.published",
    ]


def recorded(knowledge: Knowledge, action: str) -> list[Any]:
    """The details of each event of an action, oldest first."""
    with knowledge.database.read() as session:
        rows = session.execute(AUDIT_OUTBOX.select().order_by(AUDIT_OUTBOX.c.seq)).all()
    return [row.details for row in rows if row.action == action]


def test_an_event_of_an_acl_names_its_readers(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "Open text.", readers=["user:zhao", "everyone"], level=0)
    knowledge.publish(kb, "open", "Newer text.", readers=["user:zhao", "everyone"], version="v2")
    acl = {"readers": ["user:zhao", "group:finance"], "level": 0}
    for _ in range(2):
        changed = knowledge.http.put("/api/v1/documents/open/acl", json=acl, headers=knowledge.headers(ZHAO))
        assert changed.status_code == 200
    told = [(details["readers"], details["level"]) for details in recorded(knowledge, "document.acl_changed")]
    assert told == [(["everyone", "user:zhao"], 0), (["group:finance", "user:zhao"], 0)]
    knowledge.publish(kb, "open", "Narrow text.", readers=None, level=2, version="v3", acl_revision=1)
    last = recorded(knowledge, "document.acl_changed")[-1]
    assert (last["readers"], last["level"]) == (None, 2)


def test_who_merely_reads_a_document_sees_their_own_part_of_its_acl(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "group:engineering")
    readers = ["group:engineering", "group:merger-phoenix", "user:hu", "user:zhao"]
    knowledge.publish(kb, "plan", "A plan.", readers=readers)
    paths = ("/api/v1/documents/plan", f"/api/v1/knowledge-bases/{kb}/documents")

    def shown(principal: Principal) -> list[list[str]]:
        answers = [knowledge.http.get(path, headers=knowledge.headers(principal)).json() for path in paths]
        return [answers[0]["readers"], answers[1]["items"][0]["readers"]]

    assert shown(LIN) == [["group:engineering"]] * 2
    assert shown(ZHAO) == [readers] * 2


def test_a_document_that_was_deleted_or_never_released_is_readable_to_nobody(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "group:engineering")
    for name in ("kept", "gone"):
        knowledge.publish(kb, name, "Text.")
    retire = RetireRequest(document_id="gone", tenant="acme", fence=9).model_dump_json()
    headers = knowledge.headers(INGESTION)
    assert knowledge.http.post("/internal/retire", content=retire, headers=headers).status_code == 200
    manual = {"publishing": "manual"}
    path = f"/api/v1/knowledge-bases/{kb}"
    assert knowledge.http.patch(path, json=manual, headers=knowledge.headers(ZHAO)).status_code == 200
    knowledge.publish(kb, "draft", "Text.")

    def readable(*, released: bool) -> list[str]:
        body = {"document_ids": ["kept", "gone", "draft"], "released": released}
        answer = knowledge.http.post("/internal/readable-documents", json=body, headers=knowledge.headers(LIN))
        found: list[str] = answer.json()["document_ids"]
        return found

    assert readable(released=True) == ["kept"]
    assert readable(released=False) == ["kept", "draft"]


def test_who_publishes_is_told_with_what_it_was_before(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "group:engineering")
    path = f"/api/v1/knowledge-bases/{kb}"
    body = {"name": "Rules", "publishing": "manual"}
    assert knowledge.http.patch(path, json=body, headers=knowledge.headers(ZHAO)).status_code == 200
    (details,) = recorded(knowledge, "knowledge_base.changed")
    assert details == {"fields": ["name", "publishing"], "publishing": "manual", "publishing_before": "auto"}


def test_an_acl_of_more_readers_than_an_event_holds_is_recorded_by_its_number(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    readers = [f"user:{'语' * 195}{n:04}" for n in range(4999)]
    knowledge.publish(kb, "open", "Open text.", readers=[*readers, "user:zhao"])
    (details,) = recorded(knowledge, "document.acl_changed")
    assert details["readers_total"] == 5000
    # 20 KiB: 54 bytes for zhao, 639 for each of the others.
    assert details["readers"] == ["user:zhao", *readers[:31]]
    assert len(details["readers_sha256"]) == 64


def test_a_grant_tells_the_role_before(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "user:lin")
    path, headers = f"/api/v1/knowledge-bases/{kb}/grants", knowledge.headers(ZHAO)
    grant = knowledge.http.post(path, json={"subject": "user:lin", "role": "editor"}, headers=headers).json()
    assert knowledge.http.delete(f"{path}/{grant['id']}", headers=headers).status_code == 204
    assert recorded(knowledge, "grant.given") == [
        {"holder": "user:lin", "role": "viewer", "role_before": None},
        {"holder": "user:lin", "role": "editor", "role_before": "viewer"},
    ]
    assert recorded(knowledge, "grant.removed") == [{"holder": "user:lin", "role_before": "editor"}]


def test_publishing_by_itself_is_recorded_as_such(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "Open text.")
    assert recorded(knowledge, "release.published") == [{"release": 1, "before": 0, "automatic": True}]
