"""A list of any length reaches the log: what a service may record, the log can take."""

import pytest

from zhiku_platform.audit import listed
from zhiku_platform.contracts.audit import MAX_CLEAR_BYTES, AuditEvent, Detail, ProducedEvent, clear_size
from zhiku_services.audit.errors import EventTooLargeError

from .conftest import Audit, published

SHORT = [f"user:u{n:04}" for n in range(2000)]


def acl(readers: list[str], *more: str) -> ProducedEvent:
    details: dict[str, Detail] = {"readers": readers} if more else listed("readers", readers)
    event = AuditEvent(action="document.acl_changed", tenant="acme", actor="lin", subject="doc_1", details=details)
    return ProducedEvent(event=event)


@pytest.mark.parametrize("readers", [SHORT, [f"group:{'g' * 90}{n}" for n in range(900)], ["user:zhao"], []])
def test_a_list_of_readers_is_taken_whatever_its_length(audit: Audit, readers: list[str]) -> None:
    audit.append(acl(readers))
    audit.settle()
    told = audit.events()[0]["data"]["unmapped"]["kb"]
    assert told.get("readers_total", len(told["readers"])) == len(readers)
    assert len(told["readers"]) <= 400


def test_what_would_not_fit_as_pseudonyms_is_refused_before_it_is_taken(audit: Audit) -> None:
    long = acl(SHORT, "as it is")
    assert clear_size(long.event.details) > MAX_CLEAR_BYTES
    with pytest.raises(EventTooLargeError):
        audit.append(long)
    audit.append(published(1))
    audit.settle()
    assert audit.actions() == ["document.published"]


def test_two_lists_fit_into_one_event() -> None:
    readers = [f"user:{'u' * 190}{n:04}" for n in range(5000)]
    assert clear_size({**listed("readers", readers), **listed("groups", readers)}) < MAX_CLEAR_BYTES
