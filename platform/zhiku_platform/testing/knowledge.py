"""A knowledge service in memory, for tests and for measuring what stands on top of search.

It has the methods of `KnowledgeClient` that readers use, with rights, and ranks by BM25 over stems of
English words and pairs of Chinese characters.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from math import exp, log

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import (
    FoundPassage,
    GrantRole,
    KnowledgeBase,
    Passage,
    PassageKind,
    SearchRequest,
    SearchResult,
)
from zhiku_platform.errors import NotFoundError
from zhiku_platform.text.language import detect_language

_HAN = re.compile("[\u3400-\u9fff]+")
_WORD = re.compile("[a-z0-9]+")
_K1, _B = 1.2, 0.75


def _terms(text: str) -> Counter[str]:
    lowered = text.lower()
    found = Counter(re.sub(r"(?:ing|ed|es|s)$", "", word) for word in _WORD.findall(lowered))
    for run in _HAN.findall(lowered):
        found.update(run[i : i + 2] for i in range(len(run) - 1))
    return found


@dataclass
class _Indexed:
    passage: Passage
    readers: frozenset[str]
    terms: Counter[str]


@dataclass
class LocalKnowledge:
    """`bases` maps knowledge base ids to names; everybody who may read one of its passages may view it."""

    bases: dict[str, str] = field(default_factory=dict)
    _passages: dict[str, _Indexed] = field(default_factory=dict)

    def add(
        self,
        document: str,
        text: str,
        *,
        base: str = "Handbook",
        readers: Sequence[str] = ("everyone",),
        heading_path: Sequence[str] = (),
        page: int | None = None,
        kind: PassageKind = PassageKind.TEXT,
    ) -> Passage:
        """Add one passage of a document that holders of any token in `readers` may read."""
        base_id = f"kb_{base}"
        self.bases[base_id] = base
        ordinal = len(self._passages)
        language = detect_language(text)
        passage = Passage(
            id=f"psg_{ordinal}",
            document_id=f"doc_{document}",
            knowledge_base_id=base_id,
            document_title=document,
            ordinal=ordinal,
            kind=kind,
            text=text,
            heading_path=list(heading_path),
            page=page,
            regions=[],
            language=language,
            content_hash=sha256(text.encode()).hexdigest(),
        )
        whole = " ".join([document, *heading_path, text])
        self._passages[passage.id] = _Indexed(passage, frozenset(readers), _terms(whole))
        return passage

    def set_readers(self, document: str, readers: Sequence[str]) -> None:
        """Change who may read a document, from this moment on."""
        for item in self._passages.values():
            if item.passage.document_title == document:
                item.readers = frozenset(readers)

    def search(self, principal: Principal, request: SearchRequest) -> SearchResult:
        viewable = {base.id: base.name for base in self.knowledge_bases(principal)}
        wanted = set(request.knowledge_base_ids) or set(viewable)
        if not wanted <= set(viewable):
            raise NotFoundError("knowledge base")
        items = [item for item in self._readable(principal) if item.passage.knowledge_base_id in wanted]
        query = _terms(request.query)
        weights = _rarity(items)
        unseen = log(2 + 2 * len(items))
        whole = sum(weights.get(term, unseen) for term in query) or 1.0
        mean = sum(item.terms.total() for item in items) / max(1, len(items))
        scored = sorted(((_bm25(query, item, weights, mean), item) for item in items), key=lambda pair: -pair[0])
        passages = [
            FoundPassage(
                passage=item.passage,
                score=1 - exp(-score / 10),
                cosine=None,
                word_overlap=sum(weights[term] for term in query if term in item.terms) / whole,
            )
            for score, item in scored[: request.limit]
            if score > 0
        ]
        best = max((found.word_overlap for found in passages[:3]), default=0.0)
        names = sorted(viewable[base_id] for base_id in wanted)
        releases = dict.fromkeys(sorted(wanted), 1)
        return SearchResult(passages=passages, relevance=best, searched=names, timings_ms={}, releases=releases)

    def readable_passages(self, principal: Principal, passage_ids: list[str]) -> set[str]:
        return {item.passage.id for item in self._readable(principal)} & set(passage_ids)

    def knowledge_bases(self, principal: Principal) -> list[KnowledgeBase]:
        ids = sorted({item.passage.knowledge_base_id for item in self._readable(principal)})
        return [
            KnowledgeBase(
                id=base_id,
                name=self.bases[base_id],
                description="",
                language="mixed",
                role=GrantRole.VIEWER,
                documents=1,
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
            for base_id in ids
        ]

    def _readable(self, principal: Principal) -> list[_Indexed]:
        return [item for item in self._passages.values() if item.readers & principal.tokens]


def _rarity(items: Sequence[_Indexed]) -> dict[str, float]:
    counts = Counter(term for item in items for term in item.terms)
    return {term: log(1 + (len(items) - n + 0.5) / (n + 0.5)) for term, n in counts.items()}


def _bm25(query: Counter[str], item: _Indexed, weights: dict[str, float], mean: float) -> float:
    length = item.terms.total() / mean if mean else 1.0
    return sum(
        weights[term] * item.terms[term] * (_K1 + 1) / (item.terms[term] + _K1 * (1 - _B + _B * length))
        for term in query
        if term in item.terms
    )
