"""The tree of RFC 6962, section 2.1, word by word and on lists: a second implementation to check the first by."""

import hashlib

Hash = bytes


def sha256(data: bytes) -> Hash:
    return hashlib.sha256(data).digest()


def leaf(data: bytes) -> Hash:
    return sha256(b"\x00" + data)


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves: list[Hash]) -> Hash:
    """Merkle Tree Hash, of the leaves' hashes."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m: int, leaves: list[Hash]) -> list[Hash]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[Hash]) -> list[Hash]:
    """PROOF(m, D[n])."""
    return subproof(m, leaves, complete=True)


def subproof(m: int, leaves: list[Hash], *, complete: bool) -> list[Hash]:
    """SUBPROOF(m, D[n], b)."""
    n = len(leaves)
    if m == n:
        return [] if complete else [mth(leaves)]
    k = split(n)
    if m <= k:
        return [*subproof(m, leaves[:k], complete=complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], complete=False), mth(leaves[:k])]
