"""What is acknowledged is durable, on one of two sinks; if neither writes, what must be recorded must not happen."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from zhiku_platform.contracts.audit import Accepted, AuditEvent, Outcome, ProducedEvent
from zhiku_services.audit.errors import (
    AuditUnavailableError,
    EventTooLargeError,
    NotCanonicalError,
    UnknownEventError,
)
from zhiku_services.audit.models import INBOX

from .conftest import Audit, MakeAudit, published

REFUSED_LOGIN = ProducedEvent(
    event=AuditEvent(action="session.refused", tenant="acme", actor="anonymous", subject="idp", outcome=Outcome.DENIED)
)


def break_database(audit: Audit) -> None:
    audit.sql("ALTER TABLE inbox RENAME TO inbox_gone", unprotected=False)


def repair_database(audit: Audit) -> None:
    audit.sql("ALTER TABLE inbox_gone RENAME TO inbox", unprotected=False)


def break_disk(audit: Audit) -> Path:
    """Put a file where the spool's folder belongs: nobody can write below it, not even root."""
    folder = audit.settings.home / "audit" / "spool"
    folder.write_text("", encoding="ascii")
    return folder


def test_while_the_database_fails_events_go_to_the_spool_and_then_into_the_log(audit: Audit) -> None:
    audit.append(published(1))
    break_database(audit)
    assert audit.trail.intake.append([published(2), published(3)]) == Accepted(accepted=2, spooled=2)
    assert audit.trail.intake.waiting_in_spool() == 2

    repair_database(audit)
    assert audit.trail.intake.drain_spool() == 2
    audit.settle()
    assert [event["subject"] for event in audit.events()] == ["doc_1", "doc_2", "doc_3"]
    assert audit.trail.intake.waiting_in_spool() == 0
    assert audit.verify().ok


def test_a_spool_that_was_drained_and_not_emptied_doubles_nothing(audit: Audit) -> None:
    break_database(audit)
    audit.append(published(1))
    spool = audit.settings.home / "audit" / "spool" / "events"
    kept = spool.read_bytes()
    repair_database(audit)
    audit.trail.intake.drain_spool()
    audit.settle()
    spool.write_bytes(kept)

    assert audit.trail.intake.drain_spool() == 1
    audit.settle()
    assert len(audit.events()) == 1


def test_a_line_that_a_power_cut_cut_off_does_not_take_others_along(audit: Audit) -> None:
    break_database(audit)
    audit.append(published(1))
    spool = audit.settings.home / "audit" / "spool" / "events"
    spool.write_bytes(spool.read_bytes() + spool.read_bytes()[:50])
    audit.append(published(2))

    repair_database(audit)
    assert audit.trail.intake.drain_spool() == 2


def test_the_spool_shows_nothing_to_who_reads_the_disk(audit: Audit) -> None:
    break_database(audit)
    audit.append(published(1, actor="lin"))
    folder = audit.settings.home / "audit" / "spool"
    assert b"lin" not in (folder / "events").read_bytes()
    assert (folder / "events").stat().st_mode & 0o777 == 0o600


def test_while_no_sink_can_write_what_must_be_recorded_is_refused(audit: Audit) -> None:
    break_database(audit)
    break_disk(audit)
    with pytest.raises(AuditUnavailableError):
        audit.append(published(1))


def test_a_disk_that_is_full_is_no_sink(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    break_database(audit)
    audit.append(published(1))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(AuditUnavailableError):
            audit.append(published(2))
    audit.append(published(3))
    repair_database(audit)
    audit.trail.intake.drain_spool()
    audit.settle()
    assert [event["subject"] for event in audit.events()] == ["doc_1", "doc_3"]


@pytest.fixture
def small_disk(audit: Audit) -> Iterator[None]:
    """The spool on a disk of its own, of 64 KiB."""
    folder = audit.settings.home / "audit" / "spool"
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this account may not mount a disk")
    yield
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.usefixtures("small_disk")
def test_what_fits_on_a_disk_that_fills_up_is_kept_and_the_rest_refused(audit: Audit) -> None:
    break_database(audit)
    taken: list[str] = []
    refused: list[str] = []
    for n in range(400):
        try:
            audit.append(published(n))
        except AuditUnavailableError:
            refused.append(f"doc_{n}")
        else:
            taken.append(f"doc_{n}")
    assert len(taken) > 10
    assert len(refused) > 10
    repair_database(audit)
    audit.trail.intake.drain_spool()
    audit.settle()
    assert [event["subject"] for event in audit.events()] == taken
    audit.append(published(1000))


def test_reviewers_are_refused_while_their_reading_cannot_be_recorded(audit: Audit) -> None:
    break_database(audit)
    break_disk(audit)
    response = audit.client().get("/api/v1/audit-log")
    assert (response.status_code, response.json()["code"]) == (503, "audit_unavailable")


def test_events_of_open_classes_are_counted_and_the_loss_is_told(audit: Audit) -> None:
    break_database(audit)
    folder = break_disk(audit)
    audit.trail.intake.append([REFUSED_LOGIN, REFUSED_LOGIN], may_lose=True)
    assert audit.trail.intake.lost == 2
    with pytest.raises(AuditUnavailableError):
        audit.trail.intake.append([REFUSED_LOGIN, published(1)], may_lose=True)
    with pytest.raises(AuditUnavailableError):
        # It waits in an outbox, and may not be taken out of that.
        audit.trail.intake.append([REFUSED_LOGIN])

    repair_database(audit)
    folder.unlink()
    audit.service._worker.step(last=True)
    (event,) = audit.events()
    assert (event["type"], event["data"]["unmapped"]["kb"]) == ("zhiku.audit.events_lost", {"events": 2})
    assert audit.trail.intake.lost == 0


def test_threads_that_append_at_once_all_get_their_events_in(audit: Audit) -> None:
    def work(thread: int) -> None:
        for n in range(20):
            audit.append(published(1000 * thread + n))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with audit.database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(INBOX)).scalar() == 160
    audit.settle()
    assert len({event["subject"] for event in audit.events()}) == 160


def test_an_action_that_the_catalogue_lacks_is_refused(audit: Audit) -> None:
    event = AuditEvent(action="coffee.brewed", tenant="acme", actor="lin", subject="x")
    with pytest.raises(UnknownEventError):
        audit.append(ProducedEvent(event=event))


def test_details_that_leave_no_room_are_refused_whole_and_not_cut(audit: Audit) -> None:
    with pytest.raises(EventTooLargeError):
        audit.append(published(1, passages=["p" * 40] * 1500))
    audit.append(published(1, passages=["p" * 40] * 1000))


@pytest.mark.parametrize(
    "broken",
    [
        {"actor": "\ud800"},
        {"subject": "\ud800"},
        {"details": {"text": "\ud800"}},
        {"details": {"holder": "user:" + "x" * 300}},
        {"details": {"holder": "nobody\0"}},
        {"sealed": {"question": "\ud800"}, "group": "g"},
    ],
)
def test_one_event_that_cannot_be_written_does_not_take_others_along(audit: Audit, broken: dict[str, Any]) -> None:
    good = published(1)
    bad = good.event.model_copy(update={"id": "evt_bad", **broken})
    with pytest.raises(NotCanonicalError):
        audit.append(ProducedEvent(event=bad))
    audit.append(good)
    audit.settle()
    assert audit.actions() == ["document.published"]


def test_of_callers_settled_together_only_who_brought_the_bad_event_is_refused(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = audit.trail.intake
    store = intake.store
    is_begun, is_held = threading.Event(), threading.Event()
    together: list[int] = []
    failed: list[str] = []

    def slow_store(connection: Connection, events: Sequence[ProducedEvent]) -> None:
        if not together:
            is_begun.set()
            is_held.wait(10)
        together.append(len(events))
        if any(each.event.subject == "doc_2" for each in events):
            raise NotCanonicalError("cannot be written", remedy="")
        store(connection, events)

    def append(n: int) -> None:
        try:
            audit.append(published(n))
        except NotCanonicalError:
            failed.append(f"doc_{n}")

    monkeypatch.setattr(intake, "store", slow_store)
    threads = [threading.Thread(target=append, args=(n,)) for n in range(4)]
    threads[0].start()
    assert is_begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    started = time.monotonic()
    while len(intake._waiting) < 3:
        assert time.monotonic() - started < 10
        time.sleep(0.01)
    is_held.set()
    for thread in threads:
        thread.join()
    assert together[1] == 3
    assert failed == ["doc_2"]
    audit.settle()
    assert {event["subject"] for event in audit.events()} == {"doc_0", "doc_1", "doc_3"}


def test_a_detail_that_fits_no_column_does_not_stop_the_sequencer(audit: Audit) -> None:
    audit.append(published(1, knowledge_base="k" * 300, conversation="c\0"))
    audit.settle()
    assert audit.verify().ok
    assert audit.events()[0]["data"]["unmapped"]["kb"]["conversation"] == "c\0"


def test_a_person_is_a_pseudonym_and_a_service_has_its_name(audit: Audit) -> None:
    granted = AuditEvent(
        action="grant.given", tenant="acme", actor="zhao", subject="kb_1", details={"holder": "user:lin", "n": 1}
    )
    audit.append(
        ProducedEvent(event=granted), published(1, actor="lin"), published(2, actor="svc-ingestion"),
        published(3, actor="lin", tenant="other"),
    )  # fmt: skip
    audit.settle()

    first, second, third, fourth = audit.events()
    assert b"lin" not in b"".join(str(event).encode() for event in (first, second))
    pseudonym = second["data"]["actor"]["user"]["uid"]
    assert pseudonym.startswith("psn_")
    assert first["data"]["unmapped"]["kb"]["holder"] == f"user:{pseudonym}"
    assert third["data"]["actor"]["user"]["uid"] == "svc-ingestion"
    assert fourth["data"]["actor"]["user"]["uid"] != pseudonym


def test_a_restart_takes_up_what_waited(make_audit: MakeAudit) -> None:
    make_audit().append(published(1))
    second = make_audit()
    second.settle()
    assert len(second.events()) == 1
