"""The safety policy changes with two other people's approval, for its own tenant, and everywhere soon after."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient

from zhiku_platform.access import PRINCIPAL_HEADER
from zhiku_platform.approvals import Approvals
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.safety import Surface
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.governance import app as governance_app
from zhiku_services.safety.app import create_app
from zhiku_services.safety.models import AUDIT_OUTBOX, Base
from zhiku_services.safety.policies import CurrentPolicy, Policies
from zhiku_services.safety.policy import DEFAULT, Policy
from zhiku_services.safety.service import Safety, open_safety

from ..governance.conftest import FANG, HE, LIN, WU, Directory, Governance

CHEN = Principal(sub="chen", tenant="acme", name="陈", roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_REVIEWER}))
ELSEWHERE = Principal(sub="ines", tenant="rival", roles=frozenset({Role.EMPLOYEE}))
PATH = "/api/v1/safety-policy"
WHY = "The works council asked for it"


def changed(version: str = "2", **of_question: str) -> dict[str, Any]:
    """The shipped policy with other verdicts for questions."""
    policy = DEFAULT.model_dump(mode="json")
    policy["version"] = version
    policy["verdicts"]["question"] |= of_question
    return policy


@dataclass
class Both:
    """The safety service and the one that it asks."""

    http: TestClient
    governance: Governance
    database: Database

    def call(self, principal: Principal, method: str, path: str, body: Any = None) -> httpx2.Response:
        headers = {PRINCIPAL_HEADER: self.governance.signer.sign(principal)}
        response: httpx2.Response = self.http.request(method, path, headers=headers, json=body)
        return response

    def put(self, policy: dict[str, Any], approval: str | None = None, principal: Principal = CHEN) -> httpx2.Response:
        query = f"?approval={approval}" if approval else ""
        return self.call(principal, "PUT", f"{PATH}{query}", {"policy": policy, "reason": WHY})

    def ask(self, policy: dict[str, Any]) -> Approval:
        response = self.put(policy)
        assert response.status_code == 202, response.text
        return Approval.model_validate(response.json())

    def approved(self, policy: dict[str, Any]) -> str:
        asked = self.ask(policy)
        assert self.governance.approve(asked, FANG, WU).json()["state"] == "approved"
        return asked.id

    def current(self) -> CurrentPolicy:
        return CurrentPolicy.model_validate(self.call(CHEN, "GET", PATH).json())

    def verdict(self, principal: Principal = LIN) -> str:
        body = {"surface": "question", "texts": ["出售冰毒"]}
        verdict: str = self.call(principal, "POST", "/internal/screen", body).json()["results"][0]["verdict"]
        return verdict


@pytest.fixture
def both(database: Database, tmp_path: Path) -> Iterator[Both]:
    settings = Settings(home=tmp_path / "governance")
    approvals = governance_app.open_database(settings)
    directory = Directory()
    directory.people[CHEN.sub] = CHEN.roles
    app = governance_app.create_app(settings, database=approvals, people=directory)
    with TestClient(app) as http:
        governance = Governance(http, approvals, directory, app.state.signer)
        asks = Approvals("safety", lambda: governance.client)
        own = create_app(settings, database=database, approvals=asks)
        with TestClient(own) as service:
            yield Both(service, governance, database)
    approvals.close()


def test_one_person_asks_and_nothing_changes(both: Both) -> None:
    asked = both.ask(changed(high="review"))
    assert asked.terms["changes"] == ["question.high: block → review", "version: 1 → 2"]
    assert (asked.resource.kind, asked.resource.title) == ("safety_policy", "2")
    assert both.current().policy == DEFAULT
    assert both.verdict() == "block"
    assert both.put(changed(high="review"), asked.id).status_code == 409


def test_two_others_approve_and_it_holds_for_this_tenant(both: Both) -> None:
    assert both.verdict() == both.verdict(ELSEWHERE) == "block"
    before = both.current().mark.digest
    approval = both.approved(changed(high="review"))
    assert both.put(changed(high="review"), approval).status_code == 204
    current = both.current()
    assert (current.changed_by, current.approval, current.mark.version) == ("chen", approval, "2")
    assert current.mark.digest != before
    assert (both.verdict(), both.verdict(ELSEWHERE)) == ("review", "block")
    assert both.governance.get(approval, CHEN).completed_at is not None
    with both.database.engine.connect() as connection:
        (event,) = connection.execute(AUDIT_OUTBOX.select()).all()
    assert (event.action, event.subject, event.actor) == ("safety.policy_changed", "acme", "chen")
    assert event.details["policy"] == current.mark.digest


def test_another_policy_than_the_approved_one_is_refused(both: Both) -> None:
    approval = both.approved(changed(high="review"))
    assert both.put(changed(high="allow"), approval).status_code == 409
    assert both.put(changed(high="review"), approval, FANG).status_code == 403
    assert both.verdict() == "block"


def test_what_was_approved_for_another_policy_in_force_is_refused(both: Both) -> None:
    first, second = both.approved(changed(high="review")), both.approved(changed("3", high="warn"))
    assert both.put(changed(high="review"), first).status_code == 204
    assert both.put(changed("3", high="warn"), second).status_code == 409
    assert both.current().mark.version == "2"


def test_an_approval_serves_once(both: Both) -> None:
    approval = both.approved(changed(high="review"))
    assert both.put(changed(high="review"), approval).status_code == 204
    back = both.approved(DEFAULT.model_dump(mode="json"))
    assert both.put(DEFAULT.model_dump(mode="json"), back).status_code == 204
    assert both.put(changed(high="review"), approval).status_code == 409
    assert both.verdict() == "block"


def test_asking_for_the_policy_in_force_is_refused(both: Both) -> None:
    assert both.put(changed("1")).json()["code"] == "policy_unchanged"


@pytest.mark.parametrize("broken", [{}, {"version": "2"}, {**changed(), "verdicts": {}}, changed(high="perhaps")])
def test_what_is_no_policy_is_refused(both: Both, broken: dict[str, Any]) -> None:
    assert both.put(broken).status_code == 422


def test_employees_neither_see_nor_change_it(both: Both) -> None:
    assert both.call(LIN, "GET", PATH).status_code == 403
    assert both.put(changed(high="review"), principal=LIN).status_code == 403
    assert both.put(changed(high="review"), principal=HE).status_code == 202


def test_another_replica_follows_within_two_seconds(both: Both) -> None:
    now = [0.0]
    replica = Policies(both.database, open_safety(), clock=lambda: now[0])

    def high(screen: Safety) -> str:
        return screen.policy.verdicts[Surface.QUESTION]["high"]

    assert high(replica.of("acme")) == "block"
    both.put(changed(high="review"), both.approved(changed(high="review")))
    now[0] = 1.9
    assert high(replica.of("acme")) == "block"
    now[0] = 2.0
    assert high(replica.of("acme")) == "review"


def test_the_tables_are_those_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_policy_survives_being_stored() -> None:
    assert Policy.model_validate(DEFAULT.model_dump(mode="json")) == DEFAULT
