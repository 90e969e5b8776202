"""Who was erased, out of reach of every database: sealed in a file, so that a restored backup is erased again.

A line is kept for as long as backups may live, and then forgets whom it was about.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zhiku_platform.contracts.erasure import PersonSought

KEEP = timedelta(days=90)
"""How long a backup may live that could bring somebody back; ours, and said in the documentation."""
_NONCE_BYTES = 12


@dataclass(frozen=True)
class Registered:
    """One erasure that was begun; `sealed` is empty once nobody needs to know any more whose it was."""

    id: str
    tenant: str
    sealed: str
    decided: list[str]
    keep_until: str


class ErasureRegister:
    """The key that seals who is meant, and the erasures that were begun, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder
        with self._locked():
            key = folder / "key"
            if not key.exists():
                _write(key, secrets.token_bytes(32))
            self._key = key.read_bytes()

    def seal(self, erasure_id: str, person: PersonSought) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, person.model_dump_json().encode(), erasure_id.encode())

    def open(self, erasure_id: str, sealed: bytes) -> PersonSought:
        plain = AESGCM(self._key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], erasure_id.encode())
        return PersonSought.model_validate_json(plain)

    def name(self, person: PersonSought) -> str:
        """What stands for a person in a digest, and tells nobody without the key who it is."""
        said = json.dumps([person.sub, *sorted(person.values)], ensure_ascii=False).encode()
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()

    def append(self, erasure_id: str, tenant: str, person: PersonSought, decided: list[str], *, now: datetime) -> None:
        """Write an erasure down before anything of it is done; saying it again changes nothing."""
        sealed = self.seal(erasure_id, person).hex()
        line = Registered(erasure_id, tenant, sealed, decided, (now + KEEP).isoformat())
        with self._locked():
            lines = self._read()
            if all(each.id != erasure_id for each in lines):
                self._replace([*lines, line])

    def lines(self, *, now: datetime) -> list[Registered]:
        """Every erasure, the first one first; what has run out forgets whom it was about."""
        with self._locked():
            lines = self._read()
            kept = [each if datetime.fromisoformat(each.keep_until) > now else _forgotten(each) for each in lines]
            if kept != lines:
                self._replace(kept)
        return kept

    def line(self, erasure_id: str) -> Registered | None:
        """One erasure, if it was begun."""
        with self._locked():
            return next((each for each in self._read() if each.id == erasure_id), None)

    def person(self, line: Registered) -> PersonSought | None:
        """Whose it was; None once that was forgotten."""
        return self.open(line.id, bytes.fromhex(line.sealed)) if line.sealed else None

    def _read(self) -> list[Registered]:
        path = self._folder / "register.jsonl"
        if not path.exists():
            return []
        return [Registered(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]

    def _replace(self, lines: list[Registered]) -> None:
        text = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
        _write(self._folder / "register.jsonl", text.encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / ".lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _forgotten(line: Registered) -> Registered:
    return replace(line, sealed="", decided=[])


def _write(path: Path, content: bytes) -> None:
    """Replace a file durably; after a crash it is the old one or the new one, whole."""
    scratch = path.with_name(f".{path.name}.new")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
