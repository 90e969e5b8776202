"""A real Milvus server behind the contract of a vector index: the dense path, as 2.3 has no BM25."""

from collections.abc import Iterator

import pytest

from zhiku_platform.testing.milvus_server import can_isolate, milvus_server
from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.index_milvus import open_milvus
from zhiku_services.knowledge.testing import DIMENSIONS, VectorIndexContract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    if not can_isolate():
        pytest.skip("needs Linux with user namespaces: the packaged server listens on all interfaces")
    with milvus_server(tmp_path_factory.mktemp("milvus-server")) as uri:
        index = open_milvus(uri, model="test", dimensions=DIMENSIONS)
        yield index
        index.close()


class TestMilvusServer(VectorIndexContract):
    """The same contract over the network, with HNSW."""


def test_the_server_says_what_it_cannot_do(index: VectorIndex) -> None:
    assert index.capabilities.engine == "milvus"
    assert index.capabilities.version[:2] == (2, 3)
    assert index.capabilities.dense_index == "HNSW"
    assert not index.capabilities.word_search
