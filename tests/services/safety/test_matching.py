"""Terms are found whatever they are dressed up as, wherever the stream is cut, and not in ordinary sentences."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import opencc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_platform.contracts.safety import Category, Severity
from zhiku_services.safety.errors import LexiconError
from zhiku_services.safety.folding import fold
from zhiku_services.safety.lexicon import Term, own_terms, read_terms
from zhiku_services.safety.matching import Match, Matcher, StreamGuard


def term(text: str, *unless: str) -> Term:
    return Term(text=text, category=Category.GAMBLING, severity=Severity.MEDIUM, unless=list(unless))


MATCHER = Matcher(
    [
        term("赌博", "反赌博"),
        term("地下赌场"),
        term("kill you"),
        term("casino"),
        term("ass"),
        term("毒品"),
        term("博彩公司"),
    ]
)
OWN = Matcher(own_terms())


def found(text: str, matcher: Matcher = MATCHER) -> list[str]:
    return [text[match.start : match.end] for match in matcher.find(text)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("他去赌博了", ["赌博"]),
        ("他去賭博了", ["賭博"]),
        ("赌 博、赌*博、赌-.博", ["赌 博", "赌*博", "赌-.博"]),
        ("赌\u200b博", ["赌\u200b博"]),
        ("du博 和 赌bo", ["du博", "赌bo"]),
        ("di下赌chang", ["di下赌chang"]),
        ("Ｃａｓｉｎｏ", ["Ｃａｓｉｎｏ"]),
        ("c\u0430sin\u043e", ["c\u0430sin\u043e"]),
        ("cäsinó", ["cäsinó"]),
        ("cas1no, c@sino, ca5ino", ["cas1no", "c@sino", "ca5ino"]),
        ("c a s i n o", ["c a s i n o"]),
        ("k.i.l.l you", ["k.i.l.l you"]),
        ("Kill  You!", ["Kill  You"]),
    ],
)
def test_what_is_dressed_up_is_found(text: str, spans: list[str]) -> None:
    assert found(text) == spans


@pytest.mark.parametrize(
    "text",
    [
        "反赌博宣传",
        "反 賭 博",
        "赌。博",
        "赌\n博",
        "赌    博",
        "class and assess",
        "casinos",
        "killyou",
        "skill you need",
        "bingdu dubo",
        "assets of casinos",
        "",
    ],
)
def test_what_only_resembles_a_term_is_not(text: str) -> None:
    assert found(text) == []


ORDINARY = [
    "我想请假三个工作日，请问怎么申请？",
    "根据公司法，股东转让股权应当通知其他股东。",
    "独立董事每年至少参加两次会议。",
    "吗啡属于麻醉药品，处方须由主治医师开具。",
    "反毒宣传周的测试题已经发到邮箱。",
    "灾备演练安排在周日进行。",
    "公安机关依法打击赌博罪和诈骗罪。",
    "杀毒软件需要更新，否则无法登录内网。",
    "The class assessed 3 S3 buckets and 12 EKS clusters.",
    "Please kill the process and restart the worker.",
    "The patient was given fentanyl 50 mcg IV before the procedure.",
    "Our skills matrix lists who may handle cash and cards.",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_the_shipped_list_lets_ordinary_sentences_pass(text: str) -> None:
    assert found(text, OWN) == []


def spaced(text: str) -> str:
    return " ".join(text) if " " not in text else " ".join("-".join(word) for word in text.split())


def invisible(text: str) -> str:
    return "\u200b".join(text)


def wide(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def traditional(text: str) -> str:
    return str(opencc.OpenCC("s2t").convert(text))


def upper(text: str) -> str:
    return text.upper()


def leet(text: str) -> str:
    return text.replace("o", "0", 1).replace("i", "1", 1).replace("e", "3", 1) if text.isascii() else text


def lookalike(text: str) -> str:
    return text.translate(str.maketrans("aeopc", "аеорс"))


DISGUISES: list[Callable[[str], str]] = [spaced, invisible, wide, traditional, upper, leet, lookalike]


def test_disguised_terms_of_the_shipped_list_are_found() -> None:
    """At least 95 % of every disguise that changes a term at all."""
    for disguise in DISGUISES:
        changed = [(each, disguise(each.text)) for each in own_terms() if disguise(each.text) != each.text]
        caught = [each for each, text in changed if each.text in {m.term.text for m in OWN.find(f"你好 {text} ok")}]
        missed = [each.text for each, _ in changed if each not in caught]
        assert changed, disguise
        assert len(caught) >= 0.95 * len(changed), (disguise.__name__, missed)


def stream(pieces: list[str], matcher: Matcher = MATCHER) -> tuple[str, list[Match]]:
    """What comes out, while every match must come with its text and nothing of it before."""
    guard = StreamGuard(matcher)
    text, matches = "", list[Match]()
    for released, new in [*(guard.feed(piece) for piece in pieces), guard.finish()]:
        assert all(len(text) <= match.start and match.end <= len(text) + len(released) for match in new)
        text += released
        matches += new
    return text, sorted(matches)


SPLIT = {
    "先说 du 博，再说赌\u200b博 和 c a s 1 n o ... k1ll you 反賭博 毒 品": 5,
    "赌博彩公 赌博彩公司": 3,
    "xcasino，skill you casinos": 0,
    "反赌博、赌博，反 赌博": 1,
}
"""Texts, and how many terms each holds."""


def test_no_cut_lets_a_term_through() -> None:
    for text, count in SPLIT.items():
        whole = sorted(MATCHER.find(text))
        assert len(whole) == count
        for first, second in itertools.combinations(range(len(text) + 1), 2):
            assert stream([text[:first], text[first:second], text[second:]]) == (text, whole)
        assert stream(list(text)) == (text, whole)


PARTS = [*"赌博反毒品賭地下场 kic1a@s*。!x\n\u200b\u0301ａ㎏ﬁ", "du", "bo", "chang", "ll", "you", "ino"]


@given(st.lists(st.sampled_from(PARTS), max_size=30), st.randoms(use_true_random=False))
def test_a_stream_says_what_the_whole_text_says(parts: list[str], cuts: random.Random) -> None:
    text = "".join(parts)
    pieces: list[str] = []
    place = 0
    while place < len(text):
        step = cuts.randint(0, 4)
        pieces.append(text[place : place + step])
        place += step
    assert stream(pieces) == (text, sorted(MATCHER.find(text)))


def test_ordinary_text_is_held_back_for_a_few_characters_at_most() -> None:
    guard, held = StreamGuard(OWN), list[int]()
    for letter in "".join(ORDINARY):
        guard.feed(letter)
        held.append(guard.held)
    assert max(held) <= max(len(fold(each.text).chars) for each in own_terms()) * 2
    assert sum(held) / len(held) < 3


def test_a_list_that_cannot_be_used_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "terms.jsonl"
    good = '{"text": "赌博", "category": "gambling", "severity": 2}\n'
    for line, says in [
        ("not JSON", "Line 2"),
        ('{"text": "赌博", "category": "cards", "severity": 2}', "Line 2"),
        ('{"text": "日", "category": "other", "severity": 1}', "fewer than two"),
        ('{"text": "赌博", "category": "gambling", "severity": 2, "unless": ["扑克"]}', "exception"),
    ]:
        path.write_text(good + line + "\n", encoding="utf-8")
        with pytest.raises(LexiconError, match=says):
            read_terms(path)
    path.write_text(good + "\n", encoding="utf-8")
    assert [each.text for each in read_terms(path)] == ["赌博"]
