"""`zhiku audit`: exit codes, keys of the JSON, and a witness on a second machine."""

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zhiku_services.commands.audit import app

from .attacks import as_administrator, edit
from .conftest import Audit, MakeAudit

KEYS = {"ok", "events", "tree_size", "root", "first_bad_index", "reason"}


@pytest.fixture
def home(make_audit: MakeAudit) -> Audit:
    audit = make_audit()
    audit.fill(350)
    audit.settle()
    return audit


@pytest.fixture(autouse=True)
def keep_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command points the process's logging to its own standard error, which ends with the runner."""
    monkeypatch.setattr("zhiku_services.commands.home.configure_logging", lambda _: None)


def run(*arguments: str | Path) -> tuple[int, dict[str, object]]:
    """The exit code, and the one JSON object that was printed."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}


def test_verify_says_that_nothing_was_touched(home: Audit) -> None:
    code, verdict = run("verify", "--home", home.settings.home)
    assert code == 0
    assert verdict.keys() >= KEYS
    assert (verdict["ok"], verdict["events"], verdict["tree_size"]) == (True, 350, 350)


def test_verify_names_the_first_entry_that_was_touched(home: Audit) -> None:
    with as_administrator(home) as tables:
        edit(tables)
    code, verdict = run("verify", "--home", home.settings.home)
    assert (code, verdict["ok"], verdict["first_bad_index"]) == (2, False, 300)


def test_verify_needs_no_more_than_a_bundle_and_the_public_key(home: Audit, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    code, exported = run("export", "--home", home.settings.home, "-o", bundle)
    assert (code, exported["events"]) == (0, 351)
    key = str(exported["key"])
    assert run("verify", bundle, "--key", key)[0] == 0
    assert run("verify", bundle, "--key", key[:-4] + "AAA=")[0] == 3
    bundle.write_bytes(bundle.read_bytes()[:2000])
    code, verdict = run("verify", bundle, "--key", key)
    assert (code, verdict["ok"]) == (3, False)


def test_an_export_by_the_operator_is_in_the_log_that_it_exports(home: Audit, tmp_path: Path) -> None:
    run("export", "--home", home.settings.home, "-o", tmp_path / "bundle.zip")
    assert home.actions()[-1] == "audit.exported"
    assert home.events()[-1]["data"]["actor"]["user"]["uid"] == "operator"


def test_an_export_of_one_document_holds_nothing_else(home: Audit, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    code, exported = run("export", "--home", home.settings.home, "-o", bundle, "--subject", "doc_7")
    assert (code, exported["events"]) == (0, 1)
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        subjects = [json.loads(line)["subject"] for line in archive.read("events.jsonl").splitlines()]
    assert (manifest["complete"], manifest["filter"], subjects) == (False, {"subject": "doc_7"}, ["doc_7"])
    assert home.events()[-1]["data"]["unmapped"]["kb"] == {"by_subject": "doc_7"}
    assert run("verify", bundle, "--key", str(exported["key"]))[0] == 0


def test_a_witness_cosigns_what_grows_and_refuses_what_was_put_back(home: Audit, tmp_path: Path) -> None:
    state, bundle = tmp_path / "witness", tmp_path / "bundle.zip"
    code, first = run("witness", "--state", state, "--home", home.settings.home, "--name", "w1")
    assert (code, first["size"]) == (0, 350)
    assert run("verify", "--home", home.settings.home, "--anchor", state)[0] == 0

    run("export", "--home", home.settings.home, "-o", bundle, "--since-size", "350")
    code, second = run("witness", "--state", state, "--bundle", bundle, "--name", "w1")
    assert (code, second["size"]) == (0, 352)
    # The next bundle tells nothing about what the witness saw last.
    run("export", "--home", home.settings.home, "-o", bundle)
    assert run("witness", "--state", state, "--bundle", bundle, "--name", "w1")[0] == 1


def test_a_home_without_a_log_is_said_so(tmp_path: Path) -> None:
    assert run("verify", "--home", tmp_path / "nowhere")[0] == 1
    assert run("export", "--home", tmp_path / "nowhere", "-o", tmp_path / "b.zip")[0] == 1
