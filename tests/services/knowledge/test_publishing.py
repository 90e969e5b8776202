"""Publishing converges, whatever is repeated, late or cut off."""

import contextlib
from collections.abc import Sequence

import pytest
from sqlmodel import select

from zhiku_platform.contracts.knowledge import RetireRequest
from zhiku_services.knowledge.index import ALL_ACLS, OPEN_RELEASE, IndexRow, KnowledgeBaseScope, Scope
from zhiku_services.knowledge.models import PassageRow, VectorChangeRow
from zhiku_services.knowledge.publishing import align_vectors

from .conftest import INGESTION, LIN, ZHAO, Knowledge


def vectors(knowledge: Knowledge, kb: str, release: int = 10**6) -> int:
    whole = KnowledgeBaseScope(kb_id=kb, acl_ids=ALL_ACLS, release=release)
    return knowledge.index.count(Scope(tenant="acme", level=9, knowledge_bases=(whole,)))


def retire(knowledge: Knowledge, document_id: str, fence: int, *, only_unseen: bool = False) -> int:
    request = RetireRequest(tenant="acme", document_id=document_id, fence=fence, only_unseen=only_unseen)
    response = knowledge.http.post(
        "/internal/retire", content=request.model_dump_json(), headers=knowledge.headers(INGESTION)
    )
    return response.status_code


def test_publishing_twice_is_publishing_once(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    for _ in range(2):
        assert knowledge.publish(kb, "leave", "Annual leave is 15 days.", "Parking is free.").passages == 2
    assert vectors(knowledge, kb) == 2
    assert len(knowledge.search(LIN, "leave parking")) == 2


def test_a_new_version_replaces_the_old_everywhere(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.", "Parking is free.")
    result = knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=2)
    assert (result.passages, result.retired) == (1, 2)
    assert knowledge.search(LIN, "annual leave") == ["Annual leave is 20 days."]
    assert vectors(knowledge, kb) == 1


def test_nothing_of_a_version_shows_before_its_final_part(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "book", "First half.", final=False)
    assert knowledge.search(LIN, "half") == []
    documents = knowledge.http.get(f"/api/v1/knowledge-bases/{kb}/documents", headers=knowledge.headers(LIN))
    assert documents.json()["items"] == []
    knowledge.publish(kb, "book", "Second half.", part=1, first_ordinal=1)
    assert sorted(knowledge.search(LIN, "half")) == ["First half.", "Second half."]


def test_parts_of_a_version_that_never_came_are_dropped_alone(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=2, final=False)

    assert retire(knowledge, "leave", 1, only_unseen=True) == 409
    assert retire(knowledge, "leave", 3, only_unseen=True) == 200

    with knowledge.database.read() as session:
        assert session.exec(select(PassageRow.version_id)).all() == ["leave-v1"]
    assert knowledge.search(LIN, "annual leave") == ["Annual leave is 15 days."]
    assert vectors(knowledge, kb) == 1


def test_the_old_version_shows_while_the_new_one_is_on_its_way(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=2, final=False)
    assert knowledge.search(LIN, "annual leave") == ["Annual leave is 15 days."]


def test_a_worker_that_lost_its_lease_writes_nothing(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=5)
    with pytest.raises(AssertionError, match="stale_fence"):
        knowledge.publish(kb, "leave", "Annual leave is 15 days.", version="v1", fence=4)
    assert knowledge.search(LIN, "annual leave") == ["Annual leave is 20 days."]


def test_a_retired_document_leaves_tables_and_index(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    assert retire(knowledge, "leave", fence=2) == 200
    assert knowledge.search(LIN, "annual leave") == []
    assert [vectors(knowledge, kb, release) for release in (0, 1, 10**6)] == [0, 0, 0]
    with knowledge.database.read() as session:
        assert session.exec(select(PassageRow)).all() == []
    assert knowledge.http.get("/api/v1/documents/leave", headers=knowledge.headers(ZHAO)).status_code == 404


@pytest.mark.parametrize("final", [True, False])
def test_a_document_deleted_while_it_is_written_leaves_no_vector(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    upsert = knowledge.index.upsert

    def deleted_meanwhile(rows: Sequence[IndexRow]) -> None:
        assert retire(knowledge, "leave", fence=9) == 200
        upsert(rows)

    with monkeypatch.context() as race:
        race.setattr(knowledge.index, "upsert", deleted_meanwhile)
        with contextlib.suppress(AssertionError):
            knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=2, final=final)
    assert [vectors(knowledge, kb, release) for release in (0, 1, 2, 10**6, OPEN_RELEASE)] == [0, 0, 0, 0, 0]


def test_a_late_worker_cannot_bring_a_retired_document_back(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    retire(knowledge, "leave", fence=2)
    with pytest.raises(AssertionError, match="stale_fence"):
        knowledge.publish(kb, "leave", "Annual leave is 15 days.", fence=1)


def test_what_an_earlier_stop_left_undone_in_the_index_is_done_later(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    with monkeypatch.context() as crash:
        crash.delattr(type(knowledge.index), "place")
        with pytest.raises(AssertionError, match="internal"):
            knowledge.publish(kb, "leave", "Annual leave is 20 days.", version="v2", fence=2)
    assert knowledge.search(LIN, "annual leave") == ["Annual leave is 20 days."]
    assert vectors(knowledge, kb) == 2
    assert align_vectors(knowledge.database, knowledge.index) == 1
    assert vectors(knowledge, kb) == 1
    with knowledge.database.read() as session:
        assert session.exec(select(VectorChangeRow)).all() == []


def test_a_wider_acl_reaches_the_index_though_it_failed_the_first_time(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "plan", "The plan is bold.", readers=["user:zhao"])
    path, headers = "/internal/documents/plan/acl", knowledge.headers(INGESTION)
    with monkeypatch.context() as crash:
        crash.delattr(type(knowledge.index), "place")
        assert knowledge.http.put(path, json={"readers": None}, headers=headers).status_code == 500
    assert knowledge.http.put(path, json={"readers": None}, headers=headers).status_code == 204
    assert knowledge.search(LIN, "bold plan") == ["The plan is bold."]


def test_a_restriction_that_somebody_set_outlives_the_next_version(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "plan", "The plan is bold.")
    restricted = {"readers": ["user:zhao"]}
    response = knowledge.http.put("/api/v1/documents/plan/acl", json=restricted, headers=knowledge.headers(ZHAO))
    assert response.is_success, response.text
    knowledge.publish(kb, "plan", "The plan is bolder.", version="v2", fence=2)
    assert knowledge.search(LIN, "plan") == []
    assert knowledge.search(ZHAO, "plan") == ["The plan is bolder."]
    knowledge.publish(kb, "plan", "The plan is public.", version="v3", fence=3, acl_revision=1)
    assert knowledge.search(LIN, "plan") == ["The plan is public."]


def test_nobody_shuts_out_what_the_source_says_later(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "plan", "The plan is bold.")
    own = {"readers": None, "revision": 10**9}
    assert knowledge.http.put("/api/v1/documents/plan/acl", json=own, headers=knowledge.headers(ZHAO)).is_success
    narrow = {"readers": ["user:zhao"], "revision": 1}
    path, headers = "/internal/documents/plan/acl", knowledge.headers(INGESTION)
    assert knowledge.http.put(path, json=narrow, headers=headers).status_code == 204
    assert knowledge.search(LIN, "bold plan") == []


def test_an_acl_that_comes_late_does_not_win(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "plan", "The plan is bold.", acl_revision=1)
    path, headers = "/internal/documents/plan/acl", knowledge.headers(INGESTION)
    narrow, wide = {"readers": ["user:zhao"], "revision": 3}, {"readers": None, "revision": 2}
    assert knowledge.http.put(path, json=narrow, headers=headers).status_code == 204
    assert knowledge.http.put(path, json=wide, headers=headers).status_code == 204
    assert knowledge.search(LIN, "bold plan") == []


def test_an_employee_cannot_publish(knowledge: Knowledge) -> None:
    response = knowledge.http.post("/internal/publish", json={}, headers=knowledge.headers(ZHAO))
    assert response.status_code == 403
