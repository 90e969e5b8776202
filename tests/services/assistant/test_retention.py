"""Conversations that nobody has used for as long as the rule says go, each with its event; what is held stays."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.retention import Kept, RetentionRule
from zhiku_platform.db import Database
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import postgres_database, postgres_url
from zhiku_services.assistant.app import open_database
from zhiku_services.assistant.models import AUDIT_OUTBOX, AnswerRow, ConversationRow, FeedbackRow
from zhiku_services.assistant.retention import Retention, count_due

from ..local_holds import LocalHolds
from .conftest import Assistant

__all__ = ["postgres_database", "postgres_url"]

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Rules = Callable[[Principal], list[RetentionRule]]


def days(kept: int | None) -> Rules:
    rule = RetentionRule(kind=Kept.CONVERSATIONS, days=kept, changed_by="sun", changed_at=NOW, approval_id="apr_1")
    return lambda principal: [rule] if principal.tenant == "acme" else []


def put(database: Database, name: str, age_days: float, owner: str = "lin", tenant: str = "acme") -> None:
    at = NOW - timedelta(days=age_days)
    with database.write() as session:
        session.add(
            ConversationRow(
                id=name, tenant=tenant, owner=owner, title=name, knowledge_base_ids=[], created_at=at, updated_at=at
            )
        )


def left(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.exec(select(ConversationRow.id)))


def expired(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        rows = session.connection().execute(
            select(AUDIT_OUTBOX.c.subject, AUDIT_OUTBOX.c.actor).where(AUDIT_OUTBOX.c.action == "conversation.expired")
        )
        return sorted((subject, actor) for subject, actor in rows)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The service's database, on both engines."""
    settings = Settings(home=tmp_path)
    if request.param == "postgres":
        settings = Settings(home=tmp_path, database_url=request.getfixturevalue("postgres_database"))
    database = open_database(settings)
    yield database
    database.close()


def test_what_is_older_than_the_rule_goes_and_nothing_else(database: Database) -> None:
    put(database, "old", 91)
    put(database, "young", 89)
    put(database, "of_others", 91, tenant="other")
    retention = Retention(database, days(90), LocalHolds(), clock=lambda: NOW)
    assert retention.apply() == 1
    assert left(database) == ["of_others", "young"]
    assert expired(database) == [("old", "svc-assistant")]
    assert retention.apply() == 0


def test_for_ever_deletes_nothing(database: Database) -> None:
    put(database, "old", 9_000)
    assert Retention(database, days(None), LocalHolds(), clock=lambda: NOW).apply() == 0
    assert left(database) == ["old"]


def test_what_a_hold_keeps_stays_and_keeps_nobody_elses(database: Database) -> None:
    put(database, "held", 91)
    put(database, "free", 91, owner="zhao")
    holds = LocalHolds(held={"lin"})
    assert Retention(database, days(90), holds, clock=lambda: NOW).apply() == 1
    assert left(database) == ["held"]
    assert expired(database) == [("free", "svc-assistant")]
    holds.held.clear()
    assert Retention(database, days(90), holds, clock=lambda: NOW).apply() == 1


def test_without_governance_nothing_goes(database: Database) -> None:
    put(database, "old", 91)
    with pytest.raises(ServiceUnavailableError):
        Retention(database, days(90), LocalHolds(is_down=True), clock=lambda: NOW).apply()
    assert left(database) == ["old"]
    assert expired(database) == []


def test_more_than_one_turn_holds_all_go_and_a_stop_between_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(120):
        put(database, f"c{n:03}", 91)
    holds = LocalHolds()
    checks = 0

    def check_then_stop(*_: object) -> None:
        nonlocal checks
        checks += 1
        if checks == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(holds, "check", check_then_stop)
    retention = Retention(database, days(90), holds, clock=lambda: NOW)
    with pytest.raises(KeyboardInterrupt):
        retention.apply()
    assert (len(left(database)), len(expired(database))) == (70, 50)
    assert retention.apply() == 70
    assert (len(left(database)), len(expired(database))) == (0, 120)


def test_what_is_due_is_counted_before_it_goes(database: Database) -> None:
    for age in (1, 31, 91):
        put(database, f"c{age}", age)
    put(database, "of_others", 91, tenant="other")
    access = authorize(service_principal("governance", "acme"), Permission.RETENTION_APPLY)
    with database.read() as session:
        assert [count_due(access, kept, session, now=NOW) for kept in (30, 90, 365)] == [2, 1, 0]


@pytest.mark.anyio
async def test_answers_and_what_was_said_of_them_go_with_it(assistant: Assistant) -> None:
    database = assistant.database
    answer = await assistant.ask("How many days of annual leave do I get?")
    client = assistant.client()
    body = {"rating": "up", "may_train": False}
    assert (await client.put(f"/api/v1/answers/{answer.id}/feedback", json=body)).is_success
    retention = Retention(database, days(1), LocalHolds(), clock=lambda: datetime.now(UTC) + timedelta(days=2))
    assert retention.apply() == 1
    with database.read() as session:
        assert session.exec(select(AnswerRow.id).where(col(AnswerRow.id) == answer.id)).all() == []
        assert session.exec(select(FeedbackRow.answer_id)).all() == []
