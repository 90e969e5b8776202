"""The vector index on Milvus: Milvus Lite in a file, or a Milvus server, by the same calls.

What differs between engines stands in `IndexCapabilities`. Words are analysed here (`ranking.words`)
and reach Milvus joined by spaces, so BM25 needs its `whitespace` tokenizer only and both engines rank
alike.
"""

import hashlib
import re
import threading
import warnings
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, cast

import numpy as np
from grpc import RpcError  # type: ignore[import-untyped]  # grpcio ships no types
from pymilvus import DataType, Function, FunctionType, MilvusClient
from pymilvus.exceptions import MilvusException

from zhiku_services.knowledge.filters import (
    encode_id,
    encode_int,
    encode_name,
    id_expressions,
    scope_expressions,
)
from zhiku_services.knowledge.index import (
    MAX_FREQUENCY,
    Hit,
    IndexCapabilities,
    IndexMismatchError,
    IndexRow,
    IndexUnavailableError,
    Place,
    Scope,
    VectorIndex,
    WordSearchUnavailableError,
)
from zhiku_services.knowledge.ranking.words import content_words

with warnings.catch_warnings():
    # It imports pkg_resources, which warns that it will go; setuptools is held below 81 for it.
    warnings.simplefilter("ignore")
    from milvus_lite.server_manager import server_manager_instance

WRITE_BATCH: Final = 500
"""Rows in one write: at 384 dimensions about 1 MB, far below the 64 MB of a gRPC message."""
MAX_WORDS_BYTES: Final = 60_000
"""Milvus keeps at most 65,535 bytes of text; a passage is some 2,000."""
_MAX_LIMIT: Final = 16_384
_BM25: Final = {"bm25_k1": 1.2, "bm25_b": 0.75}
_HNSW: Final = {"M": 16, "efConstruction": 200}
_FIELDS: Final = (
    "passage_id",
    "tenant",
    "kb_id",
    "document_id",
    "acl_id",
    "level",
    "released_from",
    "released_to",
)
_LITE_VERSION: Final = (2, 5, 1)


class _Client(Protocol):
    """The part of `MilvusClient` that is used here; pymilvus has no types of its own."""

    def has_collection(self, collection_name: str) -> bool: ...
    def load_collection(self, collection_name: str) -> None: ...
    def describe_collection(self, collection_name: str) -> Mapping[str, Any]: ...
    def create_collection(self, collection_name: str, **kwargs: Any) -> None: ...
    def drop_collection(self, collection_name: str) -> None: ...
    def create_schema(self, **kwargs: Any) -> Any: ...
    def prepare_index_params(self) -> Any: ...
    def upsert(self, collection_name: str, data: list[dict[str, Any]]) -> Mapping[str, Any]: ...
    def delete(self, collection_name: str, *, ids: list[str]) -> Any: ...
    def query(self, collection_name: str, **kwargs: Any) -> Sequence[Mapping[str, Any]]: ...
    def search(self, collection_name: str, **kwargs: Any) -> Sequence[Sequence[Mapping[str, Any]]]: ...
    def flush(self, collection_name: str) -> None: ...
    def get_server_version(self) -> str: ...
    def close(self) -> None: ...


def open_milvus(uri: str, *, model: str, dimensions: int, token: str | None = None) -> VectorIndex:
    """Open the collection of one embedding model, and make it when it is not there.

    `uri` is `http://host:port` of a server, or the path of a Milvus Lite file, which one process at a
    time can hold, by one index: closing it stops the engine. Collections of other models stay as they are.

    Raises:
        IndexUnavailableError: the server does not answer, or another process holds the file.
        IndexMismatchError: the collection holds vectors of another length.
    """
    client, release = _connect(uri, token)
    with _as_unavailable():
        capabilities = _LITE if _is_lite(uri) else _server_capabilities(client.get_server_version())
    index = MilvusIndex(client, _collection_name(model), dimensions, capabilities, release)
    index.prepare()
    return index


def drop_milvus(uri: str, *, model: str, token: str | None = None) -> None:
    """Delete the collection of an embedding model; one that is not there is passed over.

    Raises:
        IndexUnavailableError: the server does not answer, or another process holds the file.
    """
    client, release = _connect(uri, token)
    try:
        with _as_unavailable():
            client.drop_collection(_collection_name(model))
    finally:
        client.close()
        release()


def _is_lite(uri: str) -> bool:
    return "://" not in uri


def _connect(uri: str, token: str | None) -> tuple["_Client", Callable[[], None]]:
    """A client, and what lets go of the engine behind it."""
    if _is_lite(uri):
        _prepare_file(Path(uri))
    with _as_unavailable():
        client = cast("_Client", MilvusClient(uri=uri, token=token or ""))
    return client, (lambda: server_manager_instance.release_server(uri)) if _is_lite(uri) else (lambda: None)


class MilvusIndex:
    """A `VectorIndex` on one Milvus collection."""

    def __init__(
        self,
        client: _Client,
        collection: str,
        dimensions: int,
        capabilities: IndexCapabilities,
        release: Callable[[], None],
    ) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = dimensions
        self._capabilities = capabilities
        self._release = release
        self._selectivity = _SelectivityCache()
        self._rewriting = threading.Lock()

    @property
    def capabilities(self) -> IndexCapabilities:
        return self._capabilities

    def prepare(self) -> None:
        """Create and load the collection where it is missing."""
        with _as_unavailable():
            if not self._client.has_collection(self._collection):
                self._create()
            self._client.load_collection(self._collection)
            stored = _dimensions(self._client.describe_collection(self._collection))
        if stored != self._dimensions:
            raise IndexMismatchError(
                f"The index holds vectors of {stored} dimensions, the model makes {self._dimensions}.",
                remedy="Use the embedding model that filled the index, or index the documents again.",
            )

    def upsert(self, rows: Sequence[IndexRow]) -> None:
        # Of two rows of one id in one call the last one counts, as it would in two calls.
        entities = [self._entity(row) for row in {row.passage_id: row for row in rows}.values()]
        with self._rewriting:
            self._write(entities)

    def place(self, passage_ids: Sequence[str], place: Place) -> None:
        changes = asdict(place)
        for value in changes.values():
            encode_int(value)
        # Milvus replaces whole rows, so between reading and writing nobody else may write.
        with self._rewriting:
            for expression in id_expressions(passage_ids):
                rows = self._query(expression, [*_FIELDS, "vector", *(["words"] if self._has_words else [])])
                self._write([{**row, **changes} for row in rows])

    def delete(self, passage_ids: Sequence[str]) -> None:
        for passage_id in passage_ids:
            encode_id(passage_id)
        ids = list(passage_ids)
        with self._rewriting, _as_unavailable():
            for start in range(0, len(ids), WRITE_BATCH):
                self._client.delete(self._collection, ids=ids[start : start + WRITE_BATCH])
        self._selectivity.clear()

    def search_dense(
        self, vector: Sequence[float], scope: Scope, limit: int, *, within: Collection[str] | None = None
    ) -> list[Hit]:
        expressions = scope_expressions(scope, within)
        return self._search("vector", _floats(vector), expressions, limit, self._dense_parameters)

    def search_bm25(self, text: str, scope: Scope, limit: int, *, within: Collection[str] | None = None) -> list[Hit]:
        self._require_words()
        expressions = scope_expressions(scope, within)
        terms = _joined(text)
        if not terms or self._is_empty():
            return []
        return self._search("sparse", terms, expressions, limit, lambda _, __: {"metric_type": "BM25"})

    def frequencies(self, words: Sequence[str], scope: Scope) -> dict[str, int]:
        self._require_words()
        counted = dict.fromkeys(words, 0)
        wanted = [] if self._is_empty() else list(counted)
        for expression in scope_expressions(scope) if wanted else ():
            with _as_unavailable():
                found = self._client.search(
                    self._collection,
                    data=wanted,
                    anns_field="sparse",
                    filter=expression,
                    limit=MAX_FREQUENCY,
                    search_params={"metric_type": "BM25"},
                )
            for word, hits in zip(wanted, found, strict=True):
                counted[word] = min(counted[word] + len(hits), MAX_FREQUENCY)
        return counted

    def count(self, scope: Scope) -> int:
        return sum(self._count(expression) for expression in scope_expressions(scope))

    def flush(self) -> None:
        # Milvus Lite writes through: what it acknowledged survives `kill -9`; it has no flush to call.
        if self._capabilities.engine == "milvus":
            with _as_unavailable():
                self._client.flush(self._collection)

    def close(self) -> None:
        self._client.close()
        # `close` of pymilvus leaves the engine's process and its lock on the file.
        self._release()

    def _is_empty(self) -> bool:
        """Whether there is nothing to weigh words by: Milvus Lite then divides by the number of rows."""
        if self._capabilities.engine != "milvus-lite":
            return False
        with _as_unavailable():
            return not self._client.query(self._collection, filter="level >= 0", output_fields=["level"], limit=1)

    def _require_words(self) -> None:
        if not self._has_words:
            raise WordSearchUnavailableError(
                f"This Milvus server ({_dotted(self._capabilities.version)}) has no BM25.",
                remedy="Use Milvus 2.5 or later, or search by meaning only.",
            )

    @property
    def _has_words(self) -> bool:
        return self._capabilities.word_search

    def _create(self) -> None:
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("passage_id", DataType.VARCHAR, is_primary=True, max_length=128)
        # Not a partition key: 2.3.5 puts upserted rows where a filter by that key does not look.
        schema.add_field("tenant", DataType.VARCHAR, max_length=1000)
        schema.add_field("kb_id", DataType.VARCHAR, max_length=128)
        schema.add_field("document_id", DataType.VARCHAR, max_length=128)
        for field in ("acl_id", "level", "released_from", "released_to"):
            schema.add_field(field, DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dimensions)
        indexes = self._client.prepare_index_params()
        dense = self._capabilities.dense_index
        indexes.add_index("vector", index_type=dense, metric_type="COSINE", params=_HNSW if dense == "HNSW" else {})
        if self._has_words:
            _add_words(schema, indexes)
        self._client.create_collection(
            self._collection, schema=schema, index_params=indexes, consistency_level="Strong"
        )

    def _entity(self, row: IndexRow) -> dict[str, Any]:
        for own_id in (row.passage_id, row.kb_id, row.document_id):
            encode_id(own_id)
        encode_name(row.tenant)
        entity: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
        for name in ("acl_id", "level", "released_from", "released_to"):
            encode_int(entity[name])
        entity["vector"] = _floats(row.vector)
        if self._has_words:
            entity["words"] = _joined(row.text)
        return entity

    def _write(self, entities: list[dict[str, Any]]) -> None:
        with _as_unavailable():
            for start in range(0, len(entities), WRITE_BATCH):
                self._client.upsert(self._collection, entities[start : start + WRITE_BATCH])
        self._selectivity.clear()

    def _query(self, expression: str, fields: list[str]) -> list[dict[str, Any]]:
        with _as_unavailable():
            found = self._client.query(self._collection, filter=expression, output_fields=fields)
        return [{name: each[name] for name in fields} for each in found]

    def _count(self, expression: str) -> int:
        return int(self._query(expression, ["count(*)"])[0]["count(*)"])

    def _search(
        self,
        field: str,
        query: list[float] | str,
        expressions: Sequence[str],
        limit: int,
        parameters: Callable[[str, int], dict[str, Any]],
    ) -> list[Hit]:
        if not 1 <= limit <= _MAX_LIMIT:
            raise ValueError(f"limit is {limit}, not 1..{_MAX_LIMIT}")
        hits: list[Hit] = []
        for expression in expressions:
            with _as_unavailable():
                found = self._client.search(
                    self._collection,
                    data=[query],
                    anns_field=field,
                    filter=expression,
                    limit=limit,
                    search_params=parameters(expression, limit),
                )[0]
            hits += [Hit(str(each["id"]), float(each["distance"])) for each in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.passage_id))[:limit]

    def _dense_parameters(self, expression: str, limit: int) -> dict[str, Any]:
        if self._capabilities.dense_index == "FLAT":
            return {"metric_type": "COSINE"}
        share = self._selectivity.get(expression, lambda: self._count(expression) / max(1, self._count("")))
        return {"metric_type": "COSINE", "params": {"ef": _ef(limit, share)}}


class _SelectivityCache:
    """The share of rows that a filter lets through, until something is written."""

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._shares: dict[str, float] = {}

    def get(self, expression: str, measure: Callable[[], float]) -> float:
        share = self._shares.get(expression)
        if share is None:
            share = measure()
            if len(self._shares) >= self._size:
                self._shares.clear()
            self._shares[expression] = share
        return share

    def clear(self) -> None:
        self._shares.clear()


_LITE: Final = IndexCapabilities(engine="milvus-lite", version=_LITE_VERSION, word_search=True, dense_index="FLAT")


def _server_capabilities(version: str) -> IndexCapabilities:
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return IndexCapabilities(
        engine="milvus",
        version=numbers,
        word_search=numbers >= (2, 5),
        dense_index="HNSW",
    )


def _ef(limit: int, share: float) -> int:
    """Widen the HNSW beam as the filter narrows: a filter makes most of what the beam holds useless."""
    return int(min(max(128, 2 * limit / max(share, 0.001)), 4096))


def _prepare_file(file: Path) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,36}", file.name):
        raise IndexUnavailableError(
            f"Milvus Lite cannot name its file {file.name!r}.",
            remedy="Use at most 36 letters, digits and . _ - in the file's name.",
        )
    file.parent.mkdir(parents=True, exist_ok=True)


def _collection_name(model: str) -> str:
    readable = re.sub(r"\W+", "_", model, flags=re.ASCII).strip("_")[:60]
    return f"passages_{readable}_{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def _add_words(schema: Any, indexes: Any) -> None:
    schema.add_field(
        "words",
        DataType.VARCHAR,
        max_length=65_535,
        enable_analyzer=True,
        analyzer_params={"tokenizer": "whitespace"},
    )
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["words"],
            output_field_names=["sparse"],
        )
    )
    indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params=_BM25)


def _dimensions(description: Mapping[str, Any]) -> int:
    return next(int(field["params"]["dim"]) for field in description["fields"] if field["name"] == "vector")


def _floats(vector: Sequence[float]) -> list[float]:
    return cast("list[float]", np.asarray(vector, dtype=np.float32).tolist())


def _joined(text: str) -> str:
    return " ".join(_fitting(content_words(text)))


def _fitting(terms: Sequence[str]) -> Iterator[str]:
    room = MAX_WORDS_BYTES
    for term in terms:
        room -= len(term.encode()) + 1
        if room < 0:
            return
        yield term


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


@contextmanager
def _as_unavailable() -> Generator[None, None, None]:
    """Say that the engine did not answer, without what was asked: its messages quote filters."""
    try:
        yield
    except (MilvusException, RpcError) as error:
        raise IndexUnavailableError(
            f"The vector index did not answer ({type(error).__name__}).",
            remedy="Check that Milvus runs, and that no other process holds the index file.",
        ) from error
