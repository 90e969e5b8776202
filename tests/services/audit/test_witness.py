"""A witness signs one history and no second one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from zhiku_services.audit.errors import WitnessRefusedError
from zhiku_services.audit.log import latest_checkpoint, tree_reader
from zhiku_services.audit.verifier import Note, VerifierKey
from zhiku_services.audit.witness import Witness

from .conftest import Audit, MakeAudit, published

Prove = Callable[[int, int], list[bytes]]


def shown(audit: Audit) -> tuple[str, str, Prove]:
    """What a log shows: its checkpoint, its key, its proofs."""
    with audit.database.read() as session:
        checkpoint = latest_checkpoint(session.connection())
    assert checkpoint is not None
    size = checkpoint.size

    def prove(first: int, second: int) -> list[bytes]:
        with audit.database.read() as session:
            return tree_reader(session.connection(), size).consistency(first, second)

    return checkpoint.note, audit.trail.signer.public_key, prove


def test_a_cosignature_is_what_the_specification_says(audit: Audit, tmp_path: Path) -> None:
    audit.fill(5)
    audit.settle()
    witness = Witness(tmp_path / "witness", "witness.example/w1", clock=lambda: 1679315147.5)
    note, key, prove = shown(audit)
    cosignature = witness.observe(note, key, prove)

    body = note.split("\n\n")[0]
    verifier = VerifierKey.parse(witness.public_key)
    assert verifier.kind == 4
    assert verifier.signed(Note.parse(f"{body}\n\n{cosignature.line}\n"))
    # The time is signed as well.
    assert Note.parse(f"{body}\n\n{cosignature.line}\n").signatures[0][2][:8].hex() == "000000006418 50cb".replace(
        " ", ""
    )


def test_a_log_that_grows_is_signed_again_and_again(audit: Audit, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness", "w")
    for size in (3, 300, 301):
        while len(audit.events()) < size:
            audit.append(*(published(n) for n in range(len(audit.events()), size)))
            audit.settle()
        assert witness.observe(*shown(audit)).size == size


def test_a_second_history_is_refused_and_the_first_one_stays(make_audit: MakeAudit, tmp_path: Path) -> None:
    one = make_audit("one")
    one.fill(5)
    one.settle()
    witness = Witness(tmp_path / "witness", "w")
    witness.observe(*shown(one))
    # The same key signs another history: whoever has the signer has lost all restraint.
    home = tmp_path / "two" / "audit" / "signer"
    home.mkdir(parents=True)
    for name in ("key", "origin"):
        (home / name).write_bytes((one.settings.home / "audit" / "signer" / name).read_bytes())
    two = make_audit("two")
    two.fill(6)
    two.settle()

    with pytest.raises(WitnessRefusedError):
        witness.observe(*shown(two))
    last = witness.last()
    assert last is not None
    assert last.size == 5


def test_a_log_with_another_key_is_refused(make_audit: MakeAudit, tmp_path: Path) -> None:
    witness = Witness(tmp_path / "witness", "w")
    for home in ("one", "two"):
        log = make_audit(home)
        log.fill(2)
        log.settle()
        if home == "one":
            witness.observe(*shown(log))
        else:
            with pytest.raises(WitnessRefusedError):
                witness.observe(*shown(log))


def test_the_log_keeps_a_cosignature_once_and_only_a_good_one(audit: Audit, tmp_path: Path) -> None:
    audit.fill(5)
    audit.settle()
    witness = Witness(tmp_path / "witness", "w")
    cosignature = witness.observe(*shown(audit)).model_dump()
    for _ in range(2):
        audit.post("/api/v1/audit-log/cosignatures", cosignature)
    note = audit.get("/api/v1/audit-log/checkpoint")["note"]
    assert note.count("— w ") == 1
    bad = {**cosignature, "line": cosignature["line"][:-6] + "AAAAA="}
    assert audit.client().post("/api/v1/audit-log/cosignatures", json=bad).status_code == 409
    missing = {**cosignature, "size": 4}
    assert audit.client().post("/api/v1/audit-log/cosignatures", json=missing).status_code == 404


def test_two_witnesses_of_the_same_name_are_two(audit: Audit, tmp_path: Path) -> None:
    audit.fill(5)
    audit.settle()
    for folder in ("one", "two", "one"):
        cosignature = Witness(tmp_path / folder, "w").observe(*shown(audit))
        audit.post("/api/v1/audit-log/cosignatures", cosignature.model_dump())
    assert audit.get("/api/v1/audit-log/checkpoint")["note"].count("— w ") == 2
