"""Follow-up questions are made whole by rules, in Chinese and English, with the user's own words."""

import pytest

from zhiku_services.assistant.answering.followups import accept_model_rewrite, rewrite_by_rules


@pytest.mark.parametrize(
    ("question", "previous", "whole"),
    [
        ("那海外呢？", "国内出差住宿标准是多少？", "海外出差住宿标准是多少？"),
        ("那病假呢？", "年假有几天？", "病假有几天？"),
        ("需要审批吗？", "年假有几天？", "年假需要审批吗？"),
        ("它需要谁审批？", "差旅报销的流程是什么？", "差旅报销的流程需要谁审批？"),
        ("上海呢？", "北京的办公室在哪里？", "上海的办公室在哪里？"),
        ("那2024年呢？", "2023年营收是多少？", "2024年营收是多少？"),
        ("实习生呢？", "正式员工有多少天年假？", "实习生有多少天年假？"),
        ("怎么申请？", "陪产假有多少天？", "陪产假怎么申请？"),
        (
            "what about contractors?",
            "How many vacation days do employees get?",
            "How many vacation days do contractors get?",
        ),
        ("Is it paid?", "How long is parental leave?", "Is parental leave paid?"),
        ("Who approves it?", "How do I apply for parental leave?", "Who approves parental leave?"),
        (
            "What about sick leave?",
            "How many days of annual leave do I get?",
            "How many days of sick leave do I get?",
        ),
        (
            "and for international trips?",
            "What is the hotel limit for domestic trips?",
            "What is the hotel limit for international trips?",
        ),
        ("What about Shanghai?", "Where is the Beijing office?", "Where is the Shanghai office?"),
        (
            "can they be carried over?",
            "How many vacation days do I get?",
            "can vacation days be carried over?",
        ),
        ("Who approves?", "How do I request a laptop?", "Who approves (laptop)?"),
        ("and overseas?", "国内出差住宿上限是多少？", "海外出差住宿上限是多少？"),
        ("What about sick leave?", "年假有多少天？", "病假有多少天？"),
        ("海外呢？", "What is the hotel limit for domestic travel?", "What is the hotel limit for overseas travel?"),
        (
            "病假呢？",
            "How many days of annual leave does an employee get?",
            "How many days of sick leave does an employee get?",
        ),
        ("Is it paid?", "年假有几天？", "Is annual leave paid?"),
        ("怎么申请？", "How long is parental leave?", "育儿假怎么申请？"),
        ("What about paternity benefits?", "年假有多少天？", "paternity benefits"),
    ],
)
def test_a_follow_up_is_made_whole(question: str, previous: str, whole: str) -> None:
    rewrite = rewrite_by_rules(question, [previous])
    assert rewrite is not None
    assert rewrite.text == whole


@pytest.mark.parametrize(
    ("question", "previous"),
    [
        ("密码多久更换一次？", "年假有几天？"),
        ("那密码多久更换一次？", "年假有几天？"),
        ("可以报销出租车费吗？", "年假有几天？"),
        ("谁是公司的董事长？", "年假有几天？"),
        ("试用期是多长时间？", "年假有几天？"),
        ("How often must I change my password?", "How long is parental leave?"),
        ("Is it possible to carry over vacation days?", "How long is parental leave?"),
    ],
)
def test_a_question_that_stands_alone_is_left_alone(question: str, previous: str) -> None:
    assert rewrite_by_rules(question, [previous]) is None


def test_the_first_question_is_left_alone() -> None:
    assert rewrite_by_rules("那海外呢？", []) is None


def test_a_chain_of_follow_ups_keeps_the_topic() -> None:
    rewrite = rewrite_by_rules("需要审批吗？", ["年假有几天？", "那病假呢？"])
    assert rewrite is not None
    assert rewrite.text == "病假需要审批吗？"


def test_the_new_topic_is_what_counts_most() -> None:
    rewrite = rewrite_by_rules("那海外呢？", ["国内出差住宿标准是多少？"])
    assert rewrite is not None
    assert rewrite.emphasised == {"海外"}


@pytest.mark.parametrize(
    ("written", "accepted"),
    [
        ("How many vacation days do contractors get?", "How many vacation days do contractors get?"),
        ("How many vacation days do contractors in Berlin get?", None),
        ("How many of the 20 vacation days do contractors get?", None),
        ("合同工有多少天年假？", None),
        ("", None),
    ],
)
def test_a_model_may_use_only_words_that_the_user_wrote(written: str, accepted: str | None) -> None:
    earlier = ["How many vacation days do employees get?"]
    assert accept_model_rewrite(written, "and contractors", earlier) == accepted
