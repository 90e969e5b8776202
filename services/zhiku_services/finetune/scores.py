"""Scores before and after a run, over the same held-out examples, and how sure one may be of what lies between."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from zhiku_platform.contracts.wire import Message

ScoreName = Literal["loss", "pair_loss", "margin", "reward"]
"""Mean loss of the learnt tokens, and of pairs told apart, in nats; by how many nats what was liked is likelier than
what was not; and what the answers get that are likeliest word by word. The losses shall fall, the others rise.
"""

_RESAMPLES = 2000


class Each(Message):
    """What one example got, and how much it counts: a loss counts once for each learnt token."""

    value: float
    weight: float = 1.0


class Score(Message):
    """`low` and `high` bound the change from before to after: 95 %, by a paired bootstrap over the examples."""

    name: ScoreName
    examples: int
    before: float
    after: float
    low: float
    high: float


def score(name: ScoreName, before: Sequence[Each], after: Sequence[Each], *, seed: int) -> Score | None:
    """Compare the same examples in the same order; None if there are none."""
    if not before:
        return None
    values = np.array([[one.value, two.value] for one, two in zip(before, after, strict=True)])
    weights = np.array([each.weight for each in before])
    drawn = np.random.default_rng(seed).integers(len(weights), size=(_RESAMPLES, len(weights)))
    means = (values[drawn] * weights[drawn, None]).sum(axis=1) / weights[drawn].sum(axis=1, keepdims=True)
    low, high = np.percentile(means[:, 1] - means[:, 0], [2.5, 97.5])
    first, then = np.average(values, axis=0, weights=weights)
    return Score(
        name=name, examples=len(before), before=float(first), after=float(then), low=float(low), high=float(high)
    )
