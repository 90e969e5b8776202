"""The queue's edge: a task loads by id, calls the service, returns."""

from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from zhiku_platform.contracts.ingestion import Reason
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.queue import Queue, RetriableError
from zhiku_platform.telemetry import get_logger
from zhiku_services.ingestion import lifecycle, pipeline, pushing, syncing
from zhiku_services.ingestion.pipeline import Worker
from zhiku_services.ingestion.syncing import Syncer

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What the tasks of one process work with."""

    worker: Worker
    syncer: Syncer


def register(queue: Queue, context: TaskContext) -> None:
    """Declare this service's tasks on its queue."""
    queue.task(lifecycle.PROCESS)(lambda version_id: process(version_id, context))
    queue.task(lifecycle.PUSH)(lambda document_id: push(document_id, context))
    queue.task(lifecycle.DROP_BLOB)(lambda blob: drop_blob(blob, context))
    queue.task(lifecycle.SYNC)(lambda sync_id: sync(sync_id, context))


def process(version_id: str, context: TaskContext) -> None:
    """Work on a document version. Running twice: the claim lets one through, the other finds it taken."""
    lease = pipeline.claim(version_id, context.worker)
    if lease is None:
        return
    try:
        pipeline.work(lease, context.worker)
    except OperationalError:
        # Without the database nothing can be written: the lease ends by itself, and the sweeper goes on.
        raise
    except Exception as error:  # noqa: BLE001
        # The worker's outermost loop: a defect of ours is a failed attempt of this document.
        log.warning("document_broke_the_worker", version_id=version_id, stage=lease.stage, error=type(error).__name__)
        pipeline.strike(lease, context.worker, _internal(lease.stage, type(error).__name__))


def _internal(stage: str, error: str) -> Reason:
    return Reason(
        code="internal",
        stage=stage,
        detail=f"Zhiku failed at this document ({error}).",
        remedy="Retry; if it stays so, give an administrator the id of this version.",
    )


def push(document_id: str, context: TaskContext) -> None:
    """Tell the knowledge service what is pending. Running twice tells the same twice; both end alike."""
    pushing.push(document_id, database=context.worker.database, knowledge=context.worker.knowledge)


def drop_blob(blob: str, context: TaskContext) -> None:
    """Remove bytes that nothing refers to. Running twice removes nothing more.

    Raises:
        RetriableError: governance does not say whether a legal hold keeps them.
    """
    worker = context.worker
    try:
        pushing.drop_blob(blob, database=worker.database, blobs=worker.blobs, check_holds=worker.check_holds)
    except ServiceUnavailableError as error:
        raise RetriableError("governance is away", delay_s=10.0) from error


def sync(sync_id: str, context: TaskContext) -> None:
    """Run a sync. Running twice: the claim lets one through."""
    syncing.run(sync_id, context.syncer)
