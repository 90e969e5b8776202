"""Every query of the fine-tuning service that a person asks."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from zhiku_platform.access import Access
from zhiku_services.finetune.models import DatasetRow, RunRow


class TrainingRepository:
    """The datasets and runs of the caller's tenant."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._tenant = access.tenant

    def dataset(self, dataset_id: str) -> DatasetRow | None:
        found = select(DatasetRow).where(col(DatasetRow.tenant) == self._tenant, col(DatasetRow.id) == dataset_id)
        return self._session.exec(found).first()

    def datasets(self, *, before: str, limit: int) -> Sequence[DatasetRow]:
        """The newest first."""
        query = select(DatasetRow).where(col(DatasetRow.tenant) == self._tenant)
        if before:
            query = query.where(col(DatasetRow.id) < before)
        return self._session.exec(query.order_by(col(DatasetRow.id).desc()).limit(limit)).all()

    def run(self, run_id: str) -> RunRow | None:
        found = select(RunRow).where(col(RunRow.tenant) == self._tenant, col(RunRow.id) == run_id)
        return self._session.exec(found).first()

    def locked_run(self, run_id: str) -> RunRow | None:
        """One run, held against other writers until the end of the transaction."""
        query = select(RunRow).where(col(RunRow.tenant) == self._tenant, col(RunRow.id) == run_id).with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def runs(self, *, before: str, limit: int) -> Sequence[RunRow]:
        """The newest first."""
        query = select(RunRow).where(col(RunRow.tenant) == self._tenant)
        if before:
            query = query.where(col(RunRow.id) < before)
        return self._session.exec(query.order_by(col(RunRow.id).desc()).limit(limit)).all()
