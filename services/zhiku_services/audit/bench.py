"""How fast the log is, beside the naive design in the same run: one chain that every request appends to itself.

Every figure is of durable events: the disk has been synced before an append returns.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert, select, text

from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.db import Database, new_id
from zhiku_platform.settings import Settings
from zhiku_services.audit.app import MIGRATIONS, AuditService
from zhiku_services.audit.canonical import read
from zhiku_services.audit.checking import verify_database
from zhiku_services.audit.intake import write_down
from zhiku_services.audit.log import latest_checkpoint
from zhiku_services.audit.models import ENTRY, METADATA
from zhiku_services.audit.sealing import Vault
from zhiku_services.audit.times import from_text, to_text, to_us
from zhiku_services.audit.verifier import Checkpoint, LogCheck

_BATCH = 500
_HASH_CHECKED = 200_000

Report = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """How long each part runs, and with how many threads."""

    seconds: float = 5.0
    threads: int = 16


def bench_audit(folder: Path, *, postgres_url: str | None, load: Load, report: Report) -> dict[str, Any]:
    """Measure SQLite and, if there is one, PostgreSQL. Rates are per second, times in milliseconds."""
    urls = {"sqlite": f"sqlite:///{folder}/audit.sqlite3"}
    if postgres_url is not None:
        urls["postgresql"] = postgres_url
    results = {name: _bench(folder / name, url, load, report, name) for name, url in urls.items()}
    return {"threads": load.threads, "seconds": load.seconds, **results, "hashing_leaves_per_s": _hashing()}


def _bench(home: Path, url: str, load: Load, report: Report, name: str) -> dict[str, float]:
    report(f"{name}: the naive chain")
    naive = _naive(url, load)
    database = Database("audit", url, METADATA)
    database.migrate(MIGRATIONS)
    service = AuditService(Settings(home=home), database=database)
    service.start()
    try:
        report(f"{name}: one event at a time")
        with _sealing_times(database) as sealed:
            single = _run(load, lambda: service.intake.append(_events(1)).accepted)
        report(f"{name}: {_BATCH} events at a time")
        batched = _run(load, lambda: service.intake.append(_events(_BATCH)).accepted)
    finally:
        service.stop()
    report(f"{name}: verification")
    started = time.perf_counter()
    verdict = verify_database(database, service.trail.signer.public_key)
    spent = time.perf_counter() - started
    if not verdict.ok or verdict.tree_size != verdict.events:
        raise AssertionError(verdict.reason)
    database.close()
    return {
        "naive_per_s": round(naive),
        "single_per_s": round(single),
        "single_over_naive": round(single / naive, 1),
        f"batched_{_BATCH}_per_s": round(batched),
        "sealed_within_p50_ms": round(_percentile(sealed, 0.50)),
        "sealed_within_p99_ms": round(_percentile(sealed, 0.99)),
        "events": verdict.events,
        "verified_in_database_per_s": round(verdict.events / spent),
    }


def _event(actor: str = "lin") -> ProducedEvent:
    """An answer with five passages of three documents, as large as they are: some 1,000 bytes in the log."""
    passages = [f"psg_{n:028x}" for n in range(5)]
    details: dict[str, Any] = {
        "conversation": "cnv_0199c1f0a1b2c3d4e5f60718",
        "state": "done",
        "mode": "generated",
        "passages": passages,
        "documents": [f"doc_{n:028x}" for n in range(3)],
        "knowledge_bases": ["kb_0199c1f0a1b2c3d4e5f60718"],
        "sentences": 4,
        "model": "smollm2@1f2e3d4c",
    }
    event = AuditEvent(action="answer.given", tenant="acme", actor=actor, subject="ans_1", details=details)
    return ProducedEvent(event=event)


_TEMPLATE = _event()


def _events(count: int) -> list[ProducedEvent]:
    """Events that differ by their ids: to build and validate one is the work of who produces it."""
    events = [_TEMPLATE.event.model_copy(update={"id": new_id("evt")}) for _ in range(count)]
    return [ProducedEvent(event=event) for event in events]


def _run(load: Load, act: Callable[[], Any]) -> float:
    """How often a second the threads get `act` done, weighed by what it returns."""
    done = [0] * load.threads
    started = time.perf_counter()
    until = started + load.seconds

    def work(thread: int) -> None:
        while time.perf_counter() < until:
            done[thread] += int(act())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(load.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - started)


@contextmanager
def _sealing_times(database: Database) -> Iterator[list[float]]:
    """Collect, in milliseconds, how long after it was recorded each event was under a signed checkpoint.

    A checkpoint covers all events up to its size, so each event's time is that of the first one that covers it.
    """
    times: list[float] = []
    yield times
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with database.read() as session:
            connection = session.connection()
            size = connection.execute(text("SELECT count(*) FROM entry")).scalar_one()
            waiting = connection.execute(text("SELECT count(*) FROM inbox")).scalar_one()
            checkpoint = latest_checkpoint(connection)
        if not waiting and checkpoint is not None and checkpoint.size == size:
            break
        time.sleep(0.05)
    times += _times(database)


def _times(database: Database) -> list[float]:
    with database.read() as session:
        connection = session.connection()
        signed = connection.execute(text("SELECT size, signed_us FROM checkpoint ORDER BY size")).all()
        payloads = connection.execute(select(ENTRY.c.idx, ENTRY.c.payload).order_by(ENTRY.c.idx))
        times: list[float] = []
        place = 0
        for idx, payload in payloads:
            while signed[place].size <= idx:
                place += 1
            times.append((signed[place].signed_us - to_us(from_text(read(payload)["recordedtime"]))) / 1000)
    return times


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


_CHAIN = MetaData()
_LINK = Table(
    "naive_chain",
    _CHAIN,
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("payload", LargeBinary, nullable=False),
    Column("link", LargeBinary, nullable=False),
)


def _naive(url: str, load: Load) -> float:
    """Each request locks the chain, reads its end, and appends one link, durably."""
    database = Database("naive", url.replace("audit.sqlite3", "naive.sqlite3"), _CHAIN)
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA IF NOT EXISTS naive"))
    _CHAIN.create_all(database.engine)

    def append() -> int:
        # A service's name: the naive design is spared the look-up of a pseudonym.
        produced = _event("svc-assistant")
        with database.write() as session:
            connection = session.connection()
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(1)"))
            payload = write_down(produced, Vault(connection, _NO_KEYS), to_text(produced.event.at))
            last = connection.execute(select(_LINK.c.idx, _LINK.c.link).order_by(_LINK.c.idx.desc()).limit(1)).first()
            idx, link = (0, bytes(32)) if last is None else (last.idx + 1, bytes(last.link))
            digest = hashlib.sha256(link + payload).digest()
            connection.execute(insert(_LINK).values(idx=idx, payload=payload, link=digest))
        return 1

    try:
        return _run(load, append)
    finally:
        database.close()


_NO_KEYS: Any = None


def _hashing() -> int:
    """Leaves a second of checking entries in memory: leaf, chain and tree, and when each was recorded."""
    payload = b'{"data":{"details":"' + b"x" * 800 + b'"},"recordedtime":"2026-01-01T00:00:00.%06dZ","type":"t"}'
    payloads = [payload % (n % 1_000_000) for n in range(_HASH_CHECKED)]
    checkpoints: list[Checkpoint] = []
    started = time.perf_counter()
    check = LogCheck(checkpoints)
    check.add(payloads)
    check.root()
    return round(_HASH_CHECKED / (time.perf_counter() - started))
