"""Clean text that a parser took out of a document, without changing what a reader sees."""

import re
import unicodedata

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffc]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\t\v\f]+")
_LINE_END = re.compile("\r\n?|\u2028|\u2029|\x85")
# Code points that look like another character and that search would miss: Kangxi and CJK radicals (some
# PDF fonts map 一 to U+2F00), CJK compatibility ideographs, and Latin ligatures.
_LOOKALIKE = re.compile("[\u2e80-\u2fd5\uf900-\ufaff\ufb00-\ufb06]")


def normalise(text: str) -> str:
    """Compose (NFC), unify white space and look-alike characters, drop what cannot be seen.

    Line breaks stay. Full-width punctuation and letters stay, since a citation shows them as written.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text
    text = _LINE_END.sub("\n", text)
    text = _CONTROL.sub("", _INVISIBLE.sub("", text))
    text = _LOOKALIKE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text))


def one_line(text: str) -> str:
    """Normalise, and write on one line without white space at the ends.

    A line break between two Chinese characters goes without a trace; any other becomes one space.
    """
    text = re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\s*\n\s*(?=[\u3000-\u9fff\uff00-\uffef])", "", normalise(text))
    return " ".join(text.split())
