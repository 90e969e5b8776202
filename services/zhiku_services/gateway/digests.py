"""Keyed digests: what the database holds in place of a secret, and what binds a token to a session."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Digests:
    """HMAC-SHA256 under keys derived from the deployment's secret, one for each purpose.

    Whoever steals the database alone can neither use nor guess-and-check a session or an API key.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def key(self, purpose: str) -> bytes:
        """32 bytes for one purpose."""
        return hmac.digest(self._secret, f"zhiku-gateway:{purpose}".encode(), sha256)

    def of(self, purpose: str, value: str) -> str:
        """The digest of `value` in 64 hex digits."""
        return hmac.new(self.key(purpose), value.encode(), sha256).hexdigest()

    def matches(self, purpose: str, value: str, digest: str) -> bool:
        """Whether `digest` is that of `value`, in constant time."""
        return hmac.compare_digest(self.of(purpose, value).encode(), digest.encode())

    def seal(self, purpose: str, holder: str, text: str) -> str:
        """`text` as AES-256-GCM under a key that takes both our secret and the holder's own."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._key_of(purpose, holder)).encrypt(nonce, text.encode(), None)
        return urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, purpose: str, holder: str, sealed: str) -> str | None:
        """The text, or None if it was sealed for somebody else, by another secret, or changed."""
        try:
            data = urlsafe_b64decode(sealed)
            return (
                AESGCM(self._key_of(purpose, holder)).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
            )
        except (InvalidTag, ValueError):
            return None

    def _key_of(self, purpose: str, holder: str) -> bytes:
        return hmac.digest(self.key(purpose), holder.encode(), sha256)
