"""Candidates of both searches in one order.

Reciprocal rank fusion throws the scores away, and with them how sure each side is: where words and numbers
decide, it loses to BM25 alone. A convex combination of scores, each brought to 0..1 within the question's
own candidates, keeps that (Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, TOIS
2023). The third part is the share of the question's words that a passage holds, weighed by rarity, which
BM25 lacks: there one frequent word makes up for three missing ones. The weights are round numbers from the
middle of a flat optimum; `docs/quality.md` has them left out one set at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from zhiku_platform.contracts.knowledge import SearchMode
from zhiku_services.knowledge.ranking.overlap import coverage, query_terms, rarity, term_counts
from zhiku_services.knowledge.ranking.words import is_chinese

DENSE_WEIGHT: Final = 0.35
BM25_WEIGHT: Final = 0.35
OVERLAP_WEIGHT: Final = 0.3

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that one of the searches found and that the caller may read now.

    `text` is what was indexed (`words_of_passage`), `title` its title and headings alone. A score is None
    when that search was not run or did not find the passage.
    """

    passage_id: str
    text: str
    cosine: float | None
    bm25: float | None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place. `score` and `word_overlap` lie in 0..1.

    `same_script` is false where a Chinese question met a passage in Latin letters or the other way round:
    there that no word is shared says nothing.
    """

    passage_id: str
    score: float
    cosine: float | None
    bm25: float | None
    word_overlap: float
    same_script: bool = True


def rank(query: str, candidates: Sequence[Candidate], mode: SearchMode) -> list[Ranked]:
    """Order candidates, best first; ties by id."""
    if not candidates:
        return []
    signals = signals_of(query, candidates)
    score = _scores(signals, candidates, mode)
    ranked = [
        Ranked(
            each.passage_id,
            float(score[at]),
            each.cosine,
            each.bm25,
            float(signals[at, 2]),
            is_chinese(query) == is_chinese(each.text),
        )
        for at, each in enumerate(candidates)
    ]
    return sorted(ranked, key=lambda item: (-item.score, item.passage_id))


def signals_of(query: str, candidates: Sequence[Candidate]) -> Numbers:
    """Measure each candidate by meaning, words and share of the question's words: shape (n, 3), each 0..1."""
    counts = term_counts(query_terms(query), [each.text for each in candidates])
    cosines = np.array([np.nan if each.cosine is None else each.cosine for each in candidates])
    bm25 = np.array([each.bm25 or 0.0 for each in candidates])
    return np.stack([_spread(cosines), bm25 / (bm25.max() or 1.0), coverage(counts, rarity(counts))], axis=1)


def _scores(signals: Numbers, candidates: Sequence[Candidate], mode: SearchMode) -> Numbers:
    if mode is SearchMode.BM25:
        return np.asarray(signals[:, 1])
    if mode is SearchMode.DENSE:
        return np.clip([each.cosine or 0.0 for each in candidates], 0.0, 1.0)
    return np.asarray(signals @ (DENSE_WEIGHT, BM25_WEIGHT, OVERLAP_WEIGHT))


def _spread(cosines: Numbers) -> Numbers:
    """Bring cosines to 0..1 between the worst and the best candidate; an unknown one is the worst."""
    known = cosines[~np.isnan(cosines)]
    if not known.size or known.max() == known.min():
        return np.where(np.isnan(cosines), 0.0, 1.0)
    return np.asarray((np.nan_to_num(cosines, nan=known.min()) - known.min()) / (known.max() - known.min()))
