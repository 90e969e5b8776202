"""Compare embedding engines: what each one's vectors find, and how fast it makes them.

Quality is nDCG@10 of exact search (dot products of unit vectors, numpy) over BEIR folders: their first 200
judged queries, and as many documents as are asked for, the relevant ones always among them. Speed is passages
per second of processor time on one thread, which neighbours on a busy machine disturb least, and of the clock
on one and two threads, over passages of 200 to 300 tokens.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zhiku_platform.contracts.inference import TextKind
from zhiku_platform.text.tokens import TokenCounter
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.embedding import Backend, Embedder, load_embedder
from zhiku_services.inference.graph import Vectors

MAX_LOSS = 0.005
SETS = ("cmrc2018", "domainrag-basic", "emanual-s10", "tatqa-dev")
_QUERIES = 200
_TIMED_PASSAGES = 64


@dataclass(frozen=True)
class RetrievalSet:
    """A BEIR folder. `relevant` holds the gain of each judged document by query id."""

    name: str
    document_ids: list[str]
    documents: list[str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


@dataclass(frozen=True)
class EngineResult:
    """`ndcg` by set name; speeds in passages per second."""

    backend: Backend
    ndcg: dict[str, float]
    per_cpu_second: float
    per_second: dict[int, float]


def bench_embedding(
    model: ResolvedModel,
    data: Path,
    *,
    backends: Sequence[Backend] = tuple(Backend),
    sets: Sequence[str] = SETS,
    threads: Sequence[int] = (1, 2),
    documents: int | None = None,
    report: Callable[[str], None],
) -> list[EngineResult]:
    """Measure every backend on `data/retrieval/SET`; `documents` None takes the whole of each set."""
    loaded = [cut(read_set(data / "retrieval" / name), documents) for name in sets]
    timed = timed_passages(loaded, TokenCounter(model.folder))
    results: list[EngineResult] = []
    for backend in backends:
        single = load_embedder(model, backend=backend, threads=1)
        per_cpu_second, per_second = passages_per_second(single, timed)
        speeds = {1: per_second}
        for count in set(threads) - {1}:
            speeds[count] = passages_per_second(load_embedder(model, backend=backend, threads=count), timed)[1]
        report(f"{backend}: {per_cpu_second:.2f} passages per second of processor time")
        ndcg: dict[str, float] = {}
        for one in loaded:
            ndcg[one.name] = dense_ndcg(single, one)
            report(f"{backend}: {one.name} nDCG@10 {ndcg[one.name]:.4f}")
        results.append(EngineResult(backend, ndcg, per_cpu_second, speeds))
    return results


def fastest_faithful(results: Sequence[EngineResult]) -> Backend:
    """The fastest engine that loses at most `MAX_LOSS` nDCG to torch on each set."""
    torch = next(result for result in results if result.backend is Backend.TORCH)
    faithful = [
        result for result in results if all(torch.ndcg[name] - ndcg <= MAX_LOSS for name, ndcg in result.ndcg.items())
    ]
    return max(faithful, key=lambda result: result.per_cpu_second).backend


def as_markdown(results: Sequence[EngineResult]) -> str:
    """The table of the documentation."""
    sets = list(results[0].ndcg)
    threads = sorted(results[0].per_second)
    quality_heads = [f"{name} nDCG@10" for name in sets]
    head = ["engine", *quality_heads, "passages / cpu-s", *(f"/s, {count} thr." for count in threads)]
    lines = [head, ["---"] * len(head)]
    for result in results:
        quality = [f"{result.ndcg[name]:.4f}" for name in sets]
        speed = [f"{result.per_cpu_second:.2f}", *(f"{result.per_second[count]:.2f}" for count in threads)]
        lines.append([result.backend.value, *quality, *speed])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def read_set(folder: Path) -> RetrievalSet:
    """Read a BEIR folder: `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`."""
    corpus = _read_lines(folder / "corpus.jsonl")
    queries = _read_lines(folder / "queries.jsonl")
    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        relevant.setdefault(query, {})[document] = int(gain)
    judged = [query for query in queries if query["_id"] in relevant][:_QUERIES]
    return RetrievalSet(
        name=folder.name,
        document_ids=[document["_id"] for document in corpus],
        documents=[f"{document.get('title') or ''}\n{document['text']}".strip() for document in corpus],
        queries={query["_id"]: query["text"] for query in judged},
        relevant=relevant,
    )


def _read_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cut(one: RetrievalSet, documents: int | None) -> RetrievalSet:
    """Keep what is relevant to the queries, and then other documents in their order up to `documents`."""
    needed = {document for query in one.queries for document, gain in one.relevant[query].items() if gain > 0}
    room = len(one.documents) if documents is None else max(0, documents - len(needed))
    kept: list[tuple[str, str]] = []
    for name, text in zip(one.document_ids, one.documents, strict=True):
        if name not in needed:
            room -= 1
        if name in needed or room >= 0:
            kept.append((name, text))
    return replace(one, document_ids=[name for name, _ in kept], documents=[text for _, text in kept])


def dense_ndcg(embedder: Embedder, one: RetrievalSet) -> float:
    """nDCG@10 of exact dense search over one set, the mean over its queries."""
    documents = embedder.embed(one.documents, TextKind.PASSAGE).vectors
    queries = embedder.embed(list(one.queries.values()), TextKind.QUERY).vectors
    ranked = top_ten(queries, documents)
    found = [
        ndcg_at_10([one.document_ids[place] for place in places], one.relevant[query])
        for query, places in zip(one.queries, ranked, strict=True)
    ]
    return sum(found) / len(found)


def top_ten(queries: Vectors, documents: Vectors) -> list[list[int]]:
    """The ten nearest documents of each query, nearest first; ties keep the documents' order."""
    order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :10]
    ranked: list[list[int]] = order.tolist()
    return ranked


def ndcg_at_10(ranked: Sequence[str], gains: Mapping[str, int]) -> float:
    """nDCG@10 with linear gains and log2 discounts, as trec_eval has it."""
    ideal = sorted(gains.values(), reverse=True)[:10]
    best = sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))
    found = sum(gains.get(document, 0) / math.log2(place + 2) for place, document in enumerate(ranked[:10]))
    return found / best if best > 0 else 0.0


def timed_passages(sets: Sequence[RetrievalSet], counter: TokenCounter) -> list[str]:
    """Passages of 200 to 300 tokens, spread evenly over the sets that have any."""
    pools = [[text for text, count in _counted(one.documents, counter) if 200 <= count <= 300] for one in sets]
    mixed = [text for row in zip(*filter(None, pools), strict=False) for text in row]
    return mixed[:_TIMED_PASSAGES]


def _counted(texts: Sequence[str], counter: TokenCounter) -> Iterable[tuple[str, int]]:
    return zip(texts, counter.count_all(texts), strict=True)


def passages_per_second(embedder: Embedder, passages: Sequence[str]) -> tuple[float, float]:
    """Speed by processor time and by the clock; the first call, which warms up, is not counted."""
    embedder.embed(passages[:1], TextKind.PASSAGE)
    cpu, clock = time.process_time(), time.perf_counter()
    embedder.embed(passages, TextKind.PASSAGE)
    return len(passages) / (time.process_time() - cpu), len(passages) / (time.perf_counter() - clock)
