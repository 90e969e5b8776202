"""A document that names a person goes where that was decided: rows, bytes, passages and vectors."""

from typing import Any

import pytest

from zhiku_platform.access import service_principal
from zhiku_platform.contracts.erasure import EraseOrder, Found, PersonSought
from zhiku_platform.erasure import ErasureClient
from zhiku_platform.errors import RemoteProblemError

from .conftest import EDITOR, OTHER_TENANT, OWNER, House

DESK = service_principal("governance", "acme")
CANARY = "canary-7731"
WHO = PersonSought(sub="edda", values=[CANARY, "林晓"])


@pytest.fixture
def stores(house: House) -> dict[str, ErasureClient]:
    return {
        "ingestion": ErasureClient("ingestion", house.http, house.signer),
        "knowledge": ErasureClient("knowledge", house.knowledge_http, house.signer),
    }


def ids(found: list[Found]) -> dict[str, list[str]]:
    return {each.kind: each.ids for each in found if each.kind in {"document", "deleted_document"}}


def order(*decided: str, **more: Any) -> EraseOrder:
    return EraseOrder(sub=WHO.sub, values=WHO.values, erasure_id="era_1", decided=list(decided), **more)


def test_a_document_goes_from_every_store(house: House, stores: dict[str, ErasureClient]) -> None:
    inside = house.work(house.upload(f"Salary of {CANARY}: 100").id).document_id
    named = house.work(house.upload("A letter", path="林晓 letter.txt").id).document_id
    other = house.work(house.upload("The lamp is green", path="lamp.txt").id).document_id
    assert ids(stores["knowledge"].find(DESK, WHO)) == {"document": sorted([inside, named])}
    assert ids(stores["ingestion"].find(DESK, WHO)) == {"document": [named]}

    counts = stores["ingestion"].erase(DESK, order(inside, named))
    assert (counts["document"], counts["deleted_document"]) == (2, 2)
    stores["knowledge"].erase(DESK, order(inside, named))
    for store in stores.values():
        assert ids(store.find(DESK, WHO)) == {}
        # Again, as after a crash: there is nothing left to do.
        assert not any(store.erase(DESK, order(inside, named)).values())
    assert house.found("lamp", by=OWNER) == ["The lamp is green"]
    assert len(list(house.blobs.names())) == 1
    assert house.knowledge.document(OWNER, other).id == other


def test_what_nobody_decided_on_stays(house: House, stores: dict[str, ErasureClient]) -> None:
    document = house.work(house.upload(f"Salary of {CANARY}: 100").id).document_id
    for store in stores.values():
        store.erase(DESK, order())
    assert ids(stores["knowledge"].find(DESK, WHO)) == {"document": [document]}


def test_what_was_never_read_is_searched_by_its_bytes(house: House, stores: dict[str, ErasureClient]) -> None:
    version = house.upload("联系人林晓", path="a.txt")
    assert ids(stores["ingestion"].find(DESK, WHO)) == {"document": [version.document_id]}
    stores["ingestion"].erase(DESK, order(version.document_id))
    assert list(house.blobs.names()) == []
    assert ids(stores["ingestion"].find(DESK, WHO)) == {}


def test_a_deleted_document_loses_its_name_and_who_handed_in_is_forgotten(
    house: House, stores: dict[str, ErasureClient]
) -> None:
    document = house.work(house.upload("A letter", path=f"{CANARY}.txt").id).document_id
    house.client.delete_document(EDITOR, document)
    assert ids(stores["ingestion"].find(DESK, WHO)) == {"deleted_document": [document]}
    counts = stores["ingestion"].erase(DESK, order())
    assert (counts["deleted_document"], counts["handed_in"]) == (1, 2)
    assert stores["ingestion"].find(DESK, WHO) == []
    if house.database.is_sqlite:
        assert CANARY.encode() not in (house.settings.home / "ingestion.sqlite3").read_bytes()


def test_the_other_tenants_documents_stay(house: House, stores: dict[str, ErasureClient]) -> None:
    document = house.work(house.upload(f"Salary of {CANARY}: 100").id).document_id
    theirs = service_principal("governance", OTHER_TENANT.tenant)
    for store in stores.values():
        assert store.find(theirs, WHO) == []
        store.erase(theirs, order(document))
    assert house.found("Salary") == [f"Salary of {CANARY}: 100"]


def test_nobody_but_the_desk_erases(house: House, stores: dict[str, ErasureClient]) -> None:
    document = house.work(house.upload(f"Salary of {CANARY}: 100").id).document_id
    for who in (EDITOR, service_principal("assistant", "acme")):
        for store in stores.values():
            with pytest.raises(RemoteProblemError):
                store.erase(who, order(document))
