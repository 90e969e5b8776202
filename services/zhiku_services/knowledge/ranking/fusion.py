"""Candidates of both searches in one order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhiku_platform.contracts.knowledge import SearchMode
from zhiku_services.knowledge.ranking.overlap import coverage, query_terms, rarity, term_counts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that one of the searches found and that the caller may read now.

    `text` is what was indexed (`index_text`), `title` its title and headings alone. A score is None
    when that search was not run or did not find the passage.
    """

    passage_id: str
    text: str
    cosine: float | None
    bm25: float | None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place. `score` and `word_overlap` lie in 0..1."""

    passage_id: str
    score: float
    cosine: float | None
    bm25: float | None
    word_overlap: float


def rank(query: str, candidates: Sequence[Candidate], mode: SearchMode) -> list[Ranked]:
    """Order candidates, best first; ties by id."""
    if not candidates:
        return []
    terms = query_terms(query)
    counts = term_counts(terms, [each.text for each in candidates])
    overlap = coverage(counts, rarity(counts))
    cosines = np.array([each.cosine or 0.0 for each in candidates])
    bm25 = np.array([each.bm25 or 0.0 for each in candidates])
    spread = cosines.max() - cosines.min()
    dense = (cosines - cosines.min()) / spread if spread else np.ones(len(candidates))
    words = bm25 / (bm25.max() or 1.0)
    score = {SearchMode.DENSE: dense, SearchMode.BM25: words}.get(mode, 0.4 * dense + 0.4 * words + 0.2 * overlap)
    ranked = [
        Ranked(each.passage_id, float(score[at]), each.cosine, each.bm25, float(overlap[at]))
        for at, each in enumerate(candidates)
    ]
    return sorted(ranked, key=lambda item: (-item.score, item.passage_id))
