"""Builds the fine-tuning service: its HTTP app, and the thread that trains."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI

from zhiku_platform import erasure
from zhiku_platform.db import Database
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.finetune.datasets.leaks import Detectors, Leaks
from zhiku_services.finetune.erasing import PersonalData
from zhiku_services.finetune.feedback import Documents, Feedback
from zhiku_services.finetune.models import Base
from zhiku_services.finetune.routes import router
from zhiku_services.finetune.service import Folders
from zhiku_services.finetune.tracking import Mlflow, open_mlflow
from zhiku_services.finetune.worker import TrainingWorker

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("finetune", settings.service_database_url("finetune"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


class FinetuneService:
    """The service in one process: `app` for its face; `start` and `stop` for its work.

    A replica that only answers does not start. What is passed in stays the caller's to close.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        base: Callable[[], Path],
        feedback: Feedback,
        documents: Documents,
        leaks: Leaks | None = None,
    ) -> None:
        folders = Folders(settings.home / "finetune", settings.bundles_folder)
        self.app = create_app(
            settings,
            database=database,
            folders=folders,
            feedback=feedback,
            documents=documents,
            leaks=leaks or Detectors(),
        )
        self.worker = TrainingWorker(database, folders, base=base, mlflow=_mlflow(settings))

    def start(self) -> None:
        self.worker.start()

    def stop(self) -> None:
        self.worker.stop()


def _mlflow(settings: Settings) -> Mlflow | None:
    if settings.mlflow_url is None:
        return None
    token = settings.mlflow_token
    return open_mlflow(settings.mlflow_url, None if token is None else token.get_secret_value())


def create_app(
    settings: Settings,
    *,
    database: Database,
    folders: Folders,
    feedback: Feedback,
    documents: Documents,
    leaks: Leaks,
) -> FastAPI:
    """Build the HTTP app on what it is given."""
    app = create_service_app("finetune", settings, [router, erasure.internal], database=database)
    app.state.personal_data = PersonalData(database, folders)
    app.state.folders = folders
    app.state.feedback = feedback
    app.state.documents = documents
    app.state.leaks = leaks
    return app
