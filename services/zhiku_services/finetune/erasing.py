"""What the fine-tuning service holds of a person, and how it is erased.

A frozen dataset is its content, so it goes as a whole, where that was decided, with every run that learned from it, the
adapters that came of them and the bundles that were made of those. A run that is under way is called off first; the
erasure goes on once it has ended.
"""

import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, update
from sqlmodel import Session, col, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.bundles import MANIFEST
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.contracts.finetune import TrainingState
from zhiku_platform.db import Database
from zhiku_platform.erasure import ERASED, Mentions, counted, found
from zhiku_services.finetune.models import AUDIT_OUTBOX, DatasetRow, RunRow
from zhiku_services.finetune.service import Folders

_UNDER_WAY = (TrainingState.RUNNING, TrainingState.CANCELLING)


@dataclass(frozen=True)
class PersonalData:
    """Datasets with what learned from them."""

    database: Database
    folders: Folders

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.database.read() as session:
            person = _Person(session, access, sought, self.folders)
            datasets = person.datasets()
            return [
                *found("training_dataset", Disposition.DECIDE, datasets),
                *found("training_run", Disposition.DECIDE, [run.id for run in person.runs_of(datasets)]),
                *counted("doing", Disposition.ERASE, person.doings()),
            ]

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        with self.database.write() as session:
            person = _Person(session, access, order, self.folders)
            counts = person.delete(order.decided)
            counts["doing"] = person.forget_doings()
            if any(counts.values()):
                record(session, AUDIT_OUTBOX, event_of(access, "person.erased", order.erasure_id, **counts))
        self.database.scrub()
        return counts


class _Person:
    """The rows of one person in one transaction, and the folders beside them."""

    def __init__(self, session: Session, access: Access, sought: PersonSought, folders: Folders) -> None:
        self._session = session
        self._tenant = access.tenant
        self._sub = sought.sub
        self._mentions = Mentions(sought.values)
        self._folders = folders

    def datasets(self) -> list[str]:
        """Those that hold an example, or have a name, that names the person."""
        rows = self._session.exec(select(DatasetRow).where(col(DatasetRow.tenant) == self._tenant))
        return [row.id for row in rows if self._mentions.found_in(row.name) or self._is_in(row.root)]

    def runs_of(self, datasets: Collection[str]) -> list[RunRow]:
        """The runs that learned from them, and those that learned from these; who learned last comes first."""
        rows = self._session.exec(select(RunRow).where(col(RunRow.tenant) == self._tenant).order_by(col(RunRow.id)))
        learned: dict[str, RunRow] = {}
        for row in rows:
            if row.dataset_id in datasets or row.from_run in learned:
                learned[row.id] = row
        return list(reversed(learned.values()))

    def delete(self, decided: Sequence[str]) -> dict[str, int]:
        """Folders first: what a crash leaves are rows, which go the next time."""
        counts = {"training_dataset": 0, "training_run": 0}
        query = select(DatasetRow).where(col(DatasetRow.tenant) == self._tenant, col(DatasetRow.id).in_(decided))
        for dataset in self._session.exec(query.with_for_update()).all():
            runs = self.runs_of({dataset.id})
            if self._call_off(runs):
                continue
            self._delete_bundles(dataset, runs)
            for run in runs:
                shutil.rmtree(self._folders.run(run.id), ignore_errors=True)
                self._session.delete(run)
                self._session.flush()
            if not self._is_shared(dataset):
                shutil.rmtree(self._folders.datasets / dataset.root, ignore_errors=True)
            self._session.delete(dataset)
            self._session.flush()
            counts["training_dataset"] += 1
            counts["training_run"] += len(runs)
        return counts

    def doings(self) -> int:
        return sum(
            self._session.exec(select(func.count()).select_from(table).where(*self._theirs(table))).one()
            for table in (DatasetRow, RunRow)
        )

    def forget_doings(self) -> int:
        count = self.doings()
        for table in (DatasetRow, RunRow):
            self._session.execute(update(table).where(*self._theirs(table)).values(created_by=ERASED))
        return count

    def _call_off(self, runs: Sequence[RunRow]) -> bool:
        """Whether any is under way; it is told to end."""
        under_way = [run for run in runs if run.state in _UNDER_WAY]
        for run in under_way:
            run.state = TrainingState.CANCELLING
            self._session.add(run)
        return bool(under_way)

    def _delete_bundles(self, dataset: DatasetRow, runs: Sequence[RunRow]) -> None:
        digests = {run.result["manifest"] for run in runs if run.result is not None}
        for path in self._folders.bundles.glob(f"*/{MANIFEST}"):
            said = json.loads(path.read_bytes())
            if said["run"] in digests or (said["dataset"] == dataset.root and not self._is_shared(dataset)):
                shutil.rmtree(path.parent)

    def _is_in(self, root: str) -> bool:
        examples = self._folders.datasets / root / "examples.jsonl"
        if not examples.exists():
            return False
        with examples.open("rb") as lines:
            return any(self._names(json.loads(line)) for line in lines)

    def _names(self, example: dict[str, Any]) -> bool:
        is_theirs = example["provenance"]["author"] == self._sub
        return is_theirs or self._mentions.found_in(json.dumps(example, ensure_ascii=False))

    def _is_shared(self, dataset: DatasetRow) -> bool:
        query = select(DatasetRow.id).where(col(DatasetRow.root) == dataset.root, col(DatasetRow.id) != dataset.id)
        return self._session.exec(query.limit(1)).first() is not None

    def _theirs(self, table: type[DatasetRow] | type[RunRow]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return col(table.tenant) == self._tenant, col(table.created_by) == self._sub
