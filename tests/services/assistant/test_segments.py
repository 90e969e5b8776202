"""Sentences are the same however the stream was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_services.assistant.answering.segments import SentenceStream, SpokenText

TEXT = (
    "Employees get 15 days. [1] Dr. Wong approves 2.5 of them [2]. 未休年假可结转。[1]病假须提供证明。"
    "\n- one item\n- another item"
)
SENTENCES = [
    "Employees get 15 days. [1]",
    "Dr. Wong approves 2.5 of them [2].",
    "未休年假可结转。[1]",
    "病假须提供证明。",
    "- one item",
    "- another item",
]


@given(st.lists(st.integers(min_value=1, max_value=9), min_size=60, max_size=60))
def test_cuts_in_the_stream_change_nothing(sizes: list[int]) -> None:
    stream = SentenceStream()
    sentences: list[str] = []
    rest = TEXT
    for size in sizes:
        sentences += stream.feed(rest[:size])
        rest = rest[size:]
    sentences += stream.feed(rest) + stream.finish()
    assert sentences == SENTENCES


def test_a_sentence_is_held_until_its_marker_is_whole() -> None:
    stream = SentenceStream()
    assert stream.feed("You get 15 days. [") == []
    assert stream.feed("1") == []
    assert stream.feed("] Next") == ["You get 15 days. [1]"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("\n<think>\nThe user asks. NO_ANSWER?\n</think>\n\n15 days [1].", "15 days [1]."),
        ("<think></think>15 days.", "15 days."),
        ("<think>It goes on and on", ""),
        ("15 < 20 days.", "15 < 20 days."),
        ("<th", "<th"),
        ("", ""),
    ],
)
def test_what_a_model_thinks_is_not_said(written: str, said: str) -> None:
    for size in range(1, len(written) + 2):
        stream = SpokenText()
        pieces = [stream.feed(written[start : start + size]) for start in range(0, len(written), size)]
        assert ("".join(pieces) + stream.finish()).lstrip() == said
