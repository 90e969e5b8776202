"""A vector index in memory: exact, without an engine, and with the side channels of one.

It passes the contract of `VectorIndex`. Like Milvus it weighs words by how rare they are in the whole collection,
whoever may read the passages that hold them.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock

import numpy as np
import numpy.typing as npt

from zhiku_services.knowledge.filters import encode_id, encode_int, encode_name, id_expressions, scope_expressions
from zhiku_services.knowledge.index import (
    MAX_FREQUENCY,
    Acls,
    Hit,
    IndexCapabilities,
    IndexRow,
    IndexUnavailableError,
    KnowledgeBaseScope,
    Place,
    Scope,
    VectorIndex,
)
from zhiku_services.knowledge.ranking.words import content_words

_K1, _B = 1.2, 0.75


@dataclass(frozen=True)
class _Entry:
    row: IndexRow
    vector: npt.NDArray[np.float32]
    words: Counter[str]


class MemoryIndex:
    """Rows in a dictionary. While `is_broken`, it searches and takes rows, but follows no change of the tables."""

    capabilities = IndexCapabilities(engine="milvus-lite", version=(0,), word_search=True, dense_index="FLAT")

    def __init__(self) -> None:
        self.is_broken = False
        self._entries: dict[str, _Entry] = {}
        self._lock = Lock()

    def clear(self) -> None:
        """Forget every row."""
        self._entries.clear()

    def rows(self) -> list[IndexRow]:
        return [entry.row for entry in self._entries.values()]

    def upsert(self, rows: Sequence[IndexRow]) -> None:
        for row in rows:
            for own_id in (row.passage_id, row.kb_id, row.document_id):
                encode_id(own_id)
            encode_name(row.tenant)
            for number in (row.acl_id, row.level, row.released_from, row.released_to):
                encode_int(number)
        with self._lock:
            for row in rows:
                vector = np.asarray(row.vector, dtype=np.float32)
                self._entries[row.passage_id] = _Entry(row, vector, Counter(content_words(row.text)))

    def place(self, passage_ids: Sequence[str], place: Place) -> None:
        id_expressions(passage_ids)
        check_followed(self.is_broken, passage_ids)
        with self._lock:
            for passage_id in passage_ids:
                if (entry := self._entries.get(passage_id)) is not None:
                    self._entries[passage_id] = replace(entry, row=replace(entry.row, **asdict(place)))

    def delete(self, passage_ids: Sequence[str]) -> None:
        id_expressions(passage_ids)
        check_followed(self.is_broken, passage_ids)
        with self._lock:
            for passage_id in passage_ids:
                self._entries.pop(passage_id, None)

    def search_dense(
        self, vector: Sequence[float], scope: Scope, limit: int, *, within: Collection[str] | None = None
    ) -> list[Hit]:
        _check_limit(limit)
        query = np.asarray(vector, dtype=np.float32)
        return _best({entry.row.passage_id: float(entry.vector @ query) for entry in self._in(scope, within)}, limit)

    def search_bm25(self, text: str, scope: Scope, limit: int, *, within: Collection[str] | None = None) -> list[Hit]:
        _check_limit(limit)
        found = self._in(scope, within)
        entries = list(self._entries.values())
        average = sum(entry.words.total() for entry in entries) / max(1, len(entries))
        holding = Counter(word for entry in entries for word in entry.words)
        scores: dict[str, float] = {}
        for entry in found:
            length = _K1 * (1 - _B + _B * entry.words.total() / (average or 1))
            scores[entry.row.passage_id] = sum(
                math.log(1 + (len(entries) - holding[word] + 0.5) / (holding[word] + 0.5))
                * entry.words[word]
                * (_K1 + 1)
                / (entry.words[word] + length)
                for word in content_words(text)
                if word in entry.words
            )
        return _best({passage_id: score for passage_id, score in scores.items() if score > 0}, limit)

    def frequencies(self, words: Sequence[str], scope: Scope) -> dict[str, int]:
        found = self._in(scope, None)
        return {word: min(sum(word in entry.words for entry in found), MAX_FREQUENCY) for word in words}

    def count(self, scope: Scope) -> int:
        return len(self._in(scope, None))

    def flush(self) -> None:
        """Nothing to do: there is no disk."""

    def close(self) -> None:
        self.clear()

    def _in(self, scope: Scope, within: Collection[str] | None) -> list[_Entry]:
        # The compiler of filters refuses what may not enter one; its text is not needed here.
        scope_expressions(scope, within)
        known = {kb.kb_id: kb for kb in scope.knowledge_bases}
        return [
            entry
            for entry in list(self._entries.values())
            if entry.row.tenant == scope.tenant
            and entry.row.level <= scope.level
            and (within is None or entry.row.passage_id in within)
            and (kb := known.get(entry.row.kb_id)) is not None
            and _is_in(entry.row, kb)
        ]


class BreakableIndex:
    """An engine of one's own choice that can be told not to follow the tables."""

    def __init__(self, index: VectorIndex) -> None:
        self.is_broken = False
        self.capabilities = index.capabilities
        self.upsert = index.upsert
        self.search_dense = index.search_dense
        self.search_bm25 = index.search_bm25
        self.frequencies = index.frequencies
        self.count = index.count
        self.flush = index.flush
        self.close = index.close
        self._index = index

    def clear(self) -> None:
        """Leave the rows: each company has ids of its own."""

    def place(self, passage_ids: Sequence[str], place: Place) -> None:
        check_followed(self.is_broken, passage_ids)
        self._index.place(passage_ids, place)

    def delete(self, passage_ids: Sequence[str]) -> None:
        check_followed(self.is_broken, passage_ids)
        self._index.delete(passage_ids)


def check_followed(is_broken: bool, passage_ids: Sequence[str]) -> None:
    """Fail as an engine does that is away."""
    if is_broken and passage_ids:
        raise IndexUnavailableError("The index is broken by a test.", remedy="Mend it.")


def _is_in(row: IndexRow, kb: KnowledgeBaseScope) -> bool:
    is_reader = kb.acl_ids is Acls.ALL or row.acl_id in kb.acl_ids
    return is_reader and row.released_from <= kb.release < row.released_to


def _best(scores: dict[str, float], limit: int) -> list[Hit]:
    hits = [Hit(passage_id, score) for passage_id, score in scores.items()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.passage_id))[:limit]


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= 16_384:
        raise ValueError(f"limit is {limit}, not 1..16384")
