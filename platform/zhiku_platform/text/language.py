"""Tell Chinese, English and other languages apart, cheaply and without a model."""

import re
from typing import Literal

Language = Literal["zh", "en", "other"]

_SAMPLE_CHARS = 4000
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af\u1100-\u11ff]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['\u2019][A-Za-z]+)?")
_OTHER_LETTER = re.compile(r"[\u0370-\u1fff\ua000-\uabff]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH = _words(
    "the of and to in is a for that on with as are be by this it or from at an not was we have will our "
    "your you which has can may all their its if any been but other these more such were they no so do "
    "when how what use used who shall must should page table total year"
)
_OTHER_LATIN = _words(
    "der die das und ist nicht ein eine für mit auf den dem zu im von sich des le la les des est une pour "
    "dans que qui sur avec du au aux par plus ce el los las en una por con para del al se lo como il di "
    "che è della dei gli non sono um uma os não é do da em het een van op te zijn och att som på är og det"
) - _words("do die plus se al som des")


def detect_language(text: str) -> Language:
    """Name the language of most of a text.

    A Han character weighs as much as two Latin letters' share of a word would: a Chinese sentence with
    English product names in it is Chinese. Text without letters is "other".
    """
    sample = text[:_SAMPLE_CHARS]
    han = len(_HAN.findall(sample))
    kana = len(_KANA_OR_HANGUL.findall(sample))
    words = _LATIN_WORD.findall(sample)
    foreign = len(_OTHER_LETTER.findall(sample)) / 5
    if kana > 0.15 * (han + kana):
        return "other"
    # Two Han characters make about one word.
    if han / 2 >= 0.5 * (len(words) + foreign) and han:
        return "zh"
    if not words or foreign > len(words):
        return "other"
    return "en" if _reads_as_english(words) else "other"


def _reads_as_english(words: list[str]) -> bool:
    lowered = [word.lower() for word in words]
    english = sum(word in _ENGLISH for word in lowered)
    others = sum(word in _OTHER_LATIN for word in lowered)
    accented = sum(not word.isascii() for word in lowered)
    if english == others == 0:
        # Names, table labels and identifiers: plain ASCII words count as English.
        return accented * 5 <= len(words)
    return english >= others and accented * 3 <= len(words)
