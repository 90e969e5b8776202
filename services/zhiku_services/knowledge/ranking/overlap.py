"""Which words of a question a passage holds, fast enough for every candidate.

Only the question is cut by the dictionary and stemmed. Its words are then looked for in the passage: Chinese
as substrings, English by the beginning they share with their stem, numbers with any writing of their
thousands and trailing zeros. That takes some 0.05 ms a passage, where cutting it would take 3.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from zhiku_platform.text.stems import stem
from zhiku_services.knowledge.ranking.words import HAN, content_words, dates

Counts = npt.NDArray[np.float64]

_HAN_ONLY: Final = re.compile(rf"[{HAN}]+")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SEPARATOR: Final = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """The content words of a question, each once, by the way they are looked up."""

    chinese: tuple[str, ...]
    latin: tuple[str, ...]
    dates: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.chinese) + len(self.latin) + len(self.dates)


def query_terms(query: str) -> QueryTerms:
    """Cut a question into the terms to look for."""
    chinese: dict[str, None] = {}
    latin: dict[str, None] = {}
    found_dates: dict[str, None] = {}
    for word in content_words(query):
        if word.startswith("@"):
            found_dates[word] = None
        elif _HAN_ONLY.fullmatch(bare := word.removeprefix("_")):
            chinese[bare] = None
        else:
            latin[word] = None
    return QueryTerms(tuple(chinese), tuple(latin), tuple(found_dates))


def term_counts(terms: QueryTerms, texts: Sequence[str]) -> Counts:
    """Count each term in each text: shape (len(texts), len(terms)), in the order chinese, latin, dates."""
    finders = [_finder(term) for term in terms.latin]
    counts = np.zeros((len(texts), len(terms)))
    for row, text in enumerate(texts):
        plain = _plain(text)
        found = [plain.count(term) for term in terms.chinese]
        found += [find(plain) for find in finders]
        if terms.dates:
            told = Counter(dates(plain))
            found += [told[term] for term in terms.dates]
        counts[row] = found
    return counts


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).lower()
    return _SEPARATOR.sub("", plain) if "," in plain else plain


def _finder(term: str) -> Callable[[str], int]:
    if _NUMBER.fullmatch(term):
        zeros = "0*" if "." in term else r"(?:\.0+)?"
        number = re.compile(rf"(?<![0-9a-z.]){re.escape(term)}{zeros}(?![0-9a-z]|\.[0-9])")
        return lambda text: len(number.findall(text)) if term in text else 0
    # A stem differs from its words by what follows it and at most by its own last letter: compani, company.
    start = term[:-1] if len(term) > 3 else term
    word = re.compile(rf"(?<![0-9a-z]){re.escape(start)}[^\W_{HAN}]*(?:['\u2019][a-z]+)?")
    return lambda text: sum(stem(each) == term for each in word.findall(text)) if start in text else 0


def rarity(counts: Counts) -> Counts:
    """Weigh each term by how few of the texts hold it: shape (terms,), 1 or more.

    BM25's smoothed form, plus 1: the texts are candidates, so the words that found them look more common
    than they are. They are also texts that the caller may read, so nothing else shows through.
    """
    texts = counts.shape[0]
    holding = (counts > 0).sum(axis=0)
    return np.asarray(1 + np.log(1 + (texts - holding + 0.5) / (holding + 0.5)))


def coverage(counts: Counts, weights: Counts) -> Counts:
    """Give the share of the question's weight that each text holds: shape (texts,), 0..1."""
    total = float(weights.sum())
    if total == 0.0:
        return np.zeros(counts.shape[0])
    return np.asarray((counts > 0) @ weights / total)
