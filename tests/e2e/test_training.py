"""Who trains the model uploads examples, starts a run and sees what came of it, in a browser."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .test_accessible import SETTINGS, findings, page
from .test_tour import browser, pytestmark, sign_in

__all__ = ["browser", "page", "pytestmark"]

RUN_TIMEOUT_MS = 240_000
in_english = pytest.mark.parametrize("page", SETTINGS[:1], indirect=True, ids=["wide"])


@in_english
def test_from_examples_to_a_result(page: Page, tmp_path: Path) -> None:
    lines = [
        {"question": f"When does the {place} open?", "answer": f"The {place} opens at eight."}
        for place in ("canteen", "library", "garage", "lobby", "archive", "studio", "garden", "kiosk", "mailroom")
    ]
    examples = tmp_path / "hours.jsonl"
    examples.write_text("\n".join(map(json.dumps, lines)) + "\nno json\n", "utf-8")
    sign_in(page, "lin")
    page.get_by_test_id("nav-training").click()
    page.wait_for_url("**/training")
    page.goto("/training?tab=datasets")
    page.get_by_test_id("training-new").click()
    page.locator("input[type=file]").set_input_files(examples)
    found = findings(page)
    page.get_by_test_id("dataset-submit").click()
    page.wait_for_url("**/training/datasets/**")
    expect(page.get_by_text("9 examples")).to_be_visible()
    expect(page.get_by_text("not readable: 1")).to_be_visible()
    found += findings(page)
    page.goto("/training")
    page.get_by_test_id("training-new").click()
    page.get_by_test_id("recipe-name").fill("hours")
    page.get_by_test_id("recipe-learning_rate").fill("0.01")
    page.get_by_role("button", name="More settings").click()
    for name, value in {"held_out": "0.3", "max_steps": "3", "batch": "2", "accumulation": "1"}.items():
        page.get_by_test_id(f"recipe-{name}").fill(value)
    found += findings(page)
    page.get_by_test_id("run-submit").click()
    page.wait_for_url("**/training/runs/**")
    expect(page.get_by_test_id("run-result")).to_be_visible(timeout=RUN_TIMEOUT_MS)
    expect(page.get_by_text("in 3 steps")).to_be_visible()
    expect(page.get_by_test_id("held-out")).to_be_visible()
    found += findings(page)
    assert found == []


@in_english
def test_who_may_not_train_is_not_offered_it(page: Page) -> None:
    sign_in(page, "zhao")
    expect(page.get_by_test_id("nav-knowledge-bases")).to_be_visible()
    expect(page.get_by_test_id("nav-training")).to_have_count(0)
