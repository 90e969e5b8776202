"""Builds the ingestion service: its HTTP app, its tasks, and what keeps both going."""

from functools import partial
from pathlib import Path

from fastapi import FastAPI

from zhiku_platform import erasure
from zhiku_platform.blobs import BlobStore
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.db import Database
from zhiku_platform.holds import CheckHolds
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.queue import EmbeddedWorker, Queue, Relay
from zhiku_platform.settings import Settings
from zhiku_platform.text.document import ParsedDocument
from zhiku_platform.text.passages import CountTokens
from zhiku_services.ingestion import leases, sources
from zhiku_services.ingestion.erasing import PersonalData
from zhiku_services.ingestion.leases import LeaseKeeper
from zhiku_services.ingestion.models import TASK_OUTBOX, Base
from zhiku_services.ingestion.parsing import preflight
from zhiku_services.ingestion.parsing.limits import ParseLimits
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.ingestion.parsing.service import parse
from zhiku_services.ingestion.pipeline import Embed, OnProgress, Worker
from zhiku_services.ingestion.routes import router
from zhiku_services.ingestion.sweeper import Sweeper
from zhiku_services.ingestion.syncing import Syncer
from zhiku_services.ingestion.tasks import TaskContext, register
from zhiku_services.ingestion.timing import Timing

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(settings: Settings) -> Database:
    """Open the service's database, migrated to what this code expects."""
    database = Database("ingestion", settings.service_database_url("ingestion"), Base.metadata)
    database.migrate(MIGRATIONS)
    return database


class IngestionService:
    """The service in one process: `app` for its face; `start` and `stop` for its work.

    A process that only serves HTTP needs the relay and no worker (`works=False`); one that only works
    needs not serve `app`. Everything is passed in and stays the caller's to close.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        blobs: BlobStore,
        queue: Queue,
        knowledge: KnowledgeClient,
        check_holds: CheckHolds,
        embed: Embed,
        count_tokens: CountTokens,
        pool: ParserPool,
        limits: ParseLimits | None = None,
        timing: Timing | None = None,
        works: bool = True,
    ) -> None:
        timing = timing or Timing()
        limits = limits or ParseLimits(max_bytes=settings.max_upload_bytes)
        name = leases.worker_name()
        self._keeper = LeaseKeeper(database, timing)
        self.tasks = TaskContext(
            worker=Worker(
                name=name,
                database=database,
                blobs=blobs,
                knowledge=knowledge,
                embed=embed,
                inspect=partial(_inspect, limits=limits),
                parse=partial(_parse, limits=limits, pool=pool),
                count_tokens=count_tokens,
                keeper=self._keeper,
                timing=timing,
                check_holds=check_holds,
            ),
            syncer=Syncer(
                worker=name,
                database=database,
                blobs=blobs,
                open_connector=partial(sources.open_connector, roots=settings.files_roots),
                max_bytes=settings.max_upload_bytes,
                timing=timing,
                check_holds=check_holds,
            ),
        )
        register(queue, self.tasks)
        self.app = create_app(settings, database=database, blobs=blobs, knowledge=knowledge, check_holds=check_holds)
        self.sweeper = Sweeper(
            database,
            timing,
            blobs=blobs,
            knowledge=knowledge,
            check_holds=check_holds,
            worker=name,
            broker_forgets=settings.broker_url.startswith("memory://"),
        )
        self._relay = Relay(database, TASK_OUTBOX, queue)
        self._embedded = EmbeddedWorker(queue, threads=settings.worker_threads) if works else None

    def start(self) -> None:
        """Take up what an earlier process left, and begin to work."""
        self._keeper.start()
        self._relay.start()
        if self._embedded is not None:
            self._embedded.start()
        self.sweeper.start()

    def stop(self) -> None:
        """End in order; what is still being worked on goes back into the queue and costs no attempt."""
        self._keeper.let_go()
        self.sweeper.stop()
        if self._embedded is not None:
            self._embedded.stop()
        self._keeper.give_back()
        self._relay.stop()
        self._keeper.stop()


def create_app(
    settings: Settings,
    *,
    database: Database,
    blobs: BlobStore,
    knowledge: KnowledgeClient,
    check_holds: CheckHolds,
) -> FastAPI:
    """Build the HTTP app on what it is given."""
    app = create_service_app("ingestion", settings, [router, erasure.internal], database=database)
    app.state.personal_data = PersonalData(database, blobs, knowledge, check_holds)
    app.state.blobs = blobs
    app.state.knowledge = knowledge
    app.state.check_holds = check_holds
    return app


def _inspect(path: Path, *, file_name: str, limits: ParseLimits) -> str:
    return preflight.inspect(path, file_name=file_name, limits=limits).media_type


def _parse(
    path: Path, *, file_name: str, on_progress: OnProgress, limits: ParseLimits, pool: ParserPool
) -> ParsedDocument:
    return parse(path, file_name=file_name, limits=limits, on_progress=on_progress, pool=pool)
