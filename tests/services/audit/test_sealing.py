"""Forgetting: a key is destroyed, a mapping is deleted, and every proof stays valid."""

import sqlite3
from contextlib import closing

import pytest

from zhiku_platform.access import Permission, authorize
from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.contracts.erasure import EraseOrder
from zhiku_services.audit.erasing import PersonalData
from zhiku_services.audit.errors import PersonTouchedError, SealedPartTouchedError
from zhiku_services.audit.sealing import Vault

from .conftest import CHEN, Audit, MakeAudit, published

QUESTION = {"question": "Was verdient Herr Müller? 多少钱？"}


def asked(group: str, *, tenant: str = "acme") -> ProducedEvent:
    event = AuditEvent(
        action="question.asked", tenant=tenant, actor="lin", subject="ans_1", sealed=QUESTION, group=group
    )
    return ProducedEvent(event=event)


def reveal(audit: Audit, event_id: str) -> dict[str, object]:
    revealed: dict[str, object] = audit.post(
        f"/api/v1/audit-events/{event_id}/reveal", {"reason": "A complaint, case 17"}
    )
    return revealed


def forget(audit: Audit, *groups: str, sub: str = "nobody") -> dict[str, int]:
    """Erase record groups and a person as the erasure desk does."""
    order = EraseOrder(erasure_id="era_1", sub=sub, groups=list(groups))
    return PersonalData(audit.trail).erase(authorize(CHEN, Permission.AUDIT_READ), order)


def test_a_sealed_part_is_nowhere_in_clear_and_can_be_opened(audit: Audit) -> None:
    event = asked("cnv_1")
    audit.append(event)
    audit.settle()

    path = audit.settings.home / "db"
    assert not any("Müller".encode() in file.read_bytes() for file in path.iterdir())
    assert reveal(audit, event.event.id)["sealed"] == QUESTION


def test_when_its_key_is_destroyed_a_sealed_part_is_gone_and_the_log_is_whole(audit: Audit) -> None:
    gone, kept = asked("cnv_1"), asked("cnv_2")
    audit.append(gone, kept)
    audit.settle()
    proof = audit.client().get(f"/api/v1/audit-events/{gone.event.id}/proof").text
    assert forget(audit, "cnv_1")["record_group"] == 1

    assert reveal(audit, gone.event.id)["sealed"] is None
    assert reveal(audit, kept.event.id)["sealed"] == QUESTION
    assert audit.verify().ok
    assert audit.client().get(f"/api/v1/audit-events/{gone.event.id}/proof").text == proof


def test_a_person_is_forgotten_and_does_not_come_back_under_the_same_name(audit: Audit) -> None:
    first = published(1)
    audit.append(first)
    audit.settle()
    with audit.database.read() as session:
        old = Vault(session.connection(), audit.trail.keys).known_pseudonym("acme", "lin")
    forget(audit, sub="lin")
    second = published(2)
    audit.append(second)
    audit.settle()

    assert reveal(audit, first.event.id) == {
        "actor": None,
        "people": {old: None},
        "sealed": None,
        "is_withheld": False,
    }
    assert reveal(audit, second.event.id)["actor"] == "lin"
    assert audit.verify().ok


def test_forgetting_is_in_the_log_itself(audit: Audit) -> None:
    audit.append(asked("cnv_1"))
    audit.settle()
    assert forget(audit, "cnv_1", sub="lin") == {"record_group": 1, "pseudonym": 1, "saved_search": 0}
    assert forget(audit, "cnv_1", sub="lin") == {"record_group": 0, "pseudonym": 0, "saved_search": 0}
    audit.settle()
    assert audit.actions() == ["question.asked", "audit.group_erased", "audit.person_forgotten"]
    assert audit.verify().ok


def test_a_backup_that_was_put_back_forgets_again(audit: Audit, make_audit: MakeAudit) -> None:
    event = asked("cnv_1")
    audit.append(event)
    audit.settle()
    path = audit.settings.home / "db" / "audit.sqlite3"
    with closing(sqlite3.connect(path)) as tables:
        tables.execute("VACUUM INTO ?", (str(path.with_suffix(".backup")),))
    forget(audit, "cnv_1", sub="lin")
    audit.database.close()
    for stale in path.parent.glob("audit.sqlite3*"):
        stale.unlink()
    path.with_suffix(".backup").rename(path)

    restored = make_audit()
    restored.service.start()
    restored.service.stop()
    revealed = reveal(restored, event.event.id)
    assert (revealed["actor"], revealed["sealed"]) == (None, None)
    assert restored.actions()[1:3] == ["audit.group_erased", "audit.person_forgotten"]
    again = make_audit()
    again.service.start()
    again.service.stop()
    assert again.actions().count("audit.group_erased") == 1
    for client in restored.clients.values():
        client.close()


def test_a_group_that_goes_on_after_it_was_erased_has_another_key(audit: Audit) -> None:
    old, new = asked("cnv_1"), asked("cnv_1")
    audit.append(old)
    forget(audit, "cnv_1")
    audit.append(new)
    audit.settle()
    assert reveal(audit, old.event.id)["sealed"] is None
    assert reveal(audit, new.event.id)["sealed"] == QUESTION
    # Replaying an erasure does not touch the key that came after it.
    audit.service.start()
    audit.service.stop()
    assert reveal(audit, new.event.id)["sealed"] == QUESTION


def test_a_sealed_part_cannot_be_passed_off_as_another_events(audit: Audit) -> None:
    audit.append(asked("cnv_1"))
    audit.settle()
    sealed = audit.events()[0]["data"]["sealed"]
    with audit.database.read() as session, pytest.raises(SealedPartTouchedError):
        Vault(session.connection(), audit.trail.keys).open("evt_other", "acme", sealed)


def test_an_event_that_comes_again_is_not_sealed_again(audit: Audit) -> None:
    event = asked("cnv_1")
    audit.append(event)
    audit.append(event)
    audit.settle()
    audit.append(event)
    with audit.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blob").scalar() == 1


def test_the_same_group_of_two_tenants_has_two_keys(audit: Audit) -> None:
    audit.append(asked("cnv_1"), asked("cnv_1", tenant="other"))
    with audit.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM record_key").scalar() == 2


def test_who_swaps_two_people_in_the_database_puts_nobodys_acts_on_another(audit: Audit) -> None:
    event = asked("cnv_1")
    audit.append(event, published(1, actor="wang"))
    audit.settle()
    path = audit.settings.home / "db" / "audit.sqlite3"
    with closing(sqlite3.connect(path)) as tables, tables:
        tables.execute("UPDATE person SET sub = 'x' WHERE sub = 'lin'")
        tables.execute("UPDATE person SET sub = 'lin' WHERE sub = 'wang'")
        tables.execute("UPDATE person SET sub = 'wang' WHERE sub = 'x'")
    with audit.database.read() as session:
        vault = Vault(session.connection(), audit.trail.keys)
        with pytest.raises(PersonTouchedError):
            vault.person("acme", audit.events()[0]["data"]["actor"]["user"]["uid"])
    answer = audit.client().post(
        f"/api/v1/audit-events/{event.event.id}/reveal", json={"reason": "A complaint, case 17"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "person_touched")
    before = {each["data"]["actor"]["user"]["uid"] for each in audit.events()}
    later = published(2)
    audit.append(later)
    audit.settle()
    assert audit.events()[-1]["data"]["actor"]["user"]["uid"] not in before
    verdict = audit.verify()
    assert (verdict.ok, verdict.reason) == (False, "a pseudonym leads to another person")


@pytest.mark.parametrize(
    "act",
    [
        "DELETE FROM record_key WHERE record_group = 'cnv_1'",
        "DELETE FROM record_key; DELETE FROM blob",
        "DELETE FROM person WHERE sub = 'lin'",
    ],
)
def test_what_is_destroyed_without_an_entry_is_found(audit: Audit, act: str) -> None:
    audit.append(published(1, actor="wang"), asked("cnv_1"))
    audit.settle()
    assert audit.verify().ok
    path = audit.settings.home / "db" / "audit.sqlite3"
    with closing(sqlite3.connect(path)) as tables, tables:
        for name in ("record_key", "blob", "person"):
            for (trigger,) in tables.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (name,)
            ).fetchall():
                tables.execute(f"DROP TRIGGER {trigger}")
        tables.executescript(act)
    verdict = audit.verify()
    assert (verdict.ok, verdict.first_bad_index) == (False, 1)


def test_a_key_that_another_took_the_place_of_is_missed(audit: Audit) -> None:
    audit.append(asked("cnv_1"))
    path = audit.settings.home / "db" / "audit.sqlite3"
    with closing(sqlite3.connect(path)) as tables, tables:
        tables.execute("DELETE FROM record_key")
    audit.append(asked("cnv_1"))
    audit.settle()
    assert audit.verify().first_bad_index == 0
