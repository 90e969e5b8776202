"""What two texts share: content words, numbers with units, names, and whether they affirm or deny."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Final

from zhiku_platform.text.stems import stem
from zhiku_services.assistant.answering.dates import DATE, ORDINAL, take_ordered


def _words(text: str) -> list[str]:
    return text.split()


_HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN: Final = re.compile(
    rf"(?P<han>[{_HAN}]+)|(?P<number>\d+(?:,\d{{3}})*(?:\.\d+)?%?)|(?P<word>[^\W\d_{_HAN}]+(?:['\u2019][a-z]+)?)"
)
_ENGLISH_STOP: Final = frozenset(
    _words(
        "a an and any are as at be been being but by can could did do does doing done for from get gets had "
        "has have he her here his how i if in into is it its just may me might more most much must my no not "
        "of on one or our she should so some such than that the their them then there these they this those "
        "to us was we were what when where which who whom whose why will with would you your about many long "
        "often please tell s also want need needs"
    )
)
# Chinese words that ask or bind and do not name anything; longest first, so that none hides another.
_CHINESE_STOP: Final = re.compile(
    "|".join(
        sorted(
            _words(
                "请问 是什么 什么 为什么 为何 怎么样 怎么 怎样 如何 多少 多久 多长 几个 几种 哪些 哪个 哪两个 哪里 "
                "哪儿 哪年 哪一年 哪位 哪 谁 何时 何地 何人 什么时候 是否 能否 可否 可以 应该 应当 需要 我们 你们 "
                "他们 它们 公司的 我 你 他 她 它 的 了 吗 呢 吧 啊 么 是 在 和 与 及 或 也 都 之 其 被 把 对 从 到 为 "
                "有 这 那 个 几 由 于 以 并 而 则 等 所 请 来 去 要 能 会 多大 多高 多远 "
                "最大 最高 最多 最长 最少 一共 一个 一种 进行 属于 叫 做 称 最 不 该 此 就 还 又 再 说 给 让 使 得"
            ),
            key=len,
            reverse=True,
        )
    )
)
_CHINESE_DIGITS: Final[Mapping[str, int]] = {c: n for n, c in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
}
_CHINESE_SCALES: Final[Mapping[str, int]] = {"十": 10, "百": 100, "千": 1000}
_NUMERAL: Final = "零〇一二两三四五六七八九十百千万亿"
_MEASURES: Final = "天日月年周个小分元倍次条人名项度级章款层楼岁届种位家座件份套块支册页步场站路号亩米公吨克升秒时工自"
_CHINESE_NUMBER: Final = re.compile(rf"百分之(?P<percent>[{_NUMERAL}]+)|(?P<plain>[{_NUMERAL}]+)(?=[{_MEASURES}])")
_ENGLISH_NUMBERS: Final[Mapping[str, str]] = {
    word: str(number)
    for number, word in enumerate(
        _words("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen")
    )
    if number > 1
} | {
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "ninety": "90",
    "hundred": "100",
}
_UNITS: Final[Mapping[str, str]] = {
    spelling: unit
    for unit, spellings in {
        "day": "天 日 工作日 个工作日 自然日 day days working business calendar",
        "week": "周 星期 个星期 week weeks",
        "month": "月 个月 month months",
        "year": "年 周年 year years",
        "hour": "小时 个小时 hour hours",
        "minute": "分钟 minute minutes",
        "yuan": "元 块 块钱 人民币 ¥ yuan rmb cny",
        "wan": "万 万元",
        "percent": "% percent",
        "person": "人 名 位 people persons employees",
        "time": "次 times",
    }.items()
    for spelling in spellings.split()
}
_UNIT_NAMES: Final[Mapping[str, re.Pattern[str]]] = {
    unit: re.compile(
        "|".join(
            rf"\b{re.escape(spelling)}\b" if spelling.isascii() and spelling.isalpha() else re.escape(spelling)
            for spelling, named in _UNITS.items()
            if named == unit
        )
    )
    for unit in set(_UNITS.values())
}
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_UNIT_AFTER: Final = re.compile(rf"\s*-?\s*(?P<unit>[{_HAN}]{{1,4}}|%|[A-Za-z]+)")
# A denial that names a thing (未休年假, 未使用的设备) or a condition (未满, 未经) denies nothing of the clause.
_DENIALS: Final[Mapping[str, re.Pattern[str]]] = {
    "prohibited": re.compile(
        r"不得|不可(?!避免|或缺|抗)|不能|不准|不许|不允许|不应|禁止|严禁|切勿|请勿|勿"
        r"|\b(?:must|may|can|shall|should)\s?n[o']t\b|\bcannot\b|\bprohibit\w*|\bforbid\w*"
        r"|\bnot (?:be )?(?:allowed|permitted)\b"
        r"|\bnever\b",
        re.IGNORECASE,
    ),
    "unneeded": re.compile(
        r"无需|无须|不必|不需|不用|免于|免除"
        r"|\b(?:need|do|does|have) ?n[o']t (?:have |need )?(?:to|require)?|\bnot required\b"
        r"|\bno need\b|\bexempt\w*",
        re.IGNORECASE,
    ),
    "negated": re.compile(
        r"不(?!仅|但|断|同|久|少|超过|低于|高于|多于|少于|等|限|止|锈|动产|良|定期|论|管|妨|足|如|料|便|过|到)"
        r"|没有|未(?!来|成年|婚|必|休|满|经|[\u4e00-\u9fff]{1,6}?的[\u4e00-\u9fff])|(?<![\u4e00-\u9fff])无(?!线|论|锡|偿|人机|形|边|限)|非(?!常|洲|但|凡|典|遗)"
        r"|\bnot\b|n['\u2019]t\b|\bno\b(?!\.)|\bnone\b|\bwithout\b|\bneither\b|\bunable\b|\bineligible\b",
        re.IGNORECASE,
    ),
}


def fold(text: str) -> str:
    """Write a text in lower case with half-width letters, digits and marks."""
    return unicodedata.normalize("NFKC", text).lower()


@lru_cache(maxsize=8192)
def terms(text: str) -> frozenset[str]:
    """Collect the content words of a text: stems of English words, pairs of Chinese characters, numbers.

    A Chinese character that stands alone between words without content counts only if nothing else does.
    """
    found = _number_terms(text)
    single: set[str] = set()
    for match in _TOKEN.finditer(fold(text)):
        if match["han"]:
            for run in _CHINESE_STOP.split(match["han"]):
                found.update(run[i : i + 2] for i in range(len(run) - 1))
                single.update(run if len(run) == 1 else "")
        elif match["word"] and (word := match["word"]) not in _ENGLISH_STOP:
            found.add(_stem_of(word))
    return frozenset(found or single)


def content_runs(word: str) -> list[str]:
    """What carries content in a folded word or run of Chinese characters; single characters do not."""
    if "\u3400" <= word[0] <= "\u9fff":
        return [run for run in _CHINESE_STOP.split(word) if len(run) > 1]
    return [] if word in _ENGLISH_STOP or len(word) == 1 else [word]


@lru_cache(maxsize=8192)
def all_terms(text: str) -> frozenset[str]:
    """Collect every pair of Chinese characters and every stem, stop words included: what a text can confirm."""
    found = _number_terms(text)
    for match in _TOKEN.finditer(fold(text)):
        if match["han"]:
            run = match["han"]
            found.update(run)
            found.update(run[i : i + 2] for i in range(len(run) - 1))
        elif match["word"]:
            found.add(_stem_of(match["word"]))
    return frozenset(found)


@lru_cache(maxsize=8192)
def numbers(text: str) -> frozenset[str]:
    """Collect the numbers of a text, spelled alike: `三天` and `3 days` both give `3`, `1,200.0` gives `1200`."""
    return frozenset(number for number, _ in quantities(text))


@lru_cache(maxsize=8192)
def quantities(text: str) -> frozenset[tuple[str, str]]:
    """Collect (number, unit); the unit is "" where none is known.

    A date is `("03-31", "date")`, a number that gives a place in an order `("4", "ordinal")`.
    """
    found, folded = take_ordered(fold(text), _read_numeral)
    for match in _TOKEN.finditer(folded):
        if match["number"]:
            found.add((_plain(match["number"].rstrip("%")), _unit(folded, match.end("number"), match["number"])))
        elif match["word"] and match["word"] in _ENGLISH_NUMBERS:
            found.add((_ENGLISH_NUMBERS[match["word"]], _unit(folded, match.end(), "")))
    for match in _CHINESE_NUMBER.finditer(folded):
        numeral = match["percent"] or match["plain"]
        if (value := _read_numeral(numeral)) is not None:
            found.add((value, "percent" if match["percent"] else _unit(folded, match.end(), "")))
    return frozenset(found)


def _number_terms(text: str) -> set[str]:
    """Numbers as terms; a date is two, its month and its day."""
    found: set[str] = set()
    for number, unit in quantities(text):
        month, _, day = number.partition("-") if unit == DATE else ("", "", "")
        found |= {f"{month}-", f"-{day}"} if day else {number}
    return found


def states(source: str, number: str, unit: str) -> bool:
    """Whether a text says this number of this unit.

    A number that stands there with another unit does not; one without a unit does if the text names the unit, as the
    head of a column may.
    """
    units = {measure for told, measure in quantities(source) if told == number}
    if not units or not unit:
        return bool(units)
    if unit in units or (unit == "year" and _YEAR.fullmatch(number) is not None):
        return True
    return "" in units and (unit in {DATE, ORDINAL} or _names_unit(source, unit))


@lru_cache(maxsize=8192)
def _names_unit(source: str, unit: str) -> bool:
    return _UNIT_NAMES[unit].search(fold(source)) is not None


def _stem_of(word: str) -> str:
    return stem(word.replace("\u2019", "'").removesuffix("'s"))


def _unit(text: str, end: int, number: str) -> str:
    if number.endswith("%"):
        return "percent"
    after = _UNIT_AFTER.match(text, end)
    if after is None:
        return ""
    unit = after["unit"]
    return next((_UNITS[unit[:length]] for length in range(len(unit), 0, -1) if unit[:length] in _UNITS), "")


def _plain(number: str) -> str:
    number = number.replace(",", "")
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return number.lstrip("0") or "0"


def _read_numeral(numeral: str) -> str | None:
    """Read a Chinese numeral below a hundred million; None if it is none, such as `百` alone."""
    if all(char in _CHINESE_DIGITS for char in numeral):
        return _plain("".join(str(_CHINESE_DIGITS[char]) for char in numeral))
    total = section = digit = 0
    for char in numeral:
        if char in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[char]
        elif char in _CHINESE_SCALES:
            if digit == 0 and char != "十":
                return None
            section += (digit or 1) * _CHINESE_SCALES[char]
            digit = 0
        elif char == "万":
            total, section, digit = (section + digit) * 10_000, 0, 0
        else:
            return None
    return str(total + section + digit) if total + section + digit else None


def denials(text: str) -> frozenset[str]:
    """Name how a text denies: `prohibited`, `unneeded`, `negated`; empty if it affirms."""
    found = {kind for kind, pattern in _DENIALS.items() if pattern.search(text)}
    return frozenset(found - {"negated"} if len(found) > 1 else found)


@lru_cache(maxsize=4096)
def names(text: str) -> frozenset[str]:
    """Collect what must not be invented: Latin words in Chinese, capitals in English, what is quoted in both."""
    folded = unicodedata.normalize("NFKC", text)
    found = set(re.findall(r"[《「『“]([^》」』”]{1,40})[》」』”]", folded))
    if re.search(rf"[{_HAN}]", folded):
        found.update(re.findall(r"[A-Za-z][A-Za-z0-9.+-]+", folded))
    else:
        found.update(re.findall(r"(?<=[a-z,;:)0-9] )(?!I\b)[A-Z][A-Za-z0-9+-]+", folded))
        found.update(re.findall(r"\b[A-Z]{2,}[0-9]*\b|\b\w*\d\w*[A-Za-z]\w*\b", folded))
    return frozenset(fold(name).strip(" .+-") for name in found) - {""}


@dataclass(frozen=True, slots=True)
class Rarity:
    """How much each term tells one text from the others (BM25's idf over `texts`)."""

    weights: Mapping[str, float]
    unseen: float

    @classmethod
    def of(cls, texts: Sequence[frozenset[str]]) -> "Rarity":
        counts: dict[str, int] = {}
        for text in texts:
            for term in text:
                counts[term] = counts.get(term, 0) + 1
        total = len(texts)
        # The floor keeps the topic, which every sentence of a text may name, from weighing nothing.
        return cls(
            {term: 0.3 + log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in counts.items()},
            0.3 + log(1 + 2 * total + 1),
        )

    def weigh(self, wanted: Iterable[str]) -> float:
        return sum(self.weights.get(term, self.unseen) for term in wanted)

    def emphasising(self, emphasised: frozenset[str]) -> "Rarity":
        """The same, with some terms weighing twice."""
        doubled = {term: 2 * self.weights[term] for term in emphasised if term in self.weights}
        return Rarity({**self.weights, **doubled}, self.unseen)

    def known(self, wanted: frozenset[str]) -> frozenset[str]:
        """Those of the terms that occur in any of the texts."""
        return frozenset(term for term in wanted if term in self.weights)

    def coverage(self, wanted: frozenset[str], text: frozenset[str]) -> float:
        """The share of `wanted`, by weight, that `text` holds; 0 if nothing is wanted."""
        whole = self.weigh(wanted)
        return self.weigh(wanted & text) / whole if whole else 0.0
