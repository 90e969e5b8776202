"""What a legal hold keeps stays with its bytes, whichever way its deletion comes."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.contracts.erasure import EraseOrder
from zhiku_platform.contracts.ingestion import DocumentVersion, NewSource, Source, Sync, SyncState, VersionState
from zhiku_platform.db import utc_now
from zhiku_platform.errors import RemoteProblemError
from zhiku_platform.holds import HeldError
from zhiku_platform.queue import RetriableError
from zhiku_services.ingestion import tasks
from zhiku_services.ingestion.models import DocumentRow
from zhiku_services.ingestion.sweeper import drop_deleted

from .conftest import EDITOR, OWNER, House


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("Alpha rules the shelf.")
    (folder / "b.txt").write_text("Beta rules the shelf.")
    return folder


@pytest.fixture
def source(house: House, files: Path) -> Source:
    new = NewSource(knowledge_base_id=house.knowledge_base_id, name="Shelf", config={"folder": str(files)})
    return house.client.create_source(OWNER, new)


def sync(house: House, source: Source) -> Sync:
    asked = house.client.sync_source(OWNER, source.id)
    tasks.sync(asked.id, house.service.tasks)
    for version in versions(house):
        if version.state is VersionState.QUEUED:
            house.work(version.id)
        house.push(version.document_id)
    return house.client.sync(OWNER, asked.id)


def versions(house: House) -> list[DocumentVersion]:
    return house.client.versions(OWNER, knowledge_base_id=house.knowledge_base_id).items


def document_of(house: House, path: str) -> str:
    return next(each.document_id for each in versions(house) if each.path == path)


@pytest.mark.parametrize("kept_by", ["document", "knowledge base"])
def test_a_held_document_is_not_deleted(house: House, kept_by: str) -> None:
    version = house.work(house.upload("The lamp is green").id)
    house.holds.held.add(version.document_id if kept_by == "document" else house.knowledge_base_id)
    with pytest.raises(RemoteProblemError) as refused:
        house.client.delete_document(EDITOR, version.document_id)
    assert refused.value.remote_code == "held"
    assert house.version(version.id).state is VersionState.INDEXED
    house.holds.held.clear()
    house.holds.is_down = True
    with pytest.raises(RemoteProblemError) as away:
        house.client.delete_document(EDITOR, version.document_id)
    assert away.value.remote_code == "unavailable"
    assert house.found("lamp") == ["The lamp is green"]
    house.holds.is_down = False
    house.client.delete_document(EDITOR, version.document_id)


def test_a_source_stays_whole_while_one_of_its_documents_is_held(house: House, source: Source) -> None:
    sync(house, source)
    house.holds.held.add(document_of(house, "b.txt"))
    with pytest.raises(RemoteProblemError) as refused:
        house.client.delete_source(OWNER, source.id)
    assert refused.value.remote_code == "held"
    assert [each.id for each in house.client.sources(OWNER).items] == [source.id]
    assert len(house.found("shelf")) == 2
    house.holds.held.clear()
    house.client.delete_source(OWNER, source.id)
    assert versions(house) == []


def test_a_sync_keeps_a_held_document_out_of_sight(house: House, source: Source, files: Path) -> None:
    sync(house, source)
    document = document_of(house, "b.txt")
    house.holds.held.add(document)
    (files / "b.txt").unlink()
    ended = sync(house, source)
    assert (ended.state, ended.deleted, ended.skipped) == (SyncState.DONE, 0, 1)
    [noted] = house.client.skipped(OWNER, ended.id).items
    assert (noted.path, noted.code) == ("b.txt", "held")
    assert house.found("shelf", by=OWNER) == ["Alpha rules the shelf."]
    with house.database.read() as session:
        row = session.get(DocumentRow, document)
    assert row is not None
    assert (row.deleted_at, row.readers) == (None, [])
    assert len(list(house.blobs.names())) == 2
    house.holds.held.clear()
    assert sync(house, source).deleted == 1


def test_a_sync_deletes_nothing_without_governance(house: House, source: Source, files: Path) -> None:
    sync(house, source)
    (files / "b.txt").unlink()
    house.holds.is_down = True
    ended = sync(house, source)
    assert (ended.state, ended.reason and ended.reason.code) == (SyncState.QUEUED, "unavailable")
    assert len(house.found("shelf")) == 2


def test_what_never_came_to_knowledge_is_kept_when_its_knowledge_base_goes(house: House) -> None:
    held, other = house.upload("Held.", path="held.txt"), house.upload("Not held.", path="other.txt")
    house.holds.held.add(held.document_id)
    headers = {"Zhiku-Principal": house.signer.sign(OWNER)}
    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}"
    assert house.knowledge_http.delete(path, headers=headers).status_code == 204

    now, held_until = utc_now(), dict[str, datetime]()
    drop = partial(drop_deleted, house.database, house.knowledge, house.holds.check, held_until=held_until, now=now)
    assert drop() == 1
    house.push(other.document_id)
    for name in list(house.blobs.names()):
        tasks.drop_blob(name, house.service.tasks)
    assert list(house.blobs.names()) == [held.content_hash]
    house.holds.held.clear()
    assert drop() == 0, "it is looked at again in an hour"
    held_until.clear()
    assert drop() == 1


def test_the_bytes_of_earlier_versions_stay_with_a_held_document(house: House) -> None:
    first = house.work(house.upload("The first words.", path="a.txt").id)
    house.work(house.upload("The second words.", path="a.txt").id)
    same = house.work(house.upload("The first words.", path="b.txt").id)
    house.client.delete_document(EDITOR, same.document_id)
    house.holds.held.add(first.document_id)
    tasks.drop_blob(first.content_hash, house.service.tasks)
    assert first.content_hash in set(house.blobs.names())
    house.holds.is_down = True
    with pytest.raises(RetriableError):
        tasks.drop_blob(first.content_hash, house.service.tasks)
    house.holds.is_down = False
    house.holds.held.clear()
    tasks.drop_blob(first.content_hash, house.service.tasks)
    assert first.content_hash not in set(house.blobs.names())


@pytest.mark.parametrize("name", ["ingestion", "knowledge"])
def test_a_held_document_that_names_a_person_is_not_erased(house: House, name: str) -> None:
    app = house.service.app if name == "ingestion" else house.knowledge_switch.app
    store = replace(app.state.personal_data, check_holds=house.holds.check)
    desk = authorize(service_principal("governance", "acme"), Permission.PERSON_ERASE)
    document = house.work(house.upload("Salary of canary-7731: 100").id).document_id
    order = EraseOrder(sub="edda", values=["canary-7731"], erasure_id="era_1", decided=[document])
    house.holds.held.add(house.knowledge_base_id)
    with pytest.raises(HeldError):
        store.erase(desk, order)
    assert house.found("salary") == ["Salary of canary-7731: 100"]
    house.holds.held.clear()
    assert store.erase(desk, order)["document"] == 1
