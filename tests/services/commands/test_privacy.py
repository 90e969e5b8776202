"""`zhiku eval pii` and `zhiku bench privacy`: the stable keys of their JSON, and the table for people."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from zhiku_services.__main__ import app

FIGURES = {"precision", "recall", "f1", "f2", "spans"}


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    text = "Mail maria@example.com today."
    item = {"text": text, "language": "en", "spans": [{"start": 5, "end": 22, "type": "EMAIL"}]}
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(item) + "\n", encoding="utf-8")
    return path


def printed(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_evaluation_prints_the_stable_keys_for_both_finders(gold: Path) -> None:
    report = printed("eval", "pii", str(gold))
    for side in (report, report["baseline"]):
        assert set(side) - {"baseline"} == {"overall", "by_type", "by_language", "chars_per_s"}
        assert set(side["overall"]) == set(side["by_type"]["EMAIL"]) == set(side["by_language"]["en"]) == FIGURES
    assert report["overall"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "f2": 1.0, "spans": 1}


def test_evaluation_prints_a_table_for_people(gold: Path) -> None:
    done = CliRunner().invoke(app, ["eval", "pii", str(gold)], catch_exceptions=False)
    assert (done.exit_code, "EMAIL" in done.stdout) == (0, True)


def test_the_race_prints_both_speeds_and_their_ratio(gold: Path) -> None:
    report = printed("bench", "privacy", str(gold), "--rounds", "1")
    assert set(report) == {"chars", "chars_per_s", "baseline", "ratio"}
    assert set(report["baseline"]) == {"chars_per_s"}
    assert report["chars"] == 29


def test_a_file_that_is_no_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    assert CliRunner().invoke(app, ["eval", "pii", str(tmp_path / "notes.txt")]).exit_code != 0
