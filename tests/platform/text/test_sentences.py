from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_platform.text.sentences import sentence_extents, split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid $3.5 million. He left.", ["Dr. Smith paid $3.5 million.", "He left."]),
        ("See e.g. Table 3 and Fig. 4. Then stop.", ["See e.g. Table 3 and Fig. 4.", "Then stop."]),
        ("J. R. Tolkien wrote it. Really.", ["J. R. Tolkien wrote it.", "Really."]),
        ('He said "Stop." Then he ran.', ['He said "Stop."', "Then he ran."]),
        ("Apple Inc. Shares rose.", ["Apple Inc.", "Shares rose."]),
        ("1. Open the door. 2. Close it.", ["1. Open the door.", "2. Close it."]),
        ("员工每年享有15天年假。请提前申请!好的", ["员工每年享有15天年假。", "请提前申请!", "好的"]),
        ("他说：“可以。”然后走了。", ["他说：“可以。”", "然后走了。"]),
        ("版本3.5已发布……请更新；否则停用。", ["版本3.5已发布……", "请更新；", "否则停用。"]),
        ("Line one\n\nLine two", ["Line one", "Line two"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@given(st.text(alphabet="ab .!?。！“”\"'\n中文3", max_size=200))
def test_no_character_but_white_space_lies_outside_a_sentence(text: str) -> None:
    covered = {n for start, end in sentence_extents(text) for n in range(start, end)}
    assert all(char.isspace() for n, char in enumerate(text) if n not in covered)


@given(st.text(max_size=200))
def test_sentences_are_ordered_and_do_not_overlap(text: str) -> None:
    places = [place for extent in sentence_extents(text) for place in extent]
    assert places == sorted(places)


class Sliced(str):
    """A text that counts the characters that are cut out of it."""

    __slots__ = ("taken",)
    taken: int

    def __getitem__(self, place: SupportsIndex | slice) -> str:
        part = super().__getitem__(place)
        self.taken += len(part)
        return part


@pytest.mark.parametrize("pattern", ["e.g. Foo ", "A. ", "No. 12. ", "One. ", "Wait... what"])
def test_a_sentence_costs_no_more_for_standing_in_a_long_text(pattern: str) -> None:
    text = Sliced(pattern * 5_000)
    text.taken = 0
    assert sum(1 for _ in sentence_extents(text)) >= 1
    assert text.taken <= 50 * len(text)


def test_a_row_of_dots_is_looked_at_once() -> None:
    assert split_sentences("." * 300_000 + "a") == ["." * 300_000 + "a"]
