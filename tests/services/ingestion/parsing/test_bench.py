"""The table of what a folder's files become."""

from dataclasses import asdict
from pathlib import Path

import pytest

from zhiku_services.ingestion.parsing.bench import FileResult, as_markdown, bench_parsing, share_found


def test_the_share_counts_words_as_often_as_they_stand_and_characters_for_chinese() -> None:
    assert share_found("# One two two\n\n[three](http://x.y)", "one TWO three") == pytest.approx(3 / 4)
    assert share_found("知识库", "知 识 店") == pytest.approx(2 / 3)
    assert share_found("| a | b |\n|---|---|\n", "a b") == 1.0


def test_a_folder_s_files_are_counted_by_extension_with_the_reason_of_each_failure(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n\nTwo words.\n", encoding="utf-8")
    (tmp_path / "b.pdf").write_bytes(b"not a pdf at all")
    truth = tmp_path / "groundtruth" / "a.md.md"
    truth.parent.mkdir()
    truth.write_text("Title two words missing", encoding="utf-8")
    seen: list[FileResult] = []
    formats = bench_parsing([tmp_path], count_tokens=len, report=seen.append)
    assert {result.path.name: result.code for result in seen} == {"a.md": None, "b.pdf": "wrong_extension"}
    assert formats[".md"].found == [pytest.approx(3 / 4)]
    assert "| .pdf | 1 | 0 | 1 wrong_extension | 0 |" in as_markdown(formats)
    assert asdict(formats[".pdf"])["failed"] == {"wrong_extension": 1}
