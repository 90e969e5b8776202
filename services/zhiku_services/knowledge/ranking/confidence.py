"""Whether what was found answers the question at all.

A logistic model of two signals of the first three passages: the best cosine and the best share of the
question's words. Its coefficients were fitted on questions asked of their own corpus and of foreign ones,
with the embedded multilingual-e5-small; another embedding model has another scale of cosines, so fit again.
It tells foreign questions apart; that a passage on the right subject lacks the answer, it cannot see.
"""

import math
from collections.abc import Sequence
from typing import Final

from zhiku_services.knowledge.ranking.fusion import Ranked

_BEST: Final = 3
_COSINE_SLOPE: Final = 106.0
_COSINE_ALONE: Final = 0.904
"""The cosine that is convincing when no word is shared."""
_OVERLAP_SLOPE: Final = 11.6
_COSINE_ACROSS: Final = 0.82
"""The same between a Chinese question and an English passage or the reverse; cosines are lower there."""
_WORDS_SLOPE: Final = 13.0
_WORDS_ALONE: Final = 0.41
"""The overlap that is convincing when there is no cosine, as in a search by words only."""


def relevance(ranked: Sequence[Ranked]) -> float:
    """Estimate the probability, 0..1, that the question belongs to what was found; nothing found is 0."""
    best = ranked[:_BEST]
    return max(_within_script(best), _across_scripts(best))


def _within_script(best: Sequence[Ranked]) -> float:
    alike = [each for each in best if each.same_script]
    if not alike:
        return 0.0
    overlap = max(each.word_overlap for each in alike)
    cosines = [each.cosine for each in alike if each.cosine is not None]
    if not cosines:
        return _probability(_WORDS_SLOPE * (overlap - _WORDS_ALONE))
    return _probability(_COSINE_SLOPE * (max(cosines) - _COSINE_ALONE) + _OVERLAP_SLOPE * overlap)


def _across_scripts(best: Sequence[Ranked]) -> float:
    cosines = [each.cosine for each in best if not each.same_script and each.cosine is not None]
    return _probability(_COSINE_SLOPE * (max(cosines) - _COSINE_ACROSS)) if cosines else 0.0


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
