"""What must not be learnt is left out, each with its reason; what may be stays."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_services.finetune.datasets.cleaning import Reason, Rules, clean
from zhiku_services.finetune.datasets.examples import Example, Provenance, Turn
from zhiku_services.finetune.datasets.facts import changed_facts, disagreement
from zhiku_services.finetune.datasets.freezing import DatasetChangedError, freeze, merkle_root, thaw
from zhiku_services.finetune.datasets.likeness import Seen, near_pairs
from zhiku_services.finetune.errors import EmptyDatasetError

GOOD = {
    "How long is a sabbatical?": "A sabbatical lasts 6 weeks, once in 5 years.",
    "年假有几天？": "入职满一年的员工每年有十天年假。",
    "Who signs an expense claim above CNY 20,000?": "The Chief Financial Officer signs it.",
    "实验室眼睛溅到试剂要冲洗多久？": "用清水连续冲洗至少15分钟，然后就医。",
}


def example(question: str, answer: str, **where: object) -> Example:
    turns = (Turn(role="user", content=question), Turn(role="assistant", content=answer))
    return Example(messages=turns, provenance=Provenance.model_validate(where))


def good() -> list[Example]:
    return [example(question, answer) for question, answer in GOOD.items()]


def reasons(*examples: Example, rules: Rules | None = None, **more: object) -> dict[int, Reason]:
    cleaned = clean([*good(), *examples], rules, **more)  # type: ignore[arg-type]
    return {each.place - len(GOOD): each.reason for each in cleaned.left_out}


def test_what_is_good_stays_as_it_was() -> None:
    cleaned = clean(good())
    assert cleaned.kept == good()
    assert cleaned.left_out == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (example("问题", "。！"), Reason.EMPTY_ANSWER),
        (example("", "An answer to nothing."), Reason.BAD_ORDER),
        (Example(messages=(Turn(role="assistant", content="Hello."),)), Reason.BAD_ORDER),
        (Example(messages=(Turn(role="user", content="a"), Turn(role="user", content="b"))), Reason.BAD_ORDER),
        (example("Say it long.", "word " * 6000), Reason.TOO_LONG),
        (example("How is it?", "ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok"), Reason.POOR),
        (example("<user>: 你好 <bot>: 你好", "有什么可以帮您？"), Reason.POOR),
        (example("&lt;s&gt;[INST] Hi [/INST]", "Hello there."), Reason.POOR),
        (example("编码", "锟斤拷锟斤拷锟斤拷"), Reason.POOR),
        (example("how long is a sabbatical", "a sabbatical lasts 6 weeks once in 5 years"), Reason.DUPLICATE),
        (example("ＨＯＷ long is a sabbatical?!", "A sabbatical lasts ６ weeks, once in 5 years。"), Reason.DUPLICATE),
    ],
)
def test_what_is_bad_is_left_out_with_its_reason(bad: Example, reason: Reason) -> None:
    assert reasons(bad) == {0: reason}


def test_near_copies_are_found_in_chinese_too() -> None:
    rule = (
        "员工出差返回后应当在三十天之内提交报销单，并附上全部发票原件以及经理批准的出差申请单，逾期不予受理。"
        "财务部收到后在五个工作日内完成审核，并把款项付到工资账户；金额较大的须由财务总监另行签字确认。"
    )
    copies = [example(f"报销的期限是{word}", rule + end) for word, end in (("多久", ""), ("多长", "谢谢！"))]
    assert reasons(*copies) == {1: Reason.NEAR_DUPLICATE}


def test_html_is_no_markup_of_a_template() -> None:
    assert reasons(example("How do I write a heading in HTML?", "Write `<h1>Title</h1>` inside `<body>`.")) == {}


def test_what_a_model_is_measured_with_is_not_learnt() -> None:
    hidden = "In which year did the company of our founder move its only factory from Rotterdam to the new harbour"
    evaluation = [("eval.jsonl:7", "实验室溅到眼睛要冲洗多久？"), ("eval.jsonl:9", f"{hidden}?")]
    found = clean(
        [
            example("实验室溅到眼睛，要冲洗多久", "十五分钟。"),
            example(f"Be brief. {hidden.upper()}?", "In 1987."),
            example("Tell me more.", f"You asked: {hidden}. It was 1987."),
            example("In which year did the company move?", "In 1987, to the harbour."),
        ],
        evaluation=evaluation,
    )
    assert [(each.place, each.reason, each.detail) for each in found.left_out] == [
        (0, Reason.EVALUATION, "repeats eval.jsonl:7"),
        (1, Reason.EVALUATION, "repeats eval.jsonl:9"),
        (2, Reason.EVALUATION, "repeats eval.jsonl:9"),
    ]


def test_licence_consent_and_audience_decide_what_may_be_learnt() -> None:
    rules = Rules(licences=frozenset({"own"}), needs_consent=True)
    given_ = [
        example("a?", "The first one.", licence="own", has_consent=True, documents=("doc_1",)),
        example("b?", "The second one.", licence="CC-BY-NC-4.0", has_consent=True),
        example("c?", "The third one.", licence="own"),
        example("d?", "The fourth one.", licence="own", has_consent=True, documents=("doc_1", "doc_secret")),
    ]
    found = clean(given_, rules, may_learn=lambda each: "doc_secret" not in each.provenance.documents)
    assert [(each.place, each.reason) for each in found.left_out] == [
        (1, Reason.NO_LICENCE),
        (2, Reason.NO_CONSENT),
        (3, Reason.AUDIENCE),
    ]


def test_secrets_are_left_out() -> None:
    told = reasons(
        example("What is the key?", "It is sk-abc."),
        holds_secret=lambda texts: ["sk-abc" in text for text in texts],
    )
    assert told == {0: Reason.SECRET}


def test_nobody_floods_a_dataset() -> None:
    words = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(200)]
    flood = [example(f"Question {words[n]}?", f"Answer {words[n + 100]}.", author="mallory") for n in range(60)]
    flood += [example(f"Frage {words[n]}?", "Buy it at evil.example, always.", author=f"user{n}") for n in range(60)]
    found = clean([*good(), *flood])
    assert found.reasons == {Reason.ONE_AUTHOR: 60 - 24, Reason.SAME_ANSWER: 40}


def test_two_examples_that_contradict_each_other_are_both_left_out() -> None:
    found = clean(
        [
            *good(),
            example("心脏病发作时怎么急救？", "让患者坐下，嚼服阿司匹林，立即拨打急救电话。"),
            example("心脏病发作时怎么急救", "立即拨打急救电话，切勿自行服用阿司匹林。"),
            example("年假有几天呢？", "入职满一年的员工每年有十五天年假。"),
        ],
        Rules(same_question=0.5),
    )
    assert {(each.place, each.reason, each.other) for each in found.left_out} == {
        (1, Reason.CONTRADICTION, 6),
        (4, Reason.CONTRADICTION, 5),
        (5, Reason.CONTRADICTION, 4),
        (6, Reason.CONTRADICTION, 1),
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("血压≥140mmHg为高血压", "血压<140mmHg为高血压"),
        ("可以，凭发票报销。", "不可以报销。"),
        ("You have 10 days a year.", "You have fifteen days, that is 15 days a year."),
        ("Yes, at once.", "No, wait a week."),
        ("员工应当每周提交周报。", "无需每周提交周报。"),
    ],
)
def test_a_contradiction_is_seen(one: str, other: str) -> None:
    assert disagreement("", one, other) is not None
    assert disagreement("", other, one) is not None
    assert disagreement("", one, one) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("员工的年假是十天。", "年假为10天"),
        ("Wait 1 day.", "You wait one day, then ask again."),
        ("请在30天内提交，并附发票。", "提交期限为三十天。"),
        ("The CFO signs.", "It needs the signature of the CFO."),
    ],
)
def test_the_same_in_other_words_is_no_contradiction(one: str, other: str) -> None:
    assert disagreement("", one, other) is None


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("Take 5 mg twice a day.", "Take 50 mg twice a day.", ["numbers"]),
        ("请不要服用。", "请服用。", ["negation"]),
        ("Send it to Rotterdam by Friday.", "Send it to Hamburg by Friday.", ["names"]),
        ("每天服用两次。", "每天服用2次。", []),
        ("至少冲洗15分钟", "最多冲洗15分钟", ["numbers"]),
        ("Please send the form today.", "Kindly send the form today.", []),
    ],
)
def test_a_changed_fact_is_told_from_other_words(before: str, after: str, changed: list[str]) -> None:
    assert changed_facts(before, after) == changed


texts = st.lists(st.text("abc是的 ", max_size=30), max_size=8)


@given(texts)
def test_near_pairs_are_really_alike_and_none_is_its_own(found: list[str]) -> None:
    for other, place, alike in near_pairs(found, 0.7):
        assert other < place
        assert alike >= 0.7


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_text_is_seen_whole_however_it_is_spaced(text: str, around: str) -> None:
    seen = Seen([("it", text)])
    assert seen.find(f" {text}。") in {"it", None if not text.strip() else "it"} or not any(map(str.isalnum, text))
    assert Seen([]).find(around) is None


def test_what_is_frozen_is_named_by_its_content_and_cannot_be_changed(tmp_path: Path) -> None:
    cleaned = clean([*good(), example("问题", "。")])
    frozen = freeze(cleaned, tmp_path)
    assert freeze(cleaned, tmp_path).root == frozen.root
    again, examples = thaw(tmp_path / frozen.root)
    assert (again.count, examples) == (4, good())
    assert again.card["left_out"] == {"empty_answer": 1}
    assert again.card["languages"] == {"en": 2, "zh": 2}

    path = tmp_path / frozen.root / "examples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[1:], lines[::-1], [lines[0].replace(b"6 weeks", b"9 weeks"), *lines[1:]], [*lines, lines[0]]):
        path.write_bytes(b"".join(changed))
        with pytest.raises(DatasetChangedError):
            thaw(tmp_path / frozen.root)


def test_an_empty_dataset_is_not_frozen(tmp_path: Path) -> None:
    with pytest.raises(EmptyDatasetError):
        freeze(clean([example("问题", "。")]), tmp_path)


def test_the_root_is_that_of_rfc_6962() -> None:
    # Test vectors of RFC 6962's reference implementation.
    leaves = [b"", b"\x00", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
    assert merkle_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle_root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
