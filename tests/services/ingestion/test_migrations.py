"""The migrations build exactly the tables that the models declare."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from zhiku_platform.db import Database
from zhiku_services.ingestion.app import MIGRATIONS
from zhiku_services.ingestion.models import Base


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path}/ingestion.sqlite3"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_database")
    return Database("ingestion", url, Base.metadata)


def test_migrated_tables_are_the_declared_ones(empty_database: Database) -> None:
    empty_database.migrate(MIGRATIONS)
    empty_database.migrate(MIGRATIONS)

    with empty_database.engine.connect() as connection:
        # Alembic looks in the database's default schema; on PostgreSQL that is the service's own.
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
        names = set(inspect(connection).get_table_names())
    empty_database.close()

    assert differences == []
    assert names == {*Base.metadata.tables, "alembic_version"}
