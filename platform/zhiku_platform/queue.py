"""Background work: Celery as the doorbell, the database as the truth.

`enqueue` writes a row in the caller's transaction; a `Relay` sends it after the commit and again until the
broker takes it. A task's arguments are ids. Delivery is at least once, so each task says why running twice is safe.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from celery import Celery, Task, signals
from celery.worker import WorkController
from sqlalchemy import JSON, Column, MetaData, String, Table, delete, insert, select
from sqlmodel import Session

from zhiku_platform.db import Database, UtcDateTime, new_id, utc_now
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import TASK_SECONDS, TASKS, get_logger

log = get_logger(__name__)

Context = TypeVar("Context")

_SEND_EVERY_S = 5.0
_BATCH = 200


class RetriableError(Exception):
    """What a task raises to be run again after `delay_s`."""

    def __init__(self, reason: str, *, delay_s: float = 5.0) -> None:
        super().__init__(reason)
        self.delay_s = delay_s


def _keep_our_logging(**_: object) -> None:
    """Celery would otherwise put handlers of its own on the root logger."""


signals.setup_logging.connect(_keep_our_logging)


def task_outbox(metadata: MetaData) -> Table:
    """Declare the outbox among a service's tables; a row lives until the broker has its task."""
    return Table(
        "task_outbox",
        metadata,
        Column("id", String(40), primary_key=True),
        Column("task", String(100), nullable=False),
        Column("arguments", JSON, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
    )


def enqueue(session: Session, outbox: Table, task: str, *arguments: str | int) -> None:
    """Ask for a task within the caller's transaction; it is sent once that has committed."""
    session.execute(
        insert(outbox).values(id=new_id("task"), task=task, arguments=list(arguments), created_at=utc_now())
    )


class Queue:
    """One service's tasks on one broker."""

    def __init__(self, service: str, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.celery = _create_celery(service, settings)

    def task(self, name: str, *, max_retries: int = 5) -> Callable[[Callable[..., None]], Task]:
        """Register a function as a task: counted, timed, and run again when it raises `RetriableError`."""

        def register(function: Callable[..., None]) -> Task:
            service = self.service

            def run(task: Task, *arguments: Any) -> None:
                started = time.perf_counter()
                outcome = "failed"
                try:
                    function(*arguments)
                    outcome = "done"
                except RetriableError as error:
                    retries: int = task.request.retries
                    if retries >= max_retries:
                        log.error("task_gave_up", task=name, retries=retries)
                        raise
                    outcome = "retried"
                    # Not `task.retry`: it raises what the pool then logs as an error, with the arguments in clear.
                    self.celery.send_task(
                        name, args=arguments, queue=service, countdown=error.delay_s, retries=retries + 1
                    )
                except Exception as error:
                    # The worker's outermost loop: counted and logged by type, never by text.
                    log.error("task_failed", task=name, error=type(error).__name__)
                    raise
                finally:
                    TASKS.labels(service, name, outcome).inc()
                    TASK_SECONDS.labels(service, name).observe(time.perf_counter() - started)

            run.__doc__ = function.__doc__
            registered: Any = self.celery.task(name=name, bind=True, shared=False, lazy=False)(run)
            return cast("Task", registered)

        return register

    def send(self, task: str, arguments: list[Any]) -> None:
        """Hand one task to the broker."""
        self.celery.send_task(task, args=arguments, queue=self.service)


def _create_celery(service: str, settings: Settings) -> Celery:
    app = Celery(f"zhiku-{service}", broker=settings.broker_url, set_as_current=False)
    visibility = {"visibility_timeout": 3600}
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_transport_options=visibility if settings.broker_url.startswith("redis") else {"polling_interval": 0.05},
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_default_queue=service,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        visibility_timeout=3600,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_soft_shutdown_timeout=60,
    )
    return app


class Relay:
    """Sends what the outbox holds: woken by each commit, and by the clock in case a wake-up was lost."""

    def __init__(self, database: Database, outbox: Table, queue: Queue) -> None:
        self._database = database
        self._outbox = outbox
        self._queue = queue
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"relay-{queue.service}", daemon=True)
        database.on_commit(self._wake.set)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=10)

    def relay(self) -> int:
        """Send every waiting task; return how many. A crash between send and delete sends one twice."""
        with self._database.read() as session:
            if session.connection().execute(select(self._outbox.c.id).limit(1)).first() is None:
                return 0
        sent: list[str] = []
        refused: Exception | None = None
        with self._database.write(wakes=False) as session:
            # Of several relays each takes its own rows.
            query = select(self._outbox).order_by(self._outbox.c.id).limit(_BATCH).with_for_update(skip_locked=True)
            for row in session.connection().execute(query).all():
                try:
                    self._queue.send(row.task, row.arguments)
                except Exception as error:  # noqa: BLE001 - raised below: what the broker has is not sent again
                    refused = error
                    break
                sent.append(row.id)
            if sent:
                session.connection().execute(delete(self._outbox).where(self._outbox.c.id.in_(sent)))
        if refused is not None:
            raise refused
        return len(sent)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_SEND_EVERY_S)
            self._wake.clear()
            try:
                while self.relay() == _BATCH and not self._stopping:
                    pass
            except Exception as error:  # noqa: BLE001 - the relay's outermost loop: the rows stay
                log.warning("relay_failed", service=self._queue.service, error=type(error).__name__)


class EmbeddedWorker:
    """A Celery worker in a thread of this process, for the laptop; one at a time in a process."""

    def __init__(self, queue: Queue, *, threads: int) -> None:
        # Celery's pool threads look a task up in the process's default app, whichever app received it.
        queue.celery.set_default()
        self._controller = WorkController(
            app=queue.celery,
            hostname=f"{queue.service}@embedded",
            pool_cls="threads",
            concurrency=threads,
            queues=[queue.service],
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._thread = threading.Thread(target=self._controller.start, name=f"worker-{queue.service}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop taking tasks; what still runs keeps its lease and is taken up again later."""
        self._controller.stop(in_sighandler=False)
        self._thread.join(timeout=10)
