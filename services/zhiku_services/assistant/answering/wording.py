"""What the assistant says in its own words, in the language of the question."""

from collections.abc import Sequence
from typing import Final, Literal

from zhiku_platform.text.language import detect_language
from zhiku_services.assistant.answering.markup import neutralise

Tongue = Literal["zh", "en"]

_ENDS: Final = tuple("。！？；：.!?;:…”’\"'")
_BULLETS: Final = ("- ", "• ", "* ", "· ")
_LEAD: Final = {"zh": "在文件中找到以下原文：", "en": "The documents say:"}
_HIDDEN: Final = {
    "zh": "这个回答所依据的文件，您现在已无权查看。",
    "en": "The sources of this answer are no longer available to you.",
}
_NOTHING: Final = {
    "zh": "没有找到能回答这个问题的内容。",
    "en": "I found nothing that answers this question.",
}
_NOWHERE: Final = {
    "zh": "您目前没有可以搜索的知识库。",
    "en": "There is no knowledge base that you can search.",
}


def tongue_of(question: str) -> Tongue:
    """The language in which to answer a question."""
    return "zh" if detect_language(question) == "zh" else "en"


def lead_in(tongue: Tongue) -> str:
    """Introduce quotes."""
    return _LEAD[tongue]


def sources_hidden(tongue: Tongue) -> str:
    """Say that nothing of an answer can be shown any more."""
    return _HIDDEN[tongue]


def nothing_found(tongue: Tongue, searched: Sequence[str]) -> str:
    """Say that nothing answers, and what was searched."""
    if not searched:
        return f"{_NOTHING[tongue]}{_NOWHERE[tongue]}" if tongue == "zh" else f"{_NOTHING[tongue]} {_NOWHERE[tongue]}"
    # Whoever names a knowledge base or a document writes what others read, so names are as untrusted as texts.
    names = [neutralise(name) for name in searched]
    if tongue == "zh":
        return f"{_NOTHING[tongue]}已搜索：{'、'.join(names)}。"
    return f"{_NOTHING[tongue]} Searched: {', '.join(names)}."


def nearest_document(tongue: Tongue, title: str) -> str:
    """Name a document that comes near."""
    name = neutralise(title)
    return f"内容最接近的文件：《{name}》。" if tongue == "zh" else f"The nearest document is “{name}”."


def join_sentences(sentences: Sequence[str]) -> str:
    """Write sentences as one text: list items and rows on lines of their own, a space between Latin sentences."""
    text = ""
    for sentence in sentences:
        text = f"{text}{_joint(text, sentence)}{sentence}"
    return text


def _joint(text: str, sentence: str) -> str:
    if not text:
        return ""
    if not text.endswith(_ENDS) or sentence.startswith(_BULLETS):
        return "\n"
    return " " if text[-1].isascii() and sentence[:1].isascii() else ""
