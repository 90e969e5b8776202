"""The identity provider's public keys: which of them may verify a token, and with which algorithm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

PublicKey = RSAKey | ECKey | OKPKey

ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
_MIN_RSA_BITS = 2048
_ED25519 = frozenset({"EdDSA", "Ed25519"})


@dataclass(frozen=True)
class VerificationKey:
    """A public key, and the algorithms that its tokens may say they are signed with."""

    key: PublicKey
    algorithms: frozenset[str]


def read_keys(published: object) -> dict[str, VerificationKey]:
    """The usable keys of a JSON Web Key Set by `kid`; others are none of our business.

    A `kid` that two keys share names neither, for whoever could add the second one would choose the key.
    """
    entries = [entry for entry in published if isinstance(entry, dict)] if isinstance(published, list) else []
    kids = [entry.get("kid") for entry in entries]
    found: dict[str, VerificationKey] = {}
    for entry in entries:
        kid = entry.get("kid")
        if isinstance(kid, str) and kids.count(kid) == 1 and (key := _read_key(entry)):
            found[kid] = key
    return found


def _read_key(data: Mapping[str, Any]) -> VerificationKey | None:
    if data.get("kty") not in {"RSA", "EC", "OKP"} or data.get("use", "sig") != "sig":
        return None
    if "verify" not in _operations(data.get("key_ops", ["verify"])):
        return None
    try:
        key = import_key({name: value for name, value in data.items() if name not in {"x5c", "x5u"}})
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(key, RSAKey | ECKey | OKPKey):
        return None
    algorithms = _algorithms(key)
    declared = data.get("alg")
    if declared is not None and declared not in _ED25519:
        algorithms &= {declared} if isinstance(declared, str) else set()
    return VerificationKey(key, algorithms) if algorithms else None


def _operations(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _algorithms(key: PublicKey) -> frozenset[str]:
    """What a key of this kind may be used with; a weak one with nothing."""
    if isinstance(key, RSAKey):
        return frozenset({"RS256"} if key.public_key.key_size >= _MIN_RSA_BITS else ())
    if isinstance(key, ECKey):
        return frozenset({"ES256"} if key.curve_name == "P-256" else ())
    return _ED25519 if key.as_dict(private=False).get("crv") == "Ed25519" else frozenset()
