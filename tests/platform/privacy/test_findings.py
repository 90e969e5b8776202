"""Of findings that overlap the surest stays whole, and nothing that was found goes uncovered."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zhiku_platform.privacy.findings import Entity, Finding, resolve

TEXT = "出生日期1990年1月2日，北京市海淀区中关村大街1号，电话13800138000 ok"


def finding(text: str, entity: Entity, score: float) -> Finding:
    start = TEXT.index(text)
    return Finding(start, start + len(text), entity, score, "test")


def test_an_address_that_runs_into_a_surer_date_of_birth_stays_found() -> None:
    born = finding("1990年1月2日", Entity.DATE_OF_BIRTH, 0.9)
    lives = finding("1月2日，北京市海淀区中关村大街1号", Entity.ADDRESS, 0.7)
    kept = resolve([born, lives], TEXT)
    assert [(each.type, TEXT[each.start : each.end]) for each in kept] == [
        (Entity.DATE_OF_BIRTH, "1990年1月2日"),
        (Entity.ADDRESS, "北京市海淀区中关村大街1号"),
    ]


def test_both_sides_of_a_surer_one_stay() -> None:
    whole = Finding(0, len(TEXT), Entity.ADDRESS, 0.3, "test")
    mobile = finding("13800138000", Entity.CN_MOBILE, 0.9)
    kept = [TEXT[each.start : each.end] for each in resolve([whole, mobile], TEXT)]
    assert kept == ["出生日期1990年1月2日，北京市海淀区中关村大街1号，电话", "13800138000", "ok"]


def test_a_family_name_beside_a_surer_number_stays() -> None:
    mobile = finding("13800138000", Entity.CN_MOBILE, 0.9)
    wider = finding("话13800138000 ok", Entity.PERSON, 0.5)
    assert [TEXT[each.start : each.end] for each in resolve([mobile, wider], TEXT)] == ["话", "13800138000", "ok"]


def test_the_marks_of_a_secret_are_part_of_it() -> None:
    text = "Xy7#!a@example.com"
    secret, email = Finding(0, 18, Entity.SECRET, 0.5, "test"), Finding(5, 18, Entity.EMAIL, 0.9, "test")
    assert resolve([secret, email], text) == [Finding(0, 5, Entity.SECRET, 0.5, "test"), email]


@given(
    st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.integers(1, 20), st.sampled_from([0.3, 0.6, 1.0])), max_size=8)
)
def test_no_two_overlap_and_no_letter_is_lost(spans: list[tuple[int, int, float]]) -> None:
    found = [Finding(s, min(len(TEXT), s + n), Entity.ADDRESS, score, "test") for s, n, score in spans]
    kept = resolve(found, TEXT)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    wanted = {at for each in found for at in range(each.start, each.end) if TEXT[at].isalnum()}
    assert wanted <= {at for each in kept for at in range(each.start, each.end)}
