"""The comparison of embedding engines: its arithmetic."""

import math
from pathlib import Path

import numpy as np
import pytest

from zhiku_services.inference.bench import (
    EngineResult,
    RetrievalSet,
    as_markdown,
    cut,
    fastest_faithful,
    ndcg_at_10,
    read_set,
    top_ten,
)
from zhiku_services.inference.embedding import Backend


@pytest.mark.parametrize(
    ("ranked", "gains", "expected"),
    [
        (["a", "b"], {"a": 1}, 1.0),
        (["b", "a"], {"a": 1}, 1 / math.log2(3)),
        (["x", "y"], {"a": 1}, 0.0),
        (["b", "a"], {"a": 2, "b": 1}, (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))),
        (["x"] * 10 + ["a"], {"a": 1}, 0.0),
        (["a"], {"a": 0}, 0.0),
    ],
)
def test_ndcg_agrees_with_a_calculation_by_hand(ranked: list[str], gains: dict[str, int], expected: float) -> None:
    assert ndcg_at_10(ranked, gains) == pytest.approx(expected)


def test_the_nearest_come_first_and_ties_keep_their_order() -> None:
    documents = np.array([[0, 1], [1, 0], [1, 0]], dtype=np.float32)
    assert top_ten(np.array([[1, 0]], dtype=np.float32), documents) == [[1, 2, 0]]


def test_an_engine_is_chosen_only_if_no_set_loses_more_than_the_limit() -> None:
    torch = EngineResult(Backend.TORCH, {"a": 0.8, "b": 0.5}, 4.0, {1: 4.0})
    faithful = EngineResult(Backend.OPENVINO, {"a": 0.796, "b": 0.51}, 5.0, {1: 5.0})
    lossy = EngineResult(Backend.ONNX_INT8, {"a": 0.85, "b": 0.494}, 9.0, {1: 9.0})
    assert fastest_faithful([torch, faithful, lossy]) is Backend.OPENVINO
    assert fastest_faithful([torch, lossy]) is Backend.TORCH


def test_a_smaller_set_keeps_what_is_relevant() -> None:
    whole = RetrievalSet(
        name="set",
        document_ids=["a", "b", "c", "d"],
        documents=["A", "B", "C", "D"],
        queries={"q": "?"},
        relevant={"q": {"d": 1, "a": 0}, "unasked": {"c": 1}},
    )
    small = cut(whole, 2)
    assert small.document_ids == ["a", "d"]
    assert small.documents == ["A", "D"]
    assert cut(whole, None) == whole


def test_a_beir_folder_is_read_with_its_judged_queries(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "title": "T", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "q"}\n{"_id": "2", "text": "unjudged"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t2\n")
    found = read_set(tmp_path)
    assert found.documents == ["T\nx", "y"]
    assert found.queries == {"1": "q"}
    assert found.relevant == {"1": {"b": 2}}


def test_the_table_has_a_row_for_each_engine() -> None:
    table = as_markdown([EngineResult(Backend.TORCH, {"a": 0.8}, 4.0, {2: 7.5, 1: 4.1})])
    assert table.splitlines() == [
        "| engine | a nDCG@10 | passages / cpu-s | /s, 1 thr. | /s, 2 thr. |",
        "| --- | --- | --- | --- | --- |",
        "| torch | 0.8000 | 4.00 | 4.10 | 7.50 |",
    ]
