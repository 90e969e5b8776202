"""What ingestion keeps of a knowledge base goes when knowledge says that it was deleted, and only then."""

from uuid import uuid4

from sqlmodel import Session

from zhiku_platform.access import Permission, authorize
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.contracts.knowledge import NewKnowledgeBase
from zhiku_platform.db import Database, utc_now
from zhiku_services.ingestion import tasks
from zhiku_services.ingestion.sweeper import drop_deleted
from zhiku_services.knowledge.models import DeletedKnowledgeBaseRow
from zhiku_services.knowledge.repository import DeletionRepository

from .conftest import OWNER, House


def indexed(house: House, text: str) -> str:
    version = house.work(house.upload(text, path=f"{text}.txt").id)
    assert version.state is VersionState.INDEXED
    return version.document_id


def dropped(house: House) -> int:
    return drop_deleted(house.database, house.knowledge, house.holds.check, held_until={}, now=utc_now())


def delete(house: House, *, is_told: bool = True) -> None:
    """The knowledge base is gone from the knowledge service's tables, as after an approved deletion."""
    knowledge: Database = house.knowledge_switch.app.state.database
    access = authorize(OWNER, Permission.KNOWLEDGE_BASE_MANAGE)
    with knowledge.write() as session:
        DeletionRepository(session, access, house.knowledge_base_id).delete()
        if is_told:
            _tell(session, house.knowledge_base_id)


def _tell(session: Session, knowledge_base_id: str) -> None:
    row = DeletedKnowledgeBaseRow(id=knowledge_base_id, tenant="acme", deleted_by="olga", deleted_at=utc_now())
    session.add(row)


def test_documents_and_blobs_of_a_deleted_knowledge_base_go(house: House) -> None:
    documents = [indexed(house, text) for text in ("first", "second")]
    assert len(list(house.blobs.names())) == 2
    delete(house)
    assert dropped(house) == 2
    for document_id in documents:
        house.push(document_id)
    for name in list(house.blobs.names()):
        tasks.drop_blob(name, house.service.tasks)
    assert list(house.blobs.names()) == []
    assert dropped(house) == 0


def test_what_knowledge_merely_does_not_know_stays(house: House) -> None:
    """As after a restore of an older backup of the knowledge service alone."""
    indexed(house, "first")
    delete(house, is_told=False)
    assert dropped(house) == 0
    assert len(list(house.blobs.names())) == 1


def test_other_knowledge_bases_stay(house: House) -> None:
    other = house.knowledge.create_knowledge_base(OWNER, NewKnowledgeBase(name=f"Gone {uuid4()}")).id
    indexed(house, "first")
    with house.knowledge_switch.app.state.database.write() as session:
        _tell(session, other)
    assert dropped(house) == 0
    assert house.found("first") == ["first"]


def test_what_waits_for_an_empty_knowledge_base_goes_with_it(house: House) -> None:
    version = house.upload("Never indexed.")
    headers = {"Zhiku-Principal": house.signer.sign(OWNER)}
    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}"
    assert house.knowledge_http.delete(path, headers=headers).status_code == 204

    assert dropped(house) == 1
    house.push(version.document_id)
    for name in list(house.blobs.names()):
        tasks.drop_blob(name, house.service.tasks)
    assert list(house.blobs.names()) == []
