"""The contract of a `VectorIndex`, as tests that every engine passes.

Subclass `VectorIndexContract` and give it an `index` fixture of `DIMENSIONS` dimensions. Each test lives in
a tenant of its own, so one index serves them all.
"""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from zhiku_services.knowledge.index import (
    ALL_ACLS,
    MAX_FREQUENCY,
    OPEN_RELEASE,
    IndexRow,
    KnowledgeBaseScope,
    Place,
    Scope,
    UnsafeIdError,
    VectorIndex,
    WordSearchUnavailableError,
)
from zhiku_services.knowledge.ranking.words import content_words

DIMENSIONS: Final = 32
HOSTILE_NAMES: Final = (
    'acme" or tenant != "',
    "acme' or 1 == 1 or '",
    'acme\\" or 1 == 1 or \\"',
    "acme\\",
    "acme) or (1 == 1",
    "知库 有限公司",
    "{tenant}",
    "%_like%",
    "a b c",
    "\u00e9\U0001f984",
)
HOSTILE_IDS: Final = ("", 'a"', "a' or 1==1", "a b", "a\\", "知", "a]", "-a", "a\n", "x" * 129)

Vectors: TypeAlias = npt.NDArray[np.float32]


def unit(*values: float) -> list[float]:
    """Make a unit vector of `DIMENSIONS` floats that starts with `values`."""
    vector = np.zeros(DIMENSIONS)
    vector[: len(values)] = values
    return [float(value) for value in vector / np.linalg.norm(vector)]


class VectorIndexContract:
    """What holds for every engine behind `VectorIndex`."""

    @pytest.fixture
    def tenant(self) -> str:
        return f"tenant-{uuid.uuid4()}"

    @pytest.fixture
    def everything(self, tenant: str) -> Scope:
        return Scope(tenant, 9, (KnowledgeBaseScope("kb", ALL_ACLS, 1),))

    @pytest.fixture
    def row(self, tenant: str) -> Callable[..., IndexRow]:
        def make(passage_id: str, **changes: Any) -> IndexRow:
            values: dict[str, Any] = {
                "tenant": tenant,
                "kb_id": "kb",
                "document_id": "doc",
                "acl_id": 7,
                "level": 0,
                "released_from": 1,
                "text": "plain",
                "vector": unit(1),
            }
            # Ids are primary keys across tenants, so they carry the tenant of the test.
            return IndexRow(passage_id=f"{passage_id}.{tenant}", **(values | changes))

        return make

    def test_the_nearest_passage_comes_first(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        far, near, middle = (
            row("far", vector=unit(0, 1)),
            row("near", vector=unit(1)),
            row("mid", vector=unit(1, 1)),
        )
        index.upsert([far, near, middle])

        hits = index.search_dense(unit(1), everything, 10)

        assert [hit.passage_id for hit in hits] == [near.passage_id, middle.passage_id, far.passage_id]
        assert [hit.score for hit in hits] == pytest.approx([1.0, 0.5**0.5, 0.0], abs=1e-4)
        assert index.search_dense(unit(1), everything, 2) == hits[:2]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("员工有几天年假？", "leave"),
            ("who approves travelling expenses", "travel"),
            ("2023-10 发布了什么", "date"),
            ("revenue of 1452.4", "number"),
            ("iso 27001", "code"),
        ],
    )
    def test_words_find_a_passage_in_either_language(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope, query: str, found: str
    ) -> None:
        self.require_words(index)
        texts = {
            "leave": "员工入职满一年后每年享受十五天年假。",
            "travel": "The manager approved every travel expense.",
            "date": "新版手册于2023年10月5日起施行。",
            "number": "Total sales were $1,452.40 million.",
            "code": "The audit follows ISO27001.",
            "other": "午餐在二楼供应。 Lunch is served upstairs.",
        }
        index.upsert([row(name, text=text) for name, text in texts.items()])

        assert index.search_bm25(query, everything, 3)[0].passage_id == row(found).passage_id

    @pytest.mark.parametrize("query", ["zebra", "", "？！", "\u0000"])
    def test_no_shared_word_finds_nothing(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope, query: str
    ) -> None:
        self.require_words(index)
        index.upsert([row("a", text="a quiet morning")])

        assert index.search_bm25(query, everything, 3) == []

    def test_words_find_nothing_where_everything_was_deleted(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        self.require_words(index)
        index.upsert([row("gone", text="annual leave")])
        index.delete([row("gone").passage_id])
        assert index.search_bm25("annual leave", everything, 5) == []
        assert index.frequencies(["annual"], everything) == {"annual": 0}

    def test_a_passage_without_words_is_found_by_meaning_only(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        index.upsert([row("a", text="——")])

        assert len(index.search_dense(unit(1), everything, 3)) == 1

    def test_an_empty_scope_finds_nothing(self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str) -> None:
        index.upsert([row("a")])

        for knowledge_bases in ((), (KnowledgeBaseScope("kb", frozenset(), 1),)):
            self.assert_blind(index, Scope(tenant, 9, knowledge_bases))

    @pytest.mark.parametrize(
        "change",
        [
            {"tenant": "another"},
            {"kb_id": "another"},
            {"acl_id": 8},
            {"level": 3},
            {"released_from": 2},
            {"released_to": 1},
        ],
        ids=str,
    )
    def test_a_passage_outside_the_scope_does_not_exist(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str, change: dict[str, Any]
    ) -> None:
        index.upsert([row("a", **change)])

        self.assert_blind(index, Scope(tenant, 2, (KnowledgeBaseScope("kb", frozenset({7}), 1),)))

    def test_each_knowledge_base_has_its_own_rights_and_release(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        rows = [
            row("a-old", kb_id="a", released_from=1, released_to=2),
            row("a-new", kb_id="a", released_from=2),
            row("b-mine", kb_id="b", acl_id=-5, released_from=5),
            row("b-theirs", kb_id="b", acl_id=6, released_from=5),
        ]
        index.upsert(rows)
        scope = Scope(tenant, 0, (KnowledgeBaseScope("a", ALL_ACLS, 1), KnowledgeBaseScope("b", frozenset({-5, 7}), 5)))

        found = {hit.passage_id for hit in index.search_dense(unit(1), scope, 10)}

        assert found == {rows[0].passage_id, rows[2].passage_id}
        assert index.count(scope) == 2

    @pytest.mark.parametrize(("release", "visible"), [(3, False), (4, True), (6, True), (7, False), (8, False)])
    def test_a_release_interval_is_closed_on_the_left_and_open_on_the_right(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str, release: int, visible: bool
    ) -> None:
        index.upsert([row("a", released_from=4, released_to=7)])

        assert index.count(Scope(tenant, 0, (KnowledgeBaseScope("kb", ALL_ACLS, release),))) == int(visible)

    def test_writing_twice_changes_nothing(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        rows = [row("a"), row("b", vector=unit(0, 1))]
        index.upsert(rows)
        first = index.search_dense(unit(1), everything, 10)
        index.upsert(rows)

        assert index.search_dense(unit(1), everything, 10) == first
        assert index.count(everything) == 2

    def test_the_last_of_two_writes_of_one_id_counts(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        index.upsert([row("a", vector=unit(0, 1)), row("a", vector=unit(1))])

        assert [hit.score for hit in index.search_dense(unit(1), everything, 10)] == pytest.approx([1.0], abs=1e-5)

    def test_a_retired_passage_stays_in_earlier_releases_as_it_was(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        kept, gone = row("kept", text="年假 policy"), row("gone", text="年假 policy", vector=unit(3, 4))
        index.upsert([kept, gone])

        index.place([gone.passage_id, f"unknown.{tenant}"], Place(7, 0, released_from=1, released_to=2))

        before = Scope(tenant, 0, (KnowledgeBaseScope("kb", frozenset({7}), 1),))
        after = Scope(tenant, 0, (KnowledgeBaseScope("kb", frozenset({7}), 2),))
        assert {hit.passage_id: hit.score for hit in index.search_dense(unit(1), before, 10)} == pytest.approx(
            {kept.passage_id: 1.0, gone.passage_id: 0.6}, abs=1e-4
        )
        assert [hit.passage_id for hit in index.search_dense(unit(1), after, 10)] == [kept.passage_id]
        if index.capabilities.word_search:
            assert len(index.search_bm25("年假", before, 10)) == 2
            assert len(index.search_bm25("年假", after, 10)) == 1

    @pytest.mark.parametrize(("acl_id", "level", "visible"), [(8, 0, False), (7, 3, False), (7, 2, True), (7, 0, True)])
    def test_a_placed_passage_has_the_readers_and_the_level_it_was_given(
        self,
        index: VectorIndex,
        row: Callable[..., IndexRow],
        tenant: str,
        acl_id: int,
        level: int,
        visible: bool,
    ) -> None:
        index.upsert([row("a", acl_id=9, level=1)])

        index.place([row("a").passage_id], Place(acl_id, level, released_from=1, released_to=OPEN_RELEASE))

        assert index.count(Scope(tenant, 2, (KnowledgeBaseScope("kb", frozenset({7}), 1),))) == int(visible)

    def test_a_placed_passage_enters_the_release_it_was_given(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        index.upsert([row("a", released_from=OPEN_RELEASE)])
        scopes = [Scope(tenant, 0, (KnowledgeBaseScope("kb", ALL_ACLS, release),)) for release in (2, 3)]
        assert [index.count(scope) for scope in scopes] == [0, 0]

        index.place([row("a").passage_id], Place(7, 0, released_from=3, released_to=OPEN_RELEASE))

        assert [index.count(scope) for scope in scopes] == [0, 1]

    def test_words_are_counted_within_the_scope(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        self.require_words(index)
        index.upsert(
            [
                row("a", text="annual leave"),
                row("b", text="sick leave, parental leave"),
                row("hidden", acl_id=8, text="annual leave"),
                row("late", released_from=2, text="annual leave"),
                row("c", text="travel"),
            ]
        )
        scope = Scope(tenant, 0, (KnowledgeBaseScope("kb", frozenset({7}), 1),))

        words = [*content_words("annual leave zebra"), *content_words("travel")]

        assert list(index.frequencies(words, scope).values()) == [1, 2, 0, 1]
        assert index.frequencies([], scope) == {}
        assert index.frequencies(words, Scope(tenant, 0, ())) == dict.fromkeys(words, 0)

    def test_a_common_word_is_counted_up_to_a_limit(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        self.require_words(index)
        index.upsert([row(f"p{at}", text="common") for at in range(MAX_FREQUENCY + 5)])

        assert index.frequencies(["common"], everything) == {"common": MAX_FREQUENCY}

    def test_a_deleted_passage_is_in_no_release(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope, tenant: str
    ) -> None:
        kept, gone = row("kept"), row("gone")
        index.upsert([kept, gone])

        index.delete([gone.passage_id, f"unknown.{tenant}"])

        assert [hit.passage_id for hit in index.search_dense(unit(1), everything, 10)] == [kept.passage_id]
        assert index.count(everything) == 1

    def test_deleting_or_placing_nothing_is_fine(self, index: VectorIndex) -> None:
        index.delete([])
        index.place([], Place(1, 0, 1, 1))
        index.upsert([])

    def test_hostile_tenant_names_see_their_own_rows_only(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        names = [f"{name} {tenant}" for name in HOSTILE_NAMES]
        rows = {name: row(f"p{at}", tenant=name, text="secret plan") for at, name in enumerate(names)}
        index.upsert([*rows.values(), row("honest")])

        for name in names:
            scope = Scope(name, 9, (KnowledgeBaseScope("kb", ALL_ACLS, 1),))
            mine = [rows[name].passage_id]
            assert [hit.passage_id for hit in index.search_dense(unit(1), scope, 99)] == mine
            assert index.count(scope) == 1
            if index.capabilities.word_search:
                assert [hit.passage_id for hit in index.search_bm25("secret", scope, 99)] == mine

    @pytest.mark.parametrize("name", ["", "a\nb", "a\u0000", "x" * 201])
    def test_a_tenant_name_that_no_filter_can_hold_is_refused(
        self, index: VectorIndex, row: Callable[..., IndexRow], name: str
    ) -> None:
        scope = Scope(name, 9, (KnowledgeBaseScope("kb", ALL_ACLS, 1),))

        with pytest.raises(UnsafeIdError):
            index.search_dense(unit(1), scope, 1)
        with pytest.raises(UnsafeIdError):
            index.upsert([row("a", tenant=name)])

    @pytest.mark.parametrize("hostile", HOSTILE_IDS)
    def test_hostile_ids_are_refused_everywhere(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope, hostile: str
    ) -> None:
        scope = Scope(everything.tenant, 9, (KnowledgeBaseScope(hostile, ALL_ACLS, 1),))
        attempts: list[Callable[[], object]] = [
            lambda: index.count(scope),
            lambda: index.search_dense(unit(1), scope, 1),
            lambda: index.search_dense(unit(1), everything, 1, within=[hostile]),
            lambda: index.upsert([row("a", kb_id=hostile)]),
            lambda: index.upsert([row("a", document_id=hostile)]),
            lambda: index.delete([hostile]),
            lambda: index.place([hostile], Place(1, 0, 1, 1)),
        ]

        for attempt in attempts:
            with pytest.raises(UnsafeIdError):
                attempt()

    @pytest.mark.parametrize("value", [True, 1.0, "1", 2**63, -(2**63), None])
    def test_only_integers_of_64_bits_enter_a_filter(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str, value: Any
    ) -> None:
        for scope in (
            Scope(tenant, value, (KnowledgeBaseScope("kb", ALL_ACLS, 1),)),
            Scope(tenant, 0, (KnowledgeBaseScope("kb", ALL_ACLS, value),)),
            Scope(tenant, 0, (KnowledgeBaseScope("kb", frozenset({value}), 1),)),
        ):
            with pytest.raises(UnsafeIdError):
                index.count(scope)
        with pytest.raises(UnsafeIdError):
            index.upsert([row("a", acl_id=value)])

    @pytest.mark.parametrize("acl_id", [0, -1, 2**63 - 1, -(2**63) + 1])
    def test_every_acl_id_of_64_bits_works(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str, acl_id: int
    ) -> None:
        index.upsert([row("mine", acl_id=acl_id), row("theirs", acl_id=12345)])

        scope = Scope(tenant, 0, (KnowledgeBaseScope("kb", frozenset({acl_id, 99}), 1),))
        assert [hit.passage_id for hit in index.search_dense(unit(1), scope, 9)] == [row("mine").passage_id]

    def test_more_acl_ids_than_one_filter_holds_are_searched_together(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        rows = [
            row(f"p{acl}", acl_id=acl, vector=unit(1, acl / 10_000), text="annual report")
            for acl in (1, 4_999, 5_000, 5_001, 11_999, 12_000, 12_001)
        ]
        index.upsert(rows)
        scope = Scope(
            tenant,
            0,
            (
                KnowledgeBaseScope("kb", frozenset(range(12_001)), 1),
                KnowledgeBaseScope("other", frozenset(range(6_000)), 1),
            ),
        )

        expected = [each.passage_id for each in rows[:-1]]
        assert [hit.passage_id for hit in index.search_dense(unit(1), scope, 10)] == expected
        assert [hit.passage_id for hit in index.search_dense(unit(1), scope, 2)] == expected[:2]
        assert index.count(scope) == 6
        if index.capabilities.word_search:
            assert {hit.passage_id for hit in index.search_bm25("report", scope, 10)} == set(expected)

    def test_within_narrows_a_scope_and_never_widens_it(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        mine, other, foreign = row("mine"), row("other"), row("foreign", tenant="another")
        index.upsert([mine, other, foreign])

        hits = index.search_dense(unit(1), everything, 10, within=[mine.passage_id, foreign.passage_id])

        assert [hit.passage_id for hit in hits] == [mine.passage_id]
        assert index.search_dense(unit(1), everything, 10, within=[]) == []

    @pytest.mark.parametrize("every", [2, 20, 200])
    def test_a_narrow_filter_loses_no_neighbour(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str, every: int
    ) -> None:
        vectors = clustered(3_000, seed=3)
        index.upsert([row(f"p{at}", acl_id=at % every, vector=vector) for at, vector in enumerate(vectors)])
        index.flush()
        scope = Scope(tenant, 0, (KnowledgeBaseScope("kb", frozenset({0}), 1),))
        queries = clustered(20, seed=4)

        found = [[hit.passage_id for hit in index.search_dense(query, scope, 10)] for query in queries.tolist()]

        readable = np.arange(0, 3_000, every)
        best = readable[np.argsort(-(queries @ vectors[readable].T), axis=1)[:, :10]]
        shared = sum(
            len({f"p{at}.{tenant}" for at in wanted} & set(got)) for wanted, got in zip(best, found, strict=True)
        )
        assert shared / best.size >= 0.98

    def test_writers_and_readers_do_not_disturb_each_other(
        self, index: VectorIndex, row: Callable[..., IndexRow], everything: Scope
    ) -> None:
        def write(at: int) -> int:
            index.upsert([row(f"p{at}", vector=unit(1, at))])
            return len(index.search_dense(unit(1), everything, 100))

        with ThreadPoolExecutor(4) as threads:
            seen = list(threads.map(write, range(40)))

        assert min(seen) >= 1
        assert index.count(everything) == 40

    @pytest.mark.parametrize("limit", [0, -1, 16_385])
    def test_a_limit_out_of_range_is_a_programming_error(
        self, index: VectorIndex, everything: Scope, limit: int
    ) -> None:
        with pytest.raises(ValueError, match="limit"):
            index.search_dense(unit(1), everything, limit)

    def test_an_engine_without_bm25_says_so(self, index: VectorIndex, everything: Scope) -> None:
        if index.capabilities.word_search:
            assert index.search_bm25("nothing here", everything, 1) == []
            return
        with pytest.raises(WordSearchUnavailableError):
            index.search_bm25("nothing here", everything, 1)

    def test_a_passage_is_open_until_it_is_retired(
        self, index: VectorIndex, row: Callable[..., IndexRow], tenant: str
    ) -> None:
        index.upsert([row("a")])

        assert index.count(Scope(tenant, 0, (KnowledgeBaseScope("kb", ALL_ACLS, OPEN_RELEASE - 1),))) == 1

    @staticmethod
    def require_words(index: VectorIndex) -> None:
        if not index.capabilities.word_search:
            pytest.skip("this engine has no BM25")

    @staticmethod
    def assert_blind(index: VectorIndex, scope: Scope) -> None:
        assert index.count(scope) == 0
        assert index.search_dense(unit(1), scope, 10) == []
        if index.capabilities.word_search:
            assert index.search_bm25("plain", scope, 10) == []


def clustered(rows: int, *, seed: int) -> Vectors:
    """Make unit vectors around 30 centres, as texts on a few subjects lie."""
    centres = np.random.default_rng(0).normal(size=(30, DIMENSIONS))
    random = np.random.default_rng(seed)
    points = centres[random.integers(0, 30, rows)] + 0.5 * random.normal(size=(rows, DIMENSIONS))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)
