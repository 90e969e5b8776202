"""Make text from a model or a document harmless to render: no images, no links, no HTML.

Citations are the only links an answer has, and those are ours.
"""

import re
from typing import Final

_IMAGE: Final = re.compile(r"!\[([^\]]*)\]\s*(?:\([^)]*\)?|\[[^\]]*\])")
_LINK: Final = re.compile(r"\[([^\]]*)\]\s*(?:\([^)]*\)?|\[[^\]]*\])")
_DEFINITION: Final = re.compile(r"^\s*\[[^\]]+\]:.*$", re.MULTILINE)
# What a renderer would take for HTML: comments, declarations, and the names of its elements, closed or not. Another
# word in angle brackets, as in `<user>@host` or `n <m`, is text.
_TAG: Final = re.compile(
    r"<!--.*?(?:-->|$)|<[!?][^<>]*>?"
    r"|</?(?:a|abbr|address|applet|area|article|aside|audio|b|base|bdo|big|blockquote|body|br|button|canvas|caption"
    r"|center|cite|code|col|colgroup|data|dd|del|details|dialog|div|dl|dt|em|embed|fieldset|figcaption|figure|font"
    r"|footer|form|frame|frameset|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|legend|li|link|main|map"
    r"|mark|marquee|math|menu|meta|meter|nav|noscript|object|ol|optgroup|option|output|p|param|picture|portal|pre"
    r"|progress|q|ruby|s|samp|script|section|select|slot|small|source|span|strike|strong|style|sub|summary|sup|svg"
    r"|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|track|tt|u|ul|var|video|wbr|xml|xmp)"
    r"(?=[\s/>])[^<>]*>?",
    re.IGNORECASE | re.DOTALL,
)
# Renderers begin a link at these words wherever no Latin letter stands before, so beside Chinese or `_` as well.
_SCHEME: Final = re.compile(
    r"[a-z][a-z0-9+.-]+://+|(?<![a-z0-9])www\.|(?:mailto|xmpp|javascript|vbscript):"
    r"|(?<![a-z0-9])data:(?=[a-z]+/|[;,])|(?<![\w:/])//+(?=[\w-]+\.)",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(r"<(?=\s*[/!?A-Za-z])")
_LEFT_OVER: Final = re.compile(r"\]\s*[(\[]|!\[")
_DEFINES: Final = re.compile(r"\](?=:)")
_MARKER: Final = re.compile(r"\s*[\[【](?:\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)[\]】]")
_MARKER_START: Final = re.compile(r"(?:\s*[\[【]\d{1,2}(?:\s*[,，、]\s*\d{1,2})*[\]】])+[.。]?")
_HELD: Final = re.compile(
    r"[!\[<【`]|(?:w|ww|www.*|h|ht|htt|https?|[a-z][a-z0-9+.-]*:(?:/.*)?|(?:mailto|xmpp|javascript|vbscript):.*"
    r"|(?<![a-z0-9])data:(?:[a-z]+/|[;,]).*|//.*)$",
    re.IGNORECASE | re.DOTALL,
)
_ROUNDS: Final = 8
# What a terminal obeys, what turns the order of reading round, and letters that nobody sees and a machine reads.
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def neutralise(text: str) -> str:
    """Take images, links, HTML and addresses out of a text; the words of a link stay.

    Doing it until nothing changes keeps one removal from building what another should have removed. What is nested
    deeper than anybody writes loses its brackets and colons altogether.
    """
    text = visible(text)
    for _ in range(_ROUNDS):
        cleaned = _neutralise_once(text)
        if cleaned == text:
            break
        text = cleaned
    else:
        text = re.sub(r"[\[\]!:/]|www\.", " ", text)
    text = re.sub(r"[\[\]!]", "", text) if _LEFT_OVER.search(text) else text
    # A definition of a link needs the two to touch, also in a list or a quote.
    text = _DEFINES.sub("] ", text)
    # What reads like a tag and is none, as in `Map<String>` or `n < m`, stays legible and opens nothing.
    return _OPENING.sub("＜", text)


def _neutralise_once(text: str) -> str:
    text = _DEFINITION.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    # Without its scheme an address can still be read, and no renderer makes a link of it.
    return _SCHEME.sub("", _TAG.sub("", text))


def visible(text: str) -> str:
    """A text without control characters, overrides of its direction, and invisible copies of ASCII."""
    return _UNSEEN.sub("", text)


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
