"""Measures retrieval on several sets, and chooses the weights of the fusion for each set on the others alone.

    .venv/bin/python tests/evaluation/fusion_weights.py DIR... [--questions 400] > tables.md

The first two tables are those of `zhiku eval retrieval`, for at most so many questions of each set. For the third, the
product's own candidates are ranked by every mix of the three signals in steps of .05: the mix with the best mean
nDCG@10 on the other sets ranks the set that was left out. Beside it: the shipped weights, and reciprocal rank fusion
(k = 60) of the same candidates. Progress goes to standard error; the bootstrap has a fixed seed.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from zhiku_platform.contracts.knowledge import SearchMode
from zhiku_services.commands.evaluate import corpus, evaluate_retrieval
from zhiku_services.knowledge import search
from zhiku_services.knowledge.evaluation import (
    Difference,
    EvaluationSet,
    RetrievalReport,
    load_beir,
    ndcg,
    paired_difference,
)
from zhiku_services.knowledge.ranking import Candidate, fusion

Numbers = npt.NDArray[np.float64]
STEPS = 20
RRF_K = 60
MIXES = np.array(
    [(a, b, STEPS - a - b) for a in range(STEPS + 1) for b in range(STEPS + 1 - a)], dtype=np.float64
) / STEPS  # fmt: skip
SHIPPED = np.array([fusion.DENSE_WEIGHT, fusion.BM25_WEIGHT, fusion.OVERLAP_WEIGHT])


@dataclass
class Pool:
    """The candidates of one question: the document of each, and its signals, shape (n, 3)."""

    documents: list[str]
    signals: Numbers


class Recorder:
    """Stands between the search and its fusion, and keeps what passes."""

    def __init__(self) -> None:
        self.pools: dict[str, Pool] = {}
        self._candidates = search._candidates
        self._documents: list[str] = []

    def candidates(self, bm25: Any, cosine: Any, hydrated: Mapping[str, Any]) -> list[Candidate]:
        found = self._candidates(bm25, cosine, hydrated)
        self._documents = [hydrated[each.passage_id][1].document_id for each in found]
        return found

    def rank(self, query: str, candidates: Sequence[Candidate], mode: SearchMode) -> list[fusion.Ranked]:
        if mode is SearchMode.HYBRID:
            self.pools[query] = Pool(self._documents, fusion.signals_of(query, candidates) if candidates else NOTHING)
        return fusion.rank(query, candidates, mode)


NOTHING = np.zeros((0, 3))


@dataclass
class Measured:
    """One set: its report, and for each question the gains of every mix."""

    name: str
    report: RetrievalReport
    mixes: Numbers
    """nDCG@10, shape (questions, mixes)."""
    shipped: Numbers
    rrf: Numbers

    def run(self, mode: SearchMode) -> Numbers:
        return self.report.runs[mode].metrics["ndcg@10"]


def measure(folder: Path, questions: int) -> Measured:
    """Evaluate one set through the product, and rank its candidates by every mix."""
    data, recorder = _sample(load_beir(folder), questions), Recorder()
    with (
        patch.object(search, "_candidates", recorder.candidates),
        patch.object(search, "rank", recorder.rank),
        corpus(None) as target,
    ):
        names: dict[str, str] = {}
        add = target.add

        def remembered(knowledge_base_id: str, document_id: str, title: str, text: str) -> str:
            found_as = add(knowledge_base_id, document_id, title, text)
            names[found_as] = document_id
            return found_as

        with patch.object(target, "add", remembered):
            report = evaluate_retrieval(target, data, quiet=True)
    mixes, shipped, rrf = [], [], []
    for query_id, text in data.queries.items():
        pool, gains = recorder.pools[text[:4000]], data.relevant[query_id]
        documents = [names[each] for each in pool.documents]
        scores = pool.signals @ MIXES.T
        mixes.append([_ndcg(documents, scores[:, mix], gains) for mix in range(len(MIXES))])
        shipped.append(_ndcg(documents, pool.signals @ SHIPPED, gains))
        rrf.append(_ndcg(documents, _rrf(pool.signals), gains))
    return Measured(folder.resolve().name, report, np.array(mixes), np.array(shipped), np.array(rrf))


def _sample(data: EvaluationSet, questions: int) -> EvaluationSet:
    ids = list(data.queries)
    asked = sorted(np.random.default_rng(0).permutation(len(ids))[:questions].tolist())
    return replace(data, queries={ids[at]: data.queries[ids[at]] for at in asked})


def _ndcg(documents: Sequence[str], scores: Numbers, gains: Mapping[str, float]) -> float:
    best = np.argsort(-scores, kind="stable")
    return ndcg(list(dict.fromkeys(documents[int(at)] for at in best)), gains)


def _rrf(signals: Numbers) -> Numbers:
    """Cosine and BM25 by their places; a candidate that the words did not find has no place there."""
    places = np.argsort(np.argsort(-signals[:, :2], axis=0, kind="stable"), axis=0, kind="stable")
    return np.asarray((np.where(signals[:, :2] > 0, 1 / (RRF_K + 1 + places), 0)).sum(axis=1))


def left_out(sets: Sequence[Measured], at: int) -> int:
    """Choose the mix with the best mean over all sets but one."""
    others = [each.mixes.mean(axis=0) for n, each in enumerate(sets) if n != at]
    return int(np.argmax(np.mean(others, axis=0)))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def _signed(difference: Difference) -> str:
    return f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=400)
    options = parser.parse_args()
    sets: list[Measured] = []
    for folder in options.folders:
        print(f"measuring {folder}", file=sys.stderr, flush=True)
        sets.append(measure(folder, options.questions))
        report = sets[-1].report
        for mode, run in report.runs.items():
            print(report.dataset, report.documents, report.queries, mode.value, run.as_json(), file=sys.stderr)
    runs = [
        [f"{each.name} ({each.report.documents:,} documents, {each.report.queries:,} questions)", mode.value]
        + [f"{run.as_json()[metric]:.3f}" for metric in ("ndcg@10", "recall@10", "mrr@10", "hit@1")]
        + [f"{run.as_json()['p50_ms']:.0f} / {run.as_json()['p95_ms']:.0f}"]
        for each in sets
        for mode, run in each.report.runs.items()
    ]
    table(("set", "run", "nDCG@10", "Recall@10", "MRR@10", "hit@1", "p50 / p95 ms"), runs)
    hybrid = [
        [each.name]
        + [_signed(each.report.difference(SearchMode.HYBRID, mode)) for mode in (SearchMode.DENSE, SearchMode.BM25)]
        for each in sets
    ]
    table(("nDCG@10, hybrid less", "dense", "BM25"), hybrid)
    if len(sets) < 2:
        return
    rows = []
    for at, each in enumerate(sets):
        mix = left_out(sets, at)
        ours = each.mixes[:, mix]
        rows.append(
            [
                each.name,
                " / ".join(f"{weight:.2f}" for weight in MIXES[mix]),
                f"{ours.mean():.3f}",
                f"{each.shipped.mean():.3f}",
                *(
                    _signed(paired_difference(ours, theirs))
                    for theirs in (each.run(SearchMode.DENSE), each.run(SearchMode.BM25), each.rrf)
                ),
            ]
        )
    table(("set left out", "weights chosen", "nDCG@10", "shipped", "less dense", "less BM25", "less RRF"), rows)


if __name__ == "__main__":
    main()
