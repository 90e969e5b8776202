"""What is learnt, and what is kept to measure with."""

from collections.abc import Sequence
from typing import Final

from zhiku_services.finetune.datasets.examples import Example, Origin

_PLACES: Final = 10_000


def split(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Keep a share out, by digest: the same example is on the same side in every run and every version of a dataset.

    A variant of a question goes where that question goes, and nothing is measured with it.
    """
    learnt: list[Example] = []
    held_out: list[Example] = []
    for example in examples:
        # By the prompt, so that two answers to one question are on one side.
        place = int(example.provenance.parent or example.prompt_digest, 16) % _PLACES
        if place >= share * _PLACES:
            learnt.append(example)
        elif example.provenance.origin is not Origin.AUGMENTED:
            held_out.append(example)
    return learnt, held_out
