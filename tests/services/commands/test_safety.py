"""`zhiku safety import` and `zhiku eval safety`, as they are called."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zhiku_services.__main__ import app
from zhiku_services.safety.lexicon import read_terms


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("地下赌场\n工作日\n日\n考试,答案\n本季\n", encoding="utf-8")
    return path


def test_a_list_becomes_terms_and_a_report(tmp_path: Path, words: Path) -> None:
    out, own = tmp_path / "terms.jsonl", tmp_path / "ordinary.txt"
    own.write_text("本季的目标已完成。\n", encoding="utf-8")
    options = ["--category", "gambling", "--severity", "3", "--ordinary", str(own), "--out", str(out)]
    done = CliRunner().invoke(app, ["safety", "import", str(words), *options, "--json"], catch_exceptions=False)
    report = json.loads(done.stdout)
    assert (report["kept"], report["too_short"], report["several"]) == (1, ["日"], ["考试,答案"])
    assert [(one["word"], one["times"] > 0) for one in report["fired"]] == [("工作日", True), ("本季", True)]
    (term,) = read_terms(out)
    assert (term.text, term.category, term.severity) == ("地下赌场", "gambling", 3)


def test_people_are_shown_what_was_left_out(tmp_path: Path, words: Path) -> None:
    options = ["--category", "other", "--out", str(tmp_path / "terms.jsonl")]
    done = CliRunner().invoke(app, ["safety", "import", str(words), *options], catch_exceptions=False)
    assert (done.exit_code, "工作日" in done.stdout) == (0, True)


def test_evaluation_uses_the_terms_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terms, data = tmp_path / "terms.jsonl", tmp_path / "data.jsonl"
    terms.write_text('{"text": "绿野行动", "category": "other", "severity": 2}\n', encoding="utf-8")
    data.write_text('{"text": "绿野行动何时开始？", "label": "unsafe"}\n', encoding="utf-8")
    monkeypatch.setenv("ZHIKU_SAFETY_TERMS", str(terms))
    done = CliRunner().invoke(app, ["eval", "safety", str(data), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["recall"] == 1.0


def examined() -> tuple[str, str, str]:
    """State, finding and remedy that `zhiku doctor` has for content safety."""
    done = CliRunner().invoke(app, ["doctor", "--json"])
    (found,) = [check for check in json.loads(done.stdout)["checks"] if check["check"] == "content safety"]
    return found["state"], found["found"], found["remedy"]


def test_the_doctor_looks_at_policy_and_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIKU_HOME", str(tmp_path / "home"))
    assert examined() == ("ok", "policy 1 by the settings, no guard model", "")
    monkeypatch.setenv("ZHIKU_GUARD_BASE_URL", "http://127.0.0.1:9/v1")
    state, found, remedy = examined()
    assert (state, "APIConnectionError" in found, "ZHIKU_GUARD_BASE_URL" in remedy) == ("error", True, True)
    monkeypatch.setenv("ZHIKU_SAFETY_POLICY", str(tmp_path / "none.json"))
    assert examined()[:2] == ("error", f"{tmp_path / 'none.json'} cannot be read.")
