"""Make text from a model or a document harmless to render: no images, no links, no HTML.

Citations are the only links an answer has, and those are ours.
"""

import re
from typing import Final

_IMAGE: Final = re.compile(r"!\[([^\]]*)\]\s*(?:\([^)]*\)?|\[[^\]]*\])")
_LINK: Final = re.compile(r"\[([^\]]*)\]\s*(?:\([^)]*\)?|\[[^\]]*\])")
_DEFINITION: Final = re.compile(r"^\s*\[[^\]]+\]:.*$", re.MULTILINE)
_TAG: Final = re.compile(r"</?[A-Za-z!?][^<>]*>?")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+://+|\bwww\.|(?:mailto|xmpp):", re.IGNORECASE)
_LEFT_OVER: Final = re.compile(r"\]\s*[(\[]|!\[|<\s*/?[A-Za-z!]")
_MARKER: Final = re.compile(r"\s*[\[【](?:\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)[\]】]")
_MARKER_START: Final = re.compile(r"(?:\s*[\[【]\d{1,2}(?:\s*[,，、]\s*\d{1,2})*[\]】])+[.。]?")
_HELD: Final = re.compile(r"[!\[<【`]|(?:h|ht|htt|https?|https?:.*|w|ww|www.*|[a-z]+:/*)$", re.IGNORECASE)


def neutralise(text: str) -> str:
    """Take images, links, HTML and addresses out of a text; the words of a link stay.

    Doing it until nothing changes keeps one removal from building what another should have removed.
    """
    for _ in range(8):
        cleaned = _neutralise_once(text)
        if cleaned == text:
            break
        text = cleaned
    return re.sub(r"[<>\[\]!]", "", text) if _LEFT_OVER.search(text) else text


def _neutralise_once(text: str) -> str:
    text = _DEFINITION.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    # Without its scheme an address can still be read, and no renderer makes a link of it.
    return _SCHEME.sub("", _TAG.sub("", text))


def take_markers(sentence: str) -> tuple[str, list[int]]:
    """Split a model's sentence into its words and the passage numbers that it named."""
    named = [int(number) for marker in _MARKER.findall(sentence) for number in re.findall(r"\d+", marker)]
    return _MARKER.sub("", sentence).strip(), named


def leading_markers(text: str) -> int:
    """How many characters of citation markers a text begins with; they belong to the sentence before."""
    match = _MARKER_START.match(text)
    return match.end() if match else 0


def showable_prefix(text: str) -> str:
    """The part of an unfinished sentence that can be shown before the rest is known."""
    match = _HELD.search(text)
    return text if match is None else text[: match.start()]
