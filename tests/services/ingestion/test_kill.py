"""`kill -9` at random moments, then a restart: every document is indexed exactly once.

`ZHIKU_KILL_ROUNDS` and `ZHIKU_KILL_DOCUMENTS` make it longer: 20 rounds are what `docs/quality.md` reports.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from zhiku_services.ingestion.bench import generate

TARGET = Path(__file__).with_name("kill_target.py")


class Target:
    """The processes of one home, one after the other."""

    def __init__(self, home: Path, documents: int, stderr: IO[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(TARGET), str(home), str(documents)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def start(self) -> int:
        """Start a process, wait until it is ready, and give its id."""
        assert self._process.stdin is not None
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        pid = self.read()["pid"]
        assert self.read() == {"ready": True}
        return pid

    def read(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "it ended; see stderr.txt in its home"
        values: dict[str, int] = json.loads(line)
        return values

    def end(self, pid: int, how: signal.Signals) -> None:
        """End the process, and wait until it is gone."""
        os.kill(pid, how)
        while self.read() != {"ended": pid}:
            pass

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.mark.slow
def test_every_document_is_indexed_exactly_once_whenever_the_process_is_killed(tmp_path: Path) -> None:
    rounds = int(os.environ.get("ZHIKU_KILL_ROUNDS", "5"))
    documents = int(os.environ.get("ZHIKU_KILL_DOCUMENTS", "60"))
    chance = random.Random(int(os.environ.get("ZHIKU_KILL_SEED", "7")))
    with (tmp_path / "stderr.txt").open("w") as stderr, closing(Target(tmp_path, documents, stderr)) as target:
        for _ in range(rounds):
            pid = target.start()
            time.sleep(chance.uniform(0.0, 3.0))
            target.end(pid, signal.SIGKILL)
        pid = target.start()
        state = target.read()
        while state["uploading"] or state["indexed"] + state["failed"] + state["quarantined"] < documents:
            state = target.read()
        target.end(pid, signal.SIGTERM)

    assert state["indexed"] == documents, state
    assert_indexed_once(tmp_path, documents)


def assert_indexed_once(home: Path, documents: int) -> None:
    """Ask both services' tables, by SQL of our own, what is there."""
    wanted = {path for path, _ in generate(documents)}
    with closing(sqlite3.connect(home / "db" / "ingestion.sqlite3")) as tables:
        paths = Counter(path for (path,) in tables.execute("SELECT path FROM document"))
        passages = dict(tables.execute("SELECT document_id, passages FROM document_version WHERE state = 'indexed'"))
        indexed = [row[0] for row in tables.execute("SELECT action FROM audit_outbox")].count("document.indexed")
    with closing(sqlite3.connect(home / "db" / "knowledge.sqlite3")) as tables:
        published = dict(tables.execute("SELECT id, passages FROM document WHERE active_version IS NOT NULL"))
        visible = Counter(
            document
            for (document,) in tables.execute(
                "SELECT p.document_id FROM passage p JOIN document d ON d.id = p.document_id"
                " WHERE p.version_id = d.active_version AND p.released_to = ?",
                (2**62,),
            )
        )
        stray = tables.execute(
            "SELECT count(*) FROM passage p JOIN document d ON d.id = p.document_id"
            " WHERE p.version_id != d.active_version AND p.released_to = ?",
            (2**62,),
        ).fetchone()[0]
    assert paths == Counter(wanted)
    assert indexed == documents
    assert published == passages == dict(visible)
    assert stray == 0
