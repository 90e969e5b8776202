"""From a service's outbox to the log: stamped, in order, once, and never before it is durable there."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlmodel import Session

from zhiku_platform.audit import AuditEvent, OutboxRelay, record, take_batch
from zhiku_platform.contracts.audit import Detail, ProducedEvent, UnrecordableEventError
from zhiku_platform.db import Database
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.settings import Settings
from zhiku_services.knowledge.app import open_database
from zhiku_services.knowledge.models import AUDIT_OUTBOX

from .conftest import Audit


def created(n: int, **more: object) -> AuditEvent:
    fields = {"action": "knowledge_base.created", "tenant": "acme", "actor": "lin", "subject": f"kb_{n}", **more}
    return AuditEvent.model_validate(fields)


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[Database]:
    """A service's own database."""
    database = open_database(Settings(home=tmp_path / "producer"))
    yield database
    database.close()


def waiting(producer: Database) -> int:
    with producer.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(AUDIT_OUTBOX)).scalar_one()


def test_events_go_into_the_log_and_out_of_the_outbox(audit: Audit, producer: Database) -> None:
    relay = OutboxRelay(producer, AUDIT_OUTBOX, audit.trail.intake.append)
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1, details={"n": 1}, sealed={"name": "Geheim"}, group="kb_1"))
        record(session, AUDIT_OUTBOX, created(2))
    assert relay.relay() == 2
    assert (relay.relay(), waiting(producer)) == (0, 0)

    audit.settle()
    first, second = audit.events()
    assert (first["source"], first["subject"], second["subject"]) == ("/zhiku/knowledge", "kb_1", "kb_2")
    assert first["data"]["unmapped"]["kb"] == {"n": 1}
    assert first["data"]["sealed"]["group"] == "kb_1"
    assert [event["data"]["producer"]["seq"] for event in (first, second)] == [1, 2]


def test_what_could_not_be_delivered_stays(producer: Database) -> None:
    def refuse(_: Sequence[ProducedEvent]) -> None:
        raise ServiceUnavailableError("No sink can write.", remedy="Wait.")

    relay = OutboxRelay(producer, AUDIT_OUTBOX, refuse)
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1))
    with pytest.raises(ServiceUnavailableError):
        relay.relay()
    assert waiting(producer) == 1


def test_a_crash_between_delivery_and_deletion_doubles_nothing(audit: Audit, producer: Database) -> None:
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1))
    with producer.read() as session:
        audit.trail.intake.append(take_batch(session, AUDIT_OUTBOX, "knowledge"))
    audit.settle()
    OutboxRelay(producer, AUDIT_OUTBOX, audit.trail.intake.append).relay()
    audit.settle()
    assert len(audit.events()) == 1


def test_an_act_that_was_rolled_back_leaves_no_gap(audit: Audit, producer: Database) -> None:
    relay = OutboxRelay(producer, AUDIT_OUTBOX, audit.trail.intake.append)
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), producer.write() as session:
            record(session, AUDIT_OUTBOX, created(2))
            raise ZeroDivisionError
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(3))
    relay.relay()
    audit.settle()
    stamps = [event["data"]["producer"] for event in audit.events()]
    assert [(stamp["seq"], stamp.get("voided", [])) for stamp in stamps] == [(1, []), (4, [2, 3])]
    assert audit.get("/api/v1/audit-log")["gaps"] == []


def test_an_event_that_was_deleted_from_the_outbox_leaves_a_gap(audit: Audit, producer: Database) -> None:
    relay = OutboxRelay(producer, AUDIT_OUTBOX, audit.trail.intake.append)
    for n in range(3):
        with producer.write() as session:
            record(session, AUDIT_OUTBOX, created(n))
    with producer.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit_outbox WHERE subject = 'kb_1'")
    relay.relay()
    audit.settle()
    (gap,) = audit.get("/api/v1/audit-log")["gaps"]
    assert (gap["producer"], gap["first"], gap["last"]) == ("knowledge", 2, 2)


def test_a_running_relay_delivers_after_each_commit_and_the_rest_when_it_stops(producer: Database) -> None:
    arrived: list[str] = []
    came = threading.Event()

    def take(events: Sequence[ProducedEvent]) -> None:
        arrived.extend(produced.event.subject for produced in events)
        came.set()

    relay = OutboxRelay(producer, AUDIT_OUTBOX, take)
    relay.start()
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1))
    assert came.wait(5)
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(2))
    relay.stop()
    assert arrived == ["kb_1", "kb_2"]


def test_who_reads_an_outbox_sees_details_without_stamps(producer: Database) -> None:
    with producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1, details={"n": 1}))
        assert session.execute(select(AUDIT_OUTBOX.c.details)).scalar_one() == {"n": 1}


@pytest.mark.parametrize(
    "details", [{"text": "x" * 60_000}, {"名": 1}, {"score": 2**60}, {"holder": "user:" + "x" * 300}]
)
def test_what_the_log_would_refuse_for_ever_is_refused_where_it_is_made(
    producer: Database, details: dict[str, Detail]
) -> None:
    with pytest.raises(UnrecordableEventError), producer.write() as session:
        record(session, AUDIT_OUTBOX, created(1, details=details))
    assert waiting(producer) == 0


def test_more_voided_numbers_than_fit_into_an_event_are_told_by_the_next(audit: Audit, producer: Database) -> None:
    relay = OutboxRelay(producer, AUDIT_OUTBOX, audit.trail.intake.append)
    for _ in range(250):
        with producer.engine.connect() as connection, Session(connection) as session:
            record(session, AUDIT_OUTBOX, created(1))
    for _ in range(2):
        with producer.write() as session:
            record(session, AUDIT_OUTBOX, created(2))
    relay.relay()
    audit.settle()
    assert [len(event["data"]["producer"]["voided"]) for event in audit.events()] == [200, 50]
    assert audit.get("/api/v1/audit-log")["gaps"] == []
