"""A conversation and a document under a legal hold stay, until three people have lifted it."""

import time
from typing import Any

import httpx2
import pytest

from .conftest import Running

pytestmark = pytest.mark.slow

REASON = {"reason": "A court asked for it"}


def place(zhiku: Running, scope: str, held: str) -> dict[str, Any]:
    new = {"held": {"scope": scope, "id": held}, "matter": "Case 2026-17", **REASON}
    placed = zhiku.signed_in("chen").post("/api/v1/legal-holds", json=new)
    assert placed.status_code == 201, placed.text
    found: dict[str, Any] = placed.json()
    return found


def lift(zhiku: Running, hold: dict[str, Any]) -> None:
    chen, path = zhiku.signed_in("chen"), f"/api/v1/legal-holds/{hold['id']}/release"
    asked = chen.post(path, json=REASON)
    assert asked.status_code == 202, asked.text
    approval = asked.json()
    assert chen.post(path, params={"approval": approval["id"]}, json=REASON).json()["code"] == "approval_waiting"
    for approver in ("fang", "wu"):
        decided = f"/api/v1/approvals/{approval['id']}/approve"
        assert zhiku.signed_in(approver).post(decided, json={"digest": approval["digest"]}).is_success
    lifted = chen.post(path, params={"approval": approval["id"]}, json=REASON)
    assert lifted.json()["released_by"] == "chen"


def is_kept(response: httpx2.Response) -> bool:
    assert "Case" not in response.text
    return response.status_code == 409 and bool(response.json()["code"] == "held")


def test_a_held_conversation_is_deleted_only_when_the_hold_is_lifted(zhiku: Running) -> None:
    answer = zhiku.ask("lin", "How long is a sabbatical?")
    lin, path = zhiku.signed_in("lin"), f"/api/v1/conversations/{answer['conversation_id']}"
    hold = place(zhiku, "user", "lin")
    assert is_kept(lin.delete(path))
    assert len(lin.get(path).json()["answers"]) == 1
    lift(zhiku, hold)
    assert lin.delete(path).status_code == 204
    assert lin.get(path).status_code == 404


def test_a_held_document_keeps_itself_and_its_knowledge_base(zhiku: Running) -> None:
    zhao = zhiku.signed_in("zhao")
    kb = zhao.post("/api/v1/knowledge-bases", json={"name": f"Held {time.time_ns()}"}).json()["id"]
    files = {"file": ("note.txt", b"The lamp is green.", "text/plain")}
    version = zhao.post(f"/api/v1/knowledge-bases/{kb}/uploads", files=files).json()
    deadline = time.monotonic() + 60
    while zhao.get(f"/api/v1/document-versions/{version['id']}").json()["state"] != "indexed":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    path = f"/api/v1/documents/{version['document_id']}"
    hold = place(zhiku, "knowledge_base", kb)
    assert is_kept(zhao.delete(path))
    assert zhao.get(path).status_code == 200
    lift(zhiku, hold)
    assert zhao.delete(path).status_code == 202
