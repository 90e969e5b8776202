"""The catalogue of events: what the code can record is what the documentation lists."""

import re
from pathlib import Path

import pytest

from zhiku_platform.audit import AuditEvent, record
from zhiku_platform.contracts.audit import ACTIONS, UnknownActionError, event_catalogue

from .conftest import MakeAudit

ROOT = Path(__file__).parents[3]
EVENT = re.compile(
    r'(?:event_of\(\s*access,|AuditEvent\(\s*action=|_audit\([^"]*,|_record\w*\([^"]*,)\s*"([a-z_]+\.[a-z_]+)"'
)


def test_the_documentation_lists_every_event() -> None:
    documented = (ROOT / "docs" / "audit-events.md").read_text(encoding="utf-8")
    assert event_catalogue() in documented, "copy what `event_catalogue()` gives into docs/audit-events.md"


def test_every_event_that_the_code_names_is_in_the_catalogue() -> None:
    named: set[str] = set()
    for path in (ROOT / "services" / "zhiku_services").rglob("*.py"):
        named.update(EVENT.findall(path.read_text(encoding="utf-8")))
    assert len(named) >= 25
    assert named <= set(ACTIONS)


def test_an_event_that_the_catalogue_lacks_cannot_be_recorded(make_audit: MakeAudit) -> None:
    from zhiku_services.knowledge.models import AUDIT_OUTBOX

    with make_audit().database.read() as session, pytest.raises(UnknownActionError):
        record(session, AUDIT_OUTBOX, AuditEvent(action="coffee.brewed", tenant="acme", actor="lin", subject="x"))


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_name_is_a_noun_and_what_happened(action: str) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", action)
    assert ACTIONS[action].says.endswith(".")
