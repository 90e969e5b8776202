"""Fine-tuning as a service: datasets that were frozen, and runs that learn from them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from zhiku_platform.contracts.knowledge import AclToken
from zhiku_platform.contracts.wire import SEARCHABLE, Message

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=SEARCHABLE)]


class TrainingDataset(Message):
    """A frozen dataset. `root` names its content; `card` says what it holds, and how much was left out and why.

    `audience` are the ACL tokens of whom a model that learns from it may answer; None where nobody said.
    """

    id: str
    name: str
    root: str
    examples: int
    card: dict[str, Any]
    audience: list[AclToken] | None = None
    created_by: str
    created_at: datetime


class FeedbackDataset(Message):
    """Make a dataset of what users let a model learn of their answers.

    Of these it takes such alone as stem from documents that everybody in the `audience` may read.
    """

    name: Name
    audience: list[AclToken] = Field(min_length=1, max_length=50)


class TrainingState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrainingMethod(Message):
    """A way to train: `parameters` is the JSON Schema of what a recipe says besides its method.

    `learns_from` names the methods whose runs a run of this one learns from; without any it learns from its dataset
    alone. What cannot be served anywhere has no `served_on`.
    """

    method: str
    parameters: dict[str, Any]
    learns_from: list[str]
    served_on: list[str]


class NewTrainingRun(Message):
    """Train the bundled base by a recipe, which names neither base nor dataset.

    `from_run` is the run whose result a method learns from: the teacher of `gkd`, the reward model of `rloo`.
    """

    dataset_id: str = Field(max_length=40, pattern=SEARCHABLE)
    recipe: dict[str, Any]
    from_run: str | None = Field(default=None, max_length=40, pattern=SEARCHABLE)


class TrainingRun(Message):
    """A run: `step` of `steps`, the loss there; at its end the result, or the problem that ended it."""

    id: str
    name: str
    method: str
    dataset_id: str
    recipe: dict[str, Any]
    from_run: str | None
    state: TrainingState
    step: int
    steps: int | None
    loss: float | None
    attempt: int
    result: dict[str, Any] | None
    problem: str | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class TrainingEvent(Message):
    """What a run told: `at` counts seconds since its process began, losses are in nats."""

    kind: str
    at: float
    step: int | None = None
    of: int | None = None
    loss: float | None = None
    reward: float | None = None
    held_out: float | None = None
    detail: str | None = None
