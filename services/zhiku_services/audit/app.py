"""Builds the audit service: its HTTP app, and the worker that keeps the log going."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import text

from zhiku_platform.db import Database
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.audit.intake import Intake
from zhiku_services.audit.keys import check_keys_are_there, check_keys_fit
from zhiku_services.audit.models import METADATA
from zhiku_services.audit.routes import internal, router
from zhiku_services.audit.sealing import MasterKeys
from zhiku_services.audit.service import ReadableDocuments, Trail
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.spool import Spool
from zhiku_services.audit.worker import AuditWorker

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("audit", settings.service_database_url("audit"), METADATA)
    database.migrate(MIGRATIONS)
    return database


@dataclass(frozen=True)
class AuditFolders:
    """Where what no database may hold lies. In a cluster each is a volume of its own, with its own readers."""

    keys: Path
    signer: Path
    spool: Path

    @classmethod
    def of(cls, settings: Settings) -> "AuditFolders":
        home = settings.home / "audit"
        return cls(home / "keys", home / "signer", home / "spool")


def open_trail(
    settings: Settings, database: Database, documents: ReadableDocuments | None = None, *, may_make_keys: bool = False
) -> Trail:
    """The log with all that it stands on, for a service or a command; keys may be made for an empty log only.

    Raises:
        AuditKeysMissingError: a key is missing and may not be made.
        AuditKeysWrongError: a key is not the one that the database was written with.
    """
    folders = AuditFolders.of(settings)
    with database.read() as session:
        connection = session.connection()
        check_keys_are_there(connection, folders.keys, folders.signer, may_make=may_make_keys)
        keys, signer = MasterKeys.at(folders.keys), Signer(folders.signer)
        check_keys_fit(connection, keys, signer.public_key)
    intake = Intake(database, Spool(folders.spool, keys.spool), keys)
    return Trail(database=database, intake=intake, signer=signer, keys=keys, documents=documents)


class AuditService:
    """The service in one process: `app` for its face, `intake` for who is in the same process, a worker."""

    def __init__(self, settings: Settings, *, database: Database, documents: ReadableDocuments | None = None) -> None:
        self.trail = open_trail(settings, database, documents, may_make_keys=True)
        self.intake = self.trail.intake
        self.app = create_app(settings, trail=self.trail)
        self._worker = AuditWorker(database, self.intake, self.trail.signer, tenant=settings.tenant)

    def start(self) -> None:
        self._worker.start()

    def stop(self) -> None:
        """Put what came into the log, have it signed, and end."""
        self._worker.stop()


def create_app(settings: Settings, *, trail: Trail) -> FastAPI:
    """Build the HTTP app."""

    def ready() -> None:
        with trail.database.read() as session:
            session.connection().execute(text("SELECT 1"))

    app = create_service_app("audit", settings, [router, internal], database=trail.database, ready=ready)
    app.state.trail = trail
    return app
