"""The signer signs what continues the log, and nothing else."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from zhiku_services.audit.errors import InconsistentRootError
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.verifier import TamperedError, VerifierKey, open_checkpoint

from . import rfc6962

LEAVES = [rfc6962.leaf(bytes([n])) for n in range(20)]


def prove(first: int, second: int) -> list[bytes]:
    return rfc6962.proof(first, LEAVES[:second])


def sign(signer: Signer, size: int) -> str:
    return signer.sign(size, rfc6962.mth(LEAVES[:size]), prove)


def test_a_note_is_what_the_specification_says(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    note = sign(signer, 3)
    name, digest, encoded = signer.public_key.split("+", 2)
    material = base64.b64decode(encoded)
    text, signature = note.split("\n\n")
    dash, signed_by, raw = signature.rstrip("\n").split(" ")

    assert text.split("\n") == [name, "3", base64.b64encode(rfc6962.mth(LEAVES[:3])).decode()]
    assert (dash, signed_by, material[0]) == ("—", name, 1)
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + material[1:]).digest()[:4]
    assert base64.b64decode(raw)[:4] == key_id == bytes.fromhex(digest)
    Ed25519PublicKey.from_public_bytes(material[1:]).verify(base64.b64decode(raw)[4:], f"{text}\n".encode())


def test_it_signs_a_log_that_grows_and_the_same_log_again(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    assert [sign(signer, size) for size in (3, 7, 20)][2] == sign(signer, 20)


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (6, rfc6962.mth(LEAVES[:6])),
        (7, rfc6962.mth([*LEAVES[:6], LEAVES[0]])),
        (9, rfc6962.mth([LEAVES[1], LEAVES[0], *LEAVES[2:9]])),
        (0, rfc6962.mth([])),
    ],
)
def test_it_refuses_another_history_even_after_a_restart(tmp_path: Path, size: int, root: bytes) -> None:
    sign(Signer(tmp_path), 7)
    with pytest.raises(InconsistentRootError):
        Signer(tmp_path).sign(size, root, prove)
    assert sign(Signer(tmp_path), 8)


def test_its_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    Signer(tmp_path / "signer")
    assert (tmp_path / "signer").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "signer" / "key").stat().st_mode & 0o777 == 0o600


def test_a_last_checkpoint_that_was_edited_is_not_taken_for_its_own(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    sign(signer, 7)
    path = tmp_path / "last.checkpoint"
    path.write_text(path.read_text(encoding="utf-8").replace("\n7\n", "\n2\n"), encoding="utf-8")
    with pytest.raises(TamperedError):
        sign(signer, 8)


@pytest.mark.parametrize("change", [("\n7\n", "\n8\n"), ("\n7\n", "\n07\n"), ("zhiku/", "zhikv/")])
def test_a_changed_checkpoint_is_not_signed_by_the_key(tmp_path: Path, change: tuple[str, str]) -> None:
    signer = Signer(tmp_path)
    note = sign(signer, 7)
    key = VerifierKey.parse(signer.public_key)
    assert open_checkpoint(note, key).size == 7
    with pytest.raises(TamperedError):
        open_checkpoint(note.replace(*change), key)


def test_a_signature_of_a_key_that_is_not_known_is_passed_over(tmp_path: Path) -> None:
    signer = Signer(tmp_path / "one")
    other = Signer(tmp_path / "two")
    note = sign(signer, 7)
    foreign = sign(other, 7).split("\n\n")[1]
    text, ours = note.split("\n\n")
    assert open_checkpoint(f"{text}\n\n{foreign}{ours}", VerifierKey.parse(signer.public_key)).size == 7
