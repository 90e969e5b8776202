"""A list from elsewhere is taken over without what fires on ordinary text, and what that is can be read."""

from pathlib import Path

import pytest

from zhiku_platform.contracts.safety import Category, Severity
from zhiku_services.safety.errors import LexiconError
from zhiku_services.safety.importing import (
    Imported,
    import_words,
    ordinary_sentences,
    read_words,
    write_terms,
)
from zhiku_services.safety.lexicon import Term, own_terms, read_terms
from zhiku_services.safety.matching import Matcher

ORDINARY = ["根据公司法，股东转让股权。", "股东会的测试安排", "他请假三个工作日。"]


def imported(*words: str) -> Imported:
    return import_words(words, Category.OTHER, Severity.LOW, ORDINARY)


def test_what_fires_is_named_with_its_count_and_first_example() -> None:
    result = imported("股东", "地下赌场", "地下赌场", " ", "测试", "工作日")
    assert [term.text for term in result.terms] == ["地下赌场"]
    assert [(one.word, one.times, one.example) for one in result.fired] == [
        ("股东", 2, ORDINARY[0]),
        ("工作日", 1, ORDINARY[2]),
        ("测试", 1, ORDINARY[1]),
    ]


def test_short_words_and_entries_of_several_are_left_out_by_name() -> None:
    result = imported("日", "考试,答案", "高压气枪|气枪货到付款", "长" * 101, "!!", "地下赌场")
    assert result.too_short == ["日", "长" * 101, "!!"]
    assert result.several == ["考试,答案", "高压气枪|气枪货到付款"]
    assert [term.text for term in result.terms] == ["地下赌场"]


def test_what_is_written_can_be_read_as_terms(tmp_path: Path) -> None:
    path = tmp_path / "terms.jsonl"
    write_terms(imported("地下赌场").terms, path)
    assert read_terms(path) == [Term(text="地下赌场", category=Category.OTHER, severity=Severity.LOW)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_lists_in_either_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("地下赌场\r\n股东\r\n".encode(encoding))
    assert read_words(path) == ["地下赌场", "股东"]


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(b"\xff\xff\xff")
    for name in ("words", "missing"):
        with pytest.raises(LexiconError):
            read_words(tmp_path / name)


def test_the_shipped_terms_fire_on_no_shipped_sentence() -> None:
    matcher = Matcher(own_terms())
    assert [text for text in ordinary_sentences() if matcher.find(text)] == []
