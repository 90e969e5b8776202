"""The index in memory behind the contract of a vector index: what is shown on it holds for an engine."""

import pytest

from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.testing import VectorIndexContract

from .memory_index import MemoryIndex


@pytest.fixture(scope="module")
def index() -> VectorIndex:
    return MemoryIndex()


class TestMemoryIndex(VectorIndexContract):
    """The whole contract, BM25 included."""
