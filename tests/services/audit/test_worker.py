"""The worker keeps the log going on its own: sequenced, sealed within two seconds, whole after a stop."""

import time

import pytest

from zhiku_platform.contracts.audit import Stamp
from zhiku_services.audit.errors import InconsistentRootError, NotCanonicalError
from zhiku_services.audit.worker import GAPS, SIGNER_REFUSES, AuditWorker

from .attacks import as_administrator, edit, rebuild
from .conftest import Audit, published


def test_an_event_is_sealed_within_two_seconds_without_help(audit: Audit) -> None:
    audit.service.start()
    audit.append(published(1))
    started = time.monotonic()
    while (verdict := audit.verify()).tree_size < 1:
        assert time.monotonic() - started < 2.0
        time.sleep(0.02)
    audit.service.stop()
    assert verdict.ok


def test_what_came_before_a_stop_is_sealed_by_it(audit: Audit) -> None:
    audit.service.start()
    audit.fill(300)
    audit.service.stop()
    verdict = audit.verify()
    assert (verdict.ok, verdict.tree_size, verdict.unsealed) == (True, 300, 0)


def test_a_signer_that_refuses_does_not_stop_the_log_from_taking_events(audit: Audit) -> None:
    audit.fill(5)
    audit.settle()
    last = audit.settings.home / "audit" / "signer" / "last.checkpoint"
    text = last.read_text(encoding="utf-8")
    audit.service.start()
    last.write_text(text.replace("\n5\n", "\n9\n"), encoding="utf-8")
    audit.append(published(1))
    started = time.monotonic()
    while len(audit.events()) < 6:
        assert time.monotonic() - started < 5.0
        time.sleep(0.02)
    audit.service.stop()
    last.write_text(text, encoding="utf-8")
    audit.settle()
    assert audit.verify().tree_size == 6


@pytest.fixture
def worker(audit: Audit) -> AuditWorker:
    trail = audit.trail
    return AuditWorker(audit.database, trail.intake, trail.signer, tenant="acme", clock=lambda: 0.0)


def test_gaps_are_looked_for_and_counted(audit: Audit, worker: AuditWorker) -> None:
    for seq in (1, 4, 9):
        audit.append(published(seq, stamp=Stamp(producer="knowledge", boot="b1", seq=seq)))
    worker.step(last=True)
    assert GAPS._value.get() == 2


def test_a_signer_that_refuses_can_be_seen_from_outside(audit: Audit, worker: AuditWorker) -> None:
    audit.fill(301)
    audit.settle()
    with as_administrator(audit) as tables:
        edit(tables)
        rebuild(tables)
    audit.fill(1)
    with pytest.raises(InconsistentRootError):
        worker.step(last=True)
    assert SIGNER_REFUSES._value.get() == 1


def test_what_the_spool_will_not_give_up_keeps_nothing_else_from_the_log(
    audit: Audit, worker: AuditWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise NotCanonicalError("cannot be written", remedy="")

    audit.fill(3)
    monkeypatch.setattr(audit.trail.intake, "drain_spool", refuse)
    with pytest.raises(NotCanonicalError):
        worker.step(last=True)
    assert len(audit.events()) == 3
    assert audit.verify().tree_size == 3
