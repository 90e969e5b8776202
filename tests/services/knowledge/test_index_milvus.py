"""Milvus Lite behind the contract of a vector index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zhiku_services.knowledge.index import (
    ALL_ACLS,
    IndexMismatchError,
    IndexRow,
    IndexUnavailableError,
    KnowledgeBaseScope,
    Scope,
    VectorIndex,
)
from zhiku_services.knowledge.index_milvus import open_milvus
from zhiku_services.knowledge.testing import DIMENSIONS, VectorIndexContract, unit


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    file = tmp_path_factory.mktemp("milvus") / "index.db"
    index = open_milvus(str(file), model="test", dimensions=DIMENSIONS)
    yield index
    index.close()


class TestMilvusLite(VectorIndexContract):
    """Milvus Lite keeps the whole contract, BM25 included."""


SCOPE = Scope("acme", 0, (KnowledgeBaseScope("kb", ALL_ACLS, 1),))
ROW = IndexRow("p1", "acme", "kb", "doc", 7, 0, 1, "年假 policy", unit(1))


def test_what_was_written_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    file = str(tmp_path / "new folder" / "index.db")
    first = open_milvus(file, model="m", dimensions=DIMENSIONS)
    first.upsert([ROW])
    first.close()

    second = open_milvus(file, model="m", dimensions=DIMENSIONS)
    try:
        assert [hit.passage_id for hit in second.search_dense(unit(1), SCOPE, 1)] == ["p1"]
        assert [hit.passage_id for hit in second.search_bm25("年假", SCOPE, 1)] == ["p1"]
    finally:
        second.close()


def test_vectors_of_another_length_are_refused_with_a_remedy(tmp_path: Path) -> None:
    file = str(tmp_path / "index.db")
    open_milvus(file, model="m", dimensions=DIMENSIONS).close()

    with pytest.raises(IndexMismatchError, match="index the documents again"):
        open_milvus(file, model="m", dimensions=DIMENSIONS + 1)


def test_a_file_name_that_milvus_lite_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailableError, match="36 letters"):
        open_milvus(str(tmp_path / "my index.db"), model="m", dimensions=DIMENSIONS)


def test_an_index_that_never_held_anything_finds_nothing(tmp_path: Path) -> None:
    index = open_milvus(str(tmp_path / "index.db"), model="m", dimensions=DIMENSIONS)
    try:
        assert index.search_bm25("年假 policy", SCOPE, 5) == []
        assert index.search_dense(unit(1), SCOPE, 5) == []
        assert index.frequencies(["policy"], SCOPE) == {"policy": 0}
    finally:
        index.close()
