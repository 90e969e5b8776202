"""Blobs are named by their content and never half there."""

import io
from pathlib import Path

import pytest

from zhiku_platform.blobs import BlobName, FolderBlobStore
from zhiku_platform.errors import NotFoundError, PayloadTooLargeError

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def store(tmp_path: Path) -> FolderBlobStore:
    return FolderBlobStore(tmp_path / "blobs")


def test_a_blob_is_named_by_its_sha256(store: FolderBlobStore) -> None:
    stored = store.put(io.BytesIO(b"abc"), max_bytes=10)
    assert (stored.name, stored.size_bytes) == (SHA256_OF_ABC, 3)
    assert store.path(stored.name).read_bytes() == b"abc"


def test_the_same_bytes_are_one_blob(store: FolderBlobStore) -> None:
    store.put(io.BytesIO(b"abc"), max_bytes=10)
    store.put(io.BytesIO(b"abc"), max_bytes=10)
    assert list(store.names()) == [SHA256_OF_ABC]


def test_too_many_bytes_leave_nothing_behind(store: FolderBlobStore, tmp_path: Path) -> None:
    with pytest.raises(PayloadTooLargeError):
        store.put(io.BytesIO(b"abcdef"), max_bytes=5)
    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "0" * 63, "G" * 64, "", "0" * 64])
def test_a_name_that_is_no_blob_is_not_found(store: FolderBlobStore, name: str) -> None:
    with pytest.raises(NotFoundError):
        store.path(BlobName(name))


def test_a_deleted_blob_is_gone_and_deleting_again_is_no_error(store: FolderBlobStore) -> None:
    stored = store.put(io.BytesIO(b"abc"), max_bytes=10)
    store.delete(stored.name)
    store.delete(stored.name)
    with pytest.raises(NotFoundError):
        store.path(stored.name)
