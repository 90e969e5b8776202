"""Whether what was found answers the question at all."""

from collections.abc import Sequence

from zhiku_services.knowledge.ranking.fusion import Ranked


def relevance(ranked: Sequence[Ranked]) -> float:
    """Estimate the probability that the best few passages answer the question."""
    if not ranked:
        return 0.0
    best = ranked[:3]
    cosine = max(((each.cosine or 0.0) for each in best), default=0.0)
    overlap = max(each.word_overlap for each in best)
    return min(1.0, max(0.0, 0.5 * overlap + 5.0 * (cosine - 0.8)))
