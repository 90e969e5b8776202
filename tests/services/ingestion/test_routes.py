"""Uploading, listing and deleting over HTTP, as one user or another."""

import io
import json
from collections.abc import Callable, Iterator

import httpx2
import pytest

from zhiku_platform.access import PRINCIPAL_HEADER, service_principal
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.ingestion import VersionState
from zhiku_platform.contracts.knowledge import DocumentAcl
from zhiku_platform.db import Database
from zhiku_platform.errors import RemoteProblemError

from .conftest import EDITOR, OTHER_TENANT, OWNER, STRANGER, VIEWER, House


@pytest.fixture
def house(sqlite_database: Database, make_house: Callable[..., House]) -> House:
    return make_house(sqlite_database, max_upload_bytes=100_000)


def post(house: House, principal: Principal, **form: object) -> httpx2.Response:
    files = {"file": (form.pop("file_name", "a.txt"), form.pop("content", b"words"))}
    headers = {PRINCIPAL_HEADER: house.signer.sign(principal)}
    if (key := form.pop("key", None)) is not None:
        headers["Idempotency-Key"] = str(key)
    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}/uploads"
    return house.http.post(path, headers=headers, files=files, data=form)  # type: ignore[arg-type]


@pytest.mark.parametrize("principal", [STRANGER, OTHER_TENANT], ids=["stranger", "other tenant"])
def test_a_stranger_cannot_upload_and_learns_nothing(house: House, principal: Principal) -> None:
    there = post(house, principal)
    house.knowledge_base_id = "kb_missing"
    missing = post(house, principal)

    assert there.status_code == missing.status_code == 404
    assert {**there.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
    assert list(house.blobs.names()) == []


def test_a_viewer_cannot_upload(house: House) -> None:
    refused = post(house, VIEWER)

    assert refused.status_code == 403
    assert list(house.blobs.names()) == []


def test_nobody_uploads_without_a_principal(house: House) -> None:
    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}/uploads"

    assert house.http.post(path, files={"file": ("a.txt", b"words")}).status_code == 401


def test_a_stranger_is_refused_before_the_body_is_read(house: House) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        sent += 1
        yield b"never a form"

    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}/uploads"
    headers = {
        PRINCIPAL_HEADER: house.signer.sign(STRANGER),
        "content-type": "multipart/form-data; boundary=x",
    }

    assert house.http.post(path, headers=headers, content=body()).status_code == 404


def test_too_much_is_refused_and_leaves_nothing(house: House) -> None:
    refused = post(house, EDITOR, content=b"x" * 100_001)
    far_too_much = post(house, EDITOR, content=b"x" * 3_000_000)

    assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")
    assert (far_too_much.status_code, far_too_much.json()["code"]) == (413, "payload_too_large")
    assert list(house.blobs.names()) == []
    assert post(house, EDITOR, content=b"x" * 100_000).status_code == 202


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"path": "../../etc/passwd"}, "bad_path"),
        ({"path": "/etc/passwd"}, "bad_path"),
        ({"path": "a/../../b"}, "bad_path"),
        ({"path": "a\u0000b"}, "bad_path"),
        ({"path": "x" * 1001}, "bad_path"),
        ({"path": "路" * 667}, "bad_path"),
        ({"readers": "everyone"}, "bad_readers"),
        ({"readers": '["root"]'}, "bad_readers"),
        ({"readers": '"everyone"'}, "bad_readers"),
        ({"readers": "[1]"}, "bad_readers"),
        ({"readers": "1" * 5000}, "bad_readers"),
        ({"readers": "[" * 200_000}, "bad_readers"),
        ({"readers": '["user:a\\u0000b"]'}, "bad_readers"),
        ({"readers": '["user:\\ud800"]'}, "bad_readers"),
        ({"level": "10"}, "bad_readers"),
        ({"level": "-1"}, "bad_readers"),
        ({"key": "k" * 201}, "malformed_upload"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_form_that_is_wrong_is_refused_by_name(house: House, form: dict[str, object], code: str) -> None:
    refused = post(house, EDITOR, **form)

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert list(house.blobs.names()) == []


@pytest.mark.parametrize("path", ["x" * 1000, "路" * 666])
def test_the_longest_paths_are_taken(house: House, path: str) -> None:
    assert post(house, EDITOR, path=path).status_code == 202


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="path"\r\n\r\na\r\n--x--\r\n',
        ),
    ],
)
def test_what_is_no_form_is_refused_by_name(house: House, content_type: str, body: bytes) -> None:
    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}/uploads"
    headers = {PRINCIPAL_HEADER: house.signer.sign(EDITOR), "content-type": content_type}

    refused = house.http.post(path, headers=headers, content=body)

    assert (refused.status_code, refused.json()["code"]) == (422, "malformed_upload")


@pytest.mark.parametrize("name", ["C:\\Users\\me\\年假.txt", "/home/me/年假.txt", "年假.txt"])
def test_a_file_name_loses_its_folders_and_keeps_its_characters(house: House, name: str) -> None:
    accepted = post(house, EDITOR, file_name=name)

    assert (accepted.json()["path"], accepted.json()["title"]) == ("年假.txt", "年假")


def test_an_idempotency_key_makes_one_document_of_two_requests(house: House) -> None:
    first = post(house, EDITOR, key="abc")
    again = post(house, EDITOR, key="abc")
    other = post(house, EDITOR, key="abc", content=b"other words")
    somebody_else = post(house, OWNER, key="abc", path="b.txt")

    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert somebody_else.json()["document_id"] != first.json()["document_id"]


def test_a_key_answers_with_the_version_as_it_is_now(house: House) -> None:
    version = post(house, EDITOR, key="abc").json()
    house.work(version["id"])

    assert post(house, EDITOR, key="abc").json()["state"] == "indexed"


def test_an_editor_sees_all_and_a_viewer_sees_nothing_of_others(house: House) -> None:
    version = house.upload("words")

    assert [v.id for v in house.client.versions(OWNER, knowledge_base_id=house.knowledge_base_id).items] == [version.id]
    assert house.client.versions(VIEWER, knowledge_base_id=house.knowledge_base_id).items == []
    assert house.client.versions(OWNER).items == []
    assert [v.id for v in house.client.versions(EDITOR).items] == [version.id]
    for principal in (VIEWER, STRANGER, OTHER_TENANT):
        with pytest.raises(RemoteProblemError) as refused:
            house.client.version(principal, version.id)
        assert refused.value.remote.status == 404
        for change in (house.client.retry, house.client.cancel):
            with pytest.raises(RemoteProblemError) as refused:
                change(principal, version.id)
            assert refused.value.remote.status == 404
    for principal in (STRANGER, OTHER_TENANT):
        with pytest.raises(RemoteProblemError) as refused:
            house.client.versions(principal, knowledge_base_id=house.knowledge_base_id)
        assert refused.value.remote.status == 404
        with pytest.raises(RemoteProblemError) as refused:
            house.client.delete_document(principal, version.document_id)
        assert refused.value.remote.status == 404
    with pytest.raises(RemoteProblemError) as refused:
        house.client.delete_document(VIEWER, version.document_id)
    assert refused.value.remote.status == 403


def test_who_loses_the_knowledge_base_loses_sight_of_own_uploads(house: House) -> None:
    version = house.upload("words", by=EDITOR)
    headers = {PRINCIPAL_HEADER: house.signer.sign(OWNER)}
    path = f"/api/v1/knowledge-bases/{house.knowledge_base_id}/grants"
    grants = house.knowledge_http.get(path, headers=headers).json()
    grant = next(g["id"] for g in grants["items"] if g["subject"] == "user:edda")
    assert house.knowledge_http.delete(f"{path}/{grant}", headers=headers).status_code == 204

    assert house.client.versions(EDITOR).items == []
    with pytest.raises(RemoteProblemError):
        house.client.version(EDITOR, version.id)


def test_a_listing_goes_page_by_page_from_the_newest(house: House) -> None:
    ids = [house.upload(f"words {n}", path=f"{n}.txt").id for n in range(5)]

    first = house.client.versions(EDITOR, knowledge_base_id=house.knowledge_base_id, limit=2)
    second = house.client.versions(
        EDITOR, knowledge_base_id=house.knowledge_base_id, limit=2, cursor=first.next_cursor or ""
    )
    third = house.client.versions(
        EDITOR, knowledge_base_id=house.knowledge_base_id, limit=2, cursor=second.next_cursor or ""
    )

    assert [v.id for page in (first, second, third) for v in page.items] == ids[::-1]
    assert third.next_cursor is None
    assert [v.progress.queue_position for v in first.items] == [5, 4]


def test_a_listing_by_state(house: House) -> None:
    done = house.work(house.upload("words", path="a.txt").id)
    waiting = house.upload("words", path="b.txt")

    def ids(state: VersionState) -> list[str]:
        page = house.client.versions(EDITOR, knowledge_base_id=house.knowledge_base_id, state=state)
        return [version.id for version in page.items]

    assert ids(VersionState.INDEXED) == [done.id]
    assert ids(VersionState.QUEUED) == [waiting.id]
    assert ids(VersionState.FAILED) == []


def test_readers_of_an_upload_are_enforced_and_kept_by_the_next_version(house: House) -> None:
    house.work(house.upload("The secret bonus is ten.", readers=["user:olga"]).id)
    assert house.found("bonus", by=OWNER)
    assert house.found("bonus", by=VIEWER) == []

    house.work(house.upload("The secret bonus is twenty.").id)

    assert house.found("bonus", by=OWNER) == ["The secret bonus is twenty."]
    assert house.found("bonus", by=VIEWER) == []


def test_an_editor_minds_a_document_without_learning_its_name(house: House) -> None:
    """Before it is indexed its own ACL says who may know what it is called, afterwards the knowledge service."""
    waiting = house.upload("The secret bonus is ten.", readers=["user:edda"], by=EDITOR)
    for version in (waiting, house.work(waiting.id)):
        listed = house.client.versions(OWNER, knowledge_base_id=house.knowledge_base_id).items
        one = house.client.version(OWNER, version.id)
        assert [(v.id, v.title, v.path) for v in [*listed, one]] == [(version.id, "", "")] * 2
        assert house.client.version(EDITOR, version.id).title == waiting.title != ""


def test_a_name_is_gone_for_an_editor_once_somebody_narrows_the_acl(house: House) -> None:
    version = house.work(house.upload("The plan is bold.", by=EDITOR).id)
    assert house.client.version(OWNER, version.id).title
    house.knowledge.set_acl(
        service_principal("ingestion", OWNER.tenant), version.document_id, DocumentAcl(readers=["user:edda"])
    )
    assert house.client.version(OWNER, version.id).title == ""


def test_readers_changed_alone_are_told_without_embedding_again(house: House) -> None:
    version = house.work(house.upload("The secret bonus is ten.").id)
    assert house.found("bonus", by=VIEWER)
    embedded = len(house.embedder.texts)

    again = house.upload("The secret bonus is ten.", readers=["user:olga"])
    house.push(version.document_id)

    assert again.unchanged
    assert house.found("bonus", by=VIEWER) == []
    assert house.found("bonus", by=OWNER)
    assert len(house.embedder.texts) == embedded


def test_readers_changed_while_it_is_published_hold_at_once_or_right_after(house: House) -> None:
    version = house.upload("The secret bonus is ten.")

    def tighten(path: str) -> None:
        if path == "/internal/publish" and not done:
            done.append(True)
            house.upload("The secret bonus is ten.", readers=["user:olga"])

    done: list[bool] = []
    house.knowledge_switch.before = tighten
    house.work(version.id)
    house.push(version.document_id)

    assert done
    assert house.found("bonus", by=VIEWER) == []
    assert house.found("bonus", by=OWNER)


def test_an_upload_of_half_a_document_is_not_accepted(house: House) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the cable was pulled")

    with pytest.raises(OSError, match="cable"):
        house.client.upload(EDITOR, house.knowledge_base_id, Torn(b"x"), path="a.txt")

    assert house.client.versions(EDITOR).items == []


def test_problems_carry_a_remedy(house: House) -> None:
    problem = post(house, EDITOR, path="../x").json()

    assert json.dumps(problem["remedy"])
    assert problem["type"] == "urn:zhiku:error:bad_path"


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        ("text/x\x00y", "application/octet-stream"),
        ("Text/Plain; charset=utf-8", "text/plain"),
        ("", "application/octet-stream"),
    ],
)
def test_what_a_sender_says_of_a_file_is_kept_if_it_is_a_media_type(house: House, declared: str, kept: str) -> None:
    part = f'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: {declared}\r\n\r\na'
    answer = house.http.post(
        f"/api/v1/knowledge-bases/{house.knowledge_base_id}/uploads",
        headers={
            PRINCIPAL_HEADER: house.signer.sign(EDITOR),
            "Content-Type": "multipart/form-data; boundary=x",
        },
        content=f"{part}\r\n--x--\r\n".encode(),
    )

    assert (answer.status_code, answer.json()["media_type"]) == (202, kept)
