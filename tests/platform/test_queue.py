"""Tasks follow the commit that asked for them, at least once."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.schema import CreateSchema
from sqlmodel import SQLModel

from zhiku_platform.db import Database
from zhiku_platform.queue import EmbeddedWorker, Queue, Relay, RetriableError, enqueue, task_outbox
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import postgres_database, postgres_url

__all__ = ["postgres_database", "postgres_url"]


class Base(SQLModel):
    metadata = MetaData()


OUTBOX = task_outbox(Base.metadata)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database("work", f"sqlite:///{tmp_path}/work.sqlite3", Base.metadata)
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Queue:
    return Queue(f"work-{request.node.name}", Settings())


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def waiting(database: Database) -> int:
    with database.read() as session:
        return len(session.execute(select(OUTBOX)).all())


def test_a_task_runs_once_its_transaction_has_committed(database: Database, queue: Queue) -> None:
    ran: list[str] = []
    queue.task("greet")(ran.append)
    relay, worker = Relay(database, OUTBOX, queue), EmbeddedWorker(queue, threads=1)
    relay.start()
    worker.start()
    with database.write() as session:
        enqueue(session, OUTBOX, "greet", "doc_1")
    wait_for(lambda: ran == ["doc_1"])
    relay.stop()
    worker.stop()
    assert waiting(database) == 0


def test_a_rolled_back_transaction_sends_nothing(database: Database, queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        enqueue(session, OUTBOX, "greet", "doc_1")
        raise ZeroDivisionError
    assert Relay(database, OUTBOX, queue).relay() == 0


def test_a_task_stays_in_the_outbox_while_the_broker_is_away(database: Database) -> None:
    with database.write() as session:
        enqueue(session, OUTBOX, "greet", "doc_1")
    away = Queue("work-away", Settings(broker_url="redis://127.0.0.1:1/0"))
    away.celery.conf.update(task_publish_retry=False, broker_connection_timeout=0.2)
    with pytest.raises(Exception, match=r"(?i)connect|refused|retry"):
        Relay(database, OUTBOX, away).relay()
    assert waiting(database) == 1


def test_a_retriable_error_runs_the_task_again(database: Database, queue: Queue) -> None:
    calls: list[int] = []

    def flaky(n: int) -> None:
        calls.append(n)
        if len(calls) < 3:
            raise RetriableError("the model is loading", delay_s=0.05)

    queue.task("flaky")(flaky)
    worker = EmbeddedWorker(queue, threads=1)
    worker.start()
    queue.send("flaky", [7])
    wait_for(lambda: calls == [7, 7, 7])
    worker.stop()


@pytest.mark.slow
def test_of_several_relays_each_sends_its_own(postgres_database: str, queue: Queue) -> None:
    database = Database("work", postgres_database, Base.metadata)
    with database.engine.begin() as connection:
        connection.execute(CreateSchema("work", if_not_exists=True))
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        enqueue(session, OUTBOX, "greet", "doc_1")
    sent: list[str] = []

    class Slow(Queue):
        def send(self, task: str, arguments: list[str]) -> None:
            sent.append(task)
            assert Relay(database, OUTBOX, queue).relay() == 0

    assert Relay(database, OUTBOX, Slow("work-slow", Settings())).relay() == 1
    assert (sent, waiting(database)) == (["greet"], 0)
    database.close()
