"""Which texts are the same, almost the same, or repeat a stretch of one another; by characters, so also in Chinese."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

SHINGLE = 4
"""Characters in a row; MinHash over words sees nothing in Chinese, which has no spaces between them."""
_PERMUTATIONS = 128
_SEED = 7
_NOT_WORD = re.compile(r"[\W_]+")
_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
STRETCH = 13
"""Words, or Chinese characters, in a row that two texts share by more than chance."""


def plain(text: str) -> str:
    """A text without what two copies of it may differ in: width, case, spaces, punctuation."""
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).lower())


def shingles(text: str, size: int = SHINGLE) -> frozenset[str]:
    """Every stretch of `size` characters of the plain text; all of it if it is shorter."""
    bare = plain(text)
    return frozenset(bare[n : n + size] for n in range(max(1, len(bare) - size + 1))) if bare else frozenset()


def likeness(these: frozenset[str], those: frozenset[str]) -> float:
    """Jaccard's index: shared shingles among all."""
    return len(these & those) / len(these | those) if these or those else 1.0


def near_pairs(texts: Sequence[str], least: float) -> Iterator[tuple[int, int, float]]:
    """The pairs of texts that are alike to at least `least`, each later one with the first that it is like.

    Found by MinHash, which misses some pairs close to the limit; each found one is then counted exactly.
    """
    # It loads SciPy, which takes longer than all the rest of a service.
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=least, num_perm=_PERMUTATIONS)
    sets: dict[int, frozenset[str]] = {}
    for place, text in enumerate(texts):
        own = shingles(text)
        if not own:
            continue
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update_batch([each.encode() for each in own])
        for other in sorted(int(str(found)) for found in index.query(sketch)):
            alike = likeness(own, sets[other])
            if alike >= least:
                yield other, place, alike
                break
        sets[place] = own
        index.insert(place, sketch)


def stretches(text: str, size: int = STRETCH) -> frozenset[str]:
    """Every stretch of `size` words, where a Chinese character counts as a word; none if the text is shorter."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    words = [word for word in words if word.isalnum()]
    return frozenset(" ".join(words[n : n + size]) for n in range(len(words) - size + 1))


class Seen:
    """Texts that must not be learnt from: recognised whole, by a shared stretch, or by likeness if they are short."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        """`texts` are (name, text)."""
        self._whole: dict[str, str] = {}
        self._stretches: dict[str, str] = {}
        for name, text in texts:
            if bare := plain(text):
                self._whole.setdefault(bare, name)
            for stretch in stretches(text):
                self._stretches.setdefault(stretch, name)

    def find(self, text: str) -> str | None:
        """The name of a text that this one repeats, or None."""
        bare = plain(text)
        if bare in self._whole:
            return self._whole[bare]
        return next((self._stretches[each] for each in sorted(stretches(text)) if each in self._stretches), None)
