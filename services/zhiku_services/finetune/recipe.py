"""What to train, how, and on what: one typed recipe. What a recipe cannot say, no run does."""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, TypeAdapter, model_validator

from zhiku_platform.contracts.wire import Message
from zhiku_services.finetune.advisor import SERVES, Option

BUNDLED = "bundled"
"""The base that everybody has: the small chat model of the embedded engine."""

_Share = Annotated[float, Field(ge=0, lt=0.5)]
_Rank = Annotated[int, Field(ge=1, le=512)]


class _Recipe(Message):
    """What every method has.

    `base` is a folder of Hugging Face's form, or `bundled`; `dataset` the folder of a frozen dataset, of which
    `held_out` is kept for measuring, by the digest of each example, so that it stays out in every run. A step learns
    from `batch` times `accumulation` examples. `max_tokens` cuts examples; the linter tells which. `precision` auto is
    bfloat16 where the machine multiplies it: a processor that does not takes forty times as long as for float32.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    base: str = BUNDLED
    dataset: Path
    held_out: _Share = 0.1
    epochs: Annotated[float, Field(gt=0, le=100)] = 2.0
    max_steps: Annotated[int | None, Field(ge=1)] = None
    batch: Annotated[int, Field(ge=1, le=1024)] = 4
    accumulation: Annotated[int, Field(ge=1, le=1024)] = 4
    max_tokens: Annotated[int, Field(ge=16, le=131072)] = 1024
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    warmup: _Share = 0.03
    checkpoint_every: Annotated[int, Field(ge=1)] = 50
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 20261
    allow_no_held_out: bool = False

    @model_validator(mode="after")
    def _measures_what_it_makes(self) -> Self:
        if self.held_out == 0 and not self.allow_no_held_out:
            raise ValueError("without examples held out nobody can tell whether the model got better")
        return self


class Lora(_Recipe):
    """Low-rank matrices beside every linear layer (arXiv 2106.09685); `alpha` None is twice the rank."""

    method: Literal["lora"] = "lora"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.05


class QLora(_Recipe):
    """LoRA beside a base held in four bits (arXiv 2305.14314)."""

    method: Literal["qlora"] = "qlora"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.05


class Full(_Recipe):
    """Every weight of the base."""

    method: Literal["full"] = "full"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-5


class Prefix(_Recipe):
    """Learnt keys and values before every layer's own (arXiv 2101.00190)."""

    method: Literal["prefix"] = "prefix"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    virtual_tokens: Annotated[int, Field(ge=1, le=512)] = 20


class Prompt(_Recipe):
    """Learnt vectors before the prompt (arXiv 2104.08691)."""

    method: Literal["prompt"] = "prompt"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    virtual_tokens: Annotated[int, Field(ge=1, le=512)] = 20


class Bottleneck(_Recipe):
    """Two small layers, `width` numbers between them, after every feed-forward block (arXiv 2005.00247)."""

    method: Literal["bottleneck"] = "bottleneck"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    width: Annotated[int, Field(ge=1, le=4096)] = 48


class Gkd(_Recipe):
    """What another model finds likely at each word, by LoRA (arXiv 2306.13649).

    `teacher` is a folder of the same vocabulary, or the adapter that a run left on the same base. `own_share` of the
    batches are answers that the student writes itself, of at most `completion_tokens`; `beta` goes from forward (0)
    to reverse (1) divergence. Of a conversation, only the last answer is learnt.
    """

    method: Literal["gkd"] = "gkd"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.0
    teacher: Path
    own_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    beta: Annotated[float, Field(ge=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0, le=2)] = 0.9
    completion_tokens: Annotated[int, Field(ge=4, le=16384)] = 128


class Dpo(_Recipe):
    """A better answer over a worse one, by LoRA (arXiv 2305.18290); takes the dataset's pairs alone."""

    method: Literal["dpo"] = "dpo"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.0
    beta: Annotated[float, Field(gt=0, le=10)] = 0.1


class Kto(_Recipe):
    """Answers that people liked and such that they did not, unpaired, by LoRA (arXiv 2402.01306)."""

    method: Literal["kto"] = "kto"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-6
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.0
    beta: Annotated[float, Field(gt=0, le=10)] = 0.1


class Reward(_Recipe):
    """A model that tells a better answer from a worse one, by LoRA: what RLHF then learns from."""

    method: Literal["reward"] = "reward"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.0


class _Tries(_Recipe):
    """Learns from its own answers: `generations` to each prompt, of at most `completion_tokens`."""

    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    rank: _Rank = 16
    alpha: Annotated[int | None, Field(ge=1)] = None
    dropout: _Share = 0.0
    beta: Annotated[float, Field(ge=0, le=10)] = 0.0
    generations: Annotated[int, Field(ge=2, le=64)] = 4
    completion_tokens: Annotated[int, Field(ge=4, le=16384)] = 128
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0

    @model_validator(mode="after")
    def _holds_whole_groups(self) -> Self:
        if self.batch % self.generations:
            raise ValueError("`batch` counts answers, so it has to be a multiple of `generations`")
        return self


class Grpo(_Tries):
    """Answers that a program finds right, over others to the same prompt (arXiv 2402.03300)."""

    method: Literal["grpo"] = "grpo"
    reward: Literal["last_number", "same_words"]


class Rloo(_Tries):
    """Answers that a reward model likes, over others to the same prompt (arXiv 2402.14740): the last step of RLHF.

    `reward_model` is the folder that a run of `reward` left, on the same base.
    """

    method: Literal["rloo"] = "rloo"
    beta: Annotated[float, Field(ge=0, le=10)] = 0.05
    reward_model: Path


_AnyRecipe = Lora | QLora | Full | Prefix | Prompt | Bottleneck | Gkd | Dpo | Kto | Reward | Grpo | Rloo
TrainRecipe = Annotated[_AnyRecipe, Field(discriminator="method")]
RECIPE: TypeAdapter[TrainRecipe] = TypeAdapter(TrainRecipe)

_OPTIONS = {
    "prefix": Option.VIRTUAL_TOKENS,
    "prompt": Option.VIRTUAL_TOKENS,
    "bottleneck": Option.VIRTUAL_TOKENS,
    "gkd": Option.DISTIL,
    "rloo": Option.RLHF,
}


def served_on(method: str) -> tuple[str, ...]:
    """What can load the result, told before anything is trained; nothing serves a reward model."""
    if method == "reward":
        return ()
    return SERVES[_OPTIONS.get(method) or Option(method)]


def recipes() -> dict[str, type[_Recipe]]:
    """The recipe of each method."""
    return {recipe.model_fields["method"].default: recipe for recipe in get_args(_AnyRecipe)}
