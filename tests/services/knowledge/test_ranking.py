"""The order of candidates, and how sure it is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiku_platform.contracts.knowledge import SearchMode
from zhiku_services.knowledge.ranking import Candidate, Ranked, rank
from zhiku_services.knowledge.ranking.confidence import relevance

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        passage_id=st.uuids().map(str),
        text=st.text(max_size=30),
        cosine=st.none() | st.floats(-1, 1),
        bm25=st.none() | st.floats(0, 100),
    ),
    max_size=8,
    unique_by=lambda each: each.passage_id,
)


@settings(deadline=None)  # the first example loads the Chinese dictionary
@given(st.text(max_size=30), CANDIDATES, st.sampled_from(SearchMode))
def test_every_candidate_gets_one_place_and_a_score_from_0_to_1(
    query: str, candidates: list[Candidate], mode: SearchMode
) -> None:
    ranked = rank(query, candidates, mode)

    assert sorted(each.passage_id for each in ranked) == sorted(each.passage_id for each in candidates)
    assert all(-1e-9 <= each.score <= 1 + 1e-9 and 0 <= each.word_overlap <= 1 + 1e-9 for each in ranked)
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    assert 0 <= relevance(ranked) <= 1


def test_hybrid_adds_the_three_parts_by_weight() -> None:
    candidates = [
        Candidate("both", "annual leave", cosine=0.9, bm25=8.0),
        Candidate("meaning", "holiday entitlement", cosine=0.92, bm25=None),
        Candidate("neither", "lunch", cosine=0.8, bm25=None),
    ]

    ranked = rank("annual leave", candidates, SearchMode.HYBRID)

    # cosine: (0.90 - 0.80) / 0.12 of 0.35, BM25: 8 / 8 of 0.35, every word of 0.3
    assert {each.passage_id: each.score for each in ranked} == pytest.approx(
        {"both": 0.35 * 10 / 12 + 0.35 + 0.3, "meaning": 0.35, "neither": 0.0}
    )


def test_one_repeated_word_does_not_beat_all_the_words() -> None:
    candidates = [
        Candidate("repeats", "培训 " * 20, cosine=0.85, bm25=6.0),
        Candidate("covers", "销售部门新员工培训费用由公司承担", cosine=0.85, bm25=5.9),
    ]

    assert rank("新员工培训费用谁承担", candidates, SearchMode.HYBRID)[0].passage_id == "covers"


def test_a_single_mode_keeps_its_own_order() -> None:
    candidates = [Candidate("a", "x", cosine=0.9, bm25=1.0), Candidate("b", "x", cosine=0.8, bm25=2.0)]

    assert [each.passage_id for each in rank("x", candidates, SearchMode.DENSE)] == ["a", "b"]
    assert [each.passage_id for each in rank("x", candidates, SearchMode.BM25)] == ["b", "a"]


def test_without_word_search_the_rest_still_orders() -> None:
    candidates = [Candidate("far", "x", cosine=0.8, bm25=None), Candidate("near", "x", cosine=0.9, bm25=None)]

    assert rank("x", candidates, SearchMode.HYBRID)[0].passage_id == "near"


def test_ties_are_ordered_by_id() -> None:
    candidates = [Candidate(name, "same", cosine=0.9, bm25=1.0) for name in "cab"]

    assert [each.passage_id for each in rank("same", candidates, SearchMode.HYBRID)] == ["a", "b", "c"]


def test_an_unknown_cosine_counts_as_the_worst_one() -> None:
    candidates = [
        Candidate("unknown", "", cosine=None, bm25=None),
        Candidate("worst", "", cosine=0.7, bm25=None),
    ]

    assert {each.score for each in rank("x", [*candidates, Candidate("best", "", 0.9, None)], SearchMode.HYBRID)} == (
        {0.0, 0.35}
    )


def test_nothing_found_is_not_relevant() -> None:
    assert rank("x", [], SearchMode.HYBRID) == []
    assert relevance([]) == 0.0


@pytest.mark.parametrize(
    ("cosine", "overlap", "same_script", "probability"),
    [
        (0.904, 0.0, True, 0.5),
        (0.86, 0.6, True, 1 / (1 + math.exp(-(106 * -0.044 + 11.6 * 0.6)))),
        (0.82, 0.0, False, 0.5),
        (0.82, 0.9, False, 0.5),
        (None, 0.41, True, 0.5),
        (None, 0.9, False, 0.0),
    ],
)
def test_relevance_follows_the_model(
    cosine: float | None, overlap: float, same_script: bool, probability: float
) -> None:
    ranked = [Ranked("p", 0.9, cosine, None, overlap, same_script)]

    assert relevance(ranked) == pytest.approx(probability, abs=1e-9)


def test_only_the_first_three_count() -> None:
    poor = [Ranked(f"p{at}", 0.9, 0.7, None, 0.0) for at in range(3)]

    assert relevance([*poor, Ranked("late", 0.1, 0.99, None, 1.0)]) == relevance(poor)


def test_a_chinese_question_about_an_english_passage_is_not_judged_by_words() -> None:
    ranked = rank("怎么设置指纹解锁？", [Candidate("p", "Set a secure screen lock", 0.84, None)], SearchMode.HYBRID)

    assert not ranked[0].same_script
    assert relevance(ranked) > 0.8
