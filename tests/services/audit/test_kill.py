"""`kill -9` at random moments: every event that was acknowledged is in the log, once, and the log is whole.

`ZHIKU_KILL_ROUNDS` makes it longer than four rounds.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import killable_postgres
from zhiku_services.audit.app import MIGRATIONS, AuditService
from zhiku_services.audit.models import METADATA

from .conftest import Audit, published

TARGET = Path(__file__).with_name("kill_target.py")


def run_and_kill(home: Path, url: str, name: str, after_s: float) -> list[str]:
    """Run the target, kill it so many seconds after its first word, and return what it acknowledged."""
    command = [sys.executable, str(TARGET), str(home), url, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        killer = threading.Timer(after_s, process.send_signal, [signal.SIGKILL])
        killer.start()
        lines = [first, *process.stdout]
        killer.join()
    assert process.returncode == -signal.SIGKILL
    # The last line may be cut off.
    return [line.rstrip("\n") for line in lines if line.endswith("\n")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_nothing_acknowledged_is_lost_or_doubled(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rounds = int(os.environ.get("ZHIKU_KILL_ROUNDS", "4"))
    chance = random.Random(int(os.environ.get("ZHIKU_KILL_SEED", "7")))
    url = f"sqlite:///{tmp_path}/audit.sqlite3"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_database")
    database = Database("audit", url, METADATA)
    database.migrate(MIGRATIONS)

    acknowledged: list[str] = []
    for name in range(rounds):
        acknowledged += run_and_kill(tmp_path, url, str(name), chance.uniform(0.05, 1.5))
    settings = Settings(home=tmp_path)
    audit = Audit(settings, database, AuditService(settings, database=database))
    if kind == "postgres":
        wait_for_the_killed_to_let_go(database)
    audit.trail.intake.drain_spool()
    audit.settle()

    ids = [event["id"] for event in audit.events()]
    assert len(acknowledged) > 50 * rounds
    assert set(acknowledged) <= set(ids)
    assert len(ids) == len(set(ids))
    verdict = audit.verify()
    assert (verdict.ok, verdict.tree_size, verdict.unsealed) == (True, len(ids), 0), verdict.reason
    database.close()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_database_itself_is_killed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with killable_postgres() as server, closing(Database("audit", server.address, METADATA)) as database:
        database.migrate(MIGRATIONS)
        audit = Audit(settings, database, AuditService(settings, database=database))
        audit.service.start()
        acknowledged: list[str] = []
        spooled = 0
        is_over = threading.Event()

        def append_for_ever() -> None:
            nonlocal spooled
            for n in count():
                event = published(n)
                # Never refused: what the database does not take, the spool does.
                spooled += audit.trail.intake.append([event]).spooled
                acknowledged.append(event.event.id)
                if is_over.wait(0.005):
                    return

        writing = threading.Thread(target=append_for_ever, daemon=True)
        writing.start()
        for _ in range(2):
            time.sleep(1.0)
            before = spooled
            server.kill()
            time.sleep(1.0)
            assert spooled > before
            server.restart()
        time.sleep(1.0)
        is_over.set()
        writing.join()
        audit.service.stop()
        wait_for_the_killed_to_let_go(database)
        audit.trail.intake.drain_spool()
        audit.settle()

        ids = [event["id"] for event in audit.events()]
        assert len(acknowledged) > 100
        assert set(acknowledged) <= set(ids)
        assert len(ids) == len(set(ids))
        verdict = audit.verify()
        assert (verdict.ok, verdict.tree_size, verdict.unsealed) == (True, len(ids), 0), verdict.reason


def wait_for_the_killed_to_let_go(database: Database) -> None:
    """PostgreSQL ends a dead client's transaction, and its lock, when it next speaks to it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with database.engine.connect() as connection:
            query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            if connection.exec_driver_sql(query).scalar() == 0:
                return
        time.sleep(0.1)
