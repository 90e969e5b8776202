"""Nothing that a model writes can load or link to anything."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiku_services.assistant.answering.markup import (
    leading_markers,
    neutralise,
    showable_prefix,
    take_markers,
)

HOSTILE = [
    "![",
    "](",
    "[",
    "]",
    ")",
    "(",
    "<",
    ">",
    "img src=x",
    "https://",
    "evil.example",
    "a",
    " ",
    "\n",
    "[x]:",
    "mailto:",
    "`",
    "!",
]


@pytest.mark.parametrize(
    ("written", "harmless"),
    [
        ("See ![secret](https://evil.example/?q=1) now.", "See secret now."),
        ("See [the form](https://evil.example).", "See the form."),
        ("See [the form][1].\n[1]: https://evil.example", "See the form.\n"),
        ("Hello <img src=x onerror=alert(1)>world", "Hello world"),
        ("Open https://intranet.example/forms now", "Open intranet.example/forms now"),
        ("Plain 年假 15 天。", "Plain 年假 15 天。"),
        ("Customer data: C:/reports, keys [A] and [B]!", "Customer data: C:/reports, keys [A] and [B]!"),
    ],
)
def test_images_links_and_html_are_taken_out(written: str, harmless: str) -> None:
    assert neutralise(written) == harmless


@given(st.lists(st.sampled_from(HOSTILE), max_size=14).map("".join))
def test_no_mix_of_marks_makes_an_image_a_link_or_a_tag(text: str) -> None:
    harmless = neutralise(text)
    assert not re.search(r"!?\[[^\]]*\]\s*[(\[]", harmless)
    assert not re.search(r"<\s*/?[A-Za-z!]", harmless)
    assert not re.search(r"https?://|mailto:", harmless)


def test_markers_are_read_and_taken_out() -> None:
    assert take_markers("You get 15 days [1][3].") == ("You get 15 days.", [1, 3])
    assert take_markers("每年15天【2】。") == ("每年15天。", [2])
    assert leading_markers(" [1] [2] Next") == 8


def test_a_preview_stops_before_what_might_become_a_link() -> None:
    assert showable_prefix("You get 15 days [1") == "You get 15 days "
    assert showable_prefix("Open htt") == "Open "
    assert showable_prefix("You get 15 days") == "You get 15 days"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Run ssh <user>@host and set Map<String, Int>.", "Run ssh ＜user>@host and set Map＜String, Int>."),
        ("It holds where n <m and p >= 0.05.", "It holds where n ＜m and p >= 0.05."),
        ("Use 3 < 4 always.", "Use 3 < 4 always."),
    ],
)
def test_angle_brackets_that_are_no_tags_keep_their_words(text: str, shown: str) -> None:
    assert neutralise(text) == shown
