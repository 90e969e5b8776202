import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_platform.text.normalisation import normalise, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u00a0b\u3000c", "a b c"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("line\r\nbreak\rhere", "line\nbreak\nhere"),
        ("e\u0301", "é"),
        ("\u2f00\u2f06", "一二"),
        ("\ufb01nancial o\ufb03ce", "financial office"),
        ("（全角）ＡＢＣ", "（全角）ＡＢＣ"),
        ("bell\x07", "bell"),
    ],
)
def test_only_what_a_reader_cannot_see_changes(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_a_line_break_between_chinese_characters_leaves_no_space() -> None:
    assert one_line("知识\n库 is\nhere") == "知识库 is here"


@given(st.text(max_size=100))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
