"""A conversation and a document under a legal hold stay, until three people have lifted it."""

import time
from typing import Any

import httpx2
from playwright.sync_api import Browser, Page, expect

from .conftest import Running
from .test_reviews import look
from .test_tour import browser, decide, page, pytestmark, sign_in

__all__ = ["browser", "page", "pytestmark"]

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


def test_a_reviewer_places_a_hold_and_lifts_it_once_two_others_agree(
    page: Page, browser: Browser, zhiku: Running
) -> None:
    matter = f"Case {time.time_ns()}"
    sign_in(page, "chen")
    page.get_by_test_id("nav-legal-holds").click()
    page.get_by_test_id("hold-new").click()
    page.get_by_test_id("hold-scope").select_option("document")
    page.get_by_test_id("hold-id").fill("doc_of_nobody")
    page.get_by_test_id("hold-matter").fill(matter)
    page.get_by_test_id("hold-reason").fill("A court asked for it")
    look(page, "hold-new")
    page.get_by_test_id("hold-submit").click()
    row = page.get_by_test_id("hold-item").filter(has_text=matter)
    expect(row).to_contain_text("doc_of_nobody", timeout=30_000)
    for width, scheme in ((320, "dark"), (1280, "light")):
        page.set_viewport_size({"width": width, "height": 860})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        look(page, f"holds-{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    row.get_by_test_id("hold-lift").click()
    page.get_by_test_id("reason").fill("The case was settled")
    page.get_by_test_id("reason-submit").click()
    expect(page.get_by_test_id("approval-missing")).to_contain_text("2 more people", timeout=30_000)
    for username in ("fang", "wu"):
        decide(browser, zhiku, username, matter)
    page.reload()
    page.get_by_test_id("approval-use").click()
    look(page, "hold-approval")
    page.get_by_test_id("confirm-button").click()
    page.wait_for_url("**/legal-holds")
    expect(row).to_have_count(0, timeout=30_000)
    page.get_by_role("switch").check(force=True)
    expect(row).to_contain_text("Lifted", timeout=30_000)
