"""Builds the audit service: its HTTP app, and the worker that keeps the log going."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import text

from zhiku_platform import erasure
from zhiku_platform.approvals import Approvals
from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.db import Database
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import get_logger
from zhiku_services.audit.erasing import PersonalData
from zhiku_services.audit.intake import Intake
from zhiku_services.audit.keys import check_keys_are_there, check_keys_fit
from zhiku_services.audit.models import METADATA
from zhiku_services.audit.routes import internal, router
from zhiku_services.audit.sealing import MasterKeys, Vault
from zhiku_services.audit.service import ReadableDocuments, Trail
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.spool import Spool
from zhiku_services.audit.worker import AuditWorker

log = get_logger(__name__)

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
    erasures: Path

    @classmethod
    def of(cls, settings: Settings) -> "AuditFolders":
        home = settings.home / "audit"
        return cls(home / "keys", home / "signer", home / "spool", home / "erasures")


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
        keys, signer = MasterKeys.at(folders.keys, folders.erasures), Signer(folders.signer)
        check_keys_fit(connection, keys, signer.public_key)
    intake = Intake(database, Spool(folders.spool, keys.spool), keys)
    return Trail(database=database, intake=intake, signer=signer, keys=keys, documents=documents)


class AuditService:
    """The service in one process: `app` for its face, `intake` for who is in the same process, a worker."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        documents: ReadableDocuments | None = None,
        approvals: Approvals | None = None,
    ) -> None:
        self.trail = open_trail(settings, database, documents, may_make_keys=True)
        self.intake = self.trail.intake
        self._database = database
        self.app = create_app(settings, trail=self.trail, approvals=approvals)
        self._worker = AuditWorker(database, self.intake, self.trail.signer, tenant=settings.tenant)

    def start(self) -> None:
        """Destroy again what a backup of the database may have brought back, and set to work."""
        self._replay_erasures()
        self._worker.start()

    def _replay_erasures(self) -> None:
        with self._database.write() as session:
            connection = session.connection()
            for erasure in Vault(connection, self.trail.keys).replay_erasures():
                log.warning("audit_erasure_replayed", kind=erasure.kind)
                event = AuditEvent(
                    action="audit.group_erased" if erasure.kind == "group" else "audit.person_forgotten",
                    tenant=erasure.tenant, actor="svc-audit", subject=erasure.what, details={"again": True},
                )  # fmt: skip
                self.intake.store(connection, [ProducedEvent(event=event)])

    def stop(self) -> None:
        """Put what came into the log, have it signed, and end."""
        self._worker.stop()


def create_app(settings: Settings, *, trail: Trail, approvals: Approvals | None = None) -> FastAPI:
    """Build the HTTP app; without `approvals` nothing can be exported."""

    def ready() -> None:
        with trail.database.read() as session:
            session.connection().execute(text("SELECT 1"))

    routers = [router, internal, erasure.internal]
    app = create_service_app("audit", settings, routers, database=trail.database, ready=ready)
    app.state.personal_data = PersonalData(trail)
    app.state.trail = trail
    app.state.approvals = approvals
    return app
