"""Text as words that a question and a passage share.

The same function feeds the BM25 index and the rankers, on every engine, so that a laptop and a cluster
find the same. Chinese is cut by jieba's dictionary in search mode and also into pairs of characters
(marked `_`), which find what the dictionary cuts wrongly; English is stemmed (Snowball); numbers lose
their thousands separators; and dates also become one word for each precision: `2023年10月5日`,
`2023-10-05` and `October 5, 2023` all give `@2023-10-05` and `@2023-10`.
"""

import re
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

from zhiku_platform.text.stems import stem

with warnings.catch_warnings():
    # It imports pkg_resources, which warns that it will go, and has escapes that Python warns about.
    warnings.simplefilter("ignore")
    import jieba

HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002fa1f"
_WORD: Final = re.compile(
    rf"(?P<chinese>[{HAN}]+)"
    r"|(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.\d+|\d++(?![a-z]))"
    rf"|(?P<word>[^\W_{HAN}]+(?:['\u2019][a-z]+)?)"
)
_HAN_CHARACTER: Final = re.compile(rf"[{HAN}]")
_LATIN_LETTER: Final = re.compile(r"[A-Za-z]")
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTH: Final = "|".join(rf"{name}|{name[:3]}" for name in _MONTHS)
_DATES: Final = (
    re.compile(r"(?P<y>(?:19|20)\d\d)\s?年\s?(?:度)?(?:(?P<m>\d{1,2})\s?月(?:份)?(?:\s?(?P<d>\d{1,2})\s?[日号])?)?"),
    re.compile(r"(?<![\d.])(?P<y>(?:19|20)\d\d)[-/.](?P<m>\d{1,2})(?:[-/.](?P<d>\d{1,2}))?(?![\d])"),
    re.compile(rf"\b(?P<mon>{_MONTH})\b\.?\s+(?:(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+)?(?P<y>(?:19|20)\d\d)\b"),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<mon>{_MONTH})\b\.?,?\s+(?P<y>(?:19|20)\d\d)\b"),
)
# Function words and the words that ask, in English and Chinese.
_STOPWORDS: Final = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have how i if in into is it its
    me my of on or our s should so that the their them there these they this those to was we were what when
    where which who whom whose why will with would you your
    的 了 在 是 和 与 及 或 也 都 吗 呢 吧 啊 么 之 其 被 把 对 从 到 为 有
    我 你 他 她 它 我们 你们 他们 这 那 个 什么 哪 哪个 哪些 哪里 哪儿 谁 怎么 怎样 如何 为什么 多少 几
    请问 是否 一个 什么样 哪一 哪位 何 何时 请
    """.split()  # noqa: SIM905 - a list of words reads best as words
)


@lru_cache(maxsize=512)
def words(text: str) -> tuple[str, ...]:
    """Cut text into words in reading order; normalised dates come at the end."""
    return tuple(_cut(unicodedata.normalize("NFKC", text).lower()))


def content_words(text: str) -> tuple[str, ...]:
    """Cut text into words without those that carry no content, unless nothing else is left."""
    every = words(text)
    return tuple(word for word in every if word.removeprefix("_") not in _STOPWORDS) or every


def is_chinese(text: str) -> bool:
    """Tell whether Chinese characters carry a text: one says as much as some four Latin letters."""
    start = text[:2000]
    return 4 * len(_HAN_CHARACTER.findall(start)) > len(_LATIN_LETTER.findall(start))


def warm_up() -> None:
    """Load the Chinese dictionary now (about a second) and not on the first question."""
    _chinese_cutter()


def _cut(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        if match["chinese"]:
            yield from _chinese(match["chinese"])
        elif match["number"]:
            yield _plain_number(match["number"])
        else:
            yield from _latin(match["word"])
    yield from dates(text)


def _chinese(run: str) -> Iterator[str]:
    yield from _chinese_cutter().cut_for_search(run, HMM=False)
    yield from (f"_{run[at : at + 2]}" for at in range(len(run) - 1))


def _latin(word: str) -> Iterator[str]:
    yield stem(word)
    if not word.isalpha():
        # `iso27001` is also found as `iso` and `27001`, `5g` as itself only.
        parts = re.findall(r"[^\W\d_]{2,}|\d{2,}", word)
        if len(parts) > 1:
            yield from (stem(part) for part in parts)


def _plain_number(number: str) -> str:
    number = number.replace(",", "")
    return number.rstrip("0").rstrip(".") if "." in number else number


def dates(text: str) -> Iterator[str]:
    """Yield the dates of a text that is already NFKC and lower case, each as its month and its day."""
    for pattern in _DATES:
        for match in pattern.finditer(text):
            found = match.groupdict()
            month = _month(found)
            if month is None or not 1 <= month <= 12:
                continue
            yield f"@{found['y']}-{month:02}"
            if found["d"] and 1 <= int(found["d"]) <= 31:
                yield f"@{found['y']}-{month:02}-{int(found['d']):02}"


def _month(found: dict[str, str | None]) -> int | None:
    if number := found.get("m"):
        return int(number)
    name = found.get("mon")
    return None if name is None else [each[:3] for each in _MONTHS].index(name[:3]) + 1


_cutting = threading.Lock()


def _chinese_cutter() -> jieba.Tokenizer:
    with _cutting:
        return _loaded_cutter()


@cache
def _loaded_cutter() -> jieba.Tokenizer:
    cutter = jieba.Tokenizer()
    # `initialize` would keep its cache in the shared temporary folder and unmarshal what lies there.
    cutter.FREQ, cutter.total = cutter.gen_pfdict(cutter.get_dict_file())
    cutter.initialized = True
    return cutter
