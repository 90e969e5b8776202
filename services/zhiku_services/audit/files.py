"""Small files that must survive a power cut, readable by their owner alone."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Create a folder that its owner alone can enter."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file; after a crash it is the old one or the new one, whole."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_folder(path.parent)


def create_once(path: Path, content: bytes) -> bytes:
    """The content of a file, which is `content` if nobody made it before."""
    with locked(path.parent):
        if not path.exists():
            write_durably(path, content)
        return path.read_bytes()


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other threads and processes out while inside; the system lets go when the process dies."""
    with (folder / ".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
