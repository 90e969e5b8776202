"""Erasing a person: grants and signatures go, documents that name them where that was decided, and nothing held."""

from typing import Any

import httpx2

from zhiku_platform.access import service_principal

from ..local_holds import LocalHolds
from .conftest import LIN, ZHAO, Knowledge

WHO = {"sub": "lin", "values": ["林晓", "138 0013 8000"]}
ORDER = {**WHO, "erasure_id": "era_1"}
DESK = service_principal("governance", "acme")


def call(knowledge: Knowledge, what: str, body: Any) -> httpx2.Response:
    response: httpx2.Response = knowledge.http.post(
        f"/internal/personal-data/{what}", json=body, headers=knowledge.headers(DESK)
    )
    return response


def report(knowledge: Knowledge) -> dict[str, list[str]]:
    response = call(knowledge, "find", WHO)
    assert response.status_code == 200, response.text
    return {line["kind"]: line["ids"] for line in response.json()["found"] if line["ids"]}


ABOUT, OTHER = "林晓 answers at 13800138000 in the canteen", "The canteen opens at eight"


def test_a_document_that_names_them_goes_where_that_was_decided(knowledge: Knowledge) -> None:
    base = knowledge.create("Handbook", "user:lin")
    knowledge.publish(base, "doc_about", ABOUT)
    knowledge.publish(base, "doc_other", OTHER)
    before = report(knowledge)
    assert before["document"] == ["doc_about"]
    assert len(before["grant"]) == 1
    assert call(knowledge, "erase", ORDER).json()["counts"] == {"document": 0, "grant": 1, "doing": 0}
    assert report(knowledge) == {"document": ["doc_about"]}
    assert set(knowledge.search(ZHAO, "canteen")) == {ABOUT, OTHER}
    decided = call(knowledge, "erase", {**ORDER, "decided": ["doc_about"]})
    assert decided.json()["counts"] == {"document": 1, "grant": 0, "doing": 0}
    assert report(knowledge) == {}
    assert knowledge.search(ZHAO, "canteen") == [OTHER]
    headers = knowledge.headers(LIN)
    assert knowledge.http.get("/api/v1/documents/doc_other", headers=headers).status_code == 404


def test_what_a_hold_keeps_stays_whole(knowledge: Knowledge, holds: LocalHolds) -> None:
    base = knowledge.create("Handbook", "user:lin")
    knowledge.publish(base, "doc_about", "林晓 answers at 13800138000")
    before = report(knowledge)
    holds.held.add("doc_about")
    refused = call(knowledge, "erase", {**ORDER, "decided": ["doc_about"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert report(knowledge) == before
