"""English stems, as Snowball has them."""

import threading
from functools import lru_cache
from typing import Final, Protocol, cast

import snowballstemmer

MAX_STEM: Final = 60
"""Longer runs of letters are codes, not English."""


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 - the library's name


_stemming = threading.Lock()
_stemmer = cast("_Stemmer", snowballstemmer.stemmer("english"))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Give the stem of a lower-case English word; a typographic apostrophe counts as a plain one."""
    word = word.replace("\u2019", "'")
    if len(word) > MAX_STEM:
        return word
    with _stemming:  # the stemmer keeps the word it works on in itself
        return _stemmer.stemWord(word)
