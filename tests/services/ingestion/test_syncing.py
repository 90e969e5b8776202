"""Syncs of a folder, from the listing to what each user finds."""

import errno
import io
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlmodel import Session, col, select

from zhiku_connectors.base import RetriableSourceError
from zhiku_connectors.files import connector as files_connector
from zhiku_connectors.files.config import SUFFIXES
from zhiku_platform.blobs import BlobName, BlobStore, StoredBlob
from zhiku_platform.contracts.ingestion import NewSource, Source, Sync, SyncState, VersionState
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import RemoteProblemError
from zhiku_services.ingestion import service, sweeper, syncing, tasks
from zhiku_services.ingestion.leases import LeaseLostError
from zhiku_services.ingestion.lifecycle import Accepted, Arrival
from zhiku_services.ingestion.models import DocumentRow, SyncRow, VersionRow
from zhiku_services.ingestion.parsing.preflight import EXTENSIONS
from zhiku_services.ingestion.sources import open_connector
from zhiku_services.ingestion.timing import Timing

from .conftest import EDITOR, OTHER_TENANT, OWNER, STRANGER, VIEWER, House


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def house(sqlite_database: Database, make_house: Callable[..., House], files: Path) -> House:
    return make_house(sqlite_database)


@pytest.fixture
def source(house: House, files: Path) -> Source:
    return house.client.create_source(OWNER, new_source(house, files))


def new_source(house: House, folder: Path) -> NewSource:
    return NewSource(knowledge_base_id=house.knowledge_base_id, name="Shelf", config={"folder": str(folder)})


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_txt", ".txt").replace("ACL", ".zhiku-acl.toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(house: House, source: Source) -> Sync:
    """Sync a source and index what came of it."""
    sync = house.client.sync_source(OWNER, source.id)
    tasks.sync(sync.id, house.service.tasks)
    settle(house)
    return house.client.sync(OWNER, sync.id)


def settle(house: House) -> None:
    with house.database.read() as session:
        queued = session.exec(select(VersionRow.id).where(col(VersionRow.state) == VersionState.QUEUED)).all()
        pending = session.exec(select(DocumentRow.id).where(col(DocumentRow.pending) != "")).all()
    for version_id in queued:
        tasks.process(version_id, house.service.tasks)
    for document_id in pending:
        house.push(document_id)


def counts(sync: Sync) -> tuple[int, int, int, int, int]:
    assert sync.state == SyncState.DONE, sync.reason
    return sync.added, sync.changed, sync.unchanged, sync.deleted, sync.skipped


def test_a_folder_is_followed(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha rules the first shelf.", sub__b_txt="Beta rules the second shelf.")
    assert counts(run(house, source)) == (2, 0, 0, 0, 0)
    assert len(house.found("shelf")) == 2
    assert counts(run(house, source)) == (0, 0, 2, 0, 0)

    write(files, a_txt="Alpha left the first shelf.", c_txt="Gamma came to the shelf.")
    (files / "sub" / "b.txt").unlink()
    assert counts(run(house, source)) == (1, 1, 0, 1, 0)
    assert set(house.found("shelf")) == {"Alpha left the first shelf.", "Gamma came to the shelf."}


def test_a_touched_file_is_read_and_not_indexed_again(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    run(house, source)
    embedded = len(house.embedder.texts)

    os.utime(files / "a.txt", ns=(1, 1))

    assert counts(run(house, source)) == (0, 0, 1, 0, 0)
    assert len(house.embedder.texts) == embedded


def test_a_folder_acl_decides_who_finds(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="The open shelf.", hr__b_txt="The closed shelf.", hr__ACL='readers = ["user:edda"]')
    run(house, source)

    assert set(house.found("shelf", by=EDITOR)) == {"The open shelf.", "The closed shelf."}
    assert house.found("shelf", by=VIEWER) == ["The open shelf."]


def test_a_changed_acl_is_applied_without_embedding(house: House, source: Source, files: Path) -> None:
    write(files, hr__b_txt="The closed shelf.")
    run(house, source)
    assert house.found("shelf", by=VIEWER)
    embedded = len(house.embedder.texts)

    write(files, hr__ACL='readers = ["user:edda"]')

    assert counts(run(house, source)) == (0, 1, 0, 0, 0)
    assert house.found("shelf", by=VIEWER) == []
    assert house.found("shelf", by=EDITOR)
    assert len(house.embedder.texts) == embedded


def test_a_malformed_acl_hides_what_was_open_until_it_is_corrected(house: House, source: Source, files: Path) -> None:
    write(files, hr__b_txt="The closed shelf.")
    run(house, source)

    write(files, hr__ACL="readers = [oops", hr__c_txt="Never shown.")
    broken = run(house, source)

    assert broken.skipped == 2
    assert broken.deleted == 0
    assert house.found("shelf", by=EDITOR) == house.found("shelf", by=OWNER) == []
    skipped = house.client.skipped(OWNER, broken.id).items
    assert {(item.path, item.code) for item in skipped} == {
        ("hr/b.txt", "acl_malformed"),
        ("hr/c.txt", "acl_malformed"),
    }

    write(files, hr__ACL='readers = ["user:edda"]')
    run(house, source)
    assert set(house.found("shown shelf", by=EDITOR)) == {"The closed shelf.", "Never shown."}
    assert house.found("shown shelf", by=VIEWER) == []


def test_a_vanished_folder_deletes_nothing(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    run(house, source)
    files.rename(files.with_name("away"))

    failed = run(house, source)

    assert failed.state == SyncState.FAILED
    assert failed.reason is not None
    assert failed.reason.code == "folder_missing"
    assert house.found("shelf")


def test_an_unmounted_folder_deletes_nothing(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    run(house, source)
    (files / "a.txt").unlink()

    failed = run(house, source)

    assert failed.state == SyncState.FAILED
    assert failed.reason is not None
    assert failed.reason.code == "source_empty"
    assert house.found("shelf")


def test_a_failing_file_is_not_tried_at_each_sync(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="", b_txt="Good.")
    assert counts(run(house, source)) == (2, 0, 0, 0, 0)

    again = run(house, source)

    assert counts(again) == (0, 0, 2, 0, 0)
    states = {v.path: v.state for v in house.client.versions(OWNER, knowledge_base_id=house.knowledge_base_id).items}
    assert states == {"a.txt": VersionState.FAILED, "b.txt": VersionState.INDEXED}


def test_a_file_too_large_is_skipped_with_a_reason(
    sqlite_database: Database, make_house: Callable[..., House], files: Path
) -> None:
    house = make_house(sqlite_database, max_upload_bytes=10)
    source = house.client.create_source(OWNER, new_source(house, files))
    write(files, a_txt="x" * 11, b_txt="fits")

    sync = run(house, source)

    assert counts(sync) == (1, 0, 0, 0, 1)
    assert [item.code for item in house.client.skipped(OWNER, sync.id).items] == ["payload_too_large"]


def test_a_file_gone_between_listing_and_reading_is_skipped(
    house: House, source: Source, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(files, a_txt="Alpha.", b_txt="Beta.")
    opened = house.service.tasks.syncer.open_connector("files", {"folder": str(files)})
    real = type(opened).open

    def vanish(self: object, entry: object) -> object:
        (files / "b.txt").unlink(missing_ok=True)
        return real(self, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(type(opened), "open", vanish)

    assert counts(run(house, source)) == (1, 0, 0, 0, 1)


def test_a_folder_offers_what_can_be_parsed() -> None:
    assert frozenset(EXTENSIONS) == SUFFIXES


def test_two_requests_while_one_waits_are_one_sync(house: House, source: Source) -> None:
    assert house.client.sync_source(OWNER, source.id).id == house.client.sync_source(OWNER, source.id).id


def test_a_sync_whose_worker_was_lost_runs_again(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    sync = house.client.sync_source(OWNER, source.id)
    lost = syncing._claim(sync.id, house.service.tasks.syncer)
    assert lost is not None
    later = utc_now() + timedelta(hours=1)
    assert sweeper.resume_syncs(house.database, Timing(), stale_before=utc_now() - timedelta(hours=1), now=later) == 1

    tasks.sync(sync.id, house.service.tasks)
    with pytest.raises(LeaseLostError):
        syncing._sync(lost, house.service.tasks.syncer)

    assert counts(house.client.sync(OWNER, sync.id)) == (1, 0, 0, 0, 0)


def test_a_source_that_is_away_is_tried_again(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha.")
    sync = house.client.sync_source(OWNER, source.id)
    unreadable = RetriableSourceError("It is away.", remedy="Wait.")

    class Away:
        def list(self, checkpoint: str | None) -> object:
            raise unreadable

    away = replace(house.service.tasks.syncer, open_connector=lambda name, config: Away())  # type: ignore[arg-type,return-value]
    syncing.run(sync.id, away)
    assert house.client.sync(OWNER, sync.id).state == SyncState.QUEUED
    with house.database.write() as session:
        row = session.get(SyncRow, sync.id)
        assert row is not None
        assert row.not_before is not None
    tasks.sync(sync.id, house.service.tasks)

    assert house.client.sync(OWNER, sync.id).state == SyncState.DONE


def test_a_file_that_fails_while_it_is_read_is_skipped(
    house: House, source: Source, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(files, a_txt="Alpha rules the first shelf.", b_txt="Beta rules the second shelf.")
    real = FileIO.readinto

    class Failing(FileIO):
        def readinto(self, buffer: Any) -> int | None:
            read = real(self, buffer)
            if read and b"Alpha" in bytes(buffer[:read]):
                raise OSError(errno.EIO, "Input/output error")
            return read

    monkeypatch.setattr(files_connector, "FileIO", Failing)

    assert counts(run(house, source)) == (1, 0, 0, 0, 1)
    assert house.found("shelf") == ["Beta rules the second shelf."]


def test_what_nobody_foresaw_ends_a_sync_under_its_own_name(
    house: House, source: Source, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(files, a_txt="Alpha.")

    def full(*_: object, **__: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(house.blobs, "put", full)
    sync = house.client.sync_source(OWNER, source.id)
    states = []
    for _ in range(3):
        tasks.sync(sync.id, house.service.tasks)
        states.append(house.client.sync(OWNER, sync.id).state)

    assert states == [SyncState.QUEUED, SyncState.QUEUED, SyncState.FAILED]
    reason = house.client.sync(OWNER, sync.id).reason
    assert reason is not None
    assert (reason.code, "OSError" in reason.detail) == ("internal", True)


def test_bytes_that_go_while_they_are_accepted_are_stored_again(
    house: House, source: Source, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    real, goes = house.blobs.path, [True]

    def vanish(name: BlobName) -> Path:
        if goes.pop() if goes else False:
            house.blobs.delete(name)
        return real(name)

    monkeypatch.setattr(house.blobs, "path", vanish)

    assert counts(run(house, source)) == (1, 0, 0, 0, 0)


def test_counts_are_of_all_attempts(house: House, source: Source, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    run(house, source)
    write(files, b_txt="Beta rules the second shelf.", c_txt="Gamma rules the third shelf.")
    real = house.blobs.put

    def full_at_gamma(content: BinaryIO, *, max_bytes: int) -> StoredBlob:
        text = content.read()
        if b"Gamma" in text:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(io.BytesIO(text), max_bytes=max_bytes)

    monkeypatch.setattr(house.blobs, "put", full_at_gamma)
    sync = house.client.sync_source(OWNER, source.id)
    tasks.sync(sync.id, house.service.tasks)
    monkeypatch.setattr(house.blobs, "put", real)
    tasks.sync(sync.id, house.service.tasks)

    assert counts(house.client.sync(OWNER, sync.id)) == (2, 0, 1, 0, 0)


@pytest.mark.slow
def test_nothing_is_taken_in_beside_the_deletion_of_its_source(
    postgres_service_database: Database, make_house: Callable[..., House], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house(postgres_service_database)
    source = house.client.create_source(OWNER, new_source(house, files))
    write(files, a_txt="Alpha rules the first shelf.")
    sync = house.client.sync_source(OWNER, source.id)
    admit, deleting = service.admit, threading.Thread(target=house.client.delete_source, args=(OWNER, source.id))

    def admit_beside(session: Session, arrival: Arrival, *, blobs: BlobStore) -> Accepted:
        deleting.start()
        deleting.join(timeout=1)
        assert deleting.is_alive(), "the deletion did not wait for what is being accepted"
        return admit(session, arrival, blobs=blobs)

    monkeypatch.setattr(service, "admit", admit_beside)
    tasks.sync(sync.id, house.service.tasks)
    deleting.join(timeout=30)
    settle(house)

    assert house.found("shelf") == []


def test_deleting_a_source_deletes_its_documents(house: House, source: Source, files: Path) -> None:
    write(files, a_txt="Alpha rules the first shelf.", b_txt="Beta rules the second shelf.")
    run(house, source)

    house.client.delete_source(OWNER, source.id)
    settle(house)

    assert house.found("shelf") == []
    assert house.client.sources(OWNER).items == []


def test_a_source_reads_only_below_the_roots(house: House, files: Path) -> None:
    for folder in (files.parent, files / ".." / "blobs", Path("/etc")):
        with pytest.raises(RemoteProblemError) as refused:
            house.client.create_source(OWNER, new_source(house, folder))
        assert refused.value.remote_code == "bad_source_config"


def test_a_root_taken_away_stops_the_next_sync(
    house: House, source: Source, make_house: Callable[..., House], files: Path
) -> None:
    write(files, a_txt="Alpha rules the first shelf.")
    strict = replace(house.service.tasks.syncer, open_connector=partial(open_connector, roots=()))
    sync = house.client.sync_source(OWNER, source.id)
    syncing.run(sync.id, strict)

    failed = house.client.sync(OWNER, sync.id)
    assert failed.reason is not None
    assert (failed.state, failed.reason.code) == (SyncState.FAILED, "folder_not_allowed")


def test_sources_are_for_those_who_manage_them(house: House, source: Source, files: Path) -> None:
    for principal, status in ((EDITOR, 403), (VIEWER, 403), (STRANGER, 404), (OTHER_TENANT, 404)):
        with pytest.raises(RemoteProblemError) as refused:
            house.client.create_source(principal, new_source(house, files))
        assert refused.value.remote.status == status
        with pytest.raises(RemoteProblemError) as refused:
            house.client.sync_source(principal, source.id)
        assert refused.value.remote.status == status
        with pytest.raises(RemoteProblemError) as refused:
            house.client.delete_source(principal, source.id)
        assert refused.value.remote.status == status
    assert house.client.sources(STRANGER).items == []
    assert house.client.sources(OTHER_TENANT).items == []
    assert [found.id for found in house.client.sources(OWNER).items] == [source.id]
