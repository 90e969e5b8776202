"""What a known caller is refused leaves a trace, and a flood of it leaves two."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from zhiku_platform.access import Permission, authorize
from zhiku_platform.contracts.gateway import ApiKeyScope, NewApiKey
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.gateway import api_keys
from zhiku_services.gateway.app import create_app
from zhiku_services.gateway.denials import Denial, Denials
from zhiku_services.gateway.directory import principal_of
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.models import AUDIT_OUTBOX, UserRow

from .conftest import Clock, Gateway, Services

READ = "GET /api/v1/audit-events/{event_id}"
REVEAL = "POST /api/v1/audit-events/{event_id}/reveal"


def denied(gateway: Gateway) -> list[tuple[str, dict[str, Any]]]:
    """Whom the audit says was refused, and how."""
    return [(actor, details) for action, actor, details in gateway.audited() if action == "access.denied"]


def subjects(gateway: Gateway) -> list[str]:
    with gateway.database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT subject, outcome FROM audit_outbox ORDER BY seq").all()
    return [subject for subject, outcome in rows if outcome == "denied"]


def test_a_missing_permission_is_recorded_by_the_template_of_the_route(gateway: Gateway) -> None:
    lin = gateway.sign_in("lin")
    assert lin.get("/api/v1/audit-events/evt_of_somebody?x=secret").status_code == 403
    assert denied(gateway) == [("lin", {"reason": "forbidden", "times": 1})]
    assert subjects(gateway) == [READ]


def test_a_login_that_is_too_old_is_recorded(gateway: Gateway) -> None:
    chen = gateway.sign_in("chen")
    gateway.clock.pass_time(seconds=301)
    refused = chen.post("/api/v1/audit-events/evt_1/reveal", json={"reason": "because I must know"})
    assert refused.json()["code"] == "step_up_required"
    assert denied(gateway) == [("chen", {"reason": "step_up_required", "times": 1})]
    assert subjects(gateway) == [REVEAL]


def test_a_key_without_the_scope_is_recorded_as_its_owner(gateway: Gateway) -> None:
    secret = gateway.create_key("zhao", "ask")["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    path = "/api/v1/knowledge-bases/kb_1/uploads"
    assert gateway.browse().post(path, headers=headers).status_code == 403
    assert denied(gateway) == [("zhao", {"reason": "forbidden", "times": 1})]


@pytest.mark.parametrize("path", ["/api/v1/documents/d1", "/api/v1/nowhere", "/api/v1/session"])
def test_what_is_hidden_and_what_is_missing_are_no_refusals(gateway: Gateway, path: str) -> None:
    gateway.sign_in("lin").get(path)
    gateway.browse().get(path)
    assert denied(gateway) == []


def test_a_flood_leaves_one_event_at_once_and_one_with_the_number(
    settings: Settings, services: Services, database: Database, clock: Clock
) -> None:
    app = create_app(settings, database=database, upstreams=services.upstreams(), clock=clock)
    with database.write() as session:
        found = session.exec(select(UserRow).where(UserRow.sub == "lin")).one()
        access = authorize(principal_of(found), Permission.API_KEY_MANAGE)
        new = NewApiKey(name="test", scopes=[ApiKeyScope.ASK])
        door: Door = app.state.door
        secret = api_keys.create(
            access, new, issuer=door.issuer, digests=door.digests, at=clock(), session=session
        ).secret
    with TestClient(app, base_url=settings.base_url, headers={"Authorization": f"Bearer {secret}"}) as caller:
        for n in range(40):
            assert caller.get(f"/api/v1/audit-events/evt_{n}").status_code == 403
    with database.read() as session:
        rows = session.execute(AUDIT_OUTBOX.select().where(AUDIT_OUTBOX.c.action == "access.denied")).all()
    assert [row.details["times"] for row in rows] == [1, 39]


def test_the_first_counts_at_once_and_the_others_together() -> None:
    denials = Denials()
    one, other = (Denial("t", actor, READ, "forbidden") for actor in ("lin", "chen"))
    assert [denials.is_first(each) for each in (one, one, other, one)] == [True, False, True, False]
    assert denials.take() == {one: 2}
    assert denials.take() == {}
    assert denials.is_first(one)
