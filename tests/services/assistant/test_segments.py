"""Sentences are the same however the stream was cut."""

from hypothesis import given
from hypothesis import strategies as st

from zhiku_services.assistant.answering.segments import SentenceStream

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
