"""Rights over the whole platform: what is taken away is gone from the next question, the history and every address."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from .conftest import Running

pytestmark = pytest.mark.slow

CANARY = "Quetzalcoatlus"
TEXT = (
    f"The {CANARY} project starts in March. The budget of the {CANARY} project is 4.2 million. Its head is Ms Ortega."
)
QUESTION = f"What is the budget of the {CANARY} project?"
INDEX_TIMEOUT_S = 120


@dataclass
class Shared:
    """A knowledge base of zhao's that lin may view, with one document."""

    knowledge_base: str
    document: str
    grant: str


@pytest.fixture
def shared(zhiku: Running) -> Shared:
    zhao = zhiku.signed_in("zhao")
    name = f"Projects {time.time_ns()}"
    made = zhao.post("/api/v1/knowledge-bases", json={"name": name}).json()["id"]
    path = f"/api/v1/knowledge-bases/{made}"
    grant = zhao.post(f"{path}/grants", json={"subject": "user:lin", "role": "viewer"}).json()["id"]
    file = {"file": (f"{CANARY}.txt", TEXT.encode())}
    assert zhao.post(f"{path}/uploads", files=file, data={"path": f"{CANARY}.txt"}).status_code == 202
    return Shared(made, wait_for_document(zhao, path), grant)


def wait_for_document(client: httpx2.Client, path: str) -> str:
    deadline = time.monotonic() + INDEX_TIMEOUT_S
    while time.monotonic() < deadline:
        if items := client.get(f"{path}/documents").json()["items"]:
            found: str = items[0]["id"]
            return found
        time.sleep(0.3)
    raise AssertionError("the document was not indexed in time")


def revoke(zhiku: Running, shared: Shared) -> None:
    path = f"/api/v1/knowledge-bases/{shared.knowledge_base}/grants/{shared.grant}"
    assert zhiku.signed_in("zhao").delete(path).status_code == 204


def ask(zhiku: Running, user: str) -> dict[str, Any]:
    conversation = zhiku.signed_in(user).post("/api/v1/conversations", json={"knowledge_base_ids": []}).json()["id"]
    return zhiku.ask(user, QUESTION, conversation)


def test_a_revoked_reader_is_told_nothing_from_the_next_question_on(zhiku: Running, shared: Shared) -> None:
    before = ask(zhiku, "lin")
    assert "4.2 million" in before["text"]
    revoke(zhiku, shared)
    after = ask(zhiku, "lin")
    assert "4.2 million" not in json.dumps({**after, "question": "", "rewritten_question": ""})
    lin = zhiku.signed_in("lin")
    kept = lin.get(f"/api/v1/conversations/{before['conversation_id']}").text
    assert "4.2 million" not in kept
    assert "Ortega" not in kept


def test_a_stream_taken_up_again_after_revoking_shows_nothing(zhiku: Running, shared: Shared) -> None:
    answer = ask(zhiku, "lin")
    revoke(zhiku, shared)
    with zhiku.signed_in("lin").stream("GET", f"/api/v1/answers/{answer['id']}/stream") as response:
        shown = response.read().decode()
    assert response.status_code == 200
    assert "4.2 million" not in shown
    assert "Ortega" not in shown
    assert f"{CANARY}.txt" not in shown


def test_the_ids_of_another_are_ids_of_nothing(zhiku: Running, shared: Shared) -> None:
    zhao, chen = zhiku.signed_in("zhao"), zhiku.signed_in("chen")
    passages = zhao.get(f"/api/v1/documents/{shared.document}/passages").json()["items"]
    answer = ask(zhiku, "zhao")
    addresses = [
        f"/api/v1/knowledge-bases/{shared.knowledge_base}",
        f"/api/v1/knowledge-bases/{shared.knowledge_base}/documents",
        f"/api/v1/documents/{shared.document}",
        f"/api/v1/documents/{shared.document}/content",
        f"/api/v1/documents/{shared.document}/passages",
        f"/api/v1/passages/{passages[0]['id']}",
        f"/api/v1/answers/{answer['id']}",
        f"/api/v1/answers/{answer['id']}/stream",
        f"/api/v1/conversations/{answer['conversation_id']}",
    ]
    for address in addresses:
        assert zhao.get(address).status_code == 200, address
        hidden = chen.get(address)
        missing = chen.get(re.sub(r"_[0-9a-f]{20,}", f"_{'0' * 28}", address))
        assert hidden.status_code == 404, address
        plain = [{**body.json(), "request_id": None} for body in (hidden, missing)]
        assert plain[0] == plain[1], address
