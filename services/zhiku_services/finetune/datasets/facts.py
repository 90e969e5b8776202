"""What a text claims that must not change by accident, and when two answers claim the opposite.

Used to keep augmentation honest, and to find examples that teach both a thing and its contrary.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

_UNITS = (
    r"%|‰|mmhg|mg|kg|g|ml|l|km|cm|mm|m|mol|kb|mb|gb|tb|hours?|minutes?|days?|weeks?|months?|years?|usd|cny|eur|"
    r"小时|分钟|工作日|天|日|周|个月|月|年|岁|元|万元|亿元|人|次|倍|个|项|条|毫克|克|千克|公斤|毫升|升|公里|米|厘米|毫米|度"
)
_BOUNDS = r"≥|≤|>=|<=|>|<|不低于|不超过|至少|最少|至多|最多|at least|at most|over|under"
_BOUND = re.compile(_BOUNDS)
_NUMBER = re.compile(
    rf"(?P<sign>{_BOUNDS})?\s*"
    rf"(?P<number>\d+(?:[.,]\d+)*|[零〇一二两三四五六七八九十百千万亿]+)\s*(?P<unit>{_UNITS})?(?![a-z])"
)
_SIGNS: Mapping[str, str] = {
    "≥": ">=", "不低于": ">=", "至少": ">=", "最少": ">=", "at least": ">=", "over": ">",
    "≤": "<=", "不超过": "<=", "至多": "<=", "最多": "<=", "at most": "<=", "under": "<",
}  # fmt: skip
_NEGATION = re.compile(
    r"不(?!但|仅|过|断|同|少|管|论|久|然|得不|可避免)|没有|并非|无法|无需|切勿|请勿|勿|禁止|严禁|未(?!来|必)|别(?=[^的人处墅])|"
    r"\b(?:not|never|no|cannot|without|neither|nor|none)\b|n't\b"
)
_CLAUSE = re.compile(r"[，。；！？,;!?\n]|(?<=[a-z])\.\s")
_DIGITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_TENS = {"十": 10, "百": 100, "千": 1000}
_YES = re.compile(r"^\s*(?:是的?|对|可以|能|有|会|需要|应该|yes\b|correct\b|true\b)")
_NO = re.compile(r"^\s*(?:不|否|没有|无|no\b|not\b|incorrect\b|false\b)")
_NAME = re.compile(r"\b[A-Z][A-Za-z0-9]*(?:[-–][A-Za-z0-9]+)*\b")
_SHARED_ZH = 4
_HAN = re.compile(r"[\u4e00-\u9fff]+")
_LATIN = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True)
class Facts:
    """The numbers with their bound and unit, all bounds, how often the text negates, and names in Latin letters."""

    numbers: frozenset[tuple[str, str, str]]
    bounds: tuple[str, ...]
    negations: int
    names: frozenset[str]


def facts_of(text: str) -> Facts:
    """The facts of a text, read without a model."""
    folded = unicodedata.normalize("NFKC", text)
    return Facts(
        numbers=frozenset(_numbers(folded.lower())),
        bounds=tuple(sorted(_SIGNS.get(match[0], match[0]) for match in _BOUND.finditer(folded.lower()))),
        negations=len(_NEGATION.findall(folded.lower())),
        names=frozenset(match[0] for match in _NAME.finditer(folded) if _is_name(folded, match)),
    )


def _is_name(text: str, match: re.Match[str]) -> bool:
    """The first word of a sentence has a capital whether it is a name or not."""
    before = text[: match.start()].rstrip()
    return len(match[0]) > 1 and bool(before) and before[-1] not in ".!?:\n。"


def changed_facts(before: str, after: str) -> list[str]:
    """What a rewritten text claims otherwise: `numbers`, `negation`, `names`. Empty if it says the same."""
    old, new = facts_of(before), facts_of(after)
    changes = {
        "numbers": (old.numbers, old.bounds) != (new.numbers, new.bounds),
        "negation": old.negations != new.negations,
        "names": old.names != new.names,
    }
    return [name for name, is_changed in changes.items() if is_changed]


def disagreement(prompt: str, one: str, other: str) -> str | None:
    """Why two answers to the same prompt cannot both be right, or None if nothing speaks for that."""
    if _polarity(one) * _polarity(other) < 0:
        return "one says yes, the other no"
    numbers_of_prompt = {number for _, number, _ in facts_of(prompt).numbers}
    mine, theirs = _measured(one, numbers_of_prompt), _measured(other, numbers_of_prompt)
    for unit in sorted(mine.keys() & theirs.keys() - {""}):
        if not mine[unit] & theirs[unit]:
            return f"one says {_shown(mine[unit], unit)}, the other {_shown(theirs[unit], unit)}"
    for negating, saying in ((one, other), (other, one)):
        if shared := _denied(prompt, negating, saying):
            return f"one says what the other denies: {shared}"
    return None


def _polarity(answer: str) -> int:
    if _NO.match(answer.lower()):
        return -1
    return 1 if _YES.match(answer.lower()) else 0


def _measured(answer: str, known: set[str]) -> dict[str, frozenset[str]]:
    """The numbers of an answer by their unit, without those that the question gave."""
    found: dict[str, set[str]] = {}
    for sign, number, unit in facts_of(answer).numbers:
        if number not in known:
            found.setdefault(unit, set()).add(sign + number)
    return {unit: frozenset(numbers) for unit, numbers in found.items()}


def _shown(numbers: frozenset[str], unit: str) -> str:
    return ", ".join(f"{number}{unit}" for number in sorted(numbers))


def _denied(prompt: str, negating: str, saying: str) -> str | None:
    """What one answer denies and the other says, if the question does not speak of it already."""
    said = [clause for clause in _clauses(saying) if not _NEGATION.search(clause)]
    for clause in _clauses(negating):
        if not _NEGATION.search(clause):
            continue
        for words in _topics(clause, prompt):
            if any(all(word in other for word in words) for other in said):
                return " ".join(words)
    return None


def _clauses(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).lower()
    return [clause for clause in _CLAUSE.split(folded) if clause.strip()]


def _topics(clause: str, prompt: str) -> list[tuple[str, ...]]:
    """What a clause is about: stretches of Chinese, or pairs of English words, that the question does not have."""
    asked = unicodedata.normalize("NFKC", prompt).lower()
    bare = _NEGATION.sub("|", clause)
    found: list[tuple[str, ...]] = []
    for run in _HAN.findall(bare):
        found += [(run[n : n + _SHARED_ZH],) for n in range(len(run) - _SHARED_ZH + 1)]
    words = _LATIN.findall(bare)
    found += pairwise(words)
    return [topic for topic in found if not all(word in asked for word in topic)]


def _numbers(text: str) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for match in _NUMBER.finditer(text):
        number = match["number"]
        if not number[0].isdigit():
            # 一 and 十 are also plain words: without a unit or a comparison they count as no number.
            if match["unit"] is None and match["sign"] is None:
                continue
            number = str(_chinese_number(number))
        number = number.replace(",", "")
        number = number.rstrip("0").rstrip(".") if "." in number else number
        unit = match["unit"] or ""
        unit = unit.removesuffix("s") if len(unit) > 3 else unit
        found[_SIGNS.get(match["sign"] or "", match["sign"] or ""), number, unit] += 1
    return found


def _chinese_number(text: str) -> int:
    """The value of a number in Chinese characters, such as 二十三 or 一千零五十."""
    total = section = digit = 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _TENS:
            section += (digit or 1) * _TENS[character]
            digit = 0
        else:
            total = (total + section + digit) * (10_000 if character == "万" else 100_000_000)
            section = digit = 0
    return total + section + digit
