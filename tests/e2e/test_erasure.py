"""A person who left traces everywhere is erased by command, and again after the restore of a backup."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from typer.testing import CliRunner

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import NewKnowledgeBase
from zhiku_platform.inprocess import InProcessTransport
from zhiku_platform.settings import Settings
from zhiku_platform.telemetry import configure_logging
from zhiku_services.__main__ import app
from zhiku_services.embedded.app import Embedded
from zhiku_services.embedded.server import Server, listen

from .conftest import free_port
from .test_audited import wait_until

pytestmark = pytest.mark.slow

CANARY = "canary-7731"
APPROVERS = [
    Principal(sub=sub, tenant="default", roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_APPROVER}))
    for sub in ("fang", "wu")
]


@pytest.fixture(autouse=True)
def keep_logging(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A command points the process's logging to its own standard error, which ends with the runner; here to a file."""
    monkeypatch.setattr("zhiku_services.commands.home.configure_logging", lambda _: None)
    handlers = list(logging.root.handlers)
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        configure_logging(Settings(home=tmp_path), log)
        yield
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers


@contextmanager
def running(home: Path) -> Iterator[tuple[Embedded, Any]]:
    """The platform on a home, which commands reach; its services are called as anybody."""
    port = free_port()
    with (
        listen("127.0.0.1", port) as listener,
        Embedded(Settings(home=home, port=port)) as embedded,
        Server(embedded, listener),
    ):
        signer = PrincipalSigner(embedded.settings.secret_key.get_secret_value())
        with httpx2.Client(
            transport=InProcessTransport(embedded.private, embedded.loop), base_url="http://zhiku", timeout=60
        ) as http:

            def call(principal: Principal, method: str, path: str, body: Any = None) -> httpx2.Response:
                headers = {PRINCIPAL_HEADER: signer.sign(principal)}
                response: httpx2.Response = http.request(method, path, headers=headers, json=body)
                assert response.is_success, response.text
                return response

            yield embedded, call


def traces(embedded: Embedded, call: Any, note: Path) -> None:
    """Leave a document of zhao's about the person, and a question of theirs."""
    clients = embedded.clients
    zhao, lin = clients.principal("zhao"), clients.principal("lin")
    kb = clients.knowledge.create_knowledge_base(zhao, NewKnowledgeBase(name="Staff"))
    version = clients.ingestion.upload(zhao, kb.id, note, path="staff/note.md")
    wait_until(lambda: clients.ingestion.version(zhao, version.id).state == "indexed")
    conversation = call(lin, "POST", "/assistant/api/v1/conversations", {}).json()["id"]
    path = f"/assistant/api/v1/conversations/{conversation}/questions"
    call(lin, "POST", path, {"text": f"What does {CANARY} earn?"})


def files_with(home: Path, text: str) -> list[str]:
    files = (each for each in home.rglob("*") if each.is_file())
    return sorted(str(each.relative_to(home)) for each in files if text.encode() in each.read_bytes())


def zhiku(home: Path, *arguments: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["erasure", *arguments, "--home", str(home), "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.output)


def approve(call: Any, approval: dict[str, Any]) -> None:
    for each in APPROVERS:
        path = f"/governance/api/v1/approvals/{approval['id']}/approve"
        call(each, "POST", path, {"digest": approval["digest"]})


def test_a_person_is_erased_by_command_and_again_after_a_restore(tmp_path: Path) -> None:
    home, values, note = tmp_path / "home", tmp_path / "values", tmp_path / "note.md"
    values.write_text(f"{CANARY}\n", encoding="utf-8")
    note.write_text(f"# Pay\n\nThe pay of {CANARY} is 100 a month.\n", encoding="utf-8")
    with running(home) as (embedded, call):
        traces(embedded, call, note)
    assert files_with(home, CANARY)
    backup = shutil.copytree(home / "db", tmp_path / "backup" / "db")
    shutil.copytree(home / "blobs", tmp_path / "backup" / "blobs")
    shutil.copytree(home / "milvus", tmp_path / "backup" / "milvus")

    asked = ("--sub", "lin", "--values", str(values), "--reason", "They asked for it", "--legal-basis", "PIPL 47")
    with running(home) as (_, call):
        erasure = zhiku(home, "request", *asked, "--due", "2027-01-01")["id"]
        found = zhiku(home, "find", erasure)["report"]
        documents = {
            each for store in found for line in store["found"] if line["kind"] == "document" for each in line["ids"]
        }
        chosen = [argument for document in documents for argument in ("--choose", document)]
        zhiku(home, "find", erasure, *chosen)
        approval = zhiku(home, "run", erasure)
        approve(call, approval)
        done = zhiku(home, "run", erasure, "--approval", approval["id"])
        assert done["state"] == "erased", done["left"]
    left = [each for each in files_with(home, CANARY) if not each.startswith("milvus")]
    assert left == []

    certificate = tmp_path / "certificate.json"
    written = CliRunner().invoke(app, ["erasure", "certificate", erasure, "-o", str(certificate), "--home", str(home)])
    assert written.exit_code == 0, written.output
    key = (home / "audit" / "signer" / "public.vkey").read_text().strip()
    assert CliRunner().invoke(app, ["erasure", "check", str(certificate), "--key", key]).exit_code == 0
    forged = certificate.read_text().replace("PIPL 47", "PIPL 48")
    certificate.write_text(forged)
    assert CliRunner().invoke(app, ["erasure", "check", str(certificate), "--key", key]).exit_code == 2

    for name in ("assistant", "ingestion", "knowledge"):
        for suffix in ("", "-wal", "-shm"):
            (home / "db" / f"{name}.sqlite3{suffix}").unlink(missing_ok=True)
        for file in backup.glob(f"{name}.sqlite3*"):
            shutil.copy(file, home / "db")
    for name in ("blobs", "milvus"):
        shutil.rmtree(home / name)
        shutil.copytree(tmp_path / "backup" / name, home / name)
    with running(home):
        assert zhiku(home, "verify", erasure, exit_code=2)["left"]
        (replayed,) = zhiku(home, "replay")["replayed"]
        assert replayed["left"] == []
    # The demo's own identity provider still has the account, and the next start brings it back, with an event.
    left = zhiku(home, "verify", erasure, exit_code=2)["left"]
    assert [each["store"] for each in left] == ["directory", "audit"]
    assert {line["kind"] for each in left for line in each["found"]} == {"directory_user", "pseudonym"}
    assert [each for each in files_with(home, CANARY) if not each.startswith("milvus")] == []
