"""The signer: it alone holds the key, and it signs nothing that does not continue what it signed last.

It keeps its last checkpoint in a folder of its own, out of reach of whoever administers the database, so that
a database which was put back or rewritten gets no signature any more.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from zhiku_services.audit.errors import InconsistentRootError
from zhiku_services.audit.files import create_once, locked, private_folder, write_durably
from zhiku_services.audit.notes import checkpoint_body, log_key
from zhiku_services.audit.verifier import Checkpoint, is_consistent, open_checkpoint

SIGNER_FILES = ("key", "origin")
"""What a log has only one of; the rest follows from it."""

Prove = Callable[[int, int], Sequence[bytes]]
"""The consistency proof between two sizes of the log."""


class Signer:
    """Signs checkpoints of one log. `folder` is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        made = f"zhiku/audit/{secrets.token_hex(4)}".encode()
        self._key = log_key(folder, create_once(folder / "origin", made).decode())
        self.public_key = str(self._key.verifier)
        create_once(folder / "public.vkey", f"{self.public_key}\n".encode())

    @property
    def origin(self) -> str:
        return self._key.verifier.name

    def last(self) -> Checkpoint | None:
        """The last checkpoint that was signed."""
        path = self._folder / "last.checkpoint"
        return open_checkpoint(path.read_text(encoding="utf-8"), self._key.verifier) if path.exists() else None

    def sign(self, size: int, root: bytes, prove: Prove) -> str:
        """Sign a checkpoint; it is on our own disk before it is returned.

        Raises:
            InconsistentRootError: the log was cut short, or is not the one that we signed before.
        """
        with locked(self._folder):
            last = self.last()
            if last is not None:
                self._check(last, size, root, prove)
            note = self._key.sign(checkpoint_body(self.origin, size, root))
            write_durably(self._folder / "last.checkpoint", note.encode())
        return note

    def sign_manifest(self, manifest: bytes) -> str:
        """Sign what a bundle holds."""
        digest = base64.b64encode(hashlib.sha256(manifest).digest()).decode()
        return self._key.sign(f"{self.origin}/bundle\n{digest}\n")

    def _check(self, last: Checkpoint, size: int, root: bytes, prove: Prove) -> None:
        if size >= last.size and is_consistent(last.size, last.root, size, root, prove(last.size, size)):
            return
        raise InconsistentRootError(
            f"The log of {size} entries does not continue the {last.size} that were signed.",
            remedy="Run `zhiku audit verify`, keep the database as it is, and call who answers for the audit.",
        )
