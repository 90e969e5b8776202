"""The service's face: datasets and runs, for who trains models."""

import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any

from anyio import open_file
from fastapi import Depends, Query, Request

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.finetune import (
    FeedbackDataset,
    Name,
    NewTrainingRun,
    TrainingDataset,
    TrainingEvent,
    TrainingMethod,
    TrainingRun,
)
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.db import ReadSession, WriteSession
from zhiku_platform.errors import PayloadTooLargeError
from zhiku_platform.http import GuardedRouter
from zhiku_services.finetune import service

router = GuardedRouter(prefix="/api/v1", tags=["finetune"])

CanTrain = Annotated[Access, require(Permission.TRAINING_MANAGE)]
Cursor = Annotated[str, Query(max_length=100, pattern=SEARCHABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]

_EXAMPLES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Alpaca, ShareGPT, questions and answers, or OpenAI chat: one JSON object a line, or one array",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _received(_access: CanTrain, request: Request) -> AsyncGenerator[Path]:
    """The body as a file; not a byte of it is read before the caller was checked."""
    limit: int = request.app.state.settings.max_upload_bytes
    with tempfile.TemporaryDirectory(prefix="zhiku-dataset-") as folder:
        path = Path(folder) / "upload"
        size = 0
        async with await open_file(path, "wb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise PayloadTooLargeError(
                        f"A dataset has at most {limit} bytes.", remedy="Split it, or leave out what is long."
                    )
                await file.write(piece)
        yield path


@router.post("/training-examples/uploads", status_code=201, openapi_extra=_EXAMPLES)
def upload_training_dataset(
    access: CanTrain,
    received: Annotated[Path, Depends(_received)],
    session: WriteSession,
    request: Request,
    name: Annotated[Name, Query()],
    licence: Annotated[Name | None, Query()] = None,
) -> TrainingDataset:
    """Clean examples, leave out what must not be learnt, and freeze the rest under the name of its content."""
    state: Any = request.app.state
    return service.freeze_upload(
        access,
        name,
        received,
        session,
        licence=licence,
        folders=state.folders,
        leaks=state.leaks,
    )


@router.post("/training-examples/from-feedback", status_code=201)
def make_feedback_dataset(
    access: CanTrain, session: WriteSession, request: Request, new: FeedbackDataset
) -> TrainingDataset:
    """Freeze what users let a model learn of their answers, where its whole audience may read the sources."""
    state: Any = request.app.state
    return service.freeze_feedback(
        access,
        new,
        session,
        feedback=state.feedback,
        documents=state.documents,
        folders=state.folders,
        leaks=state.leaks,
    )


@router.get("/training-datasets")
def list_training_datasets(
    access: CanTrain, session: ReadSession, cursor: Cursor = "", limit: Limit = 50
) -> Page[TrainingDataset]:
    """List frozen datasets, the newest first."""
    return service.list_datasets(access, session, cursor=cursor, limit=limit)


@router.get("/training-datasets/{dataset_id}")
def get_training_dataset(access: CanTrain, session: ReadSession, dataset_id: str) -> TrainingDataset:
    """Get a dataset with its quality card."""
    return service.get_dataset(access, dataset_id, session)


@router.get("/training-methods")
def list_training_methods(_access: CanTrain) -> list[TrainingMethod]:
    """List the ways to train, with what each may be told."""
    return service.methods()


@router.post("/training-runs", status_code=202)
def start_training_run(access: CanTrain, session: WriteSession, request: Request, new: NewTrainingRun) -> TrainingRun:
    """Queue a run; it trains when those before it have ended."""
    state: Any = request.app.state
    return service.start(
        access, new, session, folders=state.folders, feedback=state.feedback, documents=state.documents
    )


@router.get("/training-runs")
def list_training_runs(
    access: CanTrain, session: ReadSession, cursor: Cursor = "", limit: Limit = 50
) -> Page[TrainingRun]:
    """List runs, the newest first."""
    return service.list_runs(access, session, cursor=cursor, limit=limit)


@router.get("/training-runs/{run_id}")
def get_training_run(access: CanTrain, session: ReadSession, run_id: str) -> TrainingRun:
    """Get a run: how far it is, and what came of it."""
    return service.get_run(access, run_id, session)


@router.get("/training-runs/{run_id}/events")
def list_training_events(
    access: CanTrain,
    session: ReadSession,
    request: Request,
    run_id: str,
    after: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[TrainingEvent]:
    """List what a run has told, each step with its loss, but for the first `after`."""
    return service.events_of(access, run_id, session, after=after, limit=limit, folders=request.app.state.folders)


@router.post("/training-runs/{run_id}/cancel")
def cancel_training_run(access: CanTrain, session: WriteSession, run_id: str) -> TrainingRun:
    """End a run after its present step, or before its first."""
    return service.cancel(access, run_id, session)
