"""A safety service's database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import postgres_database, postgres_url
from zhiku_services.safety.app import MIGRATIONS, open_database
from zhiku_services.safety.models import Base

__all__ = ["postgres_database", "postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """On both engines."""
    if request.param == "sqlite":
        made = open_database(Settings(home=tmp_path))
    else:
        made = Database("safety", request.getfixturevalue("postgres_database"), Base.metadata)
        made.migrate(MIGRATIONS)
    yield made
    made.close()
