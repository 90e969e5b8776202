"""What a model gets for examples that it does not learn from, by the measure of each method."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from zhiku_services.finetune.datasets.examples import Example, Turn
from zhiku_services.finetune.encoding import Encoder
from zhiku_services.finetune.recipe import Dpo, Grpo, Kto, Reward, Rloo, TrainRecipe
from zhiku_services.finetune.rewards import REWARDS
from zhiku_services.finetune.scores import Each, ScoreName

_MAX_TOKENS = 2048
_MAX_ANSWERED = 64
"""How many held-out questions are answered where the measure is what answers get: writing them takes long."""


def measure_of(recipe: TrainRecipe) -> ScoreName:
    """What a method is measured by."""
    if isinstance(recipe, Reward):
        return "pair_loss"
    if isinstance(recipe, Dpo | Kto):
        return "margin"
    return "reward" if isinstance(recipe, Grpo | Rloo) else "loss"


def measure(recipe: TrainRecipe, trainer: Any, held_out: Sequence[Example]) -> list[Each]:
    """What each held-out example gets that the measure applies to, always in the same order."""
    encoder = Encoder(trainer.processing_class, max_tokens=_MAX_TOKENS)
    model = trainer.model
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            if isinstance(recipe, Reward):
                return _pair_losses(model, encoder, held_out)
            if isinstance(recipe, Dpo | Kto):
                return _margins(recipe, model, encoder, held_out)
            if isinstance(recipe, Grpo | Rloo):
                return _rewards(recipe, trainer, encoder, held_out)
            return [each for example in held_out if (each := _loss(model, encoder, example)) is not None]
    finally:
        model.train(was_training)


def _loss(model: Any, encoder: Encoder, example: Example) -> Each | None:
    """The mean loss of the learnt tokens, counted by their number."""
    encoded = encoder.encode(example)
    labels = torch.tensor([encoded.labels], device=model.device)
    count = int((labels[:, 1:] != -100).sum())
    if count == 0:
        return None
    ids = torch.tensor([encoded.ids], device=model.device)
    return Each(value=float(model(input_ids=ids, labels=labels).loss), weight=count)


def _log_likelihood(model: Any, encoder: Encoder, example: Example) -> float:
    found = _loss(model, encoder, example)
    return 0.0 if found is None else -found.value * found.weight


def _margins(recipe: Dpo | Kto, model: Any, encoder: Encoder, held_out: Sequence[Example]) -> list[Each]:
    """Of a pair, by how much the better answer is likelier; of a thumb, how likely it is, less where it points down."""
    found: list[Each] = []
    for example in held_out:
        own = example.rejected is not None if isinstance(recipe, Dpo) else example.is_good is not None
        if not own:
            continue
        likely = _log_likelihood(model, encoder, example)
        if isinstance(recipe, Dpo):
            found.append(Each(value=likely - _log_likelihood(model, encoder, _worse(example))))
        else:
            found.append(Each(value=likely if example.is_good else -likely))
    return found


def _pair_losses(model: Any, encoder: Encoder, held_out: Sequence[Example]) -> list[Each]:
    """What a reward model loses on each pair: ln 2 where it cannot tell."""
    found: list[Each] = []
    for example in held_out:
        if example.rejected is not None:
            better, worse = (_liking(model, encoder, each) for each in (example, _worse(example)))
            found.append(Each(value=math.log1p(math.exp(min(worse - better, 700.0)))))
    return found


def _rewards(recipe: Grpo | Rloo, trainer: Any, encoder: Encoder, held_out: Sequence[Example]) -> list[Each]:
    found: list[Each] = []
    for example in held_out[:_MAX_ANSWERED]:
        asked = torch.tensor([encoder.prompt_ids(example.messages[:-1])], device=trainer.model.device)
        written = trainer.model.generate(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            max_new_tokens=recipe.completion_tokens,
            do_sample=False,
            pad_token_id=trainer.processing_class.pad_token_id,
        )
        answer = trainer.processing_class.decode(written[0, asked.shape[1] :], skip_special_tokens=True)
        if isinstance(recipe, Grpo):
            found.append(Each(value=REWARDS[recipe.reward](answer, example.answer)))
        else:
            found.append(Each(value=_liking(trainer.reward_funcs[0], encoder, _ending_in(example, answer))))
    return found


def _liking(model: Any, encoder: Encoder, example: Example) -> float:
    return float(model(input_ids=torch.tensor([encoder.encode(example).ids], device=model.device)).logits[0, 0])


def _worse(example: Example) -> Example:
    assert example.rejected is not None
    return _ending_in(example, example.rejected.content)


def _ending_in(example: Example, answer: str) -> Example:
    return example.model_copy(update={"messages": (*example.messages[:-1], Turn(role="assistant", content=answer))})
