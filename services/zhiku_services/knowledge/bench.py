"""Search under rights at size: how long it takes, what the rights cost, and that nothing leaks.

The world is generated from a seed: knowledge bases, groups, documents with readers, users. Vectors are random,
so the embedding model's time is not in the figures. What a user may read is worked out here a second time, from
the generated world alone, and every passage found is held against it.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zhiku_platform.access import Access, Permission, authorize, service_principal
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import (
    DocumentTarget,
    GrantRole,
    NewGrant,
    NewKnowledgeBase,
    NewRelease,
    PassageDraft,
    PublishedPassage,
    Publishing,
    PublishRequest,
    SearchRequest,
)
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.knowledge import releases, service
from zhiku_services.knowledge.app import open_database
from zhiku_services.knowledge.index import ALL_ACLS, KnowledgeBaseScope, Scope, VectorIndex
from zhiku_services.knowledge.index_milvus import open_milvus
from zhiku_services.knowledge.publishing import publish
from zhiku_services.knowledge.ranking import POOL
from zhiku_services.knowledge.repository import KnowledgeRepository
from zhiku_services.knowledge.search import scope_of, search

_TENANT = "bench"
_DIMENSIONS = 384
_KNOWLEDGE_BASES = 20
_GROUPS = 40
_USERS = 200
_PASSAGES_PER_DOCUMENT = 200
"""An index fills some ten times faster with large documents than with small ones."""
_PASSAGES_PER_BOOK = 500
_WORDS_PER_PASSAGE = 60
_TIMED = 300
_OWNER = Principal(sub="owner", tenant=_TENANT, roles=frozenset({Role.KB_ADMIN}))

Report = Callable[[str], None]


@dataclass
class World:
    """What exists, and who may see it. `passages` maps a passage's text to its knowledge base and readers."""

    chance: random.Random
    database: Database
    index: VectorIndex
    users: list[Principal] = field(default_factory=list)
    grants: dict[str, set[str]] = field(default_factory=dict)
    passages: dict[str, tuple[str, frozenset[str] | None]] = field(default_factory=dict)

    def may_read(self, user: Principal, text: str) -> bool:
        """Work out from the world alone whether `user` may read the passage."""
        knowledge_base_id, readers = self.passages[text]
        return bool(self.grants[knowledge_base_id] & user.tokens) and (readers is None or bool(readers & user.tokens))


def bench_search(folder: Path, *, passages: int, pairs: int, seed: int = 7, report: Report) -> dict[str, Any]:
    """Build a world of `passages` passages in `folder`, then time and check `pairs` random (user, query) pairs."""
    settings = Settings(home=folder)
    database = open_database(settings)
    index = open_milvus(str(folder / "milvus.db"), model="bench", dimensions=_DIMENSIONS)
    try:
        world = World(random.Random(seed), database, index)  # noqa: S311 - a reproducible world, no secret
        started = time.perf_counter()
        _build(world, passages, report)
        built_s = time.perf_counter() - started
        report("timing")
        timings = _time(world)
        report("checking")
        checked = _check(world, pairs)
        return {"passages": passages, "seed": seed, "build_s": round(built_s, 1), **timings, **checked}
    finally:
        index.close()
        database.close()


def bench_releases(folder: Path, *, passages: int, rounds: int = 50, seed: int = 7, report: Report) -> dict[str, Any]:
    """Fill one knowledge base, release it twice, and time moving between the two, and revoking a reader.

    The second release replaces a tenth of the documents. After each move a search must find what that release holds;
    after each revocation it must find nothing.
    """
    settings = Settings(home=folder)
    database = open_database(settings)
    index = open_milvus(str(folder / "milvus.db"), model="bench", dimensions=_DIMENSIONS)
    try:
        world = World(random.Random(seed), database, index)  # noqa: S311 - a reproducible world, no secret
        knowledge_base_id = _build_releases(world, passages, report)
        report("moving")
        moved = _move(world, knowledge_base_id, rounds)
        report("revoking")
        revoked = _revoke(world, knowledge_base_id, rounds)
        return {"passages": passages, "seed": seed, "rounds": rounds, **moved, **revoked}
    finally:
        index.close()
        database.close()


def _build_releases(world: World, passages: int, report: Report) -> str:
    new = NewKnowledgeBase(name="Released", publishing=Publishing.MANUAL)
    with world.database.write() as session:
        made = service.create_knowledge_base(authorize(_OWNER, Permission.KNOWLEDGE_BASE_CREATE), new, session)
    documents = max(10, passages // _PASSAGES_PER_BOOK)
    for n in range(documents):
        _write(world, made.id, n, version=1)
        if n % 20 == 19:
            report(f"{(n + 1) * _PASSAGES_PER_BOOK} passages")
    _release(world, made.id)
    for n in range(documents // 10):
        _write(world, made.id, n, version=2)
    _release(world, made.id)
    return made.id


def _write(world: World, knowledge_base_id: str, n: int, *, version: int) -> None:
    texts = [f"{_words(world.chance)} canary{n}v{version}x{m}" for m in range(_PASSAGES_PER_BOOK)]
    request = _request(knowledge_base_id, n, texts, readers=None, version=version)
    access = authorize(service_principal("ingestion", _TENANT), Permission.PASSAGE_PUBLISH)
    publish(access, request, database=world.database, index=world.index)


def _release(world: World, knowledge_base_id: str) -> None:
    with world.database.write() as session:
        access = authorize(_OWNER, Permission.RELEASE_MANAGE)
        releases.create_release(access, knowledge_base_id, NewRelease(publish=True), session)


def _move(world: World, knowledge_base_id: str, rounds: int) -> dict[str, Any]:
    """Publish the first and the second release in turns."""
    access = authorize(_OWNER, Permission.RELEASE_MANAGE)
    seconds: list[float] = []
    until_seen: list[float] = []
    wrong = 0
    for n in range(rounds):
        number = 1 + n % 2
        started = time.perf_counter()
        with world.database.write() as session:
            releases.publish_release(access, knowledge_base_id, number, session)
        seconds.append(time.perf_counter() - started)
        found = _search(world, authorize(_OWNER, Permission.SEARCH), f"canary0v{number}x0", seed=n)
        until_seen.append(time.perf_counter() - started)
        wrong += not found or f"canary0v{number}x0" not in found[0]
        wrong += any(f"canary0v{3 - number}x" in text for text in found)
    return {
        "move_ms": _percentiles(seconds),
        "move_and_search_ms": _percentiles(until_seen),
        "wrong_after_move": wrong,
    }


def _revoke(world: World, knowledge_base_id: str, rounds: int) -> dict[str, Any]:
    """Give a reader a grant and take it away again."""
    owner = authorize(_OWNER, Permission.KNOWLEDGE_BASE_MANAGE)
    reader = Principal(sub="reader", tenant=_TENANT, roles=frozenset({Role.EMPLOYEE}))
    access = authorize(reader, Permission.SEARCH)
    seconds: list[float] = []
    seen = unseen = 0
    for n in range(rounds):
        with world.database.write() as session:
            grant = service.add_grant(
                owner, knowledge_base_id, NewGrant(subject="user:reader", role=GrantRole.VIEWER), session
            )
        unseen += not _search(world, access, "canary1v2x0", seed=n)
        started = time.perf_counter()
        with world.database.write() as session:
            service.remove_grant(owner, knowledge_base_id, grant.id, session)
        seconds.append(time.perf_counter() - started)
        seen += bool(_search(world, access, "canary1v2x0", seed=n))
    return {"revoke_ms": _percentiles(seconds), "found_after_revoking": seen, "not_found_while_granted": unseen}


def _build(world: World, passages: int, report: Report) -> None:
    access = authorize(_OWNER, Permission.KNOWLEDGE_BASE_CREATE)
    groups = [f"group:g{n}" for n in range(_GROUPS)]
    with world.database.write() as session:
        for n in range(_KNOWLEDGE_BASES):
            made = service.create_knowledge_base(access, NewKnowledgeBase(name=f"KB {n}"), session)
            world.grants[made.id] = {"user:owner"}
            for subject in world.chance.sample(groups, 8):
                service.add_grant(access, made.id, NewGrant(subject=subject, role=GrantRole.VIEWER), session)
                world.grants[made.id].add(subject)
    for n in range(_USERS):
        held = frozenset(f"g{group}" for group in world.chance.sample(range(_GROUPS), world.chance.randint(0, 8)))
        world.users.append(Principal(sub=f"u{n}", tenant=_TENANT, groups=held, roles=frozenset({Role.EMPLOYEE})))
    documents = passages // _PASSAGES_PER_DOCUMENT
    for n in range(documents):
        _publish(world, n, groups)
        if n % 50 == 49:
            report(f"{(n + 1) * _PASSAGES_PER_DOCUMENT} passages")


def _publish(world: World, n: int, groups: Sequence[str]) -> None:
    knowledge_base_id = world.chance.choice(list(world.grants))
    readers = None if world.chance.random() < 0.3 else world.chance.sample(groups, world.chance.randint(1, 3))
    texts = [f"{_words(world.chance)} canary{n}x{m}" for m in range(_PASSAGES_PER_DOCUMENT)]
    request = _request(knowledge_base_id, n, texts, readers=readers)
    access = authorize(service_principal("ingestion", _TENANT), Permission.PASSAGE_PUBLISH)
    publish(access, request, database=world.database, index=world.index)
    for text in texts:
        world.passages[text] = (knowledge_base_id, None if readers is None else frozenset(readers))


def _request(
    knowledge_base_id: str, n: int, texts: Sequence[str], *, readers: Sequence[str] | None, version: int = 1
) -> PublishRequest:
    vectors = _unit(np.random.default_rng(n), len(texts))
    target = DocumentTarget(
        document_id=f"doc{n}",
        knowledge_base_id=knowledge_base_id,
        path=f"doc{n}",
        title=f"Document {n}",
        media_type="text/plain",
        blob="0" * 64,
        size_bytes=0,
        content_hash="0" * 64,
        readers=None if readers is None else list(readers),
    )
    return PublishRequest(
        target=target,
        version_id=f"doc{n}-{version}",
        fence=version,
        part=0,
        final=True,
        embedding_model="bench",
        passages=[
            PublishedPassage(draft=PassageDraft(ordinal=m, text=text, tokens=1), vector=vector)
            for m, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ],
    )


def _time(world: World) -> dict[str, Any]:
    """Time the whole search, and the index alone with and without the rights in its filter, in turns."""
    whole, filtered, unfiltered = [], [], []
    for n in range(_TIMED):
        user, query = world.chance.choice(world.users), _query(world.chance)
        access = authorize(user, Permission.SEARCH)
        whole.append(_seconds(partial(_search, world, access, query, seed=n)))
        with world.database.read() as session:
            repository = KnowledgeRepository(session, access)
            rows = [row for row, _ in repository.knowledge_bases()]
            scope = scope_of(access, repository, rows)
        everything = Scope(_TENANT, 9, tuple(KnowledgeBaseScope(kb, ALL_ACLS, 2**40) for kb in world.grants))
        vector = _unit(np.random.default_rng(n), 1)[0]
        if scope.knowledge_bases:
            filtered.append(_seconds(partial(_look, world.index, vector, query, scope)))
            unfiltered.append(_seconds(partial(_look, world.index, vector, query, everything)))
    return {
        "search_ms": _percentiles(whole),
        "index_with_rights_ms": _percentiles(filtered),
        "index_without_rights_ms": _percentiles(unfiltered),
        "rights_cost_ratio_p50": round(statistics.median(filtered) / statistics.median(unfiltered), 2),
    }


def _check(world: World, pairs: int) -> dict[str, Any]:
    """Search for random users and count what they should not have been given, and whether enough was found."""
    unauthorised = short = found = 0
    for n in range(pairs):
        user = world.chance.choice(world.users)
        texts = _search(world, authorize(user, Permission.SEARCH), _query(world.chance), seed=n)
        found += len(texts)
        unauthorised += sum(not world.may_read(user, text) for text in texts)
        short += len(texts) < 10 and any(world.grants[kb] & user.tokens for kb in world.grants)
    return {"pairs": pairs, "passages_found": found, "unauthorised_passages": unauthorised, "short_results": short}


def _search(world: World, access: Access, query: str, *, seed: int) -> list[str]:
    vector = _unit(np.random.default_rng(seed), 1)[0]
    result = search(
        access,
        SearchRequest(query=query, limit=10),
        database=world.database,
        index=world.index,
        embed=lambda *_: vector,
    )
    return [found.passage.text for found in result.passages]


def _look(index: VectorIndex, vector: Sequence[float], query: str, scope: Scope) -> None:
    index.search_dense(vector, scope, POOL)
    index.search_bm25(query, scope, POOL)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(cuts[49] * 1000, 1), "p95": round(cuts[94] * 1000, 1), "p99": round(cuts[98] * 1000, 1)}


def _words(chance: random.Random) -> str:
    """Words whose frequencies fall off as in a language: a few are everywhere, most are rare."""
    return " ".join(f"w{int(chance.paretovariate(0.6)) % 50_000}" for _ in range(_WORDS_PER_PASSAGE))


def _query(chance: random.Random) -> str:
    return " ".join(f"w{chance.randrange(2, 3000)}" for _ in range(5))


def _unit(generator: np.random.Generator, rows: int) -> list[list[float]]:
    vectors = generator.standard_normal((rows, _DIMENSIONS)).astype(np.float32)
    unit: list[list[float]] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).tolist()
    return unit
