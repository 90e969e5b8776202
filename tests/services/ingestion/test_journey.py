"""A document's way from upload to search, with everything running."""

from collections.abc import Callable, Iterator

import pytest

from tests.services.ingestion.conftest import EDITOR, House, wait_for
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.db import Database


@pytest.fixture
def running(sqlite_database: Database, make_house: Callable[..., House]) -> Iterator[House]:
    house = make_house(sqlite_database)
    house.service.start()
    yield house
    house.service.stop()


def test_an_uploaded_file_is_found(running: House) -> None:
    version = running.upload("# Leave\n\nEveryone has fifteen days of annual leave.", path="hr/leave.md")

    ended = running.ended(version.id, VersionState.INDEXED)

    assert ended.passages == 1
    assert ended.media_type == "text/markdown"
    assert ended.progress.done == ended.progress.total == 1
    assert any("fifteen days" in text for text in running.found("annual leave"))
