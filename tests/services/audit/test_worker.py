"""The worker keeps the log going on its own: sequenced, sealed within two seconds, whole after a stop."""

import time

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
