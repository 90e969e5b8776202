"""A training run: a folder, a child process that trains in it, and what the child tells as it goes.

The folder is the record: `recipe.json`, `manifest.json`, `events.jsonl`, `checkpoints/`, and at the end `result.json`
beside `adapter/` or `model/`. Starting a run whose folder is there goes on at its last checkpoint.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from zhiku_platform.contracts.wire import Message
from zhiku_services.finetune.errors import BadRecipeError, RunFailedError, RunTakenError
from zhiku_services.finetune.recipe import BUNDLED, RECIPE, Gkd, Rloo, TrainRecipe
from zhiku_services.finetune.scores import Score

CANCELLED = 3
"""The exit code of a run that was asked to end."""

_LOOK_EVERY_S = 0.2
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}


class Event(Message):
    """What a run tells. `loss` is of the learnt tokens, in nats; `at` counts seconds since the child began.

    `reward` is the mean of what the present answers got, where a run learns from its own; `held_out` the score of what
    is held out, by the method's measure.
    """

    kind: str
    at: float
    step: int | None = None
    of: int | None = None
    loss: float | None = None
    reward: float | None = None
    held_out: float | None = None
    detail: str | None = None


class Result(Message):
    """What came of a run. `peak_bytes` is the process's own memory; `digest` names the weights."""

    method: str
    manifest: str
    digest: str
    folder: str
    steps: int
    seconds: float
    peak_bytes: int
    trained_parameters: int
    loss: float | None
    held_out: Score | None
    served_on: tuple[str, ...]


def read_recipe(path: Path) -> TrainRecipe:
    """Read a recipe; a dataset or base that it names without a root lies beside it.

    Raises:
        BadRecipeError: it is no recipe; the error names each field.
    """
    try:
        recipe = RECIPE.validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadRecipeError.of(error) from error
    folder = path.parent.resolve()
    beside: dict[str, object] = {"dataset": folder / recipe.dataset}
    if recipe.base != BUNDLED:
        beside["base"] = str(folder / recipe.base)
    if isinstance(recipe, Rloo):
        beside["reward_model"] = folder / recipe.reward_model
    if isinstance(recipe, Gkd):
        beside["teacher"] = folder / recipe.teacher
    return recipe.model_copy(update=beside)


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.json"
        self.manifest = path / "manifest.json"
        self.events_file = path / "events.jsonl"
        self.checkpoints = path / "checkpoints"
        self.result_file = path / "result.json"
        self.cancel_file = path / "cancel"
        self.log = path / "run.log"

    def create(self, recipe: TrainRecipe) -> None:
        """Write the recipe, or see that the one that is there is the same.

        Raises:
            RunTakenError: the folder is of another recipe.
        """
        content = recipe.model_dump_json(indent=1)
        if self.recipe.is_file() and RECIPE.validate_json(self.recipe.read_bytes()) != recipe:
            raise RunTakenError(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.recipe.write_text(content, "utf-8")

    def events(self, *, after: int = 0) -> list[Event]:
        """What was told so far, without a line that is being written."""
        if not self.events_file.is_file():
            return []
        lines = self.events_file.read_bytes().split(b"\n")[:-1]
        return [Event.model_validate_json(line) for line in lines[after:]]

    def result(self) -> Result | None:
        if not self.result_file.is_file():
            return None
        return Result.model_validate_json(self.result_file.read_bytes())

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that is complete; the trainer writes `trainer_state.json` last."""
        found = [path for path in self.checkpoints.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
        return max(found, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


class Run:
    """A child process that trains."""

    def __init__(self, folder: RunFolder, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.process = process

    @classmethod
    def start(cls, recipe: TrainRecipe, path: Path, *, base: Path, threads: int | None = None) -> "Run":
        """Begin a run on the folder of the recipe's base, or go on with the one that was begun in `path`.

        The child reaches no network.

        Raises:
            RunTakenError: the folder is of another recipe.
        """
        folder = RunFolder(path)
        folder.create(recipe)
        folder.cancel_file.unlink(missing_ok=True)
        environment = {**os.environ, **_OFFLINE}
        if threads is not None:
            environment["OMP_NUM_THREADS"] = str(threads)
        command = [sys.executable, "-m", "zhiku_services.finetune.training", str(path), str(base)]
        with folder.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        return cls(folder, process)

    def follow(self) -> Iterator[Event]:
        """What the child tells, as it tells it, until it has ended."""
        seen = len(self.folder.events())
        while True:
            ended = self.process.poll() is not None
            told = self.folder.events(after=seen)
            seen += len(told)
            yield from told
            if ended:
                return
            time.sleep(_LOOK_EVERY_S)

    def cancel(self) -> None:
        """Ask the child to end after its present step; what it has learnt stays in a checkpoint."""
        self.folder.cancel_file.touch()

    def kill(self) -> None:
        """End the child at once, as a failing machine would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self) -> Result | None:
        """The result; None if the run was cancelled.

        Raises:
            RunFailedError: the child ended otherwise.
        """
        code = self.process.wait()
        if code == CANCELLED:
            return None
        result = self.folder.result()
        if code != 0 or result is None:
            raise RunFailedError(_failure(self.folder, code))
        return result


def _failure(folder: RunFolder, code: int) -> str:
    last = folder.events()[-1:]
    failed = next((event.detail for event in last if event.kind == "failed"), None)
    return failed or (f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}")
