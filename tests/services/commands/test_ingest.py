"""What `zhiku ingest` takes of its arguments: where each file is to stand, and under which ACL."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from zhiku_connectors.files.acl import ACL_FILE
from zhiku_platform.contracts.ingestion import DocumentVersion, Progress, VersionState
from zhiku_platform.errors import NotFoundError
from zhiku_services.commands.ingest import Input, Outcome, inputs, outcome_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/note.txt", "b/note.txt", "b/deep/other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def acls(paths: list[Path]) -> dict[str, tuple[list[str] | None, int | None]]:
    """What is sent for each path."""
    return {found.path: (found.readers, found.level) for found in inputs(paths) if isinstance(found, Input)}


def failures(paths: list[Path]) -> list[Outcome]:
    return [found for found in inputs(paths) if isinstance(found, Outcome)]


def test_a_lone_file_has_the_acl_of_its_folder_and_of_those_above(root: Path) -> None:
    (root / ACL_FILE).write_text('readers = ["group:hr"]')
    (root / "b" / ACL_FILE).write_text("level = 3")
    assert acls([root / "b" / "deep" / "other.txt"]) == {"other.txt": (["group:hr"], 3)}


def test_a_linked_file_has_the_acl_of_where_it_lies(root: Path) -> None:
    (root / "b" / ACL_FILE).write_text('readers = ["group:hr"]')
    (root / "a" / "link.txt").symlink_to(root / "b" / "note.txt")
    assert acls([root / "a" / "link.txt"]) == {"link.txt": (["group:hr"], 0)}


def test_a_lone_file_whose_readers_cannot_be_told_is_not_sent(root: Path) -> None:
    (root / ACL_FILE).write_text("readers = [")
    assert acls([root / "a" / "note.txt"]) == {}
    (failed,) = failures([root / "a" / "note.txt"])
    assert (failed.path, failed.code) == ("note.txt", "acl_malformed")
    assert ACL_FILE in failed.reason


def test_without_an_acl_file_nothing_is_said_of_readers(root: Path) -> None:
    assert acls([root / "a" / "note.txt"]) == {"note.txt": (None, None)}
    assert acls([root / "a"]) == {"note.txt": (None, None)}


def test_an_acl_file_that_opens_a_folder_is_sent(root: Path) -> None:
    (root / "a" / ACL_FILE).write_text("level = 0")
    assert acls([root / "a"]) == {"note.txt": (None, 0)}


def test_of_several_arguments_each_folder_gives_its_name(root: Path) -> None:
    found = acls([root / "a", root / "b", root / "b" / "deep" / "other.txt"])
    assert set(found) == {"a/note.txt", "b/note.txt", "b/deep/other.txt", "other.txt"}
    assert failures([root / "a", root / "b"]) == []


def test_a_folder_without_a_name_of_its_own_is_named_by_where_it_lies(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "b" / "deep")
    assert set(acls([Path(), Path(os.pardir)])) == {"deep/other.txt", "b/note.txt", "b/deep/other.txt"}


def test_the_second_file_at_a_path_is_refused(root: Path) -> None:
    both = [root / "a" / "note.txt", root / "b" / "note.txt"]
    (kept,) = (found for found in inputs(both) if isinstance(found, Input))
    assert kept.file == both[0]
    (refused,) = failures(both)
    assert (refused.path, refused.status, refused.code) == ("note.txt", "failed", "duplicate_path")
    assert "Rename" in refused.reason


def test_an_argument_that_is_missing_is_told_before_anything_is_taken(root: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        next(inputs([root / "a", root / "nowhere"]))


def test_a_version_that_was_superseded_says_so() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    version = DocumentVersion(
        id="ver_1",
        document_id="doc_1",
        knowledge_base_id="kb_1",
        source_id=None,
        path="note.txt",
        title="note",
        media_type="text/plain",
        size_bytes=1,
        content_hash="0" * 64,
        state=VersionState.SUPERSEDED,
        attempt=1,
        progress=Progress(),
        passages=None,
        reason=None,
        created_at=now,
        updated_at=now,
    )
    outcome = outcome_of(version)
    assert outcome.has_failed
    assert outcome.code == "superseded"
    assert "took its place" in outcome.reason
