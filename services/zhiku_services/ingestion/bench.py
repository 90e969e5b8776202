"""Measures ingestion: documents a second, memory over time, and whose time it was."""

import io
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select

from zhiku_platform.clients.ingestion import IngestionClient
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.db import Database
from zhiku_platform.telemetry import STAGE_SECONDS, TASK_SECONDS
from zhiku_services.ingestion.lifecycle import PROCESS
from zhiku_services.ingestion.models import VersionRow
from zhiku_services.ingestion.states import UNFINISHED

_THEIRS = ("parse", "embed", "publish")
"""Stages whose time goes to parsers, models and the knowledge service."""

_OURS = ("claim", "preflight", "passages", "state")
_BACKLOG = 200
_SUBJECTS = (
    "travel",
    "leave",
    "security",
    "canteen",
    "laptop",
    "contract",
    "training",
    "payroll",
    "safety",
    "office",
)
_FACTS = (
    "{who} approves requests about {subject} within {n} working days.",
    "The limit for {subject} is {n} euros a month unless {who} agrees to more.",
    "Form {n} has to be signed by {who} before anything about {subject} is ordered.",
    "关于{subject}的申请由{who}在{n}个工作日内审批。",
    "每月{subject}的限额为{n}元，超出部分须经{who}书面同意。",
)
_PEOPLE = ("the team lead", "the site manager", "人事部", "财务部", "the works council")


@dataclass(frozen=True, slots=True)
class Sample:
    """This process at one moment: its memory, without the parser's children, and whose the workers' time was so far."""

    documents: int
    seconds: float
    rss_bytes: int
    own_share: float


@dataclass(frozen=True, slots=True)
class IngestBench:
    """What one run showed.

    `stage_seconds` are of all worker threads together; `own_share` is the part of the workers' time that went
    neither to the parser nor to the model nor to the knowledge service. `rss_growth` is the median of the
    last quarter of the samples over that of the second, so that warming up does not count; 1.0 is flat.
    """

    documents: int
    ended: dict[str, int]
    passages: int
    seconds: float
    documents_per_s: float
    stage_seconds: dict[str, float]
    worker_seconds: float
    own_share: float
    rss_growth: float
    rss_peak_bytes: int
    samples: list[Sample]

    def as_json(self) -> dict[str, object]:
        """The figures as plain values."""
        return asdict(self)


def generate(count: int, *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield paths and bytes of `count` small documents, in turn text, Markdown and HTML, none alike."""
    chance = random.Random(seed)  # noqa: S311 - the same documents in each run are the point
    for number in range(count):
        title = f"Rule {number} on {chance.choice(_SUBJECTS)}"
        paragraphs = [_paragraph(chance) for _ in range(chance.randint(2, 6))]
        suffix, text = _written(number % 3, title, paragraphs)
        yield f"bench/{number // 1000:03d}/{number:06d}{suffix}", text.encode()


def _paragraph(chance: random.Random) -> str:
    return " ".join(
        chance.choice(_FACTS).format(
            who=chance.choice(_PEOPLE), subject=chance.choice(_SUBJECTS), n=chance.randint(2, 900)
        )
        for _ in range(chance.randint(2, 5))
    )


def _written(kind: int, title: str, paragraphs: list[str]) -> tuple[str, str]:
    if kind == 0:
        return ".txt", "\n\n".join([title, *paragraphs])
    if kind == 1:
        body = "\n\n".join(f"## Part {n}\n\n{text}" for n, text in enumerate(paragraphs, 1))
        return ".md", f"# {title}\n\n{body}\n"
    body = "".join(f"<h2>Part {n}</h2><p>{text}</p>" for n, text in enumerate(paragraphs, 1))
    return ".html", f"<!doctype html><title>{title}</title><h1>{title}</h1>{body}"


def bench_ingest(
    *,
    client: IngestionClient,
    principal: Principal,
    knowledge_base_id: str,
    database: Database,
    documents: int = 10_000,
    seed: int = 0,
    on_sample: Callable[[Sample], None] | None = None,
) -> IngestBench:
    """Upload generated documents to a service that runs in this process, and wait until each has ended.

    At most `_BACKLOG` wait in the queue at a time, so that memory is that of the work and not of the queue.
    """
    before, worker_before = _stages(), _worker_seconds()

    def own_share() -> float:
        spent = _worker_seconds() - worker_before
        theirs = sum(seconds - before[name] for name, seconds in _stages().items() if name in _THEIRS)
        return round(1 - theirs / spent, 4) if spent else 0.0

    started = time.perf_counter()
    samples: list[Sample] = []
    every = max(1, documents // 50)

    def sample(done: int) -> None:
        samples.append(Sample(done, round(time.perf_counter() - started, 2), rss_bytes(), own_share()))
        if on_sample is not None:
            on_sample(samples[-1])

    for uploaded, (path, content) in enumerate(generate(documents, seed=seed), 1):
        client.upload(principal, knowledge_base_id, io.BytesIO(content), path=path)
        if uploaded % every == 0:
            _wait_for_backlog(database, knowledge_base_id, _BACKLOG)
            sample(uploaded - _unfinished(database, knowledge_base_id))
    _wait_for_backlog(database, knowledge_base_id, 0)
    sample(documents)
    seconds = time.perf_counter() - started
    stages = {name: round(spent - before[name], 3) for name, spent in _stages().items()}
    ended, passages = _ended(database, knowledge_base_id)
    return IngestBench(
        documents=documents,
        ended=ended,
        passages=passages,
        seconds=round(seconds, 2),
        documents_per_s=round(documents / seconds, 2),
        stage_seconds=stages,
        worker_seconds=round(_worker_seconds() - worker_before, 3),
        own_share=own_share(),
        rss_growth=_growth([taken.rss_bytes for taken in samples]),
        rss_peak_bytes=max(taken.rss_bytes for taken in samples),
        samples=samples,
    )


def rss_bytes() -> int:
    """The resident memory of this process; where there is no `/proc`, its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _growth(readings: list[int]) -> float:
    quarter = len(readings) // 4
    if quarter == 0:
        return 1.0
    early = sorted(readings[quarter : 2 * quarter])[quarter // 2]
    late = sorted(readings[-quarter:])[quarter // 2]
    return round(late / early, 3)


def _stages() -> dict[str, float]:
    return {name: _stage_seconds(name) for name in (*_THEIRS, *_OURS)}


def _worker_seconds() -> float:
    for metric in TASK_SECONDS.collect():
        for found in metric.samples:
            if found.name.endswith("_sum") and found.labels == {"service": "ingestion", "task": PROCESS}:
                return found.value
    return 0.0


def _stage_seconds(name: str) -> float:
    for metric in STAGE_SECONDS.collect():
        for found in metric.samples:
            if found.name.endswith("_total") and found.labels == {"service": "ingestion", "stage": name}:
                return found.value
    return 0.0


def _wait_for_backlog(database: Database, knowledge_base_id: str, most: int) -> None:
    while _unfinished(database, knowledge_base_id) > most:
        time.sleep(0.05)


def _unfinished(database: Database, knowledge_base_id: str) -> int:
    with database.read() as session:
        query = select(func.count()).where(
            col(VersionRow.knowledge_base_id) == knowledge_base_id, col(VersionRow.state).in_(UNFINISHED)
        )
        return session.exec(query).one()


def _ended(database: Database, knowledge_base_id: str) -> tuple[dict[str, int], int]:
    mine = col(VersionRow.knowledge_base_id) == knowledge_base_id
    with database.read() as session:
        states = session.exec(select(VersionRow.state, func.count()).where(mine).group_by(col(VersionRow.state))).all()
        indexed = mine & (col(VersionRow.state) == VersionState.INDEXED)
        passages = session.exec(select(func.coalesce(func.sum(col(VersionRow.passages)), 0)).where(indexed)).one()
    return dict(states), int(passages or 0)
