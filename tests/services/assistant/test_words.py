"""Numbers, units and denials read alike in both languages."""

import pytest

from zhiku_services.assistant.answering.words import denials, names, numbers, quantities, states, terms


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
        ("未休年假可结转", set[str]()),
        ("未使用的设备应归还", set[str]()),
        ("申请未通过", {"negated"}),
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


@pytest.mark.parametrize(
    "text",
    [
        "31 March",
        "the 31st of March",
        "March 31, 2026",
        "3月31日",
        "2026年3月31号",
        "三月三十一日",
        "2026-03-31",
        "2026/3/31",
    ],
)
def test_a_date_is_no_amount(text: str) -> None:
    assert ("03-31", "date") in quantities(text)
    assert "31" not in numbers(text)


@pytest.mark.parametrize("text", ["section 15", "the 15th of each month", "每月15日", "第15条", "第十五条"])
def test_a_place_in_an_order_is_no_amount(text: str) -> None:
    assert quantities(text) == {("15", "ordinal")}


@pytest.mark.parametrize("text", ["15 days", "15日内", "15 may apply", "up to 15"])
def test_an_amount_stays_one(text: str) -> None:
    assert "15" in numbers(text)
    assert ("15", "ordinal") not in quantities(text)


@pytest.mark.parametrize(
    ("source", "number", "unit", "is_stated"),
    [
        ("15 days", "15", "day", True),
        ("15 hours", "15", "day", False),
        ("Limit (CNY): 500", "500", "yuan", True),
        ("上限（元）| 500", "500", "yuan", True),
        ("room 500", "500", "yuan", False),
        ("The plan of 2026", "2026", "year", True),
        ("The plan has 20 of them", "20", "day", False),
        ("Section 4 speaks of days", "4", "day", False),
    ],
)
def test_a_source_states_a_number_with_its_unit(source: str, number: str, unit: str, is_stated: bool) -> None:
    assert states(source, number, unit) is is_stated
