"""The folder that holds all state of one embedded instance, and which process runs on it."""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from zhiku_platform.errors import ConflictError
from zhiku_platform.settings import DEFAULT_SECRET, Settings

_LONGEST_SOCKET_PATH = 100


class HomeInUseError(ConflictError):
    """Another process runs on this home."""

    code = "home_in_use"


def prepare_home(settings: Settings) -> Settings:
    """Create the home, readable by its owner alone, and replace the default secret by one of its own."""
    home = settings.home.expanduser().resolve()
    for folder in (home, home / "run"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    changes: dict[str, object] = {"home": home}
    if settings.secret_key.get_secret_value() == DEFAULT_SECRET:
        changes["secret_key"] = SecretStr(_own_secret(home / "secret"))
    return settings.model_copy(update=changes)


def _own_secret(path: Path) -> str:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    secret = secrets.token_urlsafe(48)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret)
    return secret


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Keep other processes off this home while inside; the system lets go when the process dies.

    Raises:
        HomeInUseError: another process runs on it.
    """
    with (home / "run" / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeInUseError(
                f"Another Zhiku process runs on `{home}`.", remedy="Stop it, or choose another `--home`."
            ) from error
        yield


def is_running(home: Path) -> bool:
    """Whether a process runs on this home."""
    path = home.expanduser() / "run" / "lock"
    if not path.exists():
        return False
    with path.open("r", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def announce(settings: Settings) -> None:
    """Leave word in the home of the address that its process serves."""
    (settings.home / "run" / "address.json").write_text(
        json.dumps({"host": settings.host, "port": settings.port}), encoding="utf-8"
    )


def as_announced(settings: Settings) -> Settings:
    """The settings with the address that the process running on this home serves."""
    path = settings.home / "run" / "address.json"
    return settings.model_copy(update=json.loads(path.read_text(encoding="utf-8"))) if path.exists() else settings


def socket_path(home: Path) -> Path:
    """Where the running process listens for the command line; only its owner can reach it."""
    path = home.expanduser().resolve() / "run" / "zhiku.sock"
    if len(str(path)) <= _LONGEST_SOCKET_PATH:
        return path
    # The system takes no longer socket paths; the folder is private like the home itself.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"zhiku-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise HomeInUseError(f"`{folder}` belongs to another user.", remedy="Choose a shorter `--home`.")
    return folder / "zhiku.sock"
