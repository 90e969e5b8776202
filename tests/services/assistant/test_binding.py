"""A sentence is bound to the passage that says the same, and to none that says something else."""

from collections.abc import Callable, Sequence

import pytest

from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import FoundPassage, SearchRequest
from zhiku_platform.testing.knowledge import LocalKnowledge
from zhiku_services.assistant.answering.binding import Binder

READER = Principal(sub="lin", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
Find = Callable[..., Sequence[FoundPassage]]


@pytest.fixture
def found() -> Find:
    """Make passages of texts, in the order given."""

    def find(*texts: str) -> Sequence[FoundPassage]:
        knowledge = LocalKnowledge()
        ids = [knowledge.add(f"Document {number}", text).id for number, text in enumerate(texts)]
        request = SearchRequest(query=" ".join(texts)[:4000], limit=50)
        by_id = {item.passage.id: item for item in knowledge.search(READER, request).passages}
        return [by_id[passage_id] for passage_id in ids]

    return find


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        ("Employees get 15 days of annual leave.", "Every employee gets 15 days of annual leave a year."),
        ("Approval takes three working days.", "Approval of a request takes at most 3 working days."),
        ("员工每年有15天年假。", "正式员工每年享有15天年假。"),
        ("加班每月不得超过36小时。", "加班不得超过每月36小时。"),
        ("Passwords must not be shared.", "Passwords must not be shared with anybody."),
        ("可以远程办公3天。", "员工每周可以远程办公三天。"),
        ("Unused days expire on March 31.", "Unused days expire on 31 March of the following year."),
        ("年假可结转到3月31日。", "未休年假可结转至次年3月31日。"),
    ],
)
def test_a_sentence_that_a_passage_says_is_bound(found: Find, sentence: str, source: str) -> None:
    supports = Binder(found(source)).bind(sentence)
    assert [support.unit.quote for support in supports] == [source]


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        ("Employees get 20 days of annual leave.", "Every employee gets 15 days of annual leave a year."),
        ("Employees get 15 hours of annual leave.", "Every employee gets 15 days of annual leave a year."),
        ("加班可以超过每月36小时。", "加班不得超过每月36小时。"),
        ("员工不得远程办公。", "员工可以远程办公。"),
        ("Passwords may be shared.", "Passwords must not be shared with anybody."),
        (
            "Employees in Berlin get 15 days of annual leave.",
            "Every employee gets 15 days of annual leave a year.",
        ),
        ("The moon base has a large budget.", "Every employee gets 15 days of annual leave a year."),
        ("审批无需经理同意。", "审批须经理同意。"),
        ("公司的火星基地有食堂。", "正式员工每年享有15天年假。"),
        ("Unused leave expires after 31 days.", "Unused days expire on 31 March of the following year."),
        ("Employees get 31 days of unused leave a year.", "Unused days expire on 31 March of the following year."),
        ("未休年假可结转31天。", "未休年假可结转至次年3月31日。"),
        ("员工不享有年假。", "正式员工每年享有15天年假。未休年假可结转至次年3月31日。"),
        ("未休年假不可结转。", "未休年假可结转至次年3月31日。"),
    ],
)
def test_a_sentence_that_no_passage_says_is_not_bound(found: Find, sentence: str, source: str) -> None:
    assert Binder(found(source)).bind(sentence) == []


def test_the_number_of_a_heading_supports_nothing() -> None:
    knowledge = LocalKnowledge()
    text = "The hotel cap per night in Shanghai is CNY 650."
    knowledge.add("Travel policy", text, heading_path=["3 Hotels", "Rates for 2027"])
    passages = knowledge.search(READER, SearchRequest(query=text)).passages
    assert Binder(passages).bind("The hotel cap per night in Shanghai is 3.") == []
    assert Binder(passages).bind("In 2027 the hotel cap per night in Shanghai is CNY 650.") != []


def test_a_wrong_marker_of_the_model_does_not_make_a_source(found: Find) -> None:
    passages = found("The canteen opens at noon.", "Every employee gets 15 days of annual leave a year.")
    supports = Binder(passages).bind("Employees get 15 days of annual leave.", named=[1])
    assert [support.unit.passage for support in supports] == [1]


def test_a_marker_decides_between_two_passages_that_say_the_same(found: Find) -> None:
    passages = found("Lunch is free on Fridays for all.", "Lunch is free on Fridays.")
    supports = Binder(passages).bind("Lunch is free on Fridays.", named=[2])
    assert 1 in [support.unit.passage for support in supports]


def test_across_languages_numbers_decide(found: Find) -> None:
    passages = found("Every employee gets 15 days of annual leave a year. Sick leave is 30 days.")
    assert Binder(passages).across_languages("每位员工有15天年假。") is not None
    assert Binder(passages).across_languages("每位员工有99天年假。") is None


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        ("员工可以把客户数据发布到社交网站上，公司会给予奖励。", "Every employee gets 15 days of annual leave a year."),
        ("经理不批准休假申请。", "Managers approve leave requests."),
        ("公司很好。", "Managers approve leave requests."),
    ],
)
def test_across_languages_a_sentence_that_no_passage_says_is_not_bound(found: Find, sentence: str, source: str) -> None:
    assert Binder(found(source)).across_languages(sentence) is None


def test_across_languages_the_unit_that_shares_most_is_taken(found: Find) -> None:
    unit = Binder(found("The canteen opens at noon. Managers approve leave requests.")).across_languages(
        "经理审批休假申请。"
    )
    assert unit is not None
    assert unit.text == "Managers approve leave requests."
