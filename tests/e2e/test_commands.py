"""The command line on a fresh home, as the architecture page describes it."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "leave.md").write_text("# Leave\n\nAnnual leave is 15 days a year.\n", encoding="utf-8")
    (folder / "报销.txt").write_text("住宿费每晚上限为人民币680元。", encoding="gb18030")
    (folder / "empty.txt").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, run_zhiku: Run, folder: Path) -> Path:
    home = tmp_path_factory.mktemp("home")
    done = run_zhiku("ingest", str(folder), "--kb", "Rules", "--home", str(home), "--json")
    assert done.returncode == 1, done.stderr
    documents = {item["path"]: item for item in json.loads(done.stdout)["documents"]}
    assert {path: item["status"] for path, item in documents.items()} == {
        "leave.md": "indexed",
        "报销.txt": "indexed",
        "empty.txt": "failed",
        "broken.pdf": "failed",
    }
    assert all(documents[path]["code"] and documents[path]["reason"] for path in ("empty.txt", "broken.pdf"))
    return home


def test_ingesting_again_changes_nothing(run_zhiku: Run, home: Path, folder: Path) -> None:
    done = run_zhiku("ingest", str(folder / "leave.md"), "--kb", "Rules", "--home", str(home), "--json")
    assert done.returncode == 0, done.stderr
    assert [item["status"] for item in json.loads(done.stdout)["documents"]] == ["unchanged"]


def test_search_finds_the_passage(run_zhiku: Run, home: Path) -> None:
    done = run_zhiku("search", "annual leave", "--kb", "Rules", "--home", str(home), "--json")
    assert json.loads(done.stdout)["passages"][0]["text"].startswith("Annual leave is 15 days")


def test_ask_answers_in_chinese_with_a_citation(run_zhiku: Run, home: Path) -> None:
    done = run_zhiku("ask", "住宿费每晚最多多少钱？", "--kb", "Rules", "--home", str(home), "--json")
    answer = json.loads(done.stdout)
    assert "680" in answer["answer"]
    assert answer["citations"][0]["quote"] in "住宿费每晚上限为人民币680元。"
    assert answer["mode"] in {"generated", "extractive"}


def test_a_user_without_a_grant_is_told_that_there_is_no_such_thing(run_zhiku: Run, home: Path) -> None:
    done = run_zhiku("ask", "leave?", "--kb", "Rules", "--as", "lin", "--home", str(home))
    assert done.returncode == 1
    assert "not_found" in done.stderr
    assert "`Rules`" not in done.stderr


@pytest.mark.parametrize("asking", ["ask", "search"])
def test_an_unknown_knowledge_base_is_answered_with_the_known_ones(run_zhiku: Run, home: Path, asking: str) -> None:
    done = run_zhiku(asking, "leave?", "--kb", "Ruels", "--home", str(home))
    assert done.returncode == 1
    assert "`Rules`" in done.stderr
    assert "hostname" not in done.stderr


def test_doctor_finds_everything_in_order(run_zhiku: Run, home: Path) -> None:
    done = run_zhiku("doctor", "--home", str(home), "--json")
    assert done.returncode == 0, done.stdout
    assert {check["state"] for check in json.loads(done.stdout)["checks"]} <= {"ok", "warning"}


def test_a_taken_port_is_told_before_anything_is_built(run_zhiku: Run, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_zhiku("up", "--port", str(taken.getsockname()[1]), "--home", str(home))
    assert done.returncode == 1
    assert "port_in_use" in done.stderr
    assert "loaded" not in done.stdout + done.stderr
