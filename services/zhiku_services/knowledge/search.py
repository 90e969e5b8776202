"""Search: rights → filter → dense and words in the index → text under current rights → fusion.

What is hidden must not show in what is found, not even by its order: places are counted among readable passages only,
and words are weighed by the caller's own (`own_words`). One trace is left: which hundred of more than a hundred
passages that share a word with the query are looked at is the engine's choice, by the weights of its whole collection.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

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
from zhiku_services.knowledge.models import KnowledgeBaseRow
from zhiku_services.knowledge.own_words import counted_words, weigh
from zhiku_services.knowledge.passages import to_passage
from zhiku_services.knowledge.ranking import POOL, Candidate, Ranked, rank, words_of_passage
from zhiku_services.knowledge.ranking.confidence import relevance
from zhiku_services.knowledge.releases import view_releases
from zhiku_services.knowledge.repository import PUBLISHED, Hydrated, KnowledgeRepository, ReleaseView

EmbedQuery = Callable[[Principal, str], Sequence[float]]
"""Turns a query into a unit vector of the index's dimensions, on behalf of a principal."""

_DEEPEST_POOL = 16_384
"""The most that the engine gives at once."""


@dataclass(frozen=True)
class _Hits:
    """What one side of the index found, best first: passage id → score. `exhausted` if there is no more."""

    scores: dict[str, float]
    exhausted: bool

    def readable(self, hydrated: Mapping[str, Hydrated]) -> dict[str, float]:
        """The first `POOL` of those that the caller may read: what it may not read takes nobody's place."""
        return dict(islice(((each, score) for each, score in self.scores.items() if each in hydrated), POOL))

    def suffices(self, hydrated: Mapping[str, Hydrated]) -> bool:
        return self.exhausted or len(self.readable(hydrated)) == POOL


@dataclass(frozen=True)
class Searched:
    """What a search looks at: the knowledge bases, at which release, and how many passages the caller has there."""

    scope: Scope
    view: ReleaseView
    names: list[str]
    releases: dict[str, int]
    passages: int


def search(
    access: Access,
    request: SearchRequest,
    *,
    database: Database,
    index: VectorIndex,
    embed: EmbedQuery,
    for_service: bool = False,
) -> SearchResult:
    """Find the passages that the caller may read and that answer best, best first.

    `for_service`: a service of ours asks on the caller's behalf, see `view_releases`.

    Raises:
        NotFoundError: one of the knowledge bases named is missing or hidden, or the release is not there.
        RoleTooSmallError: a viewer named a release.
        ServiceUnavailableError: the embedding model or the index does not answer.
    """
    clock = _Clock()
    with database.read() as session:
        searched = _searched(access, request, KnowledgeRepository(session, access), for_service=for_service)
    clock.lap("rights")
    if not searched.scope.knowledge_bases:
        return _result(searched, [], [], clock)
    vector = None if request.mode is SearchMode.BM25 else embed(access.principal, request.query)
    clock.lap("embed")
    ranked, hydrated = _search(access, request, vector, searched, database=database, index=index, clock=clock)
    found = [_found(item, hydrated) for item in ranked[: request.limit]]
    return _result(searched, ranked, found, clock)


def for_callers(result: SearchResult, access: Access, *, database: Database) -> SearchResult:
    """A result without the numbers of releases that are not the caller's to know."""
    with database.read() as session:
        viewable = KnowledgeRepository(session, access).knowledge_bases(list(result.releases))
    editable = {row.id for row, role in viewable if role is not GrantRole.VIEWER}
    return result.model_copy(update={"releases": {kb: n for kb, n in result.releases.items() if kb in editable}})


def _result(
    searched: Searched, ranked: Sequence[Ranked], passages: list[FoundPassage], clock: "_Clock"
) -> SearchResult:
    return SearchResult(
        passages=passages,
        relevance=relevance(ranked),
        searched=searched.names,
        timings_ms=clock.timings_ms,
        releases=searched.releases,
    )


def _searched(
    access: Access, request: SearchRequest, repository: KnowledgeRepository, *, for_service: bool
) -> Searched:
    viewable = _viewable(repository, request.knowledge_base_ids)
    view = view_releases(viewable, request.numbers, for_service=for_service)
    scope = scope_of(access, repository, [row for row, _ in viewable], view)
    return Searched(
        scope=scope,
        view=view,
        names=sorted(row.name for row, _ in viewable),
        releases={row.id: view.numbers.get(row.id, row.published_release) for row, _ in viewable},
        passages=repository.count_passages([kb.kb_id for kb in scope.knowledge_bases], view),
    )


def scope_of(
    access: Access,
    repository: KnowledgeRepository,
    rows: Sequence[KnowledgeBaseRow],
    view: ReleaseView = PUBLISHED,
) -> Scope:
    """Compile the caller's rights into what the index may look at; no right, no knowledge base."""
    acls = repository.readable_acls([row.id for row in rows])
    return Scope(
        tenant=access.tenant,
        level=access.principal.clearance,
        knowledge_bases=tuple(
            KnowledgeBaseScope(
                kb_id=row.id,
                acl_ids=frozenset(acls[row.id]),
                release=view.numbers.get(row.id, row.published_release),
            )
            for row in rows
            if row.id in acls
        ),
    )


def _viewable(repository: KnowledgeRepository, wanted: Sequence[str]) -> list[tuple[KnowledgeBaseRow, GrantRole]]:
    viewable = repository.knowledge_bases(wanted)
    if len(viewable) < len(set(wanted)):
        raise NotFoundError("knowledge base")
    return viewable


def _search(
    access: Access,
    request: SearchRequest,
    vector: Sequence[float] | None,
    searched: Searched,
    *,
    database: Database,
    index: VectorIndex,
    clock: "_Clock",
) -> tuple[list[Ranked], Mapping[str, Hydrated]]:
    """Search, drop what current rights forbid, and look deeper until that has left no gap."""
    pool = POOL
    while True:
        words, meaning = _hits(request, vector, searched.scope, pool, index)
        clock.lap("index")
        with database.read() as session:
            ids = list(words.scores | meaning.scores)
            hydrated = KnowledgeRepository(session, access).hydrate(ids, searched.view)
        clock.lap("hydrate")
        if (words.suffices(hydrated) and meaning.suffices(hydrated)) or pool == _DEEPEST_POOL:
            break
        pool = min(2 * pool, _DEEPEST_POOL)
    bm25 = _weighed(request.query, words.readable(hydrated), hydrated, searched, index)
    cosine = meaning.readable(hydrated)
    unknown = bm25.keys() - cosine.keys()
    if vector is not None and unknown:
        missing = index.search_dense(vector, searched.scope, len(unknown), within=unknown)
        # Milvus Lite was seen to give others, too: nothing that was not hydrated goes on.
        cosine |= {hit.passage_id: hit.score for hit in missing if hit.passage_id in unknown}
    clock.lap("index")
    ranked = rank(request.query, _candidates(bm25, cosine, hydrated), request.mode)
    clock.lap("rank")
    return ranked, hydrated


def _weighed(
    query: str,
    by_words: Mapping[str, float],
    hydrated: Mapping[str, Hydrated],
    searched: Searched,
    index: VectorIndex,
) -> dict[str, float]:
    """What was found by words, weighed by the caller's own passages."""
    if not by_words:
        return {}
    frequencies = index.frequencies(counted_words(query), searched.scope)
    texts = [_text(hydrated[passage_id]) for passage_id in by_words]
    return dict(zip(by_words, weigh(query, texts, frequencies, searched.passages), strict=True))


def _text(found: Hydrated) -> str:
    passage, document = found
    return words_of_passage(document.title, passage.heading_path, passage.text)


def _hits(
    request: SearchRequest, vector: Sequence[float] | None, scope: Scope, pool: int, index: VectorIndex
) -> tuple[_Hits, _Hits]:
    by_words: list[Hit] = []
    by_meaning: list[Hit] = []
    if request.mode is not SearchMode.DENSE:
        by_words = index.search_bm25(request.query, scope, pool)
    if vector is not None:
        by_meaning = index.search_dense(vector, scope, pool)
    words, meaning = (
        _Hits({hit.passage_id: hit.score for hit in hits}, exhausted=len(hits) < pool)
        for hits in (by_words, by_meaning)
    )
    return words, meaning


def _candidates(
    bm25: Mapping[str, float], cosine: Mapping[str, float], hydrated: Mapping[str, Hydrated]
) -> list[Candidate]:
    candidates: list[Candidate] = []
    for passage_id in dict.fromkeys([*cosine, *bm25]):
        passage, document = hydrated[passage_id]
        candidates.append(
            Candidate(
                passage_id=passage_id,
                text=_text((passage, document)),
                cosine=cosine.get(passage_id),
                bm25=bm25.get(passage_id),
                title=" ".join([document.title, *passage.heading_path]),
            )
        )
    return candidates


def _found(item: Ranked, hydrated: Mapping[str, Hydrated]) -> FoundPassage:
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
