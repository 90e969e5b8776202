"""Databases: SQLite on a laptop, PostgreSQL in a cluster, the same SQLModel tables and migrations on both.

A service owns one `Database`. Its routes and tasks open the transaction, its service functions only `flush`.
What must follow a commit is written to an outbox in the same transaction (`queue.enqueue`, `audit.record`).
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from fastapi import Depends, Request
from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session

_BEGIN = "zhiku_sqlite_begin"
_BUSY_S = 30


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """An id such as `doc_0199c1…`: 12 hex digits of milliseconds, then 16 of chance, so that ids sort by age."""
    return f"{kind}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; SQLite alone would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base names it
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored; use `utc_now()`")
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base names it
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One service's database: engine, transactions, migrations.

    On PostgreSQL the service's tables live in the schema named after it.
    """

    def __init__(self, service: str, url: str, metadata: MetaData) -> None:
        self.service = service
        self.metadata = metadata
        self.engine = _create_engine(service, url)
        self._writer = self.engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        self._after_commit: list[Callable[[], None]] = []
        self._turn = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every committed `write`, to wake who relays the outboxes."""
        self._after_commit.append(callback)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that changes nothing; rolled back at its end."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, wakes: bool = True) -> Iterator[Session]:
        """A transaction that commits at its end, and rolls back on any error.

        On SQLite it takes the write lock at once, so that a read never has to be upgraded halfway. Without `wakes`
        nobody is called after it: for those who are woken themselves.
        """
        with self._alone(), Session(self._writer, expire_on_commit=False) as session:
            yield session
            session.commit()
        for callback in self._after_commit if wakes else ():
            callback()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait in line for SQLite's one writer: its own waiting is sleeping, up to 100 ms at a time.

        After as long as SQLite would have waited we go on, and it says what is wrong.
        """
        taken = self.is_sqlite and self._turn.acquire(timeout=_BUSY_S)
        try:
            yield
        finally:
            if taken:
                self._turn.release()

    def migrate(self, scripts: Path, revision: str = "head") -> None:
        """Bring the tables to `revision`; `scripts` is the service's `migrations` folder.

        Two processes may call this at the same time: one waits for the other.
        """
        config = Config()
        config.set_main_option("script_location", str(scripts))
        script = ScriptDirectory.from_config(config)

        def upgrade(current: Any, _context: Any) -> Any:
            return script._upgrade_revs(revision, current)  # noqa: SLF001 - as alembic.command.upgrade does

        with self._writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": self.service})
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self.service}"'))
            with EnvironmentContext(config, script, fn=upgrade) as environment:
                environment.configure(
                    connection=connection, target_metadata=self.metadata, render_as_batch=self.is_sqlite
                )
                environment.run_migrations()

    def scrub(self, *, is_whole: bool = True) -> None:
        """Write the database anew without the remains of deleted rows; PostgreSQL's own vacuum gives them up.

        Not `is_whole`, only the journal is emptied: enough for what was deleted with `secure_delete`.
        """
        if not self.is_sqlite:
            return
        with self._alone(), self.engine.connect() as connection:
            driver = connection.connection.cursor()
            if is_whole:
                driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            driver.close()

    def close(self) -> None:
        self.engine.dispose()


def _create_engine(service: str, url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=10,
            hide_parameters=True,
            connect_args={"options": f"-csearch_path={service}"},
        )
    if path := make_url(url).database:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    # As many connections as requests at once, and the workers' besides: who waits for one holds up others.
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=50,
        hide_parameters=True,
        connect_args={"timeout": _BUSY_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: object) -> None:
        # The driver must not open transactions of its own: `_begin` below says which kind we want.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_S * 1000}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _read_session(request: Request) -> Iterator[Session]:
    database: Database = request.app.state.database
    with database.read() as session:
        yield session


def _write_session(request: Request) -> Iterator[Session]:
    database: Database = request.app.state.database
    with database.write() as session:
        yield session


ReadSession = Annotated[Session, Depends(_read_session, scope="function")]
WriteSession = Annotated[Session, Depends(_write_session, scope="function")]
"""A route's transaction. Its scope is the function: it has committed before the response leaves."""
