"""BM25 as the caller's own passages give it.

The engine weighs a word by how rare it is among all passages of its collection, whoever may read them. By that weight
an order, and a score, would tell of documents that the caller may not see. So what the engine finds by words is
weighed again here, by how many of the passages that the caller may read hold each word: the same formula, and on the
retrieval sets the same quality (docs/access.md).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from zhiku_services.knowledge.ranking.overlap import Counts, query_terms, term_counts
from zhiku_services.knowledge.ranking.words import content_words

_K1: Final = 1.2
_B: Final = 0.75
_COUNTED: Final = 48
"""Words of a query to count: a question has some ten, a pasted page hundreds."""


def weigh(query: str, texts: Sequence[str], frequencies: Mapping[str, int], passages: int) -> list[float]:
    """Score each text for a query, 0 or more, in the order of texts.

    `frequencies` tells how many of the caller's `passages` hold each of `counted_words(query)`; the words of a very
    long query that are not counted weigh as the counted ones do on average.
    """
    terms = query_terms(query)
    if not texts or not frequencies:
        return [0.0] * len(texts)
    usual = float(np.mean(list(frequencies.values())))
    held = np.array([_held(term, frequencies, usual) for term in (*terms.chinese, *terms.latin, *terms.dates)])
    rarity = np.log1p((max(passages, held.max()) - held + 0.5) / (held + 0.5))
    return [float(score) for score in _saturated(term_counts(terms, texts), texts) @ rarity]


def counted_words(query: str) -> list[str]:
    """The words of a query whose frequencies `weigh` needs."""
    return list(dict.fromkeys(content_words(query)))[:_COUNTED]


def _held(term: str, frequencies: Mapping[str, int], usual: float) -> float:
    """Chinese is indexed by words and by pairs of characters, and a term may be both."""
    counts = [frequencies[word] for word in (term, f"_{term}") if word in frequencies]
    return float(max(counts, default=usual))


def _saturated(counts: Counts, texts: Sequence[str]) -> Counts:
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    norm = _K1 * (1 - _B + _B * lengths / lengths.mean())
    return np.asarray(counts * (_K1 + 1) / (counts + norm[:, None]))
