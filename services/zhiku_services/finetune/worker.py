"""Trains what is queued, one run at a time: claimed by a lease, which others may take over once it has run out.

The database is the queue. A run that is claimed again goes on at its last checkpoint, so claiming twice loses nothing.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import and_, or_, update
from sqlmodel import Session, col, select

from zhiku_platform.access import service_principal
from zhiku_platform.audit import record
from zhiku_platform.contracts.audit import AuditEvent, Outcome
from zhiku_platform.contracts.finetune import TrainingState
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.finetune.models import AUDIT_OUTBOX, DatasetRow, RunRow
from zhiku_services.finetune.recipe import TrainRecipe
from zhiku_services.finetune.runs import Result, Run, RunFolder
from zhiku_services.finetune.service import Folders, recipe_of
from zhiku_services.finetune.tracking import Mlflow, TrackingError

log = get_logger(__name__)

_LOOK_EVERY_S = 1.0
_CLAIM_EVERY_S = 5.0
_LEASE = timedelta(seconds=120)
_MAX_ATTEMPTS = 3
_HELD = (TrainingState.RUNNING, TrainingState.CANCELLING)


@dataclass(frozen=True)
class _Claim:
    run_id: str
    fence: int
    recipe: TrainRecipe


class TrainingWorker:
    """One thread that trains. `base` gives the folder of the base, which may take a while the first time."""

    def __init__(
        self,
        database: Database,
        folders: Folders,
        *,
        base: Callable[[], Path],
        threads: int | None = None,
        mlflow: Mlflow | None = None,
    ) -> None:
        self._database = database
        self._folders = folders
        self.base = base
        self._threads = threads
        self._mlflow = mlflow
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End what runs after its present step, and put it back into the queue."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if self.train_next():
                    continue
            except Exception as error:  # noqa: BLE001 - the worker's outermost loop: a run keeps its lease, and is claimed anew
                log.warning("training_failed", error=type(error).__name__)
            self._stopping.wait(_CLAIM_EVERY_S)

    def train_next(self) -> bool:
        """Train the run that has waited longest; False if none waits."""
        claim = self._claim()
        if claim is None:
            return False
        try:
            self._train(claim)
        except ZhikuError as error:
            self._end(claim, TrainingState.FAILED, problem=str(error))
        return True

    def _claim(self) -> _Claim | None:
        now = utc_now()
        is_free = or_(
            col(RunRow.state) == TrainingState.QUEUED,
            and_(col(RunRow.state).in_(_HELD), col(RunRow.lease_until) < now),
        )
        with self._database.write(wakes=False) as session:
            waiting = select(RunRow).where(is_free).order_by(col(RunRow.id)).limit(1)
            row = session.exec(waiting.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            row.fence += 1
            row.attempt += 1
            row.lease_until = now + _LEASE
            if row.state == TrainingState.CANCELLING or row.attempt > _MAX_ATTEMPTS:
                is_cancelled = row.state == TrainingState.CANCELLING
                problem = None if is_cancelled else "Its process was lost too often; see `run.log` in its folder."
                state = TrainingState.CANCELLED if is_cancelled else TrainingState.FAILED
                _write_end(session, row, state, now, problem=problem)
                return None
            row.state = TrainingState.RUNNING
            row.started_at = row.started_at or now
            session.add(row)
            dataset = session.get_one(DatasetRow, row.dataset_id)
            return _Claim(row.id, row.fence, recipe_of(row, dataset, self._folders))

    def _train(self, claim: _Claim) -> None:
        run = Run.start(claim.recipe, self._folders.run(claim.run_id), base=self.base(), threads=self._threads)
        told = len(run.folder.events())
        is_asked = False
        while run.process.poll() is None:
            self._stopping.wait(_LOOK_EVERY_S)
            is_asked = self._beat(claim, run.folder) != TrainingState.RUNNING or self._stopping.is_set()
            if is_asked:
                _end_early(run, told)
        state = self._beat(claim, run.folder)
        result = None if is_asked and run.process.returncode < 0 else run.wait()
        if result is not None:
            self._end(claim, TrainingState.DONE, result=result)
            self._copy(run.folder)
        elif state == TrainingState.CANCELLING:
            self._end(claim, TrainingState.CANCELLED)
        else:
            self._give_back(claim)

    def _copy(self, folder: RunFolder) -> None:
        """To MLflow, which is no part of the run: it stays done if that server does not answer."""
        if self._mlflow is None:
            return
        try:
            self._mlflow.copy(folder)
        except TrackingError as error:
            log.warning("training_run_not_copied", run_id=folder.path.name, code=error.code)

    def _beat(self, claim: _Claim, folder: RunFolder) -> TrainingState | None:
        """Renew the lease and write how far the run is; its state, or None if it is somebody else's."""
        steps = [event for event in folder.events() if event.kind == "step"]
        far = {"step": steps[-1].step, "steps": steps[-1].of, "loss": steps[-1].loss} if steps else {}
        with self._database.write(wakes=False) as session:
            renewed = (
                update(RunRow)
                .where(col(RunRow.id) == claim.run_id, col(RunRow.fence) == claim.fence, col(RunRow.state).in_(_HELD))
                .values(lease_until=utc_now() + _LEASE, **far)
                .returning(col(RunRow.state))
            )
            state = session.connection().execute(renewed).scalar_one_or_none()
        return None if state is None else TrainingState(state)

    def _give_back(self, claim: _Claim) -> None:
        """This process ends, and that is no fault of the run."""
        with self._database.write() as session:
            row = _held(session, claim)
            if row is not None:
                row.state, row.lease_until, row.attempt = TrainingState.QUEUED, None, row.attempt - 1
                session.add(row)

    def _end(
        self, claim: _Claim, state: TrainingState, *, result: Result | None = None, problem: str | None = None
    ) -> None:
        with self._database.write() as session:
            row = _held(session, claim)
            if row is not None:
                row.result = None if result is None else result.model_dump(mode="json")
                _write_end(session, row, state, utc_now(), problem=problem)


def _end_early(run: Run, told: int) -> None:
    """After the present step; at once before the first, while there is nothing to lose."""
    if any(event.kind == "step" for event in run.folder.events(after=told)):
        run.cancel()
        run.process.wait()
    else:
        run.kill()


def _held(session: Session, claim: _Claim) -> RunRow | None:
    query = select(RunRow).where(col(RunRow.id) == claim.run_id, col(RunRow.fence) == claim.fence).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).first()


def _write_end(session: Session, row: RunRow, state: TrainingState, now: datetime, *, problem: str | None) -> None:
    row.state, row.ended_at, row.lease_until, row.problem = state, now, None, problem
    session.add(row)
    digest = None if row.result is None else row.result["digest"]
    event = AuditEvent(
        action="training_run.ended",
        tenant=row.tenant,
        actor=service_principal("finetune", row.tenant).sub,
        subject=row.id,
        outcome=Outcome.FAILED if state == TrainingState.FAILED else Outcome.DONE,
        details={"state": str(state), **({} if digest is None else {"weights": digest})},
    )
    record(session, AUDIT_OUTBOX, event)
