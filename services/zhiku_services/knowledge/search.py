"""Search: rights → filter → dense and words in the index → fusion → text under current rights."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zhiku_platform.access import Access
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import (
    FoundPassage,
    GrantRole,
    SearchMode,
    SearchRequest,
    SearchResult,
)
from zhiku_platform.db import Database
from zhiku_platform.errors import NotFoundError
from zhiku_services.knowledge.index import Hit, KnowledgeBaseScope, Scope, VectorIndex
from zhiku_services.knowledge.models import DocumentRow, KnowledgeBaseRow, PassageRow
from zhiku_services.knowledge.passages import to_passage
from zhiku_services.knowledge.ranking import POOL, Candidate, Ranked, rank, words_of_passage
from zhiku_services.knowledge.ranking.confidence import relevance
from zhiku_services.knowledge.repository import KnowledgeRepository

EmbedQuery = Callable[[Principal, str], Sequence[float]]
"""Turns a query into a unit vector of the index's dimensions, on behalf of a principal."""

_DEEPEST_POOL = 8 * POOL

Hydrated = dict[str, tuple[PassageRow, DocumentRow]]


@dataclass(frozen=True)
class _Hits:
    """What the index found: passage id → score of each side."""

    cosine: dict[str, float]
    words: dict[str, float]
    exhausted: bool

    @property
    def ids(self) -> list[str]:
        return list(self.cosine | self.words)


def search(
    access: Access, request: SearchRequest, *, database: Database, index: VectorIndex, embed: EmbedQuery
) -> SearchResult:
    """Find the passages that the caller may read and that answer best, best first.

    Raises:
        NotFoundError: one of the knowledge bases named is missing or hidden.
        ServiceUnavailableError: the embedding model or the index does not answer.
    """
    clock = _Clock()
    with database.read() as session:
        repository = KnowledgeRepository(session, access)
        viewable = _viewable(repository, request.knowledge_base_ids)
        scope = scope_of(access, repository, [row for row, _ in viewable])
    clock.lap("rights")
    names = sorted(row.name for row, _ in viewable)
    if not scope.knowledge_bases:
        return SearchResult(passages=[], relevance=0.0, searched=names, timings_ms=clock.timings_ms)
    vector = None if request.mode is SearchMode.BM25 else embed(access.principal, request.query)
    clock.lap("embed")
    ranked, hydrated = _search_deeper(access, request, vector, scope, database=database, index=index, clock=clock)
    best = ranked[: request.limit]
    return SearchResult(
        passages=[_found(item, hydrated) for item in best],
        relevance=relevance(ranked),
        searched=names,
        timings_ms=clock.timings_ms,
    )


def scope_of(access: Access, repository: KnowledgeRepository, rows: Sequence[KnowledgeBaseRow]) -> Scope:
    """Compile the caller's rights into what the index may look at; no right, no knowledge base."""
    acls = repository.readable_acls([row.id for row in rows])
    return Scope(
        tenant=access.tenant,
        level=access.principal.clearance,
        knowledge_bases=tuple(
            KnowledgeBaseScope(kb_id=row.id, acl_ids=frozenset(acls[row.id]), release=row.release)
            for row in rows
            if row.id in acls
        ),
    )


def _viewable(repository: KnowledgeRepository, wanted: Sequence[str]) -> list[tuple[KnowledgeBaseRow, GrantRole]]:
    viewable = repository.knowledge_bases(wanted)
    if len(viewable) < len(set(wanted)):
        raise NotFoundError("knowledge base")
    return viewable


def _search_deeper(
    access: Access,
    request: SearchRequest,
    vector: Sequence[float] | None,
    scope: Scope,
    *,
    database: Database,
    index: VectorIndex,
    clock: "_Clock",
) -> tuple[list[Ranked], Hydrated]:
    """Search, drop what current rights forbid, and look deeper while too few are left."""
    pool = POOL
    while True:
        hits = _hits(request, vector, scope, pool, index)
        clock.lap("index")
        with database.read() as session:
            hydrated = KnowledgeRepository(session, access).hydrate(hits.ids)
        clock.lap("hydrate")
        if len(hydrated) >= request.limit or hits.exhausted or pool >= _DEEPEST_POOL:
            ranked = rank(request.query, _candidates(hits, hydrated), request.mode)
            clock.lap("rank")
            return ranked, hydrated
        pool *= 2


def _hits(request: SearchRequest, vector: Sequence[float] | None, scope: Scope, pool: int, index: VectorIndex) -> _Hits:
    by_words: list[Hit] = []
    by_meaning: list[Hit] = []
    if request.mode is not SearchMode.DENSE:
        by_words = index.search_bm25(request.query, scope, pool)
    cosine: dict[str, float] = {}
    if vector is not None:
        by_meaning = index.search_dense(vector, scope, pool)
        cosine = {hit.passage_id: hit.score for hit in by_meaning}
        unknown = [hit.passage_id for hit in by_words if hit.passage_id not in cosine]
        if unknown:
            missing = index.search_dense(vector, scope, len(unknown), within=unknown)
            cosine |= {hit.passage_id: hit.score for hit in missing}
    return _Hits(
        cosine=cosine,
        words={hit.passage_id: hit.score for hit in by_words},
        exhausted=len(by_words) < pool and len(by_meaning) < pool,
    )


def _candidates(hits: _Hits, hydrated: Hydrated) -> list[Candidate]:
    return [
        Candidate(
            passage_id=passage_id,
            text=words_of_passage(document.title, passage.heading_path, passage.text),
            cosine=hits.cosine.get(passage_id),
            bm25=hits.words.get(passage_id),
            title=" ".join([document.title, *passage.heading_path]),
        )
        for passage_id, (passage, document) in hydrated.items()
    ]


def _found(item: Ranked, hydrated: Hydrated) -> FoundPassage:
    passage, document = hydrated[item.passage_id]
    return FoundPassage(
        passage=to_passage(passage, document), score=item.score, cosine=item.cosine, word_overlap=item.word_overlap
    )


class _Clock:
    """Adds up milliseconds by step."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.timings_ms[step] = round(self.timings_ms.get(step, 0.0) + (now - self._last) * 1000, 2)
        self._last = now
