"""Words that questions and passages share."""

import pytest

from zhiku_platform.text.stems import MAX_STEM, stem
from zhiku_services.knowledge.ranking import words_of_passage
from zhiku_services.knowledge.ranking.overlap import coverage, query_terms, rarity, term_counts
from zhiku_services.knowledge.ranking.words import content_words, is_chinese, words


@pytest.mark.parametrize(
    "text",
    [
        "2023年10月5日发布",
        "on 2023-10-05",
        "October 5, 2023",
        "5th of October 2023",
        "2023/10/05",
        "Oct. 5 2023",
    ],
)
def test_a_day_is_one_word_however_it_is_written(text: str) -> None:
    assert {"@2023-10", "@2023-10-05"} <= set(words(text))


@pytest.mark.parametrize("text", ["2023年10月", "2023-10", "October 2023"])
def test_a_month_is_one_word_however_it_is_written(text: str) -> None:
    assert [word for word in words(text) if word.startswith("@")] == ["@2023-10"]


@pytest.mark.parametrize("text", ["2023-13-01", "version 1.2023.10", "12023-10", "2023年", "10月5日"])
def test_what_is_no_date_makes_no_date(text: str) -> None:
    assert [word for word in words(text) if word.startswith("@")] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1,452.40", ("1452.4",)),
        ("１５％", ("15",)),
        ("10.0 or 10", ("10", "or", "10")),
        ("Employees’ running", ("employe", "run")),
        ("ISO27001 5G", ("iso27001", "iso", "27001", "5g")),
        ("3.5x", ("3.5", "x")),
        ("中文abc混合", ("中文", "abc", "混合")),
        ("", ()),
        ("！？ ——", ()),
    ],
)
def test_numbers_and_words_have_one_form(text: str, expected: tuple[str, ...]) -> None:
    assert tuple(word for word in words(text) if not word.startswith("_")) == expected


def test_pairs_of_characters_find_what_the_dictionary_cuts_wrongly() -> None:
    assert "_年假" in words("享受多少天年假")


def test_words_without_content_are_dropped_unless_nothing_else_is_left() -> None:
    assert content_words("what is the policy") == ("polici",)
    assert content_words("who are you") == ("who", "are", "you")


def test_an_endless_word_is_not_stemmed() -> None:
    assert stem("x" * (MAX_STEM + 1)) == "x" * (MAX_STEM + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("年假有几天？", True),
        ("How many days?", False),
        ("VPN 怎么用？", True),
        ("The word 年假 means leave", False),
    ],
)
def test_a_text_is_chinese_when_chinese_carries_it(text: str, expected: bool) -> None:
    assert is_chinese(text) is expected


def test_terms_are_counted_whatever_their_form_in_the_passage() -> None:
    terms = query_terms("companies 年假 1452.4 in 2023年10月 2019")
    counts = term_counts(
        terms,
        [
            "The company paid; a companion did not. 年假和年假 $1,452.40, October 2023; 12019 20190 2019",
            "nothing here",
        ],
    )

    by_term = dict(zip([*terms.chinese, *terms.latin, *terms.dates], counts[0], strict=True))
    assert by_term["compani"] == 1
    assert by_term["年假"] == 2
    assert by_term["1452.4"] == 1
    assert by_term["@2023-10"] == 1
    assert by_term["2019"] == 1
    assert counts[1].sum() == 0


def test_a_rare_term_weighs_more_and_no_term_weighs_nothing() -> None:
    counts = term_counts(query_terms("alpha beta"), ["alpha beta", "alpha", "alpha", "alpha"])

    common, rare = rarity(counts)

    assert rare > common >= 1.0
    assert coverage(counts, rarity(counts)).tolist() == pytest.approx([1.0] + 3 * [common / (common + rare)])


def test_a_question_without_words_covers_nothing() -> None:
    counts = term_counts(query_terms("？"), ["a", "b"])

    assert coverage(counts, rarity(counts)).tolist() == [0.0, 0.0]


def test_the_index_sees_title_and_headings_with_the_text() -> None:
    assert words_of_passage("Handbook", ["Leave", "Annual"], "15 days") == "Handbook\nLeave > Annual\n15 days"
    assert words_of_passage("", [], "15 days") == "15 days"
