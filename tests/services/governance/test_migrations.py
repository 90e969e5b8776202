"""The migrations make the tables of the models."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from zhiku_platform.db import Database
from zhiku_services.governance.models import Base


def test_the_tables_are_those_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
