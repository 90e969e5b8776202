"""A witness: a second party that keeps the last checkpoint it saw and demands that every next one continues it.

This is what stops who has the database and the signer's key: they cannot show two people two histories.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zhiku_platform.contracts.audit import Cosignature
from zhiku_services.audit.errors import WitnessRefusedError
from zhiku_services.audit.files import create_once, locked, private_folder, write_durably
from zhiku_services.audit.notes import witness_key
from zhiku_services.audit.verifier import Checkpoint, LogKeys, TamperedError, VerifierKey, is_consistent


class Witness:
    """One witness of one log; `folder` is on the second party's own machine.

    The log's public key is the one given, or on the first use the one that the log shows, and then only one that it
    handed over to.
    """

    def __init__(self, folder: Path, name: str, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = private_folder(folder)
        self._key = witness_key(folder, name)
        self._clock = clock

    @property
    def public_key(self) -> str:
        return str(self._key.verifier)

    def last(self) -> Checkpoint | None:
        """The last checkpoint that was seen."""
        path = self.folder / "last.checkpoint"
        return Checkpoint.parse(path.read_text(encoding="utf-8")) if path.exists() else None

    def observe(
        self, note: str, log_key: str, prove: Callable[[int, int], Sequence[bytes]], handovers: Sequence[str] = ()
    ) -> Cosignature:
        """Check a checkpoint, keep it, and sign it too.

        Raises:
            WitnessRefusedError: it has another key's signature, or does not continue the last one.
        """
        pinned = VerifierKey.parse(create_once(self.folder / "log.vkey", log_key.encode()).decode())
        try:
            keys = LogKeys(pinned, handovers)
            checkpoint = keys.open_latest(note)
        except TamperedError as error:
            raise _refused(error.reason) from error
        if not keys.trusts(VerifierKey.parse(log_key)):
            raise _refused("the log shows another key than before")
        with locked(self.folder):
            last = self.last()
            if last is not None:
                self._check(last, checkpoint, prove)
            write_durably(self.folder / "last.checkpoint", note.encode())
            write_durably(self.folder / "log.vkey", log_key.encode())
        line = self._key.cosign(checkpoint.note.body, int(self._clock()))
        return Cosignature(size=checkpoint.size, key=self.public_key, line=line)

    def _check(self, last: Checkpoint, new: Checkpoint, prove: Callable[[int, int], Sequence[bytes]]) -> None:
        if new.size < last.size:
            raise _refused(f"it has shrunk from {last.size} entries to {new.size}")
        if not is_consistent(last.size, last.root, new.size, new.root, prove(last.size, new.size)):
            raise _refused(f"its first {last.size} entries are not those that were seen before")


def _refused(what: str) -> WitnessRefusedError:
    return WitnessRefusedError(
        f"The witness does not sign: {what}.", remedy="Keep its folder as it is: it is evidence of another history."
    )
