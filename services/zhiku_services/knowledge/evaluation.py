"""How well search finds the right documents, on sets with known answers in BEIR's layout.

Gains are linear and discounts logarithmic, as trec_eval and BEIR have them. Passages stand for their
documents: a document's place is that of its best passage.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from zhiku_platform.contracts.knowledge import SearchMode
from zhiku_platform.errors import UnprocessableError

CUTOFF: Final = 10
DEPTH: Final = 50
"""Passages asked for, so that `CUTOFF` documents are left when several passages are of one document."""
_SAMPLES: Final = 10_000

Search = Callable[[str, SearchMode, int], Sequence[tuple[str, float]]]
"""(query, mode, depth) → (document id, score), best first; a document may come several times."""

Numbers = npt.NDArray[np.float64]


class EvaluationSetError(UnprocessableError):
    """The folder is not a retrieval set."""

    code = "evaluation_set_invalid"


@dataclass(frozen=True, slots=True)
class EvaluationDocument:
    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Documents, questions, and which documents answer which question: query id → document id → gain."""

    name: str
    documents: list[EvaluationDocument]
    queries: dict[str, str]
    relevant: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over questions with its 95 % interval, by paired bootstrap."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Run:
    """One search mode: a value per question for each metric, and the seconds each search took."""

    metrics: dict[str, Numbers]
    seconds: Numbers

    def as_json(self) -> dict[str, float]:
        p50, p95 = np.percentile(self.seconds * 1000, [50, 95])
        means = {name: round(float(values.mean()), 4) for name, values in self.metrics.items()}
        return {**means, "p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    dataset: str
    documents: int
    queries: int
    runs: dict[SearchMode, Run]

    def difference(self, mode: SearchMode, baseline: SearchMode, metric: str = "ndcg@10") -> Difference:
        """How much better `mode` is than `baseline` on the same questions."""
        return paired_difference(self.runs[mode].metrics[metric], self.runs[baseline].metrics[metric])

    def as_json(self) -> dict[str, Any]:
        """The keys that `zhiku eval retrieval --json` prints."""
        return {
            "dataset": self.dataset,
            "documents": self.documents,
            "queries": self.queries,
            "runs": {mode.value: run.as_json() for mode, run in self.runs.items()},
            "differences": {
                f"{SearchMode.HYBRID}-{baseline}": {"ndcg@10": _rounded(self.difference(SearchMode.HYBRID, baseline))}
                for baseline in self.runs
                if baseline is not SearchMode.HYBRID and SearchMode.HYBRID in self.runs
            },
        }


def load_beir(folder: Path) -> EvaluationSet:
    """Read `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`; questions without an answer are left out.

    Raises:
        EvaluationSetError: a file is missing, a line cannot be read, or nothing can be evaluated.
    """
    relevant = _relevant(folder)
    queries = {_field(each, "_id"): _field(each, "text") for each in _lines(folder / "queries.jsonl")}
    documents = [
        EvaluationDocument(_field(each, "_id"), str(each.get("title", "")), _field(each, "text"))
        for each in _lines(folder / "corpus.jsonl")
    ]
    answered = {query_id: text for query_id, text in queries.items() if query_id in relevant}
    if not answered or not documents:
        raise EvaluationSetError(
            f"{folder} has no question with a relevant document.", remedy="Check the ids in qrels/test.tsv."
        )
    return EvaluationSet(folder.resolve().name, documents, answered, relevant)


def evaluate(
    dataset: EvaluationSet,
    *,
    search: Search,
    modes: Sequence[SearchMode] = tuple(SearchMode),
    clock: Callable[[], float] = time.perf_counter,
) -> RetrievalReport:
    """Ask every question in every mode and measure what comes back."""
    runs = {mode: _run(dataset, search, mode, clock) for mode in modes}
    return RetrievalReport(dataset.name, len(dataset.documents), len(dataset.queries), runs)


def ndcg(ranking: Sequence[str], gains: Mapping[str, float], cutoff: int = CUTOFF) -> float:
    """Discounted gain over that of the best possible order, 0..1."""
    best = sum(gain * _discount(at) for at, gain in enumerate(sorted(gains.values(), reverse=True)[:cutoff]))
    found = sum(gains.get(each, 0.0) * _discount(at) for at, each in enumerate(ranking[:cutoff]))
    return found / best if best else 0.0


def recall(ranking: Sequence[str], gains: Mapping[str, float], cutoff: int = CUTOFF) -> float:
    """Share of the relevant documents among the first `cutoff`."""
    relevant = {each for each, gain in gains.items() if gain > 0}
    return len(relevant & set(ranking[:cutoff])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], gains: Mapping[str, float], cutoff: int = CUTOFF) -> float:
    """One over the place of the first relevant document, 0 if none is among the first `cutoff`."""
    places = (at for at, each in enumerate(ranking[:cutoff], start=1) if gains.get(each, 0.0) > 0)
    return next((1 / place for place in places), 0.0)


def paired_difference(ours: Numbers, theirs: Numbers, *, seed: int = 0) -> Difference:
    """Mean of `ours - theirs` over the same questions, with its 95 % bootstrap interval."""
    differences = np.asarray(ours - theirs, dtype=np.float64)
    random = np.random.default_rng(seed)
    size = differences.size
    means = np.array([differences[random.integers(0, size, size)].mean() for _ in range(_SAMPLES)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(differences.mean()), float(low), float(high))


def _run(dataset: EvaluationSet, search: Search, mode: SearchMode, clock: Callable[[], float]) -> Run:
    values: dict[str, list[float]] = {"ndcg@10": [], "recall@10": [], "mrr@10": [], "hit@1": []}
    seconds: list[float] = []
    for query_id, text in dataset.queries.items():
        started = clock()
        found = search(text, mode, DEPTH)
        seconds.append(clock() - started)
        ranking = list(dict.fromkeys(document_id for document_id, _ in found))
        gains = dataset.relevant[query_id]
        values["ndcg@10"].append(ndcg(ranking, gains))
        values["recall@10"].append(recall(ranking, gains))
        values["mrr@10"].append(reciprocal_rank(ranking, gains))
        values["hit@1"].append(reciprocal_rank(ranking, gains, 1))
    return Run({name: np.array(each) for name, each in values.items()}, np.array(seconds))


def _discount(at: int) -> float:
    return float(1 / np.log2(at + 2))


def _relevant(folder: Path) -> dict[str, dict[str, float]]:
    relevant: dict[str, dict[str, float]] = {}
    for line in _read(folder / "qrels" / "test.tsv").splitlines()[1:]:
        columns = line.split("\t")
        if len(columns) != 3:
            raise EvaluationSetError(
                f"{folder / 'qrels' / 'test.tsv'} has a line without three columns.",
                remedy="Separate query-id, corpus-id and score by tabs.",
            )
        query_id, document_id, gain = columns
        if float(gain) > 0:
            relevant.setdefault(query_id, {})[document_id] = float(gain)
    return relevant


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_read(file).splitlines(), start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise EvaluationSetError(
                f"{file}, line {number}, is not JSON.", remedy="Write one JSON object a line."
            ) from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise EvaluationSetError(
            f"{file} cannot be read.",
            remedy="Give a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv.",
        ) from error


def _field(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str):
        raise EvaluationSetError(f"A line has no text in {name!r}.", remedy="See BEIR's layout.")
    return value


def _rounded(difference: Difference) -> dict[str, float]:
    return {
        "mean": round(difference.mean, 4),
        "low": round(difference.low, 4),
        "high": round(difference.high, 4),
    }
