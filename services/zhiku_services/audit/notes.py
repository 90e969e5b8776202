"""Signed notes: what the log, and its witnesses, put their name to (C2SP signed-note, tlog-cosignature)."""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zhiku_services.audit.files import create_once
from zhiku_services.audit.verifier import COSIGNATURE_V1, VerifierKey, cosigned_message


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key with the name that its signatures carry."""

    verifier: VerifierKey
    _private: Ed25519PrivateKey

    @classmethod
    def at(cls, path: Path, *, name: str, kind: int) -> "SigningKey":
        """The key in a file of 32 bytes, made if there is none."""
        create_once(path, Ed25519PrivateKey.generate().private_bytes_raw())
        return cls.read(path, name=name, kind=kind)

    @classmethod
    def read(cls, path: Path, *, name: str, kind: int) -> "SigningKey":
        """The key in a file of 32 bytes."""
        private = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        return cls(VerifierKey(name, kind, private.public_key().public_bytes_raw()), private)

    def line(self, body: str) -> str:
        """Our signature line below this text, which ends with a newline."""
        return self._line(self._private.sign(body.encode()))

    def cosign(self, body: bytes, seconds: int) -> str:
        """Our signature line below a checkpoint that we saw at this time, without its newline."""
        signature = struct.pack(">Q", seconds) + self._private.sign(cosigned_message(body, seconds))
        return self._line(signature).rstrip("\n")

    def _line(self, signature: bytes) -> str:
        return f"— {self.verifier.name} {base64.b64encode(self.verifier.id + signature).decode()}\n"


def signed_note(body: str, keys: Sequence[SigningKey]) -> str:
    """A note with this text, which ends with a newline, and a signature by each key."""
    return f"{body}\n{''.join(key.line(body) for key in keys)}"


def witness_key(folder: Path, name: str) -> SigningKey:
    """The key of a witness."""
    return SigningKey.at(folder / "key", name=name, kind=COSIGNATURE_V1)


def checkpoint_body(origin: str, size: int, root: bytes) -> str:
    """The text of a checkpoint (C2SP tlog-checkpoint)."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
