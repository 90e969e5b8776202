"""Evidence leaves the platform when two others have approved exactly that, asked by way of the real service."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from zhiku_platform.approvals import Approvals
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.settings import Settings
from zhiku_services.governance.app import create_app, open_database

from ..governance.conftest import FANG, WU, Directory, Governance
from .conftest import CHEN, DIANA, LIN, STRANGER, Audit

BODY: dict[str, Any] = {"reason": "The yearly review", "filter": {"actor": "svc-knowledge"}}


@dataclass
class Both:
    """The audit service and the one that it asks."""

    audit: Audit
    governance: Governance

    def export(
        self, approval: str | None = None, principal: Principal = CHEN, body: dict[str, Any] = BODY
    ) -> httpx2.Response:
        query = "" if approval is None else f"?approval={approval}"
        response: httpx2.Response = self.audit.client(principal).post(f"/api/v1/audit-exports{query}", json=body)
        return response

    def approved(self) -> str:
        asked = Approval.model_validate(self.export().json())
        assert self.governance.approve(asked, FANG, WU).json()["state"] == "approved"
        return asked.id

    def exports(self) -> int:
        self.audit.settle()
        return self.audit.actions().count("audit.exported")


@pytest.fixture
def both(audit: Audit, tmp_path: Path) -> Iterator[Both]:
    settings = Settings(home=tmp_path / "governance")
    database = open_database(settings)
    directory = Directory()
    app = create_app(settings, database=database, people=directory)
    with TestClient(app) as http:
        governance = Governance(http, database, directory, app.state.signer)
        audit.service.app.state.approvals = Approvals("audit", lambda: governance.client)
        audit.fill(3)
        audit.settle()
        yield Both(audit, governance)
    database.close()


def test_one_person_asks_and_nothing_leaves(both: Both) -> None:
    response = both.export()
    asked = Approval.model_validate(response.json())
    assert (response.status_code, asked.state, asked.terms) == (202, "waiting", {"actor": "svc-knowledge"})
    assert both.export(asked.id).json()["code"] == "approval_waiting"
    assert both.exports() == 0


def test_two_others_let_it_leave_once(both: Both) -> None:
    approval = both.approved()
    bundle = both.export(approval)
    assert bundle.headers["content-type"] == "application/zip"
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(bundle.content)).namelist()
    again = both.export(approval)
    assert (again.status_code, again.json()["code"]) == (409, "approval_used")
    assert both.exports() == 1
    event = next(event for event in both.audit.events() if event["type"] == "zhiku.audit.exported")
    assert event["data"]["unmapped"]["kb"]["approval"] == approval


@pytest.mark.parametrize("body", [{**BODY, "filter": {}}, {**BODY, "filter": {"actor": "svc-ingestion"}}])
def test_another_filter_was_not_approved(both: Both, body: dict[str, Any]) -> None:
    assert both.export(both.approved(), body=body).json()["code"] == "approval_mismatch"
    assert both.exports() == 0


def test_only_who_asked_takes_it_out(both: Both) -> None:
    approval = both.approved()
    assert both.export(approval, DIANA).json()["code"] == "not_found"
    assert both.export(approval, STRANGER).status_code == 404
    assert both.export(approval, LIN).status_code == 403
    assert both.export(None, LIN).status_code == 403
    assert both.export("apr_x").status_code == 422
    assert both.exports() == 0


def test_an_export_that_died_leaves_nothing_and_can_be_made_again_later(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = both.approved()
    with monkeypatch.context() as patch:
        patch.setattr("zhiku_services.audit.service.write_bundle", _die)
        assert both.export(approval).status_code == 500
    assert both.export(approval).json()["code"] == "approval_in_use"
    with both.governance.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE approval SET lease_until = '2020-01-01 00:00:00.000000'")
    assert both.export(approval).status_code == 200
    assert both.export(approval).json()["code"] == "approval_used"


def _die(*_: object, **__: object) -> None:
    raise MemoryError


def test_without_the_governance_service_nothing_leaves(audit: Audit) -> None:
    response = audit.client(CHEN).post("/api/v1/audit-exports", json=BODY)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
