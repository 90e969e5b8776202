"""Write a cell's number as the spreadsheet shows it."""

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

BUILTIN: dict[int, str] = {
    0: "General",
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: "yyyy-mm-dd",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    27: 'yyyy"年"m"月"',
    28: 'm"月"d"日"',
    29: 'm"月"d"日"',
    30: "m-d-yy",
    31: 'yyyy"年"m"月"d"日"',
    32: 'h"时"mm"分"',
    33: 'h"时"mm"分"ss"秒"',
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
    57: 'yyyy"年"m"月"',
    58: 'm"月"d"日"',
}
_TOKEN = re.compile(
    r'"(?P<literal>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[(?P<elapsed>h+|m+|s+)\]'
    r"|\[(?P<condition>[^\]]*)\]|_(?P<pad>.)|\*(?P<fill>.)|(?P<ampm>AM/PM|A/P|上午/下午)"
    r"|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?|e(?![+-]))|(?P<exponent>[Ee][+-]0+)|(?P<number>[#0?][#0?,.]*|\.[0#?]+)"
    r"|(?P<percent>%)|(?P<text>@)|(?P<general>General)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Room for the greatest float and the longest number format.
_WIDE = Context(prec=1000)
_LAST_SERIAL = 2_958_466
_Tokens = tuple[tuple[str, str], ...]


def shown(value: float, code: str, *, from_1904: bool = False) -> str:
    """Write `value` by the number format `code`.

    Dates come as the format orders them; colours and padding are left out; fractions fall back to the
    plain number. A date outside the calendar is written as its number.
    """
    tokens, negative_section = _section(code, value)
    kinds = {kind for kind, _ in tokens}
    if kinds & {"date", "elapsed"}:
        if 0 <= value < _LAST_SERIAL:
            return _date(value, tokens, from_1904=from_1904)
        return plain(value)
    if "/" in {text for _, text in tokens} or not kinds & {"number", "percent", "exponent"}:
        literal = "".join(text for kind, text in tokens if kind in {"literal", "escaped"})
        return literal if tokens and kinds <= {"literal", "escaped"} else plain(value)
    return _number(abs(value) if negative_section else value, tokens)


def plain(value: float) -> str:
    """Write a number with up to 12 significant digits and no trailing zeros."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}"


def _section(code: str, value: float) -> tuple[_Tokens, bool]:
    """Choose the part of a format for this value; true if it is the one for negative numbers."""
    sections = _parsed(code)
    if value < 0 and len(sections) > 1:
        return sections[1], True
    if value == 0 and len(sections) > 2 and sections[2]:
        return sections[2], False
    return sections[0], False


@lru_cache(maxsize=1024)
def _parsed(code: str) -> list[_Tokens]:
    sections: list[list[tuple[str, str]]] = [[]]
    for match in _TOKEN.finditer(code[:500]):
        kind = match.lastgroup or "other"
        text = match[kind]
        if kind == "other" and text == ";":
            sections.append([])
        elif kind == "currency":
            sections[-1].append(("literal", text))
        elif kind not in {"condition", "pad", "fill"}:
            sections[-1].append((kind, text))
    return [tuple(section) for section in sections]


def _number(value: float, tokens: _Tokens) -> str:
    value *= 100 ** sum(kind == "percent" for kind, _ in tokens)
    exponent = next((text for kind, text in tokens if kind == "exponent"), None)
    parts: list[str] = []
    written = False
    for kind, text in tokens:
        if kind == "number" and not written:
            parts.append(_scientific(value, text, exponent) if exponent else _decimal(value, text))
            written = True
        elif kind not in {"number", "exponent", "general"}:
            parts.append(text)
    return "".join(parts).strip()


def _scientific(value: float, pattern: str, exponent: str) -> str:
    digits = len(pattern.partition(".")[2])
    mantissa, _, power = f"{value:.{digits}e}".partition("e")
    sign = "+" if exponent[1] == "+" and int(power) >= 0 else "-" if int(power) < 0 else ""
    return f"{mantissa}E{sign}{abs(int(power)):0{len(exponent) - 2}d}"


def _decimal(value: float, pattern: str) -> str:
    scaled = len(pattern) - len(pattern.rstrip(","))
    whole, _, fraction = pattern.rstrip(",").partition(".")
    digits, required = len(fraction), len(fraction.rstrip("#?"))
    separator = "," if "," in whole else ""
    # Spreadsheets round a half away from zero, and take the number as it is written.
    step = Decimal(1).scaleb(-digits)
    exact = Decimal(repr(value)).scaleb(-3 * scaled).quantize(step, ROUND_HALF_UP, _WIDE)
    text = f"{exact:{separator}f}"
    if digits > required:
        head, _, tail = text.partition(".")
        tail = tail[:required] + tail[required:].rstrip("0")
        text = f"{head}.{tail}" if tail else head
    minimum = whole.replace(",", "").count("0")
    sign, body = ("-", text[1:]) if text.startswith("-") else ("", text)
    integer, dot, rest = body.partition(".")
    return sign + integer.rjust(minimum, "0") + dot + rest


def _date(value: float, tokens: _Tokens, *, from_1904: bool) -> str:
    # The first sixty days of 1900 are one off: Lotus took 1900 for a leap year, and Excel kept that.
    base = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30 if value >= 60 else 31)  # noqa: DTZ001
    moment = base + timedelta(seconds=round(value * 86_400))
    twelve = any(kind == "ampm" for kind, _ in tokens)
    parts: list[str] = []
    for number, (kind, text) in enumerate(tokens):
        if kind == "elapsed":
            seconds = round(value * 86_400)
            unit = {"h": 3600, "m": 60, "s": 1}[text[0].lower()]
            parts.append(str(seconds // unit))
        elif kind == "ampm":
            parts.append(("上午", "下午")[moment.hour >= 12] if "/下" in text else ("AM", "PM")[moment.hour >= 12])
        elif kind == "date":
            minutes = text[0] in "mM" and len(text) <= 2 and _is_minute(tokens, number)
            parts.append(_date_part(moment, text.lower(), minutes=minutes, twelve=twelve))
        elif kind != "text":
            parts.append(text)
    return "".join(parts).strip()


def _is_minute(tokens: _Tokens, number: int) -> bool:
    """`m` means minutes after hours or before seconds."""
    before = [text[0].lower() for kind, text in tokens[:number] if kind in {"date", "elapsed"}]
    after = [text[0].lower() for kind, text in tokens[number + 1 :] if kind in {"date", "elapsed"}]
    return (bool(before) and before[-1] == "h") or (bool(after) and after[0] == "s")


def _date_part(moment: datetime, token: str, *, minutes: bool, twelve: bool) -> str:
    unit, width = token[0], len(token.partition(".")[0])
    if unit in "ye":
        return str(moment.year) if width != 2 else f"{moment.year % 100:02d}"
    if unit == "m" and not minutes and width >= 3:
        return moment.strftime("%B") if width == 4 else _MONTHS[moment.month - 1]
    if unit == "d" and width >= 3:
        return moment.strftime("%A") if width == 4 else _DAYS[moment.weekday()]
    hour = (moment.hour % 12 or 12) if twelve else moment.hour
    value = {"m": moment.minute if minutes else moment.month, "d": moment.day, "h": hour, "s": moment.second}[unit]
    return f"{value:02d}" if width == 2 else str(value)
