"""What names a person in a text."""

import pytest

from zhiku_platform.erasure import Mentions


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("林晓", "请联系林晓处理"),
        ("Lin Xiao", "Ask LIN XIAO."),
        ("lin.xiao@acme.cn", "Write to Lin.Xiao@acme.cn!"),
        ("13800138000", "电话138-0013 8000转2"),
        ("138 0013 8000", "13800138000"),
        ("13800138000", "1380013８０００"),
    ],
)
def test_a_value_is_found_in_any_case_width_and_grouping(value: str, text: str) -> None:
    assert Mentions([value]).found_in(None, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [("Li Na", "Ali Nadir"), ("13800138000", "213800138000"), ("13800138000", "138001380009"), ("林晓", "林先生")],
)
def test_a_part_of_another_word_or_number_is_not_the_value(value: str, text: str) -> None:
    assert not Mentions([value]).found_in(text)


def test_without_values_nothing_is_mentioned() -> None:
    assert not Mentions([]).found_in("anything")
