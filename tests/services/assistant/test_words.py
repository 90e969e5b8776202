"""Numbers, units and denials read alike in both languages."""

import pytest

from zhiku_services.assistant.answering.words import denials, names, numbers, quantities, terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("年假三天", {"3"}),
        ("1,200.0 元", {"1200"}),
        ("百分之五", {"5"}),
        ("fifteen days", {"15"}),
        ("１５天", {"15"}),
        ("二十五个工作日", {"25"}),
        ("一万二千元", {"12000"}),
        ("一些员工统一办理", set[str]()),
    ],
)
def test_numbers_are_spelled_alike(text: str, found: set[str]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("3 个工作日", ("3", "day")),
        ("3 working days", ("3", "day")),
        ("12 小时", ("12", "hour")),
        ("5%", ("5", "percent")),
        ("百分之五", ("5", "percent")),
    ],
)
def test_units_are_named_alike(text: str, quantity: tuple[str, str]) -> None:
    assert quantity in quantities(text)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("不得带出办公区", {"prohibited"}),
        ("可以带出办公区", set[str]()),
        ("无需审批", {"unneeded"}),
        ("没有上限", {"negated"}),
        ("不超过三天", set[str]()),
        ("Employees must not share passwords", {"prohibited"}),
        ("Employees may share lunch", set[str]()),
        ("Approval is not required", {"unneeded"}),
    ],
)
def test_denials_are_told_apart(text: str, kinds: set[str]) -> None:
    assert denials(text) == kinds


def test_question_words_carry_no_content() -> None:
    assert terms("年假有几天？") == {"年假"}
    assert terms("How many vacation days do I get?") == {"vacat", "day"}


def test_names_are_latin_words_in_chinese_and_capitals_in_english() -> None:
    assert names("请联系 SAP 管理员") == {"sap"}
    assert names("Call the Help Desk in Berlin") == {"help", "desk", "berlin"}
