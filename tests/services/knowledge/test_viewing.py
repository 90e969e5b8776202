"""What is shown is recorded before it leaves the service."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from .conftest import LIN, ZHAO, Knowledge

Read = Callable[[Knowledge, Any], httpx2.Response]


@pytest.fixture
def shelf(knowledge: Knowledge, tmp_path: Path) -> Knowledge:
    """One document that everyone may read, and one for zhao."""
    kb = knowledge.create("Handbook", "everyone")
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as content:
        stored = knowledge.blobs.put(content, max_bytes=100)
    knowledge.publish(kb, "open", "The lamp is green.", blob=stored.name)
    knowledge.publish(kb, "closed", "The lamp is red.", readers=["user:zhao"], blob=stored.name)
    return knowledge


def events(knowledge: Knowledge) -> list[dict[str, Any]]:
    query = "SELECT actor, action, subject, details FROM audit_outbox ORDER BY seq"
    with knowledge.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(query).mappings().all()
    return [
        {**row, "details": json.loads(row["details"]) if isinstance(row["details"], str) else row["details"]}
        for row in rows
        if row["action"] in {"document.viewed", "search.run"}
    ]


def get(knowledge: Knowledge, path: str, principal: Any = LIN, **headers: str) -> httpx2.Response:
    return knowledge.http.get(f"/api/v1/{path}", headers={**knowledge.headers(principal), **headers})


def passage_of(knowledge: Knowledge, document_id: str, principal: Any = LIN) -> str:
    found: str = get(knowledge, f"documents/{document_id}/passages", principal).json()["items"][0]["id"]
    return found


@pytest.mark.parametrize("path", ["documents/open/content", "documents/open/passages", "passages/{passage}"])
def test_a_reader_of_a_document_is_named_once(shelf: Knowledge, path: str) -> None:
    passage = passage_of(shelf, "open", ZHAO)
    for _ in range(3):
        assert get(shelf, path.format(passage=passage), Range="bytes=2-4").is_success
    seen = [event for event in events(shelf) if event["actor"] == "lin"]
    assert [(event["action"], event["subject"]) for event in seen] == [("document.viewed", "open")]
    assert set(seen[0]["details"]) >= {"knowledge_base", "version"}


def test_what_is_hidden_is_not_viewed(shelf: Knowledge) -> None:
    assert get(shelf, "documents/closed/content").status_code == 404
    assert get(shelf, f"passages/{passage_of(shelf, 'closed', ZHAO)}").status_code == 404
    assert [event for event in events(shelf) if event["actor"] == "lin"] == []


def test_a_search_is_recorded_with_what_it_found_and_its_query_sealed(shelf: Knowledge) -> None:
    body = {"query": "Which colour is the lamp?"}
    found = shelf.http.post("/api/v1/search", json=body, headers=shelf.headers(LIN)).json()
    (event,) = events(shelf)
    passages = [each["passage"] for each in found["passages"]]
    assert event["details"]["documents"] == ["open"]
    assert event["details"]["passages"] == [passage["id"] for passage in passages]
    assert event["details"]["content_hashes"] == [passage["content_hash"] for passage in passages]
    assert event["details"]["$"]["sealed"] == body


def test_what_cannot_be_recorded_is_not_shown(shelf: Knowledge) -> None:
    passage = passage_of(shelf, "open", ZHAO)
    with shelf.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_outbox RENAME TO gone"))
    for path in ("documents/open/content", "documents/open/passages", f"passages/{passage}"):
        assert get(shelf, path).status_code >= 500
    response = shelf.http.post("/api/v1/search", json={"query": "lamp"}, headers=shelf.headers(LIN))
    assert response.status_code >= 500
    assert "green" not in response.text
    with shelf.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO audit_outbox"))
    assert get(shelf, "documents/open/content").is_success
    assert [event["actor"] for event in events(shelf)] == ["zhao", "lin"]
