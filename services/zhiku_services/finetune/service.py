"""Datasets and runs as people see them: freezing an upload, queueing, watching and cancelling."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import record
from zhiku_platform.contracts.audit import AuditEvent, Detail
from zhiku_platform.contracts.finetune import (
    FeedbackDataset,
    NewTrainingRun,
    TrainingDataset,
    TrainingEvent,
    TrainingMethod,
    TrainingRun,
    TrainingState,
)
from zhiku_platform.contracts.wire import Message, Page
from zhiku_platform.db import new_id, utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.finetune.datasets.cleaning import Rules, clean
from zhiku_services.finetune.datasets.files import load
from zhiku_services.finetune.datasets.freezing import Frozen, freeze, thaw
from zhiku_services.finetune.datasets.leaks import Leaks
from zhiku_services.finetune.errors import BadRecipeError, NoLongerLearnableError, NotReadyError, RunEndedError
from zhiku_services.finetune.feedback import (
    Documents,
    Feedback,
    documents_of,
    example_of,
    may_still_be_learnt,
    readable_by_all,
)
from zhiku_services.finetune.models import AUDIT_OUTBOX, DatasetRow, RunRow
from zhiku_services.finetune.recipe import RECIPE, TrainRecipe, recipes, served_on
from zhiku_services.finetune.repository import TrainingRepository
from zhiku_services.finetune.runs import RunFolder

_OURS = ("base", "dataset", "teacher", "reward_model")
_ENDED = {TrainingState.DONE, TrainingState.FAILED, TrainingState.CANCELLED}


@dataclass(frozen=True)
class Folders:
    """Where datasets lie, named by their roots, runs, by their ids, and bundles, by their content."""

    home: Path
    bundles: Path

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    def run(self, run_id: str) -> Path:
        return self.home / "runs" / run_id


def freeze_upload(
    access: Access,
    name: str,
    upload: Path,
    session: Session,
    *,
    licence: str | None,
    folders: Folders,
    leaks: Leaks,
) -> TrainingDataset:
    """Clean what was uploaded, and freeze what is left.

    Raises:
        UnknownFormatError: it is in no format that is known.
        EmptyDatasetError: nothing is left of it.
    """
    loaded = load(upload, licence=licence)
    frozen = freeze(clean(loaded.examples, holds_secret=leaks.hold_secrets), folders.datasets)
    card = {**frozen.card, "not_read": len(loaded.refused)}
    return _keep(access, name, frozen, card, session, source="upload")


def freeze_feedback(
    access: Access,
    new: FeedbackDataset,
    session: Session,
    *,
    feedback: Feedback,
    documents: Documents,
    folders: Folders,
    leaks: Leaks,
) -> TrainingDataset:
    """Freeze what users let a model learn of their answers, as far as all of the audience may read the sources.

    Raises:
        EmptyDatasetError: nothing is left of it.
    """
    examples = [example_of(said) for said in feedback.learnable_answers(access.tenant)]
    readable = readable_by_all(new.audience, access.tenant, documents_of(examples), documents)
    cleaned = clean(
        examples,
        Rules(needs_consent=True),
        may_learn=lambda example: readable.issuperset(example.provenance.documents),
        holds_secret=leaks.hold_secrets,
        holds_personal=leaks.hold_personal,
    )
    frozen = freeze(cleaned, folders.datasets)
    return _keep(access, new.name, frozen, frozen.card, session, source="feedback", audience=sorted(set(new.audience)))


def _keep(
    access: Access,
    name: str,
    frozen: Frozen,
    card: dict[str, Any],
    session: Session,
    *,
    source: str,
    audience: list[str] | None = None,
) -> TrainingDataset:
    row = DatasetRow(
        id=new_id("tds"),
        tenant=access.tenant,
        name=name,
        root=frozen.root,
        examples=frozen.count,
        card=card,
        audience=audience,
        created_by=access.principal.sub,
        created_at=utc_now(),
    )
    session.add(row)
    details: dict[str, Detail] = {"root": row.root, "examples": row.examples, "source": source}
    _record(session, access, "training_dataset.frozen", row.id, details | {"audience": audience or []})
    return _dataset(row)


def list_datasets(access: Access, session: Session, *, cursor: str, limit: int) -> Page[TrainingDataset]:
    rows = TrainingRepository(session, access).datasets(before=cursor, limit=limit + 1)
    items = [_dataset(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def get_dataset(access: Access, dataset_id: str, session: Session) -> TrainingDataset:
    return _dataset(_dataset_row(access, dataset_id, session))


def methods() -> list[TrainingMethod]:
    """Every way to train, with what its recipe may say."""
    return [_method(method, recipe) for method, recipe in recipes().items()]


def _method(method: str, recipe: type[Message]) -> TrainingMethod:
    schema = recipe.model_json_schema()
    said = {name: field for name, field in schema["properties"].items() if name not in {"method", *_OURS}}
    required = [name for name in schema["required"] if name in said]
    learns_from = sorted(_GIVES[_PART[method]]) if method in _PART else []
    return TrainingMethod(
        method=method,
        parameters={"type": "object", "properties": said, "required": required, "additionalProperties": False},
        learns_from=learns_from,
        served_on=list(served_on(method)),
    )


def start(
    access: Access,
    new: NewTrainingRun,
    session: Session,
    *,
    folders: Folders,
    feedback: Feedback,
    documents: Documents,
) -> TrainingRun:
    """Queue a run.

    Raises:
        BadRecipeError: the recipe is none, or says what is not its to say.
        NoLongerLearnableError: of a dataset of feedback, something may not be learnt any more.
        NotReadyError: the run to learn from has no result, or of the wrong kind.
    """
    dataset = _dataset_row(access, new.dataset_id, session)
    if dataset.audience is not None:
        _, examples = thaw(folders.datasets / dataset.root)
        if not may_still_be_learnt(examples, dataset.audience, access.tenant, feedback, documents):
            raise NoLongerLearnableError
    if said := sorted(new.recipe.keys() & {*_OURS}):
        raise BadRecipeError(f"here the service says `{'`, `'.join(said)}`")
    given = {**new.recipe, "dataset": folders.datasets / dataset.root}
    if new.from_run is not None:
        given |= _learnt_from(access, new, session, folders)
    try:
        recipe: TrainRecipe = RECIPE.validate_python(given)
    except ValidationError as error:
        raise BadRecipeError.of(error) from error
    row = RunRow(
        id=new_id("trn"),
        tenant=access.tenant,
        name=recipe.name,
        method=recipe.method,
        dataset_id=dataset.id,
        from_run=new.from_run,
        recipe=recipe.model_dump(mode="json", exclude={*_OURS}),
        state=TrainingState.QUEUED,
        created_by=access.principal.sub,
        created_at=utc_now(),
    )
    session.add(row)
    _record(session, access, "training_run.queued", row.id, {"dataset": dataset.root, "method": row.method})
    return _run(row)


def recipe_of(row: RunRow, dataset: DatasetRow, folders: Folders) -> TrainRecipe:
    """The whole recipe of a queued run."""
    given = {**row.recipe, "dataset": folders.datasets / dataset.root}
    if row.from_run is not None:
        given[_PART[row.method]] = folders.run(row.from_run) / "adapter"
    return RECIPE.validate_python(given)


def list_runs(access: Access, session: Session, *, cursor: str, limit: int) -> Page[TrainingRun]:
    rows = TrainingRepository(session, access).runs(before=cursor, limit=limit + 1)
    items = [_run(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def get_run(access: Access, run_id: str, session: Session) -> TrainingRun:
    row = TrainingRepository(session, access).run(run_id)
    if row is None:
        raise NotFoundError("training run")
    return _run(row)


def events_of(
    access: Access, run_id: str, session: Session, *, after: int, limit: int, folders: Folders
) -> list[TrainingEvent]:
    """What a run has told, but for the first `after`."""
    get_run(access, run_id, session)
    told = RunFolder(folders.run(run_id)).events(after=after)[:limit]
    return [TrainingEvent.model_validate(event.model_dump()) for event in told]


def cancel(access: Access, run_id: str, session: Session) -> TrainingRun:
    """Take a run out of the queue, or have it end after its present step.

    Raises:
        RunEndedError: it has ended already.
    """
    row = TrainingRepository(session, access).locked_run(run_id)
    if row is None:
        raise NotFoundError("training run")
    if row.state in _ENDED:
        raise RunEndedError
    if row.state == TrainingState.QUEUED:
        row.state, row.ended_at = TrainingState.CANCELLED, utc_now()
    else:
        row.state = TrainingState.CANCELLING
    session.add(row)
    _record(session, access, "training_run.cancelled", row.id, {})
    return _run(row)


_PART = {"gkd": "teacher", "rloo": "reward_model"}
_GIVES = {"teacher": {"lora", "qlora", "dpo", "kto", "grpo", "rloo", "gkd"}, "reward_model": {"reward"}}


def _learnt_from(access: Access, new: NewTrainingRun, session: Session, folders: Folders) -> dict[str, Any]:
    assert new.from_run is not None
    part = _PART.get(str(new.recipe.get("method")))
    if part is None:
        raise BadRecipeError("only `gkd` and `rloo` learn from another run")
    row = TrainingRepository(session, access).run(new.from_run)
    if row is None:
        raise NotFoundError("training run")
    if row.state != TrainingState.DONE or row.method not in _GIVES[part]:
        raise NotReadyError
    return {part: folders.run(row.id) / "adapter"}


def _dataset_row(access: Access, dataset_id: str, session: Session) -> DatasetRow:
    row = TrainingRepository(session, access).dataset(dataset_id)
    if row is None:
        raise NotFoundError("dataset")
    return row


def _record(session: Session, access: Access, action: str, subject: str, details: dict[str, Detail]) -> None:
    event = AuditEvent(
        action=action, tenant=access.tenant, actor=access.principal.sub, subject=subject, details=details
    )
    record(session, AUDIT_OUTBOX, event)


def _dataset(row: DatasetRow) -> TrainingDataset:
    return TrainingDataset.model_validate(row.model_dump(exclude={"tenant"}))


def _run(row: RunRow) -> TrainingRun:
    return TrainingRun.model_validate(row.model_dump(exclude={"tenant", "fence", "lease_until"}))
