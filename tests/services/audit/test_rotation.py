"""The log's key changes, and neither those who trust the old one nor those who trust the new one are deceived."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zhiku_platform.contracts.audit import AuditFilter
from zhiku_services.audit.bundle import write_bundle
from zhiku_services.audit.checking import read_anchors, verify_database
from zhiku_services.audit.errors import NoNextKeyError, WitnessRefusedError
from zhiku_services.audit.notes import SigningKey, checkpoint_body, signed_note
from zhiku_services.audit.signer import Signer, read_handovers
from zhiku_services.audit.verifier import ED25519, LogKeys, TamperedError, VerifierKey, handover_body, verify_bundle
from zhiku_services.audit.witness import Witness
from zhiku_services.commands.audit import app

from .attacks import as_administrator, edit
from .conftest import Audit
from .test_witness import shown


@pytest.fixture(autouse=True)
def keep_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zhiku_services.commands.home.configure_logging", lambda _: None)


def rotate(audit: Audit, *options: str) -> dict[str, str]:
    result = CliRunner().invoke(app, ["rotate", "--home", str(audit.settings.home), "--json", *options])
    assert result.exit_code == 0, result.output
    answer: dict[str, str] = json.loads(result.stdout)
    return answer


def grow(audit: Audit, count: int = 5) -> None:
    audit.fill(count)
    audit.settle()


def verdict(audit: Audit, key: str) -> int:
    folder = audit.settings.home / "audit" / "signer"
    return verify_database(audit.database, key, read_anchors([folder]), read_handovers(folder)).status


def bundle(audit: Audit, path: Path) -> Path:
    with audit.database.read() as session, zipfile.ZipFile(path, "w") as archive:
        write_bundle(archive, session.connection(), audit.trail.signer, wanted=AuditFilter(), access=None)
    return path


def test_the_log_is_whole_to_both_keys_at_every_step(audit: Audit, tmp_path: Path) -> None:
    grow(audit)
    old = audit.trail.signer.public_key
    assert rotate(audit)["old"] == old
    grow(audit)
    new = audit.trail.signer.next_public_key
    assert new is not None
    assert [verdict(audit, key) for key in (old, new)] == [0, 2], "the new key has not taken over the old checkpoints"
    assert rotate(audit, "--finish") == {"old": old, "new": new, "finished": True}
    grow(audit)
    # A third key: handovers make a chain.
    rotate(audit)
    third = rotate(audit, "--finish")["new"]
    grow(audit)

    assert audit.trail.signer.public_key == third
    assert [verdict(audit, key) for key in (old, new, third)] == [0, 0, 0]
    evidence = bundle(audit, tmp_path / "bundle.zip")
    assert [verify_bundle(evidence, key=key).status for key in (old, new, third)] == [0, 0, 0]
    stranger = Signer(tmp_path / "stranger").public_key
    assert verify_bundle(evidence, key=stranger).status == 2
    assert audit.actions().count("audit.key_announced") == audit.actions().count("audit.key_handed_over") == 2


def test_what_was_signed_before_is_still_found_when_it_is_edited(audit: Audit) -> None:
    audit.fill(350)
    audit.settle()
    rotate(audit)
    rotate(audit, "--finish")
    grow(audit)
    with as_administrator(audit) as tables:
        edit(tables)
    found = verify_database(audit.database, audit.trail.signer.public_key, (), audit.trail.signer.handovers())
    assert (found.status, found.first_bad_index) == (2, 300)


def test_a_key_hands_over_only_to_one_that_signs_already(audit: Audit) -> None:
    grow(audit)
    with pytest.raises(NoNextKeyError):
        audit.trail.signer.hand_over()
    audit.trail.signer.announce_next()
    with pytest.raises(NoNextKeyError):
        audit.trail.signer.hand_over()


def test_a_handover_that_was_cut_off_is_ended_by_the_next_one(audit: Audit) -> None:
    grow(audit)
    folder = audit.settings.home / "audit" / "signer"
    rotate(audit)
    following = (folder / "next").read_bytes()
    rotate(audit, "--finish")
    # As if the process had died before its last step.
    (folder / "next").write_bytes(following)
    grow(audit)
    assert audit.trail.signer.next_public_key is None
    rotate(audit)
    last = rotate(audit, "--finish")["new"]
    grow(audit)
    assert verdict(audit, last) == 0


def test_a_witness_follows_the_key_that_was_handed_over_to_and_no_other(audit: Audit, tmp_path: Path) -> None:
    grow(audit)
    witness = Witness(tmp_path / "witness", "w")
    witness.observe(*shown(audit))
    rotate(audit)
    grow(audit)
    witness.observe(*shown(audit))
    rotate(audit, "--finish")
    grow(audit)
    with pytest.raises(WitnessRefusedError):
        witness.observe(*shown(audit))
    note, key, prove = shown(audit)
    with pytest.raises(WitnessRefusedError):
        witness.observe(note, Signer(tmp_path / "stranger").public_key, prove, audit.trail.signer.handovers())
    witness.observe(note, key, prove, audit.trail.signer.handovers())
    assert (tmp_path / "witness" / "log.vkey").read_text(encoding="utf-8") == key
    witness.observe(note, key, prove)


def test_who_stole_an_earlier_key_cannot_end_the_log_with_it(audit: Audit, tmp_path: Path) -> None:
    grow(audit)
    folder = audit.settings.home / "audit" / "signer"
    shutil.copy(folder / "key", tmp_path / "stolen")
    rotate(audit)
    rotate(audit, "--finish")
    new = VerifierKey.parse(audit.trail.signer.public_key)
    stolen = SigningKey.read(tmp_path / "stolen", name=new.name, kind=ED25519)
    keys = LogKeys(new, audit.trail.signer.handovers())

    for size in (3, 4000):
        forged = signed_note(checkpoint_body(new.name, size, bytes(32)), [stolen])
        with pytest.raises(TamperedError):
            keys.open_latest(forged)
    assert keys.open(signed_note(checkpoint_body(new.name, 3, bytes(32)), [stolen])).size == 3
    with pytest.raises(TamperedError):
        keys.open(signed_note(checkpoint_body(new.name, 4000, bytes(32)), [stolen]))


@pytest.mark.parametrize("signers", [(0,), (1,), (2, 1), (0, 2)])
def test_a_handover_needs_the_signatures_of_both_keys(tmp_path: Path, signers: tuple[int, ...]) -> None:
    keys = [SigningKey.at(tmp_path / str(n), name="log", kind=ED25519) for n in range(3)]
    note = signed_note(handover_body(keys[0].verifier, keys[1].verifier, 7), [keys[n] for n in signers])
    with pytest.raises(TamperedError):
        LogKeys(keys[0].verifier, [note])


def test_the_state_of_the_log_says_which_keys_sign(audit: Audit) -> None:
    grow(audit)
    before = audit.get("/api/v1/audit-log")
    assert (before["next_public_key"], before["handovers"], before["signer_refuses"]) == (None, [], False)
    new = rotate(audit)["new"]
    assert audit.get("/api/v1/audit-log")["next_public_key"] == new
    rotate(audit, "--finish")
    after = audit.get("/api/v1/audit-log")
    assert (after["public_key"], after["next_public_key"], len(after["handovers"])) == (new, None, 1)


def test_the_state_of_the_log_says_that_the_signer_refuses(audit: Audit) -> None:
    grow(audit)
    # The signer has signed more than the database has now.
    folder = audit.settings.home / "audit" / "signer"
    key = SigningKey.read(folder / "key", name=audit.trail.signer.origin, kind=ED25519)
    ahead = signed_note(checkpoint_body(audit.trail.signer.origin, 9999, bytes(32)), [key])
    (folder / "last.checkpoint").write_text(ahead, encoding="utf-8")
    assert audit.get("/api/v1/audit-log")["signer_refuses"] is True
