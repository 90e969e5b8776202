"""The provider's signing keys: kept in one file that only its owner can read, and replaced as they age."""

import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joserfc.jwk import KeySet, RSAKey

_MAX_AGE_S = 90 * 24 * 3600
_KEPT = 2  # the key that signs, and the one before it, whose tokens may still be under way


class KeyRing:
    """RSA keys, newest first. The newest signs; all of them are published.

    A key older than 90 days is replaced the next time that somebody signs.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._keys: list[dict[str, Any]] = json.loads(path.read_text())["keys"] if path.exists() else []
        self._imported: dict[str, RSAKey] = {}

    def signing_key(self) -> RSAKey:
        """The key to sign with; its `kid` is set."""
        if not self._keys or self._clock() - self._keys[0]["iat"] > _MAX_AGE_S:
            self.rotate()
        return self._key(self._keys[0])

    def rotate(self) -> None:
        """Put a new key in front, and forget all but the one before it."""
        made: dict[str, Any] = dict(RSAKey.generate_key(2048).as_dict(private=True))
        made |= {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256", "iat": int(self._clock())}
        self._keys = [made, *self._keys][:_KEPT]
        self._save()

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set that relying parties verify with."""
        self.signing_key()
        return {"keys": [{"use": "sig", "alg": "RS256", **self._key(key).as_dict(private=False)} for key in self._keys]}

    def verification_keys(self) -> KeySet:
        """The same keys, to verify what they signed."""
        return KeySet([self._key(key) for key in self._keys])

    def _key(self, data: dict[str, Any]) -> RSAKey:
        """The key itself; importing one checks its primes, which takes a tenth of a second."""
        if data["kid"] not in self._imported:
            self._imported[data["kid"]] = RSAKey.import_key({k: v for k, v in data.items() if k != "iat"})
        return self._imported[data["kid"]]

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Moved into place, so that a stop halfway leaves the old keys; 0600 from its first byte.
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"keys": self._keys}, file)
        draft.replace(self._path)
