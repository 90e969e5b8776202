"""Who can see what, asked of the running platform: people are named, for the directory answers."""

import time

import pytest

from .conftest import Running

pytestmark = pytest.mark.slow


def test_an_owner_is_told_by_which_group_somebody_reads(zhiku: Running) -> None:
    zhao = zhiku.signed_in("zhao")
    made = zhao.post("/api/v1/knowledge-bases", json={"name": f"Plans {time.time_ns()}"}).json()["id"]
    grant = {"subject": "group:engineering", "role": "viewer"}
    assert zhao.post(f"/api/v1/knowledge-bases/{made}/grants", json=grant).status_code == 201
    told = zhao.get("/api/v1/users/lin/readable").json()
    grants = {base["id"]: base["grants"] for base in told["knowledge_bases"]}
    assert grants[made] == [grant]
    assert (told["groups"], told["clearance"]) == (None, None)
    assert made not in zhao.get("/api/v1/users/chen/readable").text


def test_an_owner_is_told_who_reads_a_document(zhiku: Running) -> None:
    zhao = zhiku.signed_in("zhao")
    documents = zhao.get(f"/api/v1/knowledge-bases/{zhiku.knowledge_base()}/documents").json()["items"]
    for document in documents:
        told = zhao.get(f"/api/v1/documents/{document['id']}/readers").json()
        assert told["is_directory_known"] is True
        names = {each["sub"] for each in told["readers"]}
        assert names == ({"chen", "fang", "lin", "wu", "zhao"} if document["readers"] is None else {"zhao"})
    assert documents
