"""The README's tour, done in a real browser against the platform as a user starts it."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .conftest import Running
from .test_access import wait_for_document

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None and os.environ.get("CI"):
    raise RuntimeError("CI needs Debian's chromium for the browser tests; `make browser` installs it")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; `make browser` installs it on Debian"),
]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ANSWER_TIMEOUT_MS = 90_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, zhiku: Running) -> Iterator[Page]:
    """A fresh browser profile in English, which fails the test on any error that the page throws."""
    context = browser.new_context(base_url=zhiku.url, locale="en-GB", viewport={"width": 1280, "height": 860})
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    if folder := os.environ.get("ZHIKU_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
        page.screenshot(path=Path(folder) / f"{name}.png")
    context.close()
    assert thrown == []


def sign_in(page: Page, username: str) -> None:
    page.goto("/")
    page.get_by_test_id("login-button").click()
    page.locator(f"button.card.{username}").click()
    page.wait_for_url(re.compile(r"127\.0\.0\.1:\d+/(?!realms)"))
    expect(page.get_by_test_id("composer")).to_be_visible(timeout=30_000)


def ask(page: Page, question: str) -> None:
    """Ask and wait until the answer is complete."""
    turns = page.get_by_test_id("answer").count()
    page.get_by_test_id("composer").fill(question)
    page.get_by_test_id("send").click()
    expect(page.get_by_test_id("answer")).to_have_count(turns + 1, timeout=ANSWER_TIMEOUT_MS)
    expect(page.get_by_test_id("stop")).to_have_count(0, timeout=ANSWER_TIMEOUT_MS)


def test_an_employee_asks_in_both_languages_and_opens_the_citation(page: Page) -> None:
    sign_in(page, "lin")
    ask(page, "How many days a month may I work remotely?")
    first = page.get_by_test_id("answer").last
    first.get_by_test_id("citation-chip").first.click()
    panel = page.get_by_test_id("citation-panel")
    expect(panel).to_be_visible()
    expect(panel.get_by_test_id("citation-quote").first).not_to_be_empty()
    page.keyboard.press("Escape")
    ask(page, "婚假有多少天？")
    answer = page.get_by_test_id("answer").last
    answer.get_by_test_id("citation-chip").first.click()
    expect(page.get_by_test_id("pdf-canvas").first).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("pdf-highlight").first).to_be_visible(timeout=30_000)


def upload(page: Page, file: Path) -> None:
    """Upload into the demo's knowledge base and wait until it is stored."""
    page.get_by_test_id("nav-knowledge-bases").first.click()
    page.get_by_test_id("kb-item").filter(has_text="Luyu").first.click()
    expect(page.locator("input[type=file]").first).to_be_attached(timeout=30_000)
    with page.expect_response(lambda answer: answer.url.endswith("/uploads"), timeout=60_000) as answer:
        page.locator("input[type=file]").first.set_input_files(file)
    assert answer.value.status == 202, answer.value.text()


def test_nothing_found_is_said_plainly(page: Page) -> None:
    sign_in(page, "lin")
    ask(page, "What was the company's share price at the end of 2025?")
    expect(page.get_by_test_id("answer-mode").last).to_contain_text("No source found")
    expect(page.get_by_test_id("answer").last).to_contain_text("Luyu handbook")


def test_what_finance_knows_does_not_exist_for_engineering(page: Page) -> None:
    question = "2026 年度奖金池总额是多少？"
    sign_in(page, "lin")
    ask(page, question)
    expect(page.get_by_test_id("answer").last).not_to_contain_text("奖金方案")
    page.get_by_test_id("account-menu").click()
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("login-button")).to_be_visible(timeout=30_000)
    sign_in(page, "zhao")
    ask(page, question)
    expect(page.get_by_test_id("answer").last.get_by_test_id("citation-chip").first).to_be_visible()


def test_an_uploaded_file_is_answered_from(page: Page, tmp_path: Path) -> None:
    note = tmp_path / "canteen.md"
    note.write_text("# Canteen\n\nThe canteen opens at 11:45 and serves 260 meals a day.\n", encoding="utf-8")
    sign_in(page, "zhao")
    upload(page, note)
    row = page.get_by_test_id("version-row").filter(has_text="Canteen").first
    expect(row).to_contain_text("Ready", timeout=60_000)
    page.goto("/")
    ask(page, "How many meals does the canteen serve a day?")
    expect(page.get_by_test_id("answer").last).to_contain_text("260")


def test_a_file_that_cannot_be_read_says_why_and_what_to_do(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog")
    sign_in(page, "zhao")
    upload(page, broken)
    row = page.get_by_test_id("version-row").filter(has_text="broken").first
    expect(row.get_by_test_id("version-reason")).to_be_visible(timeout=60_000)


def decide(browser: Browser, zhiku: Running, username: str, title: str) -> None:
    """Approve in the portal what waits for this approver."""
    context = browser.new_context(base_url=zhiku.url, locale="zh-CN", viewport={"width": 420, "height": 900})
    approver = context.new_page()
    sign_in(approver, username)
    approver.goto("/approvals")
    approver.get_by_test_id("approval-item").filter(has_text=title).get_by_role("link").click()
    approver.get_by_test_id("approval-approve").click()
    approver.get_by_test_id("confirm-button").click()
    expect(
        approver.get_by_test_id("approval-vote").filter(has_text={"fang": "方圆", "wu": "吴越"}[username])
    ).to_be_visible()
    context.close()


def test_a_knowledge_base_is_deleted_once_two_others_agree(page: Page, browser: Browser, zhiku: Running) -> None:
    zhao = zhiku.signed_in("zhao")
    title = f"Old projects {time.time_ns()}"
    made = zhao.post("/api/v1/knowledge-bases", json={"name": title}).json()["id"]
    file = {"file": ("lamp.md", b"# Lamp\n\nThe lamp is green.")}
    assert zhao.post(f"/api/v1/knowledge-bases/{made}/uploads", files=file).status_code == 202
    wait_for_document(zhao, f"/api/v1/knowledge-bases/{made}")
    sign_in(page, "zhao")
    page.goto(f"/knowledge-bases/{made}")
    page.get_by_test_id("kb-actions").click()
    page.get_by_test_id("kb-delete").click()
    page.get_by_test_id("reason").fill("The projects ended last year.")
    page.get_by_test_id("reason-submit").click()
    expect(page.get_by_test_id("approval-missing")).to_contain_text("2 more people")
    expect(page.get_by_test_id("approval-approve")).to_have_count(0)
    for username in ("fang", "wu"):
        decide(browser, zhiku, username, title)
    page.reload()
    page.get_by_test_id("approval-use").click()
    page.get_by_test_id("confirm-button").click()
    page.wait_for_url("**/knowledge-bases")
    expect(page.get_by_test_id("kb-item").first).to_be_visible()
    expect(page.get_by_test_id("kb-item").filter(has_text=title)).to_have_count(0)
    assert zhao.get(f"/api/v1/knowledge-bases/{made}").status_code == 404
