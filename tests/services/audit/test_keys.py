"""A log runs with its own keys or not at all; new ones are made for a new log only."""

import shutil
from pathlib import Path

import pytest

from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_services.audit.app import AuditFolders, open_trail
from zhiku_services.audit.errors import AuditKeysMissingError, AuditKeysWrongError

from .conftest import Audit, MakeAudit


@pytest.fixture
def folders(audit: Audit) -> AuditFolders:
    """Those of a log with a sealed part, a person and a checkpoint."""
    event = AuditEvent(
        action="question.asked", tenant="acme", actor="lin", subject="ans_1", sealed={"question": "?"}, group="c"
    )
    audit.append(ProducedEvent(event=event))
    audit.settle()
    return AuditFolders.of(audit.settings)


@pytest.mark.parametrize("lost", ["keys", "signer", "keys/pepper", "signer/origin"])
def test_a_log_whose_keys_are_lost_does_not_get_new_ones(
    folders: AuditFolders, make_audit: MakeAudit, tmp_path: Path, lost: str
) -> None:
    (folders.keys.parent / lost).rename(tmp_path / "elsewhere")
    with pytest.raises(AuditKeysMissingError):
        make_audit()
    assert not (folders.keys.parent / lost).exists()
    (tmp_path / "elsewhere").rename(folders.keys.parent / lost)
    assert make_audit().verify().ok


def test_events_that_only_wait_keep_keys_from_being_made(audit: Audit, make_audit: MakeAudit) -> None:
    audit.fill(1)
    shutil.rmtree(AuditFolders.of(audit.settings).signer)
    with pytest.raises(AuditKeysMissingError):
        make_audit()


@pytest.mark.parametrize("name", ["keys/kek", "keys/pepper", "signer"])
def test_keys_of_another_log_are_refused(folders: AuditFolders, make_audit: MakeAudit, name: str) -> None:
    other = AuditFolders.of(make_audit("other").settings).keys.parent / name
    own = folders.keys.parent / name
    if own.is_dir():
        shutil.rmtree(own)
        shutil.copytree(other, own)
    else:
        shutil.copy(other, own)
    with pytest.raises(AuditKeysWrongError):
        make_audit()


def test_a_command_makes_no_keys_even_for_an_empty_log(audit: Audit) -> None:
    folders = AuditFolders.of(audit.settings)
    shutil.rmtree(folders.signer)
    with pytest.raises(AuditKeysMissingError):
        open_trail(audit.settings, audit.database)
    assert not folders.signer.exists()
