"""The signer: it alone holds the key, and it signs nothing that does not continue what it signed last.

It keeps its last checkpoint in a folder of its own, out of reach of whoever administers the database, so that
a database which was put back or rewritten gets no signature any more.

Its key is changed in two steps: the next key is announced, and both sign, for as long as it takes to tell those who
trust the old one; then the old one hands over, in a note that both sign, and signs no more.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zhiku_services.audit.errors import InconsistentRootError, NoNextKeyError
from zhiku_services.audit.files import create_once, locked, private_folder, write_durably
from zhiku_services.audit.notes import SigningKey, checkpoint_body, signed_note
from zhiku_services.audit.verifier import (
    ED25519,
    Checkpoint,
    LogKeys,
    TamperedError,
    VerifierKey,
    handover_body,
    is_consistent,
)

SIGNER_FILES = ("key", "origin")
"""What a log has only one of; the rest follows from it."""

Prove = Callable[[int, int], Sequence[bytes]]
"""The consistency proof between two sizes of the log."""


def read_handovers(folder: Path) -> list[str]:
    """The handovers that a signer's folder keeps; none if the key was never changed."""
    path = folder / "handovers"
    found: list[str] = json.loads(path.read_bytes()) if path.exists() else []
    return found


class Signer:
    """Signs checkpoints of one log. `folder` is its own; another process may change the key while we run."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        made = f"zhiku/audit/{secrets.token_hex(4)}".encode()
        self.origin = create_once(folder / "origin", made).decode()
        SigningKey.at(folder / "key", name=self.origin, kind=ED25519)
        create_once(folder / "public.vkey", f"{self.public_key}\n".encode())

    @property
    def public_key(self) -> str:
        """The key that signs now."""
        return str(self._current().verifier)

    @property
    def next_public_key(self) -> str | None:
        """The key that signs beside it, and will sign alone once the other has handed over."""
        following = self._next()
        return None if following is None else str(following.verifier)

    def handovers(self) -> list[str]:
        """The notes by which each earlier key handed over to the next one, the first one first."""
        return read_handovers(self._folder)

    def last(self) -> Checkpoint | None:
        """The last checkpoint that was signed."""
        path = self._folder / "last.checkpoint"
        if not path.exists():
            return None
        trusted = LogKeys(VerifierKey.parse(self.public_key), self.handovers())
        return trusted.open_latest(path.read_text(encoding="utf-8"))

    def sign(self, size: int, root: bytes, prove: Prove) -> str:
        """Sign a checkpoint; it is on our own disk before it is returned.

        Raises:
            InconsistentRootError: the log was cut short, or is not the one that we signed before.
        """
        with locked(self._folder):
            if not _continues(self.last(), size, root, prove):
                raise InconsistentRootError(size)
            note = signed_note(checkpoint_body(self.origin, size, root), self._keys())
            write_durably(self._folder / "last.checkpoint", note.encode())
        return note

    def refusal(self) -> "Refusal":
        """What tells, of a state of the log that is read after this call, whether it would be refused."""
        try:
            return Refusal(self.last())
        except TamperedError:
            return Refusal(None, is_certain=True)

    def sign_manifest(self, manifest: bytes) -> str:
        """Sign what a bundle holds."""
        digest = base64.b64encode(hashlib.sha256(manifest).digest()).decode()
        return signed_note(f"{self.origin}/bundle\n{digest}\n", self._keys())

    def sign_erasure(self, digest: str) -> str:
        """Sign the certificate of an erasure, by its SHA-256 in hex."""
        return signed_note(f"{self.origin}/erasure\n{digest}\n", self._keys())

    def announce_next(self) -> str:
        """Make the next key, unless there is one, and sign with both from now on; return its public half."""
        path = self._folder / "next"
        if self._next() is None:
            path.unlink(missing_ok=True)
        return str(SigningKey.at(path, name=self.origin, kind=ED25519).verifier)

    def hand_over(self) -> str:
        """Let the next key sign alone; return its public half.

        Raises:
            NoNextKeyError: none was announced, or it has signed no checkpoint yet.
        """
        with locked(self._folder):
            old, new, last = self._current(), self._next(), self.last()
            if new is None or last is None or not new.verifier.signed(last.note):
                raise NoNextKeyError
            known = self.handovers()
            body = handover_body(old.verifier, new.verifier, last.size)
            if not any(f"\n{old.verifier}\n{new.verifier}\n" in note for note in known):
                notes = json.dumps([*known, signed_note(body, [old, new])])
                write_durably(self._folder / "handovers", notes.encode())
            write_durably(self._folder / "public.vkey", f"{new.verifier}\n".encode())
            write_durably(self._folder / "key", (self._folder / "next").read_bytes())
            (self._folder / "next").unlink()
        return str(new.verifier)

    def _current(self) -> SigningKey:
        return SigningKey.read(self._folder / "key", name=self.origin, kind=ED25519)

    def _next(self) -> SigningKey | None:
        path = self._folder / "next"
        following = SigningKey.read(path, name=self.origin, kind=ED25519) if path.exists() else None
        # A crash in the middle of a handover leaves both names for one key.
        return None if following is None or following.verifier == self._current().verifier else following

    def _keys(self) -> list[SigningKey]:
        following = self._next()
        return [self._current()] if following is None else [self._current(), following]


@dataclass(frozen=True)
class Refusal:
    """The last checkpoint that the signer stands by; `is_certain` if even that was touched."""

    last: Checkpoint | None
    is_certain: bool = False

    def concerns(self, size: int, root: bytes, prove: Prove) -> bool:
        """Whether the signer would refuse this state of the log."""
        return self.is_certain or not _continues(self.last, size, root, prove)


def _continues(last: Checkpoint | None, size: int, root: bytes, prove: Prove) -> bool:
    return last is None or (
        size >= last.size and is_consistent(last.size, last.root, size, root, prove(last.size, size))
    )
