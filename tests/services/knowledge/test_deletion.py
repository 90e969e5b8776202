"""Deleting a knowledge base that holds something takes two others, asked by way of the real governance service."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.approvals import Approvals
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.governance.app import create_app, open_database
from zhiku_services.knowledge import deletion

from ..governance.conftest import FANG, WU, Directory, Governance
from ..local_holds import LocalHolds
from .conftest import INGESTION, LIN, STRANGER, ZHAO, Knowledge

WHY = {"reason": "The project has ended"}


@dataclass
class Both:
    """The knowledge service and the one that it asks."""

    knowledge: Knowledge
    governance: Governance
    kb: str

    def call(self, path: str, body: Any = WHY, *, principal: Any = ZHAO) -> httpx2.Response:
        headers = self.knowledge.headers(principal)
        response: httpx2.Response = self.knowledge.http.post(path, json=body, headers=headers)
        return response

    def delete(self, approval: str | None = None, *, principal: Any = ZHAO) -> httpx2.Response:
        query = "" if approval is None else f"?approval={approval}"
        return self.call(f"/api/v1/knowledge-bases/{self.kb}/deletion{query}", principal=principal)

    def ask(self) -> Approval:
        response = self.delete()
        assert response.status_code == 202, response.text
        return Approval.model_validate(response.json())

    def approved(self) -> str:
        asked = self.ask()
        assert self.governance.approve(asked, FANG, WU).json()["state"] == "approved"
        return asked.id

    def state(self, approval: str) -> str:
        return self.governance.get(approval).state


@pytest.fixture
def both(knowledge: Knowledge, tmp_path: Path) -> Iterator[Both]:
    from fastapi.testclient import TestClient

    database = open_database(Settings(home=tmp_path))
    directory = Directory()
    app = create_app(Settings(home=tmp_path), database=database, people=directory)
    with TestClient(app) as http:
        governance = Governance(http, database, directory, app.state.signer)
        knowledge.http.app.state.approvals = Approvals("knowledge", lambda: governance.client)  # type: ignore[attr-defined]  # a FastAPI app has state
        kb = knowledge.create("Handbook", "user:lin")
        knowledge.publish(kb, "doc_a", "The lamp is green", "The door is red")
        knowledge.publish(kb, "doc_b", "The roof is blue")
        yield Both(knowledge, governance, kb)
    database.close()


def rows(database: Database) -> dict[str, int]:
    tables = ("knowledge_base", '"grant"', "release", "document", "document_version", "passage")
    with database.engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in tables}


def test_one_person_asks_and_nothing_is_deleted(both: Both) -> None:
    before = rows(both.knowledge.database)
    asked = both.ask()
    assert (asked.resource.title, asked.terms["documents_requester_may_read"], asked.state) == (
        "Handbook",
        2,
        "waiting",
    )
    assert both.delete(asked.id).json()["code"] == "approval_waiting"
    assert both.delete().json()["id"] == asked.id
    assert rows(both.knowledge.database) == before


def test_asking_tells_nothing_of_documents_that_the_owner_may_not_read(both: Both) -> None:
    before = both.ask()
    both.knowledge.publish(both.kb, "doc_hidden", "A secret of engineering", readers=["group:engineering"])
    after = both.ask()
    assert after.terms["documents_requester_may_read"] == 2
    assert after.digest != before.digest


def test_two_others_delete_every_row_and_vector(both: Both) -> None:
    other = both.knowledge.create("Kept")
    both.knowledge.publish(other, "doc_c", "The lamp is yellow")
    approval = both.approved()
    assert both.delete(approval).status_code == 204
    assert rows(both.knowledge.database) == {
        "knowledge_base": 1, '"grant"': 1, "release": 2, "document": 1, "document_version": 1, "passage": 1,
    }  # fmt: skip
    assert both.knowledge.search(ZHAO, "lamp", other) == ["The lamp is yellow"]
    assert both.knowledge.search(ZHAO, "lamp") == ["The lamp is yellow"]
    assert both.delete(approval).status_code == 404
    done = both.governance.get(approval)
    assert (done.state, done.completed_at is not None) == ("used", True)


@pytest.mark.parametrize("held", ["doc_b", "the knowledge base"])
def test_what_is_held_stays_and_its_approval_is_good_later(both: Both, holds: LocalHolds, held: str) -> None:
    approval = both.approved()
    before = rows(both.knowledge.database)
    holds.held.add(held if held == "doc_b" else both.kb)
    refused = both.delete(approval)
    assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert both.state(approval) == "approved"
    holds.held.clear()
    holds.is_down = True
    assert both.delete(approval).status_code == 503
    assert rows(both.knowledge.database) == before
    holds.is_down = False
    assert both.delete(approval).status_code == 204


def test_an_empty_knowledge_base_stays_while_it_is_held(both: Both, holds: LocalHolds) -> None:
    path = f"/api/v1/knowledge-bases/{(empty := both.knowledge.create('Empty'))}"
    headers = both.knowledge.headers(ZHAO)
    holds.held.add(empty)
    assert both.knowledge.http.delete(path, headers=headers).json()["code"] == "held"
    assert both.knowledge.http.get(path, headers=headers).status_code == 200
    holds.held.clear()
    assert both.knowledge.http.delete(path, headers=headers).status_code == 204


def test_what_came_later_was_not_approved(both: Both) -> None:
    approval = both.approved()
    both.knowledge.publish(both.kb, "doc_new", "The new thing")
    assert both.delete(approval).json()["code"] == "approval_mismatch"
    assert both.state(approval) == "approved"
    assert both.knowledge.search(ZHAO, "lamp", both.kb) != []


def test_only_who_asked_and_owns_it_can_delete(both: Both) -> None:
    approval = both.approved()
    assert both.delete(approval, principal=LIN).json()["code"] == "role_too_small"
    assert both.delete(approval, principal=STRANGER).json()["code"] == "not_found"
    other = both.knowledge.create("Another")
    path = f"/api/v1/knowledge-bases/{other}/deletion?approval={approval}"
    assert both.call(path).json()["code"] == "approval_for_another"


def test_an_act_that_failed_can_be_done_again_with_the_same_approval(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the process had died between governance's commit and ours."""
    approval = both.approved()
    with monkeypatch.context() as patch:
        patch.setattr("zhiku_services.knowledge.deletion.DeletionRepository.delete", _die)
        assert both.delete(approval).status_code == 500
    assert both.state(approval) == "used"
    assert both.knowledge.search(ZHAO, "lamp", both.kb) != []
    assert both.delete(approval).json()["code"] == "approval_in_use"
    with both.governance.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE approval SET lease_until = '2020-01-01 00:00:00.000000'")
    assert both.delete(approval).status_code == 204


def _die(_repository: object) -> None:
    raise MemoryError


def test_ingestion_is_told_what_was_deleted_and_nothing_else(both: Both) -> None:
    assert both.delete(both.approved()).status_code == 204
    body = {"knowledge_base_ids": [both.kb, "kb_unknown"]}
    answer = both.call("/internal/deleted-knowledge-bases", body, principal=INGESTION)
    assert answer.json() == {"knowledge_base_ids": [both.kb]}
    elsewhere = service_principal("ingestion", "rival")
    answer = both.call("/internal/deleted-knowledge-bases", body, principal=elsewhere)
    assert answer.json() == {"knowledge_base_ids": []}


def test_the_digest_depends_on_every_document_and_version(both: Both) -> None:
    access = authorize(ZHAO, Permission.KNOWLEDGE_BASE_MANAGE)

    def digest() -> str:
        with both.knowledge.database.read() as session:
            return deletion.describe(access, both.kb, session).digest

    seen = [digest()]
    both.knowledge.publish(both.kb, "doc_a", "The lamp is white", version="v2", fence=2)
    seen.append(digest())
    both.knowledge.publish(both.kb, "doc_c", "More")
    seen.append(digest())
    headers = both.knowledge.headers(ZHAO)
    both.knowledge.http.patch(f"/api/v1/knowledge-bases/{both.kb}", json={"name": "Renamed"}, headers=headers)
    seen.append(digest())
    assert len(set(seen)) == 4
