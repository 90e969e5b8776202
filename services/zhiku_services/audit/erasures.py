"""What was destroyed, in a file that no backup of the database brings back to an earlier state.

A line names a tenant, a kind, and the key or the pseudonym that has to stay destroyed; nothing of a person.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

from zhiku_platform.telemetry import get_logger
from zhiku_services.audit.files import locked, private_folder, sync_folder

log = get_logger(__name__)


@dataclass(frozen=True)
class Erasure:
    """One act of destruction. `key` is the id of a group's data key, and empty for a person."""

    at_us: int
    tenant: str
    kind: Literal["group", "person"]
    what: str
    key: str = ""


class ErasureLog:
    """A file that only grows, in a folder of its own; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "erasures.jsonl"

    def append(self, erasure: Erasure) -> None:
        """Write an erasure and sync the disk.

        Raises:
            OSError: it cannot be written; then nothing may be destroyed.
        """
        private_folder(self._folder)
        with locked(self._folder):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "wb") as file:
                # A line may have been cut off by a crash; an empty line between is skipped.
                file.write(b"\n" + orjson.dumps(asdict(erasure)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._folder)

    def read(self) -> list[Erasure]:
        """All erasures, the oldest first; a line that was cut off destroyed nothing."""
        if not self._path.exists():
            return []
        found: list[Erasure] = []
        for line in filter(None, self._path.read_bytes().split(b"\n")):
            try:
                found.append(Erasure(**orjson.loads(line)))
            except (orjson.JSONDecodeError, TypeError):
                log.error("audit_erasure_unreadable", bytes=len(line))
        return found
