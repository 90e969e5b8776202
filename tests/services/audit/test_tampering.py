"""An administrator of the database against the log: edits by SQL of their own, triggers removed, and all is found.

The attacker here also knows the formats: they compute leaves, chain, tiles and tree anew after a change.
"""

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent, Stamp
from zhiku_platform.settings import Settings
from zhiku_services.audit.app import AuditService, open_database
from zhiku_services.audit.checking import verify_database
from zhiku_services.audit.errors import InconsistentRootError
from zhiku_services.audit.sequencer import sequence
from zhiku_services.audit.worker import seal

from . import rfc6962
from .attacks import BAD, as_administrator, edit, edited, rebuild
from .conftest import Audit, MakeAudit, published

SIZE = 600


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a log of six hundred entries, two checkpoints and one sealed part."""
    settings = Settings(home=tmp_path_factory.mktemp("template") / "home")
    database = open_database(settings)
    audit = Audit(settings, database, AuditService(settings, database=database))
    audit.fill(280, batch=70)
    audit.settle()
    asked = AuditEvent(
        action="question.asked",
        tenant="acme",
        actor="lin",
        subject="ans_1",
        sealed={"question": "What is the bonus?"},
        group="cnv_1",
    )
    audit.append(ProducedEvent(event=asked))
    audit.fill(SIZE - 281)
    audit.settle()
    database.close()
    return settings.home


@pytest.fixture
def log(template: Path, tmp_path: Path, make_audit: MakeAudit) -> Audit:
    """A log of a test's own, and good so far."""
    shutil.copytree(template, tmp_path / "home")
    made = make_audit()
    assert (made.verify().ok, made.verify().events) == (True, SIZE)
    return made


def edit_with_its_hash(tables: sqlite3.Connection) -> None:
    edit(tables)
    (payload,) = tables.execute("SELECT payload FROM entry WHERE idx = ?", (BAD,)).fetchone()
    tables.execute("UPDATE entry SET leaf = ? WHERE idx = ?", (rfc6962.leaf(payload), BAD))


def edit_with_its_chain(tables: sqlite3.Connection) -> None:
    edit_with_its_hash(tables)
    link = tables.execute("SELECT chain FROM entry WHERE idx = ?", (BAD - 1,)).fetchone()[0]
    for idx, leaf in tables.execute("SELECT idx, leaf FROM entry WHERE idx >= ? ORDER BY idx", (BAD,)).fetchall():
        link = rfc6962.sha256(link + leaf)
        tables.execute("UPDATE entry SET chain = ? WHERE idx = ?", (link, idx))


def delete(tables: sqlite3.Connection) -> None:
    tables.execute("DELETE FROM entry WHERE idx = ?", (BAD,))


def swap(tables: sqlite3.Connection) -> None:
    one = tables.execute("SELECT payload, leaf FROM entry WHERE idx = ?", (BAD,)).fetchone()
    other = tables.execute("SELECT payload, leaf FROM entry WHERE idx = ?", (BAD + 1,)).fetchone()
    for idx, (payload, leaf) in ((BAD, other), (BAD + 1, one)):
        tables.execute("UPDATE entry SET payload = ?, leaf = ? WHERE idx = ?", (payload, leaf, idx))


def back_date(tables: sqlite3.Connection) -> None:
    (payload,) = tables.execute("SELECT payload FROM entry WHERE idx = ?", (BAD,)).fetchone()
    place = payload.index(b'"time":"') + len(b'"time":"')
    tables.execute(
        "UPDATE entry SET payload = ? WHERE idx = ?", (payload[:place] + b"1999" + payload[place + 4 :], BAD)
    )


def edit_the_search_index(tables: sqlite3.Connection) -> None:
    tables.execute("UPDATE facet SET actor = 'svc-nobody' WHERE idx = ?", (BAD,))


def hide_from_the_search_index(tables: sqlite3.Connection) -> None:
    tables.execute("DELETE FROM facet WHERE idx = ?", (BAD,))


@pytest.mark.parametrize(
    "change",
    [
        edit,
        edit_with_its_hash,
        edit_with_its_chain,
        delete,
        swap,
        back_date,
        edit_the_search_index,
        hide_from_the_search_index,
    ],
)
def test_a_change_is_found_at_its_index(log: Audit, change: Callable[[sqlite3.Connection], None]) -> None:
    with as_administrator(log) as tables:
        change(tables)
    verdict = log.verify()
    assert (verdict.ok, verdict.status, verdict.first_bad_index) == (False, 2, BAD), verdict.reason


def insert_in_the_middle(tables: sqlite3.Connection) -> None:
    (payload,) = tables.execute("SELECT payload FROM entry WHERE idx = ?", (BAD,)).fetchone()
    tables.execute("UPDATE entry SET idx = -idx WHERE idx >= ?", (BAD,))
    tables.execute("UPDATE entry SET idx = 1 - idx WHERE idx < 0")
    forged = edited(payload).replace(b'"id":"evt_', b'"id":"evt-')
    tables.execute("INSERT INTO entry VALUES (?, 'evt-x', ?, x'', x'')", (BAD, forged))


@pytest.mark.parametrize("change", [edit, swap, delete, insert_in_the_middle])
def test_a_history_that_was_computed_anew_is_found_between_two_checkpoints(
    log: Audit, change: Callable[[sqlite3.Connection], None]
) -> None:
    with as_administrator(log) as tables:
        change(tables)
        rebuild(tables)
    verdict = log.verify()
    assert (verdict.status, verdict.ok) == (2, False)
    assert verdict.first_bad_index is not None
    # The entries before the last good checkpoint are proved to be good.
    assert 280 <= verdict.first_bad_index <= BAD


def test_a_log_that_was_cut_short_is_found(log: Audit) -> None:
    with as_administrator(log) as tables:
        tables.execute("DELETE FROM entry WHERE idx >= 500")
        tables.execute("DELETE FROM facet WHERE idx >= 500")
        tables.execute("DELETE FROM mention WHERE idx >= 500")
        rebuild(tables)
    verdict = log.verify()
    assert (verdict.status, verdict.first_bad_index) == (2, 500)


def test_a_log_that_was_put_back_with_its_checkpoints_is_found_by_the_signer_and_by_the_check(log: Audit) -> None:
    with as_administrator(log) as tables:
        tables.execute("DELETE FROM checkpoint WHERE size > 280")
        tables.execute("DELETE FROM entry WHERE idx >= 280")
        tables.execute("DELETE FROM facet WHERE idx >= 280")
        tables.execute("DELETE FROM mention WHERE idx >= 280")
        rebuild(tables)
    verdict = log.verify()
    assert (verdict.status, verdict.first_bad_index) == (2, 280)
    log.append(published(1))
    sequence(log.database)
    with pytest.raises(InconsistentRootError):
        seal(log.database, log.trail.signer)


def test_an_event_that_was_slipped_in_with_an_old_time_is_found(log: Audit) -> None:
    with as_administrator(log) as tables:
        (payload,) = tables.execute("SELECT payload FROM entry WHERE idx = ?", (BAD,)).fetchone()
        place = payload.rindex(b'"recordedtime":"') + len(b'"recordedtime":"')
        forged = payload[:place] + b"2001" + payload[place + 4 :]
        forged = forged.replace(b'"id":"evt_', b'"id":"evt-')
        event_id = json.loads(forged)["id"]
        tables.execute("INSERT INTO inbox (event_id, payload) VALUES (?, ?)", (event_id, forged))
    log.settle()
    verdict = log.verify()
    assert verdict.status == 0
    assert f"entry {SIZE}," in (verdict.warning or "")


def test_a_forged_checkpoint_is_found(log: Audit) -> None:
    with as_administrator(log) as tables:
        (note,) = tables.execute("SELECT note FROM checkpoint WHERE size = 280").fetchone()
        lines = note.split("\n")
        lines[2] = base64.b64encode(bytes(32)).decode()
        tables.execute("UPDATE checkpoint SET note = ? WHERE size = 280", ("\n".join(lines),))
    verdict = log.verify()
    assert verdict.status == 2
    assert "280" in (verdict.reason or "")


def test_a_log_that_was_signed_anew_with_another_key_is_found(log: Audit, tmp_path: Path) -> None:
    pinned = log.trail.signer.public_key
    with as_administrator(log) as tables:
        edit(tables)
        rebuild(tables)
        tables.execute("DELETE FROM checkpoint")
    folder = log.settings.home / "audit" / "signer"
    (folder / "key").write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    (folder / "last.checkpoint").unlink()
    (folder / "public.vkey").unlink()
    signer = type(log.trail.signer)(folder)
    seal(log.database, signer)

    assert verify_database(log.database, signer.public_key).ok, "the forgery is of one piece"
    assert verify_database(log.database, pinned).status == 2


def test_two_histories_that_were_swapped_are_found(make_audit: MakeAudit) -> None:
    logs = [make_audit("one"), make_audit("two")]
    for log in logs:
        log.fill(20)
        log.settle()
    one, two = logs
    assert verify_database(two.database, one.trail.signer.public_key).status == 2


def test_a_sealed_part_that_was_replaced_is_found(log: Audit) -> None:
    with as_administrator(log) as tables:
        tables.execute("UPDATE blob SET content = x'00'")
    verdict = log.verify()
    assert (verdict.status, verdict.first_bad_index) == (2, 280)


def test_a_sealed_part_that_vanished_while_its_key_is_there_is_found(log: Audit) -> None:
    with as_administrator(log) as tables:
        tables.execute("DELETE FROM blob")
    verdict = log.verify()
    assert (verdict.status, verdict.first_bad_index) == (2, 280)


def test_a_log_that_nobody_signed_proves_nothing(audit: Audit) -> None:
    audit.fill(3)
    sequence(audit.database)
    assert audit.verify().status == 3


def test_an_event_that_was_removed_on_its_way_leaves_a_gap(audit: Audit) -> None:
    for seq, voided in ((1, []), (2, []), (5, [4]), (9, [])):
        audit.append(published(seq, stamp=Stamp(producer="knowledge", boot="b1", seq=seq, voided=voided)))
    audit.settle()

    gaps = audit.get("/api/v1/audit-log")["gaps"]
    assert gaps == [
        {"producer": "knowledge", "boot": "b1", "first": 3, "last": 3},
        {"producer": "knowledge", "boot": "b1", "first": 6, "last": 8},
    ]
