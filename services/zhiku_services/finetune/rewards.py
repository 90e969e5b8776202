"""What a program can say of an answer: 1 if it is right, 0 if not. The training of `grpo` learns from nothing else."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")


def last_number(answer: str, wanted: str) -> float:
    """Whether the last number of an answer is that of the answer that is known to be right."""
    given, right = _last(answer), _last(wanted)
    return float(right is not None and given == right)


def same_words(answer: str, wanted: str) -> float:
    """Whether an answer is the one that is known to be right, but for width, case, spaces and final stops."""
    return float(_plain(answer) == _plain(wanted))


def _last(text: str) -> float | None:
    found = _NUMBER.findall(unicodedata.normalize("NFKC", text))
    return float(found[-1].replace(",", "")) if found else None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(".。!?")


REWARDS: Mapping[str, Callable[[str, str], float]] = MappingProxyType(
    {"last_number": last_number, "same_words": same_words}
)
