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
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from zhiku_services.ingestion.bench import generate

TARGET = Path(__file__).with_name("kill_target.py")


@contextmanager
def target(home: Path, documents: int) -> Generator[subprocess.Popen[str], None, None]:
    """Run the process until it says that it is ready; what is left of it at the end is killed."""
    with (home / "stderr.txt").open("a") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(TARGET), str(home), str(documents)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (home / "stderr.txt").read_text()[-3000:]
        assert json.loads(line) == {"ready": True}
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_every_document_is_indexed_exactly_once_whenever_the_process_is_killed(tmp_path: Path) -> None:
    rounds = int(os.environ.get("ZHIKU_KILL_ROUNDS", "3"))
    documents = int(os.environ.get("ZHIKU_KILL_DOCUMENTS", "24"))
    seed = int(os.environ.get("ZHIKU_KILL_SEED", "7"))
    chance = random.Random(seed)
    for _ in range(rounds):
        with target(tmp_path, documents) as process:
            time.sleep(chance.uniform(0.0, 3.0))
            process.send_signal(signal.SIGKILL)

    with target(tmp_path, documents) as process:
        assert process.stdout is not None
        state: dict[str, int] = {}
        for line in process.stdout:
            state = json.loads(line)
            if not state["uploading"] and state["indexed"] + state["failed"] + state["quarantined"] == documents:
                break
        assert process.stdin is not None
        process.stdin.write("stop\n")
        process.stdin.flush()
        process.communicate(timeout=60)

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
