"""`zhiku finetune` as a user meets it: what it prints, what it writes, how it exits."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from zhiku_services.commands.finetune import app


def run(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    lines = [
        {"question": "How long is a sabbatical?", "answer": "A sabbatical lasts 6 weeks."},
        {"question": "年假有几天？", "answer": "每年有十天年假。"},
        {"question": "年假有几天？", "answer": "每年有十天年假！"},
        {"question": "What is the token?", "answer": "Use ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8 for it."},
        {"question": "Which colour is the lamp?", "answer": "It is green."},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    path.write_text(f'{text}\n{{"question": "broken"\n', encoding="utf-8")
    return path


def test_check_tells_of_every_line_and_freezes_what_is_left(data: Path, tmp_path: Path) -> None:
    evaluation = tmp_path / "evaluation.jsonl"
    evaluation.write_text('{"question": "which colour is the lamp", "answer": "Green."}\n', encoding="utf-8")
    code, told = run("check", data, "--evaluation", evaluation, "--freeze-to", tmp_path / "frozen")
    assert code == 0
    assert [(row["line"], row["code"]) for row in told["refused"]] == [(6, "not_json")]
    assert [(row["line"], row["reason"], row["other_line"]) for row in told["left_out"]] == [
        (3, "duplicate", 2),
        (4, "secret", None),
        (5, "evaluation", None),
    ]
    assert told["card"]["examples"] == 2
    manifest = json.loads((tmp_path / "frozen" / told["root"] / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["root"] == told["root"]


def test_check_asks_in_other_words_on_request(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"question": "How do I book a room for 6 people?", "answer": "By telephone."}\n', encoding="utf-8")
    code, told = run("check", data, "--variants", "1", "--freeze-to", tmp_path / "frozen")
    assert (code, told["variants"]) == (0, {"made": 1, "refused": {}})
    assert told["card"]["origins"] == {"file": 1, "augmented": 1}
    lines = (tmp_path / "frozen" / told["root"] / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    assert "6 people" in json.loads(lines[1])["messages"][0]["content"]


def test_convert_writes_another_format_and_says_what_it_could_not_read(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    code, told = run("convert", data, target, "--to", "sharegpt")
    assert (code, told["from"], told["examples"], len(told["refused"])) == (1, "qa", 5, 1)
    first = json.loads(target.read_text(encoding="utf-8").splitlines()[0])
    assert first["conversations"][1] == {"from": "gpt", "value": "A sabbatical lasts 6 weeks."}


def test_lint_shows_what_is_learnt(data: Path, tmp_path: Path, tokenizer: Any) -> None:
    folder = tmp_path / "base"
    tokenizer.save_pretrained(folder)
    code, told = run("lint", data, "--tokenizer", folder, "--show", "1")
    assert (code, told["examples"], told["problems"]) == (0, 5, {})
    learnt = "".join(text for text, is_learnt in told["tokens_of_line"] if is_learnt)
    assert learnt == "A sabbatical lasts 6 weeks.<|im_end|>"
    code, told = run("lint", data, "--tokenizer", folder, "--max-tokens", "32")
    assert (code, told["problems"]["cut_off"], told["lines"]["cut_off"]) == (1, 4, [1, 3, 4, 5])


def test_plan_gives_reasons_for_and_against() -> None:
    code, told = run("plan", "--goal", "style", "--examples", "3000", "--memory-gb", "24")
    assert (code, told["option"]) == (0, "lora")
    assert told["memory"]["total_gb"] < 24
    assert "PPO" in told["rejected"]["rlhf"]
    assert run("plan", "--goal", "magic")[0] == 2
