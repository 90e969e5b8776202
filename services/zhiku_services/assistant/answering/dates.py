"""Dates and places in an order, told apart from amounts: `31 March` is no 31 days, and `第4条` no 4 of anything."""

import re
from collections.abc import Callable
from typing import Final

DATE: Final = "date"
ORDINAL: Final = "ordinal"

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_NUMERAL: Final = r"\d{1,2}|[一二三四五六七八九十]{1,3}"
_DATES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<month>{_NUMERAL})\s*月\s*(?P<day>{_NUMERAL})\s*[日号]",
        r"(?<=\d{4}[-/.])(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)",
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}(?!(?<=may)(?:-| [a-z]))\b",
        rf"\b{_MONTH}\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.,]?\d|%)",
    )
)
_NUMBERED: Final = r"section|chapter|page|room|step|article|clause|appendix|figure|table|version|no\.|item|part|phase"
_ORDINALS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"第\s*(?P<number>{_NUMERAL}|\d+)",
        rf"(?:每个?|当|次|本|上|下)月(?:的)?\s*(?P<number>{_NUMERAL})\s*[日号]",
        r"\b(?P<number>\d+)(?:st|nd|rd|th)\b",
        rf"\b(?:{_NUMBERED})\s+(?P<number>\d+)(?![.,]?\d)",
    )
)


def take_ordered(folded: str, read: Callable[[str], str | None]) -> tuple[set[tuple[str, str]], str]:
    """Take dates and ordinal numbers out of a folded text: (value, `date` or `ordinal`), and the text that is left.

    A date's value is `03-31`, with no year, which is a number of its own. `read` makes a numeral of digits.
    """
    found: set[tuple[str, str]] = set()

    def date(match: re.Match[str]) -> str:
        month = _MONTHS.index(match["name"][:3]) + 1 if "name" in match.re.groupindex else _number(match["month"], read)
        day = _number(match["day"], read)
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return match[0]
        found.add((f"{month:02}-{day:02}", DATE))
        return " "

    def ordinal(match: re.Match[str]) -> str:
        found.add((str(_number(match["number"], read)), ORDINAL))
        return f"{match[0][: match.start('number') - match.start()]} {match[0][match.end('number') - match.start() :]}"

    for pattern in _DATES:
        folded = pattern.sub(date, folded)
    for pattern in _ORDINALS:
        folded = pattern.sub(ordinal, folded)
    return found, folded


def _number(numeral: str, read: Callable[[str], str | None]) -> int:
    return int(numeral) if numeral.isascii() else int(read(numeral) or 0)
