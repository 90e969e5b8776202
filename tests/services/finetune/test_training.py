"""Runs of every method on a model of two small layers: they learn, and lose nothing when they are stopped."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from zhiku_services.finetune.datasets.cleaning import clean
from zhiku_services.finetune.datasets.examples import Example, Turn
from zhiku_services.finetune.datasets.freezing import freeze
from zhiku_services.finetune.errors import RunFailedError, RunTakenError
from zhiku_services.finetune.recipe import RECIPE, TrainRecipe
from zhiku_services.finetune.rewards import last_number
from zhiku_services.finetune.runs import Result, Run, RunFolder

pytestmark = [
    pytest.mark.slow,
    # PEFT calls what transformers has renamed.
    pytest.mark.filterwarnings("ignore:.*deprecated and will be removed in v6:FutureWarning"),
    # TRL has GKD nowhere else.
    pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'"),
]

PLACES = ("canteen", "library", "garage", "roof", "lobby", "archive", "studio", "garden", "kiosk", "mailroom")
HOURS = ("seven", "eight", "nine", "ten")


def example(place: str, hour: str) -> Example:
    question, answer = f"When does the {place} open on day {hour}?", f"The {place} opens at {hour} on that day."
    return Example(
        messages=(Turn(role="user", content=question), Turn(role="assistant", content=answer)),
        rejected=Turn(role="assistant", content=f"Nobody knows about the {place}."),
        is_good=len(place) % 2 == 0,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets")
    cleaned = clean([example(place, hour) for place in PLACES for hour in HOURS])
    return folder / freeze(cleaned, folder).root


Train = Callable[..., Run]


@pytest.fixture
def recipe(dataset: Path) -> Callable[..., TrainRecipe]:
    def make(**more: Any) -> TrainRecipe:
        given = {
            "name": "hours", "dataset": dataset, "max_steps": 6, "batch": 2, "accumulation": 1,
            "max_tokens": 128, "checkpoint_every": 2, "held_out": 0.2, "learning_rate": 1e-2, "precision": "float32",
        }  # fmt: skip
        return RECIPE.validate_python({**given, **more})

    return make


@pytest.fixture
def start(tmp_path: Path, base: Path) -> Iterator[Train]:
    running: list[Run] = []

    def begin(recipe: TrainRecipe, folder: str = "run") -> Run:
        run = Run.start(recipe, tmp_path / folder, base=base, threads=1)
        running.append(run)
        return run

    yield begin
    for run in running:
        run.kill()


def result_of(run: Run) -> Result:
    result = run.wait()
    assert result is not None
    return result


@pytest.fixture
def train_here(tmp_path: Path, base: Path) -> Callable[..., RunFolder]:
    """Does what the child does, in this process: importing the trainers takes longer than a run."""
    from zhiku_services.finetune.training import train

    def run(recipe: TrainRecipe, name: str = "here") -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.create(recipe)
        assert train(folder.path, base) == (0 if folder.result() else 1)
        return folder

    return run


def losses_of(folder: RunFolder) -> list[float]:
    return [event.loss for event in folder.events() if event.loss is not None and event.kind == "step"]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("lora", {"rank": 4}),
        ("qlora", {"rank": 4}),
        ("full", {}),
        ("prefix", {"virtual_tokens": 4}),
        ("prompt", {"virtual_tokens": 4}),
        ("bottleneck", {"width": 8}),
    ],
)
def test_a_method_learns_what_it_is_shown(
    train_here: Callable[..., RunFolder],
    recipe: Callable[..., TrainRecipe],
    method: str,
    more: dict[str, Any],
) -> None:
    folder = train_here(recipe(method=method, max_steps=20, checkpoint_every=20, **more))
    result = folder.result()

    assert result is not None
    assert (result.steps, len(losses_of(folder))) == (20, 20)
    assert result.held_out is not None
    assert result.held_out.name == "loss"
    assert result.held_out.after < result.held_out.before
    assert result.held_out.low <= result.held_out.after - result.held_out.before <= result.held_out.high < 0
    assert list((folder.path / result.folder).glob("*.safetensors"))
    manifest = json.loads(folder.manifest.read_bytes())
    assert manifest.keys() == {"recipe", "dataset", "base", "libraries"}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= manifest["base"].keys()
    assert manifest["recipe"]["precision"] == "float32"


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_preferences_are_learnt(
    train_here: Callable[..., RunFolder], recipe: Callable[..., TrainRecipe], method: str
) -> None:
    folder = train_here(recipe(method=method, rank=4, max_steps=24, batch=8, learning_rate=2e-3))
    losses = losses_of(folder)

    assert len(losses) == 24
    assert sum(losses[-8:]) < sum(losses[:8])
    result = folder.result()
    assert result is not None
    assert result.held_out is not None
    assert result.held_out.name == "margin"
    assert result.held_out.after > result.held_out.before


def test_a_reward_model_is_learnt_and_then_learnt_from(
    train_here: Callable[..., RunFolder], recipe: Callable[..., TrainRecipe]
) -> None:
    judge = train_here(recipe(method="reward", rank=4, max_steps=12, batch=8), "judge")
    told = judge.result()
    assert told is not None
    assert told.held_out is not None
    assert told.held_out.name == "pair_loss"
    assert told.held_out.after < told.held_out.before

    tries = {"generations": 2, "completion_tokens": 8, "rank": 4, "max_steps": 3, "learning_rate": 1e-3}
    learnt = train_here(recipe(method="rloo", reward_model=judge.path / told.folder, **tries), "learnt")
    assert learnt.result() is not None
    assert len([event.reward for event in learnt.events() if event.reward is not None]) == 3


def test_answers_that_a_program_finds_right_are_learnt_from(
    train_here: Callable[..., RunFolder], recipe: Callable[..., TrainRecipe]
) -> None:
    tries = {"generations": 2, "completion_tokens": 8, "rank": 4, "max_steps": 3}
    folder = train_here(recipe(method="grpo", reward="last_number", **tries))
    assert folder.result() is not None
    assert [event.reward for event in folder.events() if event.kind == "step"] == [0.0] * 3


def test_a_teacher_is_followed(train_here: Callable[..., RunFolder], recipe: Callable[..., TrainRecipe]) -> None:
    teacher = train_here(recipe(method="lora", rank=4, max_steps=20), "teacher")
    shared = {"teacher": teacher.path / "adapter", "rank": 4, "max_steps": 20, "completion_tokens": 8}
    result = train_here(recipe(method="gkd", own_share=0.2, **shared), "student").result()
    assert result is not None
    assert result.held_out is not None
    assert result.held_out.high < 0


def test_saved_bottlenecks_say_what_the_trained_ones_said(
    train_here: Callable[..., RunFolder], recipe: Callable[..., TrainRecipe], base: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from zhiku_services.finetune import bottleneck

    folder = train_here(recipe(method="bottleneck", width=8, max_steps=2))
    checkpoint = folder.last_checkpoint()
    assert checkpoint is not None
    ids = torch.arange(3, 9)[None]
    models: list[Any] = [AutoModelForCausalLM.from_pretrained(base) for _ in range(3)]
    bottleneck.load(models[0], folder.path / "adapter")
    bottleneck.insert(models[1], 8)
    models[1].load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    said, trained, before = (model(input_ids=ids).logits for model in models)
    assert torch.equal(said, trained)
    assert not torch.equal(said, before)


def test_a_run_that_was_killed_ends_like_one_that_was_not(start: Train, recipe: Callable[..., TrainRecipe]) -> None:
    whole = result_of(start(recipe(method="lora", rank=4, dropout=0.1), "whole"))
    killed = start(recipe(method="lora", rank=4, dropout=0.1), "killed")
    for event in killed.follow():
        if event.kind == "checkpoint" and event.step == 2:
            killed.kill()
            break
    assert killed.folder.result() is None

    resumed = result_of(start(recipe(method="lora", rank=4, dropout=0.1), "killed"))

    assert (resumed.digest, resumed.manifest) == (whole.digest, whole.manifest)
    assert (resumed.steps, resumed.loss) == (whole.steps, whole.loss)
    steps = [event.step for event in killed.folder.events() if event.kind == "step"]
    assert steps.count(1) == 1


def test_a_run_that_was_killed_after_its_last_step_only_writes_its_result(
    start: Train, recipe: Callable[..., TrainRecipe]
) -> None:
    first = start(recipe(method="lora", rank=4))
    whole = result_of(first)
    first.folder.result_file.unlink()

    again = result_of(start(recipe(method="lora", rank=4)))

    assert (again.digest, again.steps, again.loss) == (whole.digest, 6, whole.loss)
    assert again.held_out == whole.held_out
    assert [event.step for event in first.folder.events() if event.kind == "step"] == [1, 2, 3, 4, 5, 6]


def test_a_cancelled_run_keeps_what_it_learnt(start: Train, recipe: Callable[..., TrainRecipe]) -> None:
    run = start(recipe(method="lora", rank=4, max_steps=400, checkpoint_every=400))
    for event in run.follow():
        if event.kind == "step":
            run.cancel()
            break
    assert run.wait() is None
    assert run.folder.last_checkpoint() is not None
    assert [event.kind for event in run.folder.events()][-1] == "cancelled"


def test_a_folder_is_of_one_recipe(tmp_path: Path, recipe: Callable[..., TrainRecipe]) -> None:
    RunFolder(tmp_path).create(recipe(method="lora"))
    RunFolder(tmp_path).create(recipe(method="lora"))
    with pytest.raises(RunTakenError):
        RunFolder(tmp_path).create(recipe(method="lora", seed=7))


def test_a_run_without_what_its_method_learns_from_says_so(
    train_here: Callable[..., RunFolder], recipe: Callable[..., TrainRecipe], tmp_path: Path
) -> None:
    alike = clean([each.model_copy(update={"rejected": None}) for each in (example(p, "ten") for p in PLACES)])
    folder = train_here(recipe(method="dpo", dataset=tmp_path / freeze(alike, tmp_path).root))
    assert "pairs of a better and a worse answer" in (folder.events()[-1].detail or "")


def test_a_dataset_that_was_changed_is_not_trained_on(
    start: Train, recipe: Callable[..., TrainRecipe], tmp_path: Path
) -> None:
    folder = tmp_path / freeze(clean([example(place, "ten") for place in PLACES]), tmp_path).root
    lines = (folder / "examples.jsonl").read_text().replace("canteen", "dungeon")
    (folder / "examples.jsonl").write_text(lines)
    with pytest.raises(RunFailedError, match="dataset_changed"):
        start(recipe(method="lora", dataset=folder)).wait()


@pytest.mark.parametrize(
    ("answer", "wanted", "reward"),
    [
        ("5 + 7 = 12.", "12", 1.0),
        ("It is 1,200.50 yuan", "答案是１２００.5", 1.0),
        ("12 is not 13", "12", 0.0),
        ("I do not know", "12", 0.0),
        ("12", "no number", 0.0),
    ],
)
def test_the_last_number_decides(answer: str, wanted: str, reward: float) -> None:
    assert last_number(answer, wanted) == reward


def test_a_recipe_without_examples_held_out_is_refused(recipe: Callable[..., TrainRecipe]) -> None:
    with pytest.raises(ValidationError, match="held out"):
        recipe(method="lora", held_out=0)
    with pytest.raises(ValidationError, match="virtual_tokens"):
        recipe(method="lora", virtual_tokens=3)
