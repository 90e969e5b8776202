"""No view has a serious or critical finding of axe: wide and narrow, light and dark, in both languages."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import Running
from .test_tour import ANSWER_TIMEOUT_MS, ask, browser, pytestmark, sign_in

__all__ = ["browser", "pytestmark"]

AXE = Path(__file__).parents[2] / "services/portal/node_modules/axe-core/axe.min.js"
SETTINGS = [("en-GB", "light", 1280, 860), ("zh-CN", "dark", 1280, 860), ("zh-CN", "light", 360, 740)]
PAGES = ["/knowledge-bases", "/search?q=%E5%A9%9A%E5%81%87", "/approvals", "/api-keys", "/settings"]


@pytest.fixture(params=SETTINGS, ids=lambda given: "-".join(map(str, given)))
def page(request: pytest.FixtureRequest, browser: Browser, zhiku: Running) -> Iterator[Page]:
    locale, scheme, width, height = request.param
    context = browser.new_context(
        base_url=zhiku.url,
        locale=locale,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        # axe is put into the page from outside, which our own policy forbids.
        bypass_csp=True,
        reduced_motion="reduce",
    )
    yield context.new_page()
    context.close()


def findings(page: Page) -> list[str]:
    """What axe finds here that is serious or critical."""
    page.wait_for_load_state("networkidle")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{page.url}: {each['impact']} {each['id']} {[node['target'] for node in each['nodes']][:3]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def test_every_view_can_be_used_by_everybody(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_test_id("login-button")).to_be_visible(timeout=30_000)
    found = findings(page)
    page.get_by_test_id("login-button").click()
    expect(page.locator("button.card").first).to_be_visible(timeout=30_000)
    found += findings(page)
    sign_in(page, "zhao")
    found += findings(page)
    ask(page, "婚假有多少天？")
    found += findings(page)
    page.get_by_test_id("citation-chip").first.click()
    expect(page.get_by_test_id("citation-panel")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
    found += findings(page)
    for address in PAGES:
        page.goto(address)
        found += findings(page)
    page.goto("/knowledge-bases")
    page.get_by_test_id("kb-item").first.click()
    for tab in ("documents", "imports", "access"):
        page.wait_for_url(lambda url: "/knowledge-bases/kb_" in url)
        page.goto(f"{page.url.split('?')[0]}?tab={tab}")
        found += findings(page)
    assert found == []


def test_legal_holds_can_be_used_by_everybody(page: Page, zhiku: Running) -> None:
    new = {"held": {"scope": "document", "id": "doc_of_nobody"}, "matter": "Case 1", "reason": "A court asked for it"}
    assert zhiku.signed_in("chen").post("/api/v1/legal-holds", json=new).status_code == 201
    sign_in(page, "chen")
    page.goto("/legal-holds")
    expect(page.get_by_test_id("hold-item").first).to_be_visible(timeout=30_000)
    found = findings(page)
    page.get_by_test_id("hold-new").click()
    expect(page.get_by_test_id("hold-id")).to_be_visible()
    found += findings(page)
    if folder := os.environ.get("ZHIKU_SCREENSHOTS"):
        name = "-".join(str(page.evaluate(each)) for each in ("navigator.language", "innerWidth"))
        page.screenshot(path=Path(folder) / f"hold-form-{name}.png")
    assert found == []


def test_retention_can_be_used_by_everybody(page: Page) -> None:
    sign_in(page, "chen")
    page.goto("/retention")
    expect(page.get_by_test_id("retention-rule")).to_be_visible(timeout=30_000)
    found = findings(page)
    page.get_by_test_id("retention-change").click()
    expect(page.get_by_test_id("retention-due")).to_be_visible(timeout=30_000)
    found += findings(page)
    assert found == []
