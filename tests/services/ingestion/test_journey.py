"""Everything running: HTTP, outbox, broker, worker threads, sweeper; on each broker."""

from collections.abc import Callable, Iterator

import pytest

from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.db import Database
from zhiku_services.ingestion import leases
from zhiku_services.ingestion.models import TASK_OUTBOX
from zhiku_services.ingestion.parsing.errors import ParserCrashedError

from .conftest import EDITOR, House, wait_for


@pytest.fixture(
    params=[
        "memory-sqlite",
        pytest.param("valkey-sqlite", marks=pytest.mark.slow),
        pytest.param("valkey-postgres", marks=pytest.mark.slow),
    ]
)
def running(request: pytest.FixtureRequest, make_house: Callable[..., House]) -> Iterator[House]:
    broker, engine = request.param.split("-")
    url = "memory://localhost/" if broker == "memory" else request.getfixturevalue("valkey_url")
    database: Database = request.getfixturevalue(
        "sqlite_database" if engine == "sqlite" else "postgres_service_database"
    )
    house = make_house(database, broker_url=url)
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


def test_each_of_many_uploads_is_indexed_once(running: House) -> None:
    versions = [running.upload(f"Rule {n} of the shelf.", path=f"{n}.txt") for n in range(12)]

    wait_for(lambda: all(running.version(v.id).state == VersionState.INDEXED for v in versions), 60)

    assert sorted(running.found("rule shelf")) == sorted(f"Rule {n} of the shelf." for n in range(12))
    assert [running.version(v.id).attempt for v in versions] == [1] * 12


def test_a_knowledge_service_that_comes_back_is_found_again(running: House) -> None:
    away = [True]

    def absent(path: str) -> None:
        running.knowledge_switch.on = not (away[0] and path == "/internal/publish")

    running.knowledge_switch.before = absent
    version = running.upload("Patience.")
    wait_for(lambda: running.version(version.id).reason is not None)
    away[0] = False

    ended = running.ended(version.id, VersionState.INDEXED)
    assert (ended.attempt, ended.reason) == (1, None)


def test_a_poisonous_document_ends_in_quarantine_and_takes_nothing_down(
    running: House,
) -> None:
    real = running.service.tasks.worker.parse

    def crash_on_poison(path: object, *, file_name: str, on_progress: object) -> object:
        if file_name == "poison.txt":
            raise ParserCrashedError("The parser ended by itself (signal SIGSEGV).")
        return real(path, file_name=file_name, on_progress=on_progress)  # type: ignore[arg-type]

    # The tasks hold the worker already, and it is frozen.
    object.__setattr__(running.service.tasks.worker, "parse", crash_on_poison)
    poison = running.upload("Poison.", path="poison.txt")
    bread = running.upload("Bread.", path="bread.txt")

    assert running.ended(bread.id, VersionState.INDEXED).attempt == 1
    ended = running.ended(poison.id, VersionState.QUARANTINED)
    assert ended.attempt == 3


def test_a_deletion_reaches_index_and_blobs_by_itself(running: House) -> None:
    version = running.upload("Forget this sentence.")
    running.ended(version.id, VersionState.INDEXED)

    running.client.delete_document(EDITOR, version.document_id)

    wait_for(lambda: running.found("sentence") == [] and list(running.blobs.names()) == [])


def test_a_service_started_again_takes_up_what_was_left(
    sqlite_database: Database, make_house: Callable[..., House]
) -> None:
    before = make_house(sqlite_database)
    queued = before.upload("Left in the queue.", path="a.txt")
    claimed = before.upload("Left by a dead worker.", path="b.txt")
    with sqlite_database.write() as session:
        # What a process that was killed leaves: an empty outbox here, and a lease in its name.
        session.connection().execute(TASK_OUTBOX.delete())
        host = leases.worker_name().split(":", maxsplit=1)[0]
        leases.claim(session, claimed.id, worker=f"{host}:999999999:dead", timing=before.service.tasks.worker.timing)

    after = make_house(sqlite_database)
    after.service.start()

    assert after.ended(queued.id, VersionState.INDEXED).attempt == 1
    assert after.ended(claimed.id, VersionState.INDEXED).attempt == 2
    after.service.stop()
