"""What `verify` says of logs and bundles that are odd in other ways than by an edit."""

import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from zhiku_services.audit.sequencer import sequence
from zhiku_services.audit.verifier import main, verify_bundle

from . import rfc6962
from .attacks import as_administrator
from .conftest import Audit


def test_an_entry_that_is_no_event_is_named(audit: Audit) -> None:
    audit.fill(3)
    sequence(audit.database)
    payload = b'not an event, "recordedtime":"2026-01-01T00:00:00.000000Z"'
    with as_administrator(audit) as tables:
        before = tables.execute("SELECT chain FROM entry WHERE idx = 1").fetchone()[0]
        leaf = rfc6962.leaf(payload)
        link = rfc6962.sha256(before + leaf)
        tables.execute("UPDATE entry SET payload = ?, leaf = ?, chain = ? WHERE idx = 2", (payload, leaf, link))
    verdict = audit.verify()
    assert (verdict.status, verdict.first_bad_index, verdict.reason) == (2, 2, "an entry is no event")


@pytest.mark.parametrize("change", ["DELETE FROM tile WHERE level = 0 AND n = 1", "DELETE FROM tile WHERE n = 1"])
def test_a_tile_that_was_deleted_is_found(audit: Audit, change: str) -> None:
    audit.fill(600)
    audit.settle()
    audit.sql(change)
    verdict = audit.verify()
    assert (verdict.status, verdict.first_bad_index, verdict.reason) == (2, 256, "a tile is missing")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", ["DELETE FROM tile WHERE level = 1", "UPDATE tile SET hashes = x'00' WHERE level = 1"]
)
def test_a_tile_above_the_lowest_is_checked_too(audit: Audit, change: str) -> None:
    audit.fill(256 * 256, batch=4096)
    audit.settle()
    assert audit.verify().ok
    audit.sql(change)
    assert audit.verify().status == 2


def test_a_clock_that_was_corrected_is_a_warning_and_no_accusation(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    for minutes in (0, 1, -9, -8, 1, -7):
        monkeypatch.setattr("zhiku_services.audit.intake.utc_now", lambda at=now + timedelta(minutes=minutes): at)
        audit.fill(1)
    audit.settle()
    verdict = audit.verify()
    assert (verdict.ok, verdict.status) == (True, 0)
    assert re.search("entry 2, 2 times", verdict.warning or "")


def test_without_a_key_a_bundle_only_agrees_with_itself(
    audit: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.fill(3)
    audit.settle()
    bundle = exported(audit, tmp_path)
    assert main([str(bundle)]) == 0
    assert "consistent in itself" in (said := capsys.readouterr().out)
    assert "Nothing was touched" not in said
    assert main([str(bundle), "--key", audit.trail.signer.public_key]) == 0
    assert "Nothing was touched" in capsys.readouterr().out


def test_a_bundle_of_another_shape_is_no_error_of_the_program(audit: Audit, tmp_path: Path) -> None:
    audit.fill(3)
    audit.settle()
    bundle = exported(audit, tmp_path)
    for name in ("keys.json", "manifest.json"):
        other = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(other, "w") as new:
            for item in old.namelist():
                new.writestr(item, b"[]" if item == name else old.read(item))
        assert verify_bundle(other).status == 3


def test_earlier_checkpoints_are_spread_over_the_whole_log(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zhiku_services.audit.bundle._MOST_CHECKPOINTS", 3)
    for _ in range(8):
        audit.fill(1)
        audit.settle()
    with zipfile.ZipFile(exported(audit, tmp_path)) as archive:
        notes = json.loads(archive.read("checkpoints.json"))
    assert [int(note.split("\n")[1]) for note in notes] == [1, 4, 7]


def exported(audit: Audit, folder: Path) -> Path:
    return audit.export(folder / "bundle.zip")
