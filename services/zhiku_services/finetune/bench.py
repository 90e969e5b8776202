"""Trains the bundled chat model by every method, a few minutes each, and says what it took and what came of it."""

import csv
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhiku_services.finetune.datasets.cleaning import Cleaned
from zhiku_services.finetune.datasets.examples import Example, Provenance, Turn
from zhiku_services.finetune.datasets.freezing import freeze
from zhiku_services.finetune.recipe import RECIPE, TrainRecipe
from zhiku_services.finetune.runs import Result, Run

METHODS = ("lora", "qlora", "full", "prefix", "prompt", "bottleneck", "gkd", "dpo", "kto", "reward", "grpo", "rloo")
"""In an order in which what one needs of another is there: a teacher, a reward model."""

_EXAMPLES = 400


@dataclass(frozen=True)
class Trained:
    """One method's run on one set."""

    dataset: str
    recipe: TrainRecipe
    result: Result


def bench(
    data: Path, folder: Path, *, base: Path, methods: Sequence[str], threads: int, report: Callable[[str], None]
) -> Iterator[Trained]:
    """Train by each method in turn; `data` is a folder of public sets, and the runs stay in `folder`."""
    for method in METHODS:
        if method not in methods:
            continue
        dataset, made = _SETS.get(method, ("banking77", _intents))
        # As they are: to the rules for text, short questions with one of 77 answers are all alike.
        frozen = freeze(Cleaned(kept=made(data)), folder / "datasets")
        recipe = RECIPE.validate_python({**_recipe(method, folder), "dataset": folder / "datasets" / frozen.root})
        run = Run.start(recipe, folder / method, base=base, threads=threads)
        for event in run.follow():
            report(f"{method}: {event.model_dump_json(exclude_none=True)}")
        result = run.wait()
        if result is not None:
            yield Trained(dataset, recipe, result)


def as_markdown(trained: Sequence[Trained]) -> str:
    """One row a method; what changed stands between its bounds."""
    head = ("method", "set", "steps", "seconds", "peak MB", "trained", "measure", "before", "after", "change, 95 %")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for each in trained:
        found, result = each.result.held_out, each.result
        measured = ("", "", "", "")
        if found is not None:
            bounds = f"{found.low:+.3f} to {found.high:+.3f}"
            measured = (f"{found.name} of {found.examples}", f"{found.before:.3f}", f"{found.after:.3f}", bounds)
        size = (f"{result.steps}", f"{result.seconds:.0f}", f"{result.peak_bytes / 1e6:,.0f}")
        row = (result.method, each.dataset, *size, f"{result.trained_parameters:,}", *measured)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _recipe(method: str, folder: Path) -> dict[str, Any]:
    common = {"name": f"bench-{method}", "method": method, "batch": 8, "accumulation": 1, "max_tokens": 320}
    own: dict[str, dict[str, Any]] = {
        "lora": {"max_steps": 12},
        "qlora": {"max_steps": 3},
        "full": {"max_steps": 8, "learning_rate": 5e-5},
        "prefix": {"max_steps": 12},
        "prompt": {"max_steps": 12, "learning_rate": 0.05},
        "bottleneck": {"max_steps": 12},
        "gkd": {"max_steps": 8, "teacher": folder / "lora" / "adapter", "own_share": 0.25, "completion_tokens": 16},
        "dpo": {"max_steps": 6, "batch": 4, "learning_rate": 1e-4},
        "kto": {"max_steps": 6, "batch": 4, "learning_rate": 1e-4},
        "reward": {"max_steps": 12, "batch": 4, "learning_rate": 3e-4},
        "grpo": {"max_steps": 8, "batch": 16, "completion_tokens": 12, "reward": "last_number", "learning_rate": 1e-4},
        "rloo": {"max_steps": 4, "batch": 8, "completion_tokens": 32, "reward_model": folder / "reward" / "adapter"},
    }
    return {**common, **own[method]}


def _intents(data: Path) -> list[Example]:
    """Customers' questions, and what each is about: the right name is the better answer, that of another the worse."""
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"].replace("_", " ")) for row in csv.DictReader(file)]
    draw = random.Random(7)  # noqa: S311 - a choice of examples, not a secret
    names = sorted({name for _, name in rows})
    source = Provenance(source="banking77", licence="CC-BY-4.0")
    examples: list[Example] = []
    for question, name in draw.sample(rows, _EXAMPLES):
        other = draw.choice([each for each in names if each != name])
        messages = (Turn(role="user", content=question), Turn(role="assistant", content=name))
        worse = Turn(role="assistant", content=other)
        examples.append(Example(messages=messages, rejected=worse, provenance=source))
    return examples


def _thumbs(data: Path) -> list[Example]:
    """The same with a thumb in place of the worse answer: up on the better of one example, down on that of the next."""
    thumbs: list[Example] = []
    for place, each in enumerate(_intents(data)):
        assert each.rejected is not None
        is_good = place % 2 == 0
        last = each.messages[-1] if is_good else each.rejected
        messages = (*each.messages[:-1], last)
        thumbs.append(each.model_copy(update={"messages": messages, "rejected": None, "is_good": is_good}))
    return thumbs


def _sums(_: Path) -> list[Example]:
    """Sums of two numbers below twenty, made here: no public set is within reach of so small a model."""
    source = Provenance(source="sums")
    return [
        Example(
            messages=(
                Turn(role="user", content=f"What is {one} + {other}?"),
                Turn(role="assistant", content=f"{one} + {other} = {one + other}"),
            ),
            provenance=source,
        )
        for one in range(20)
        for other in range(20)
    ]


_SETS: dict[str, tuple[str, Callable[[Path], list[Example]]]] = {
    "kto": ("banking77, thumbs", _thumbs),
    "grpo": ("sums", _sums),
}
