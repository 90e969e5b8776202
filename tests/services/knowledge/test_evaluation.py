"""Retrieval metrics against values worked out by hand, and the reading of BEIR folders."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from zhiku_platform.contracts.knowledge import SearchMode
from zhiku_services.knowledge.evaluation import (
    EvaluationSetError,
    evaluate,
    load_beir,
    ndcg,
    paired_difference,
    recall,
    reciprocal_rank,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = [{"_id": f"d{at}", "title": "", "text": f"text {at}"} for at in range(4)]
    queries = [
        {"_id": "q1", "text": "first"},
        {"_id": "q2", "text": "second"},
        {"_id": "q3", "text": "unjudged"},
    ]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td0\t1\nq2\td1\t2\nq2\td2\t1\nq2\td3\t0\n", encoding="utf-8"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("ranking", "gains", "expected"),
    [
        (["a"], {"a": 1.0}, 1.0),
        (["x", "a"], {"a": 1.0}, 0.63093),  # 1 / log2(3)
        (["b", "a"], {"a": 2.0, "b": 1.0}, 0.85972),  # (1 + 2 / log2 3) / (2 + 1 / log2 3)
        (["x"] * 10 + ["a"], {"a": 1.0}, 0.0),
        (["a"], {}, 0.0),
    ],
)
def test_ndcg(ranking: list[str], gains: dict[str, float], expected: float) -> None:
    assert ndcg(ranking, gains) == pytest.approx(expected, abs=1e-5)


def test_recall_counts_relevant_documents_only() -> None:
    gains = {"a": 1.0, "b": 1.0, "zero": 0.0}

    assert recall(["zero", "a", "x"], gains) == 0.5
    assert recall(["a"], {}) == 0.0


def test_the_reciprocal_rank_is_of_the_first_relevant_document() -> None:
    gains = {"a": 1.0, "b": 1.0}

    assert reciprocal_rank(["x", "b", "a"], gains) == 0.5
    assert reciprocal_rank(["x", "b"], gains, 1) == 0.0


def test_a_folder_is_read_and_questions_without_an_answer_are_left_out(folder: Path) -> None:
    dataset = load_beir(folder)

    assert dataset.queries == {"q1": "first", "q2": "second"}
    assert dataset.relevant == {"q1": {"d0": 1.0}, "q2": {"d1": 2.0, "d2": 1.0}}
    assert [document.text for document in dataset.documents] == ["text 0", "text 1", "text 2", "text 3"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("corpus.jsonl", None, "cannot be read"),
        ("queries.jsonl", "{", "line 1, is not JSON"),
        ("queries.jsonl", '{"_id": "q1"}', "no text in 'text'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 d0 1", "three columns"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nother\td0\t1", "no question"),
    ],
)
def test_a_broken_folder_is_refused_with_the_reason(folder: Path, file: str, content: str | None, message: str) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content, encoding="utf-8")

    with pytest.raises(EvaluationSetError, match=message):
        load_beir(folder)


@pytest.fixture
def clock() -> Callable[[], float]:
    """Advances by 10 ms at each reading."""
    ticks = iter(range(1_000_000))
    return lambda: next(ticks) / 100


def test_the_report_has_the_stable_keys_and_measures_each_mode(folder: Path, clock: Callable[[], float]) -> None:
    answers = {
        SearchMode.HYBRID: {"first": ["d0"], "second": ["d1", "d1", "d2"]},
        SearchMode.DENSE: {"first": ["d3", "d0"], "second": ["d1", "d2"]},
        SearchMode.BM25: {"first": [], "second": ["d3"]},
    }

    def search(query: str, mode: SearchMode, depth: int) -> Sequence[tuple[str, float]]:
        assert depth == 50
        return [(document, 1.0) for document in answers[mode][query]]

    report = evaluate(load_beir(folder), search=search, clock=clock).as_json()

    assert (report["documents"], report["queries"]) == (4, 2)
    assert report["runs"]["hybrid"] == {
        "ndcg@10": 1.0,
        "recall@10": 1.0,
        "mrr@10": 1.0,
        "hit@1": 1.0,
        "p50_ms": 10.0,
        "p95_ms": 10.0,
    }
    assert report["runs"]["dense"]["ndcg@10"] == pytest.approx((0.63093 + 1) / 2, abs=1e-4)
    assert report["runs"]["dense"]["hit@1"] == 0.5
    assert report["runs"]["bm25"]["recall@10"] == 0.0
    assert report["differences"]["hybrid-bm25"]["ndcg@10"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_the_bootstrap_interval_matches_the_normal_one_on_many_questions() -> None:
    random = np.random.default_rng(1)
    theirs = random.normal(size=2_000)
    ours = theirs + random.normal(0.1, 1.0, size=2_000)

    difference = paired_difference(ours, theirs)

    half = 1.96 * np.std(ours - theirs) / np.sqrt(2_000)
    assert difference.mean == pytest.approx(np.mean(ours - theirs))
    assert difference.low == pytest.approx(difference.mean - half, abs=0.004)
    assert difference.high == pytest.approx(difference.mean + half, abs=0.004)
