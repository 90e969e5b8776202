"""Keyed digests: what the database holds in place of a secret, and what binds a token to a session."""

import hmac
from hashlib import sha256


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
