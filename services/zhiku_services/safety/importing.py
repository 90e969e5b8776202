"""Takes over a list of words from elsewhere, less those that fire on ordinary sentences, and says which those are.

Public lists hold single characters and everyday words. What fires is found by the matcher itself, so with every way to
write a word that it would also find later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zhiku_platform.contracts.safety import Category, Severity
from zhiku_services.safety.errors import LexiconError
from zhiku_services.safety.folding import fold
from zhiku_services.safety.lexicon import LEAST_CHARS, Term
from zhiku_services.safety.matching import Matcher

_SEVERAL: Final = ("|", ",", "，", "\t")
"""Lists from elsewhere write words that count only together with these between."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A word that is found in `times` ordinary texts, the first of which is `example`."""

    word: str
    times: int
    example: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list: the terms to use, and what was left out of it and why."""

    terms: list[Term]
    fired: list[Fired]
    too_short: list[str]
    several: list[str]

    def as_json(self) -> dict[str, Any]:
        return {
            "kept": len(self.terms),
            "too_short": self.too_short,
            "several": self.several,
            "fired": [{"word": one.word, "times": one.times, "example": one.example} for one in self.fired],
        }


def import_words(words: Iterable[str], category: Category, severity: Severity, ordinary: Iterable[str]) -> Imported:
    """Sort out a list, one word an entry.

    Left out are words of fewer than two characters once folded or of more than a hundred, entries that are several
    words, and whatever is found in an `ordinary` text; these come with the most frequent first.
    """
    taken: list[Term] = []
    too_short: list[str] = []
    several: list[str] = []
    for word in dict.fromkeys(word.strip() for word in words if word.strip()):
        if any(mark in word for mark in _SEVERAL):
            several.append(word)
        elif len(fold(word).chars) < LEAST_CHARS or len(word) > 100:
            too_short.append(word)
        else:
            taken.append(Term(text=word, category=category, severity=severity))
    fired = _fired(taken, ordinary)
    names = {one.word for one in fired}
    return Imported([term for term in taken if term.text not in names], fired, too_short, several)


def read_words(path: Path) -> list[str]:
    """The lines of a file, in UTF-8 or GB 18030.

    Raises:
        LexiconError: it is no such file.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LexiconError(f"{path} cannot be read.", remedy="Name a file with one word a line.") from error
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding).splitlines()
        except UnicodeDecodeError:
            continue
    raise LexiconError(f"{path} is neither UTF-8 nor GB 18030.", remedy="Save it as UTF-8.")


def ordinary_sentences() -> list[str]:
    """Sentences of offices, hospitals, lawyers and administrators, written for Zhiku, in Chinese and English."""
    return (Path(__file__).parent / "ordinary.txt").read_text(encoding="utf-8").splitlines()


def write_terms(terms: Iterable[Term], path: Path) -> None:
    """Write a file for `ZHIKU_SAFETY_TERMS`."""
    path.write_text("".join(f"{term.model_dump_json(exclude_defaults=True)}\n" for term in terms), encoding="utf-8")


def _fired(terms: Sequence[Term], ordinary: Iterable[str]) -> list[Fired]:
    matcher = Matcher(terms)
    times: dict[str, int] = {}
    examples: dict[str, str] = {}
    for text in ordinary:
        for word in {match.term.text for match in matcher.find(text)}:
            times[word] = times.get(word, 0) + 1
            examples.setdefault(word, text)
    return [Fired(word, times[word], examples[word]) for word in sorted(times, key=lambda word: (-times[word], word))]
