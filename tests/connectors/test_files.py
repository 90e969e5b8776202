"""A folder as a source."""

import os
from pathlib import Path
from typing import Any

import pytest

from zhiku_connectors.base import Entry, FatalSourceError, SkippableEntryError, Skipped
from zhiku_connectors.files.acl import ACL_FILE, FolderAcl, UnknownAcl, acl_from_root, folder_acl, parse_acl
from zhiku_connectors.files.config import FilesConfig, allowed_folder
from zhiku_connectors.files.connector import FilesConnector
from zhiku_platform.testing.connector import ConnectorContract, ConnectorSource


class Folder:
    """A folder that a test changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def connector(self) -> FilesConnector:
        return FilesConnector(self.root)

    def put(self, path: str, content: bytes = b"words") -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def break_source(self) -> None:
        self.root.rename(self.root.with_name("away"))

    def entries(self) -> dict[str, Entry]:
        return {item.path: item for item in self.connector().list() if isinstance(item, Entry)}

    def skipped(self) -> dict[str, Skipped]:
        return {item.path: item for item in self.connector().list() if isinstance(item, Skipped)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "root")


class TestFilesContract(ConnectorContract):
    @pytest.fixture
    def source(self, folder: Folder) -> ConnectorSource:
        return folder


def test_a_file_of_the_same_size_and_time_is_told_apart(folder: Folder) -> None:
    folder.put("a.txt", b"first")
    times = (folder.root / "a.txt").stat()
    before = folder.entries()["a.txt"].fingerprint
    folder.put("a.txt", b"other")
    os.utime(folder.root / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))

    assert folder.entries()["a.txt"].fingerprint != before


def test_an_acl_goes_down_and_a_deeper_one_replaces_it(folder: Folder) -> None:
    for path in ("a.txt", "hr/b.txt", "hr/pay/c.txt", "hr/pay/board/d.txt"):
        folder.put(path)
    folder.put(f"hr/{ACL_FILE}", b'readers = ["group:hr"]\nlevel = 2')
    folder.put(f"hr/pay/{ACL_FILE}", b"level = 3")
    folder.put(f"hr/pay/board/{ACL_FILE}", b'readers = ["user:ceo", "group:board", "user:ceo"]')

    acls = {path: (entry.readers, entry.level) for path, entry in folder.entries().items()}

    assert acls == {
        "a.txt": (None, 0),
        "hr/b.txt": (("group:hr",), 2),
        "hr/pay/c.txt": (("group:hr",), 3),
        "hr/pay/board/d.txt": (("group:board", "user:ceo"), 3),
    }


def test_an_acl_above_the_listed_folder_counts(folder: Folder, tmp_path: Path) -> None:
    folder.put("hr/pay/a.txt")
    folder.put("hr/b.txt")
    (tmp_path / ACL_FILE).write_text("level = 2")
    folder.put(f"hr/{ACL_FILE}", b'readers = ["group:hr"]')

    (listed,) = FilesConnector(folder.root / "hr" / "pay").list()

    assert isinstance(listed, Entry)
    assert (listed.readers, listed.level, listed.has_acl) == (("group:hr",), 2, True)
    assert acl_from_root(folder.root / "hr") == FolderAcl(("group:hr",), 2, is_stated=True)


def test_a_malformed_acl_above_the_listed_folder_hides_it(folder: Folder, tmp_path: Path) -> None:
    folder.put("a.txt")
    (tmp_path / ACL_FILE).write_text("readers = [")

    assert folder.entries() == {}
    assert folder.skipped()["a.txt"].existing == "hide"


def test_an_entry_tells_a_stated_acl_from_none(folder: Folder) -> None:
    folder.put("a.txt")
    folder.put("open/b.txt")
    folder.put(f"open/{ACL_FILE}", b"level = 0")

    assert {path: entry.has_acl for path, entry in folder.entries().items()} == {"a.txt": False, "open/b.txt": True}


def test_no_readers_means_nobody(folder: Folder) -> None:
    folder.put("a.txt")
    folder.put(ACL_FILE, b"readers = []")

    assert folder.entries()["a.txt"].readers == ()


@pytest.mark.parametrize(
    "content",
    [
        b"readers = [",
        b'readers = "group:hr"',
        b'readers = ["hr"]',
        b'readers = ["user:a\\u0000b"]',
        b'readers = ["group:"]',
        b"readers = [1]",
        b'readers = ["group:hr", ""]',
        b"level = 10",
        b"level = -1",
        b"level = true",
        b'level = "2"',
        b'reader = ["group:hr"]',
        b'readers = ["group:hr"]\nowner = "me"',
        b"\xff\xfe",
        b"# " + b"x" * 70_000,
    ],
    ids=lambda content: repr(content[:30]),
)
def test_a_malformed_acl_hides_its_folder_and_never_opens_it(folder: Folder, content: bytes) -> None:
    folder.put("open.txt")
    folder.put("hr/a.txt")
    folder.put("hr/deep/b.txt")
    folder.put(f"hr/{ACL_FILE}", content)
    # Below an ACL that cannot be told, a good one is no proof of what was meant.
    folder.put(f"hr/deep/{ACL_FILE}", b'readers = ["everyone"]')

    assert set(folder.entries()) == {"open.txt"}
    skipped = folder.skipped()
    assert set(skipped) == {"hr/a.txt", "hr/deep/b.txt"}
    assert {(item.code, item.existing) for item in skipped.values()} == {("acl_malformed", "hide")}


def test_an_acl_file_that_is_a_broken_link_hides_its_folder(folder: Folder) -> None:
    folder.put("a.txt")
    (folder.root / ACL_FILE).symlink_to(folder.root / "nowhere")

    assert folder.entries() == {}
    assert folder.skipped()["a.txt"].code == "acl_malformed"


def test_an_acl_that_is_a_folder_hides_its_folder(folder: Folder) -> None:
    folder.put("a.txt")
    (folder.root / ACL_FILE).mkdir()

    assert isinstance(folder_acl(folder.root, FolderAcl()), UnknownAcl)
    assert folder.entries() == {}


def test_an_acl_with_a_byte_order_mark_is_read() -> None:
    assert parse_acl(b'\xef\xbb\xbfreaders = ["everyone"]', FolderAcl()) == FolderAcl(("everyone",), 0, is_stated=True)


def test_links_are_not_followed(folder: Folder, tmp_path: Path) -> None:
    folder.put("hr/secret.txt")
    (tmp_path / "outside.txt").write_text("outside")
    (folder.root / "file.txt").symlink_to(tmp_path / "outside.txt")
    (folder.root / "inside.txt").symlink_to(folder.root / "hr" / "secret.txt")
    (folder.root / "loop").symlink_to(folder.root)

    assert set(folder.entries()) == {"hr/secret.txt"}
    assert {item.code for item in folder.skipped().values()} == {"link"}


def test_a_file_that_became_a_link_is_not_opened(folder: Folder, tmp_path: Path) -> None:
    folder.put("a.txt")
    entry = folder.entries()["a.txt"]
    folder.remove("a.txt")
    (tmp_path / "outside.txt").write_text("outside")
    (folder.root / "a.txt").symlink_to(tmp_path / "outside.txt")

    with pytest.raises(SkippableEntryError):
        folder.connector().open(entry)


def test_a_folder_that_became_a_link_is_not_opened(folder: Folder, tmp_path: Path) -> None:
    folder.put("sub/a.txt")
    entry = folder.entries()["sub/a.txt"]
    (folder.root / "sub").rename(tmp_path / "elsewhere")
    (folder.root / "sub").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SkippableEntryError):
        folder.connector().open(entry)


def test_what_is_no_document_is_skipped_with_a_reason(folder: Folder) -> None:
    for path in (".hidden.txt", ".git/config.txt", "film.mp4", "a\nb.txt"):
        folder.put(path)
    os.mkfifo(folder.root / "pipe.txt")

    assert folder.entries() == {}
    assert {path: item.code for path, item in folder.skipped().items()} == {
        ".hidden.txt": "hidden",
        ".git": "hidden",
        "film.mp4": "unsupported_type",
        "a\\x0ab.txt": "bad_name",
        "pipe.txt": "not_a_file",
    }


def test_a_name_that_is_no_utf8_is_skipped(folder: Folder) -> None:
    (folder.root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"words")

    (skipped,) = folder.skipped().values()

    assert skipped.code == "bad_name"
    skipped.path.encode()


def test_chinese_names_and_wide_spaces_are_listed(folder: Folder) -> None:
    folder.put("人事\u3000制度/年假 规定.txt")

    assert set(folder.entries()) == {"人事\u3000制度/年假 规定.txt"}


def test_only_folders_below_a_root_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "open" / "sub").mkdir(parents=True)
    (tmp_path / "closed").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "closed")
    roots = (tmp_path / "open",)

    assert allowed_folder(FilesConfig(folder=tmp_path / "open" / "sub"), roots) == tmp_path / "open" / "sub"
    for refused in (
        tmp_path / "closed",
        tmp_path,
        tmp_path / "open" / ".." / "closed",
        tmp_path / "open" / "link",
        tmp_path / "opened",
        Path("open"),
        tmp_path / "missing",
    ):
        with pytest.raises(FatalSourceError):
            allowed_folder(FilesConfig(folder=refused), roots)
    with pytest.raises(FatalSourceError):
        allowed_folder(FilesConfig(folder=tmp_path / "open"), ())


def test_what_lies_in_an_unlistable_folder_is_hidden(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its readers cannot be told: an ACL file in it or above it may say something else by now."""
    folder.put("open/plan.txt")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "open":
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    skipped = folder.skipped()["open"]
    assert (skipped.code, skipped.existing, skipped.is_folder) == ("folder_unreadable", "hide", True)
