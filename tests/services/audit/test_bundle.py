"""A bundle is checked by its own program, with nothing of ours, and every change to it is found."""

import base64
import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.settings import Settings
from zhiku_services.audit.app import AuditService, open_database
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.verifier import verify_bundle

from . import rfc6962
from .conftest import STRANGER, Audit, MakeAudit, published

Files = dict[str, bytes]
REASON = {"reason": "The yearly review of 2026"}


@dataclass(frozen=True)
class Evidence:
    """A log of three hundred entries, one with a sealed part: its home, and two bundles from it."""

    home: Path
    whole: Path
    part: Path
    key: str


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("evidence")
    settings = Settings(home=folder / "home")
    database = open_database(settings)
    audit = Audit(settings, database, AuditService(settings, database=database))
    audit.fill(299, batch=299)
    asked = AuditEvent(
        action="question.asked", tenant="acme", actor="lin", subject="ans_1", sealed={"question": "?"}, group="c"
    )
    audit.append(ProducedEvent(event=asked))
    audit.settle()
    whole = exported(audit, folder / "whole.zip")
    part = exported(audit, folder / "part.zip", action="document.published")
    for client in audit.clients.values():
        client.close()
    database.close()
    return Evidence(settings.home, whole, part, audit.trail.signer.public_key)


@pytest.fixture
def full(evidence: Evidence, tmp_path: Path, make_audit: MakeAudit) -> Iterator[Audit]:
    """The log of the evidence, running, for a test alone."""
    shutil.copytree(evidence.home, tmp_path / "home")
    audit = make_audit()
    yield audit
    for client in audit.clients.values():
        client.close()


def exported(audit: Audit, path: Path, **wanted: str) -> Path:
    return audit.export(path, wanted)


def changed(path: Path, target: Path, change: Callable[[Files], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    target /= "changed.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def test_a_bundle_of_the_whole_log_is_checked_by_its_own_program(evidence: Evidence, tmp_path: Path) -> None:
    bundle = evidence.whole
    with zipfile.ZipFile(bundle) as archive:
        archive.extract("verify.py", tmp_path)
        manifest = json.loads(archive.read("manifest.json"))
        assert b"verify.py" in archive.read("report.html")
    # Isolated: neither our packages' path nor the environment; `cryptography` is the only one it finds.
    arguments = [sysconfig.get_paths()["purelib"], str(tmp_path / "verify.py"), str(bundle)]
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    verdict = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert manifest["complete"]
    assert (verdict["ok"], verdict["events"], verdict["tree_size"]) == (True, 300, 300)
    leaves = [rfc6962.leaf(line) for line in _read(bundle, "events.jsonl").splitlines()]
    assert verdict["root"] == rfc6962.mth(leaves).hex()


PROGRAM = """
import runpy, sys
allowed = {"cryptography", "_cffi_backend", "cffi"}
packages, program, bundle = sys.argv[1:]
sys.path.append(packages)

class OnlyCryptography:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in sys.stdlib_module_names and top not in allowed:
            raise ImportError(f"verify.py may not need {name}")

sys.meta_path.insert(0, OnlyCryptography())
sys.argv = [program, bundle, "--json"]
runpy.run_path(program, run_name="__main__")
"""


def _read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def test_a_part_of_the_log_carries_a_proof_for_each_entry(full: Audit, tmp_path: Path) -> None:
    bundle = exported(full, tmp_path / "bundle.zip", subject="doc_7")
    verdict = verify_bundle(bundle, key=full.trail.signer.public_key)
    assert (verdict.ok, verdict.events, verdict.tree_size) == (True, 1, 300)
    assert b'"subject":"doc_7"' in _read(bundle, "events.jsonl")


def test_a_tenants_bundle_holds_nothing_of_another_tenant(full: Audit, tmp_path: Path) -> None:
    full.append(published(1, tenant="other"))
    full.settle()
    bundle = exported(full, tmp_path / "bundle.zip")
    assert b'"tenant":"other"' not in _read(bundle, "events.jsonl")
    verdict = verify_bundle(bundle)
    assert verdict.ok
    assert verdict.events == verdict.tree_size - 1


def edit(files: Files) -> None:
    files["events.jsonl"] = files["events.jsonl"].replace(b'"subject":"doc_7"', b'"subject":"doc_8"')


def edit_with_its_leaf(files: Files) -> None:
    edit(files)
    files["leaves.bin"] = b"".join(rfc6962.leaf(line) for line in files["events.jsonl"].splitlines())


def delete(files: Files) -> None:
    lines = files["events.jsonl"].splitlines(keepends=True)
    files["events.jsonl"] = b"".join(lines[:7] + lines[8:])


def swap(files: Files) -> None:
    lines = files["events.jsonl"].splitlines(keepends=True)
    lines[7], lines[8] = lines[8], lines[7]
    files["events.jsonl"] = b"".join(lines)


def insert(files: Files) -> None:
    lines = files["events.jsonl"].splitlines(keepends=True)
    files["events.jsonl"] = b"".join([*lines[:7], lines[0], *lines[7:]])


def truncate(files: Files) -> None:
    lines = files["events.jsonl"].splitlines(keepends=True)
    files["events.jsonl"] = b"".join(lines[:7])


def cut_off(files: Files) -> None:
    lines = files["events.jsonl"].splitlines(keepends=True)
    files["events.jsonl"] = b"".join(lines[:7]) + lines[7][:100]


@pytest.mark.parametrize("change", [edit, delete, swap, insert, truncate, cut_off])
def test_a_changed_entry_is_named(evidence: Evidence, tmp_path: Path, change: Callable[[Files], None]) -> None:
    verdict = verify_bundle(changed(evidence.whole, tmp_path, change), key=evidence.key)
    assert (verdict.ok, verdict.status, verdict.first_bad_index) == (False, 2, 7), verdict.reason


def append(files: Files) -> None:
    files["events.jsonl"] += files["events.jsonl"].splitlines(keepends=True)[0]


def replace_blob(files: Files) -> None:
    name = next(name for name in files if name.startswith("blobs/"))
    files[name] = b"another"


def forge_checkpoint(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"\n300\n", b"\n299\n")


def forge_manifest(files: Files) -> None:
    manifest = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps({**manifest, "filter": {"action": "nothing"}}).encode()


def replace_program(files: Files) -> None:
    files["verify.py"] = b"raise SystemExit(0)"


@pytest.mark.parametrize(
    ("change", "index"),
    [
        (edit_with_its_leaf, 0),
        (append, 300),
        (replace_blob, 299),
        (forge_checkpoint, None),
        (forge_manifest, None),
        (replace_program, None),
    ],
)
def test_whatever_else_is_changed_is_found(
    evidence: Evidence, tmp_path: Path, change: Callable[[Files], None], index: int | None
) -> None:
    verdict = verify_bundle(changed(evidence.whole, tmp_path, change), key=evidence.key)
    assert (verdict.ok, verdict.status, verdict.first_bad_index) == (False, 2, index), verdict.reason


@pytest.mark.parametrize("change", [edit, delete, insert])
def test_a_part_of_the_log_that_was_changed_is_found(
    evidence: Evidence, tmp_path: Path, change: Callable[[Files], None]
) -> None:
    assert verify_bundle(evidence.part).ok
    verdict = verify_bundle(changed(evidence.part, tmp_path, change))
    assert (verdict.status, verdict.first_bad_index) == (2, 7), verdict.reason


def take_out_with_its_proof(files: Files) -> None:
    for name in ("events.jsonl", "proofs.jsonl"):
        lines = files[name].splitlines(keepends=True)
        files[name] = b"".join(lines[:7] + lines[8:])


def test_an_entry_that_is_left_out_with_its_proof_is_missed(evidence: Evidence, tmp_path: Path) -> None:
    assert verify_bundle(changed(evidence.part, tmp_path, take_out_with_its_proof)).status == 2


def test_a_bundle_signed_by_another_key_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    other = Signer(tmp_path / "other").public_key
    assert verify_bundle(evidence.whole, key=other).status == 2


@pytest.mark.parametrize("name", ["checkpoint", "events.jsonl", "manifest.json", "manifest.sig", "keys.json"])
def test_a_bundle_that_lacks_a_file_is_incomplete(evidence: Evidence, tmp_path: Path, name: str) -> None:
    def remove(files: Files) -> None:
        del files[name]

    assert verify_bundle(changed(evidence.whole, tmp_path, remove)).status == 3


def test_what_is_no_bundle_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"PK\x03\x04 cut off")
    assert verify_bundle(path).status == 3
    assert verify_bundle(tmp_path / "missing.zip").status == 3


def test_the_one_event_proof_is_checked_by_a_second_implementation(full: Audit) -> None:
    event = full.events()[123]
    text = full.client().get(f"/api/v1/audit-events/{event['id']}/proof").text
    head, checkpoint = text.split("\n\n", 1)
    kind, extra, index, *path = head.split("\n")
    payload = _decode(extra.removeprefix("extra "))
    with full.database.engine.connect() as connection:
        leaves = [bytes(leaf) for leaf in connection.exec_driver_sql("SELECT leaf FROM entry ORDER BY idx").scalars()]

    assert kind == "c2sp.org/tlog-proof@v1"
    assert (json.loads(payload), index) == (event, "index 123")
    assert [_decode(line) for line in path] == rfc6962.path(123, leaves[:300])
    assert checkpoint.split("\n")[1] == "300"


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def test_another_tenant_takes_nothing_out(full: Audit, tmp_path: Path) -> None:
    with zipfile.ZipFile(full.export(tmp_path / "theirs.zip", principal=STRANGER)) as bundle:
        assert bundle.read("events.jsonl") == b""
