"""Proofs from a stored log: any node of the tree from a few tiles (RFC 6962, section 2.1; C2SP tlog-tiles)."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from zhiku_services.audit.verifier import TILE, CompactRange, fold, node_hash

HASH = 32
LOG_TILE = 8
"""A tile spans eight levels of the tree."""

ReadTiles = Callable[[int, int, int], Sequence[bytes]]
"""Of the tiles (level, first) to (level, last - 1) those that are full, in order; 32 bytes each hash."""
ReadLeaves = Callable[[int, int], Sequence[bytes]]
"""The leaf hashes of entries `first` to `last - 1`."""


def split(hashes: bytes) -> list[bytes]:
    """Hashes that stand one after the other."""
    return [hashes[start : start + HASH] for start in range(0, len(hashes), HASH)]


@lru_cache(maxsize=4 * TILE)
def tile_root(hashes: bytes) -> bytes:
    """The root of a full tile. Each checkpoint asks for those of the same tiles, up to 255 of them."""
    return fold(split(hashes))


class TreeReader:
    """A log of `size` entries, read by tiles; each is read once."""

    def __init__(self, size: int, read_tiles: ReadTiles, read_leaves: ReadLeaves) -> None:
        self.size = size
        self._read_tiles = read_tiles
        self._read_leaves = read_leaves
        self._tiles: dict[tuple[int, int], list[bytes]] = {}
        self._subtrees: dict[tuple[int, int], bytes] = {}

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` entries; of all without it."""
        wanted = self.size if size is None else size
        return self._range(0, wanted) if wanted else CompactRange().root()

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Prove that entry `index` is in the tree of the first `size` entries (RFC 6962, section 2.1.1)."""
        self._check(index + 1, size)
        return self._inclusion(index, 0, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Prove that the first `first` entries begin the first `second` (RFC 6962, section 2.1.2)."""
        self._check(first, second)
        if first in {0, second}:
            return []
        return self._consistency(first, 0, second, whole=True)

    def tile(self, level: int, n: int) -> list[bytes]:
        """The hashes of a tile, as many as there are: at level 0 leaves, above the roots of full tiles."""
        if (level, n) not in self._tiles:
            self._tiles[level, n] = self._load(level, n)
        return self._tiles[level, n]

    def _check(self, first: int, second: int) -> None:
        if not 0 <= first <= second <= self.size:
            raise ValueError(f"the log of {self.size} entries has no proof from {first} to {second}")

    def _load(self, level: int, n: int) -> list[bytes]:
        stored = self._read_tiles(level, n, n + 1)
        if stored:
            return split(stored[0])
        first = n * TILE
        if level == 0:
            return list(self._read_leaves(first, min(first + TILE, self.size)))
        there = min(self.size >> (LOG_TILE * level), first + TILE)
        below = self._read_tiles(level - 1, first, there)
        if len(below) == there - first:
            return [tile_root(hashes) for hashes in below]
        return [fold(self.tile(level - 1, place)) for place in range(first, there)]

    def _range(self, first: int, last: int) -> bytes:
        """The hash of the entries `first` to `last - 1`, where `first` is a place that a subtree begins at."""
        width = last - first
        if width & (width - 1) == 0:
            return self._subtree(width.bit_length() - 1, first // width)
        middle = first + _split(width)
        return node_hash(self._range(first, middle), self._range(middle, last))

    def _subtree(self, height: int, place: int) -> bytes:
        """The root of the full subtree of 2^height leaves that begins at `place * 2^height`."""
        if (height, place) not in self._subtrees:
            level, rest = divmod(height, LOG_TILE)
            n, offset = divmod(place << rest, TILE)
            self._subtrees[height, place] = fold(self.tile(level, n)[offset : offset + (1 << rest)])
        return self._subtrees[height, place]

    def _inclusion(self, index: int, first: int, last: int) -> list[bytes]:
        if last - first == 1:
            return []
        middle = first + _split(last - first)
        if index < middle:
            return [*self._inclusion(index, first, middle), self._range(middle, last)]
        return [*self._inclusion(index, middle, last), self._range(first, middle)]

    def _consistency(self, old: int, first: int, last: int, *, whole: bool) -> list[bytes]:
        if old == last:
            return [] if whole else [self._range(first, last)]
        middle = first + _split(last - first)
        if old <= middle:
            return [*self._consistency(old, first, middle, whole=whole), self._range(middle, last)]
        return [*self._consistency(old, middle, last, whole=False), self._range(first, middle)]


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1
