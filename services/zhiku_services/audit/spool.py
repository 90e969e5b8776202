"""The second sink: a file on a local disk, synced before an event counts as durable, for when the database fails.

Every line is one sealed event, so the spool shows nothing to who reads the disk, and a line that was cut off by
a power cut is told from a whole one. What is in the spool goes to the database once that works again.
"""

import base64
import os
import secrets
import threading
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zhiku_platform.contracts.audit import ProducedEvent
from zhiku_platform.telemetry import get_logger
from zhiku_services.audit.files import locked, private_folder, sync_folder

log = get_logger(__name__)

_NONCE_BYTES = 12
_PURPOSE = b"zhiku-audit-spool"
UNREADABLE = "unreadable"


def count_unreadable(folder: Path) -> int:
    """How many lines of a spool were set aside because nobody could read them."""
    path = folder / UNREADABLE
    return path.read_bytes().count(b"\n") if path.exists() else 0


class Spool:
    """One file of events in a folder; several processes may share it."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._path = folder / "events"
        self._unreadable = folder / UNREADABLE
        self._cipher = AESGCM(key)
        self._lock = threading.Lock()

    def append(self, events: Sequence[ProducedEvent]) -> None:
        """Write events and sync the disk.

        Raises:
            OSError: the disk is full, gone, or read-only; none of the events counts as written.
        """
        private_folder(self._folder)
        lines = b"".join(self._seal(event) for event in events)
        with self._lock, locked(self._folder):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(handle).st_size
                try:
                    # A line may have been cut off by a crash; an empty line between is skipped.
                    _write(handle, b"\n" + lines)
                    os.fsync(handle)
                except OSError:
                    os.ftruncate(handle, size)
                    raise
            finally:
                os.close(handle)
            sync_folder(self._folder)

    def drain(self, take: Callable[[Sequence[ProducedEvent]], None]) -> int:
        """Give what is spooled to `take`, and empty the spool once that returned; return how many events.

        A crash in between gives them a second time. A line that cannot be read is set aside, and stays.
        """
        if not self._path.exists():
            return 0
        with self._lock, locked(self._folder):
            events, unreadable = self._read()
            if unreadable:
                self._set_aside(unreadable)
            for start in range(0, len(events), 500):
                take(events[start : start + 500])
            self._path.unlink()
            sync_folder(self._folder)
        return len(events)

    def count(self) -> int:
        """How many events wait here."""
        with self._lock:
            return len(self._read()[0]) if self._path.exists() else 0

    def count_unreadable(self) -> int:
        """How many lines were set aside because nobody could read them."""
        return count_unreadable(self._folder)

    def _set_aside(self, lines: Sequence[bytes]) -> None:
        """Keep lines that a crash cut off, that another key sealed, or that somebody changed: they may be evidence."""
        known = set(self._unreadable.read_bytes().split(b"\n")) if self._unreadable.exists() else set()
        new = [line for line in lines if line not in known]
        with self._unreadable.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in new))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)
        log.error("audit_spool_lines_set_aside", lines=len(new), path=str(self._unreadable))

    def _read(self) -> tuple[list[ProducedEvent], list[bytes]]:
        """The events, and the lines that are none."""
        found: list[ProducedEvent] = []
        unreadable: list[bytes] = []
        for line in self._path.read_bytes().split(b"\n"):
            if not line:
                continue
            try:
                raw = base64.b64decode(line, validate=True)
                plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _PURPOSE)
                found.append(ProducedEvent.model_validate_json(plain))
            except (Base64Error, InvalidTag, ValueError):
                unreadable.append(line)
        return found, unreadable

    def _seal(self, event: ProducedEvent) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, event.model_dump_json().encode(), _PURPOSE)
        return base64.b64encode(sealed) + b"\n"


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
