"""Search finds what the caller may read, all of it, and nothing else."""

import random
from collections.abc import Collection, Sequence

import pytest

from zhiku_platform.contracts.identity import Principal, Role
from zhiku_services.knowledge.index import Hit, KnowledgeBaseScope, Scope
from zhiku_services.knowledge.models import INHERITED_ACL
from zhiku_services.knowledge.repository import acl_id_of

from .conftest import LIN, OTHER_TENANT, STRANGER, ZHAO, Knowledge

MODES = ("hybrid", "dense", "bm25")


@pytest.mark.parametrize("mode", MODES)
def test_a_viewer_finds_a_passage_by_its_words(knowledge: Knowledge, mode: str) -> None:
    kb = knowledge.create("Handbook", "group:engineering")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.", "Parking is free.")
    assert knowledge.search(LIN, "annual leave days", mode=mode)[0] == "Annual leave is 15 days."


@pytest.mark.parametrize("mode", MODES)
def test_chinese_is_found_too(knowledge: Knowledge, mode: str) -> None:
    kb = knowledge.create("手册", "everyone")
    knowledge.publish(kb, "leave", "员工每年享有15天带薪年假。", "停车场免费。")
    assert knowledge.search(LIN, "年假有多少天？", mode=mode)[0] == "员工每年享有15天带薪年假。"


def test_a_caller_without_a_grant_finds_nothing(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "group:engineering")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    assert knowledge.search(STRANGER, "annual leave") == []


def test_a_hidden_knowledge_base_does_not_exist(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook")
    answers = [
        knowledge.http.post(
            "/api/v1/search",
            json={"query": "x", "knowledge_base_ids": [name]},
            headers={**knowledge.headers(STRANGER), "X-Request-Id": "same"},
        )
        for name in (kb, "kb_000000000000")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_another_tenant_with_the_same_names_finds_nothing(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    assert knowledge.search(OTHER_TENANT, "annual leave") == []


@pytest.mark.parametrize("mode", MODES)
def test_a_document_of_one_department_is_hidden_from_the_other(knowledge: Knowledge, mode: str) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "bonus", "The bonus pool is 3 million.", readers=["group:finance"])
    knowledge.publish(kb, "lunch", "The lunch pool is shared.")
    assert "The bonus pool is 3 million." in knowledge.search(ZHAO, "bonus pool", mode=mode)
    assert knowledge.search(LIN, "bonus pool", mode=mode) == ["The lunch pool is shared."]


def test_a_document_with_no_readers_is_read_by_nobody(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "sealed", "The sealed pool.", readers=[])
    assert knowledge.search(ZHAO, "sealed pool") == []


def test_a_level_above_the_clearance_hides(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "secret", "The secret pool.", level=2)
    cleared = LIN.model_copy(update={"clearance": 2})
    assert knowledge.search(LIN, "secret pool") == []
    assert knowledge.search(cleared, "secret pool") == ["The secret pool."]


def test_revoking_a_grant_holds_from_the_next_question_on(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "group:engineering")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    headers = knowledge.headers(ZHAO)
    grants = knowledge.http.get(f"/api/v1/knowledge-bases/{kb}/grants", headers=headers).json()["items"]
    grant = next(each["id"] for each in grants if each["subject"] == "group:engineering")
    assert knowledge.search(LIN, "annual leave") != []
    assert knowledge.http.delete(f"/api/v1/knowledge-bases/{kb}/grants/{grant}", headers=headers).status_code == 204
    assert knowledge.search(LIN, "annual leave") == []


def test_a_changed_acl_holds_at_once_both_ways(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "plan", "The plan is bold.")
    path, headers = "/api/v1/documents/plan/acl", knowledge.headers(ZHAO)
    assert knowledge.http.put(path, json={"readers": ["user:zhao"]}, headers=headers).status_code == 200
    assert (knowledge.search(LIN, "bold plan"), knowledge.search(ZHAO, "bold plan")) == ([], ["The plan is bold."])
    assert knowledge.http.put(path, json={"readers": None}, headers=headers).status_code == 200
    assert knowledge.search(LIN, "bold plan") == ["The plan is bold."]


def test_hydration_hides_what_the_index_still_shows(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "plan", "The plan is bold.")
    # The index is told nothing: only the second check, on the database, is left to hold.
    monkeypatch.setattr(knowledge.index, "place", lambda *_, **__: None)
    headers = knowledge.headers(ZHAO)
    knowledge.http.put("/api/v1/documents/plan/acl", json={"readers": ["user:zhao"]}, headers=headers)
    knowledge.publish(kb, "decoy", "A decoy.", readers=None)
    assert knowledge.search(LIN, "bold plan") == ["A decoy."]


def test_hidden_passages_do_not_crowd_out_readable_ones(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    for n in range(130):
        knowledge.publish(kb, f"hidden{n}", f"Budget budget budget {n}", readers=["user:zhao"])
    knowledge.publish(kb, "open", "One budget line among many other words.")
    assert knowledge.search(LIN, "budget") == ["One budget line among many other words."]


def test_the_result_names_what_was_searched_and_nothing_hidden(knowledge: Knowledge) -> None:
    knowledge.create("Hidden")
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "leave", "Annual leave is 15 days.")
    result = knowledge.http.post("/api/v1/search", json={"query": "leave"}, headers=knowledge.headers(LIN)).json()
    assert result["searched"] == ["Handbook"]


def test_nobody_finds_what_they_may_not_read_in_a_random_world(knowledge: Knowledge) -> None:
    chance = random.Random(7)
    groups = [f"g{n}" for n in range(4)]
    kbs = [knowledge.create(f"KB {n}", *chance.sample([f"group:{g}" for g in groups], 2)) for n in range(3)]
    truth: dict[str, tuple[str, list[str] | None]] = {}
    for n in range(60):
        kb = chance.choice(kbs)
        readers = None if chance.random() < 0.3 else [f"group:{g}" for g in chance.sample(groups, chance.randint(0, 2))]
        truth[f"common words canary{n}"] = (kb, readers)
        knowledge.publish(kb, f"doc{n}", f"common words canary{n}", readers=readers)
    grants = {
        kb: {
            grant["subject"]
            for grant in knowledge.http.get(
                f"/api/v1/knowledge-bases/{kb}/grants", headers=knowledge.headers(ZHAO)
            ).json()["items"]
        }
        for kb in kbs
    }
    for n in range(12):
        held = frozenset(chance.sample(groups, chance.randint(0, 3)))
        user = Principal(sub=f"u{n}", tenant="acme", groups=held, roles=frozenset({Role.EMPLOYEE}))
        readable = {
            text
            for text, (kb, readers) in truth.items()
            if grants[kb] & user.tokens and (readers is None or set(readers) & user.tokens)
        }
        body = {"query": "common words", "limit": 50}
        found = knowledge.http.post("/api/v1/search", json=body, headers=knowledge.headers(user)).json()["passages"]
        texts = {each["passage"]["text"] for each in found}
        assert texts <= readable
        assert len(texts) == min(50, len(readable))


def test_what_the_index_wrongly_shows_does_not_crowd_out_what_is_readable(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "One budget line among many other words.")
    knowledge.publish(kb, "closing", *(f"Budget budget budget {n}" for n in range(130)))
    # The index is told nothing: it goes on offering 130 better hits that are no longer readable.
    monkeypatch.setattr(knowledge.index, "place", lambda *_, **__: None)
    headers = knowledge.headers(ZHAO)
    knowledge.http.put("/api/v1/documents/closing/acl", json={"readers": ["user:zhao"]}, headers=headers)
    assert knowledge.search(LIN, "budget") == ["One budget line among many other words."]


def test_hidden_documents_change_neither_order_nor_score(knowledge: Knowledge) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "travel", "Travel is booked by the office.")
    knowledge.publish(kb, "leave", "Leave is booked by the office and travel is not.")
    knowledge.publish(kb, "both", "Leave, then travel.")

    def scores(mode: str) -> list[tuple[str, float]]:
        body = {"query": "travel leave office", "mode": mode}
        found = knowledge.http.post("/api/v1/search", json=body, headers=knowledge.headers(LIN)).json()["passages"]
        return [(each["passage"]["document_id"], each["score"]) for each in found]

    before = [scores(mode) for mode in MODES]
    other = knowledge.create("Hidden")
    for n in range(20):
        knowledge.publish(kb, f"closed{n}", "Travel travel travel.", readers=["user:zhao"])
        knowledge.publish(other, f"hidden{n}", "Office leave.", "Leave, leave, leave, leave.")
    assert [scores(mode) for mode in MODES] == before


def test_the_index_is_asked_for_nothing_that_the_caller_may_not_read(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb, _ = knowledge.create("Handbook", "everyone"), knowledge.create("Hidden")
    knowledge.publish(kb, "open", "Open text.")
    knowledge.publish(kb, "closed", "Closed text.", readers=["user:zhao"], level=2)
    knowledge.publish(kb, "named", "Named text.", readers=["group:engineering"])
    asked: list[Scope] = []
    real = knowledge.index.search_bm25

    def search_bm25(text: str, scope: Scope, limit: int) -> list[Hit]:
        asked.append(scope)
        return real(text, scope, limit)

    monkeypatch.setattr(knowledge.index, "search_bm25", search_bm25)
    knowledge.search(LIN, "text")
    held = frozenset({INHERITED_ACL, acl_id_of(["group:engineering"], 0)})
    assert asked == [Scope("acme", 0, (KnowledgeBaseScope(kb, held, release=3),))]


def test_a_passage_that_the_index_was_not_asked_for_is_not_found(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = knowledge.create("Handbook", "everyone")
    knowledge.publish(kb, "open", "Open text.")
    real = knowledge.index.search_dense

    def search_dense(
        vector: Sequence[float], scope: Scope, limit: int, *, within: Collection[str] | None = None
    ) -> list[Hit]:
        # So that the passage is found by its words alone, and its cosine has to be asked for.
        return [] if within is None else [Hit("psg_stranger", 1.0), *real(vector, scope, limit, within=within)]

    monkeypatch.setattr(knowledge.index, "search_dense", search_dense)
    assert knowledge.search(LIN, "text") == ["Open text."]
