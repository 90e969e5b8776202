"""The numbers and bullets that Word computes for lists and headings."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

_DIGITS = "零一二三四五六七八九"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
_ROMAN_LOW = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
_LEVELS = 9


@dataclass(frozen=True, slots=True)
class _Level:
    """`text` is a pattern such as `%1.%2`."""

    format: str
    text: str
    start: int


class Numbering:
    """Counts through the lists of one document, in reading order."""

    def __init__(self, root: Element | None) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._abstract: dict[str, str] = {}
        self._counters: dict[str, list[int | None]] = {}
        if root is not None:
            self._read(root)

    def _read(self, root: Element) -> None:
        abstract = {item.get("abstractNumId", ""): _levels(item) for item in root.findall("abstractNum")}
        for item in root.findall("num"):
            link = item.find("abstractNumId")
            name = link.get("val", "") if link is not None else ""
            levels = dict(abstract.get(name, {}))
            overrides = item.findall("lvlOverride")
            for override in overrides:
                levels.update(_levels(override))
                start = override.find("startOverride")
                number = int(override.get("ilvl", "0"))
                if start is not None and number in levels:
                    level = levels[number]
                    levels[number] = _Level(level.format, level.text, int(start.get("val", "1")))
            key = item.get("numId", "")
            self._levels[key] = levels
            # Lists of one definition count on together, unless one says where it starts.
            self._abstract[key] = f"{name}/{key}" if overrides else name

    def next_marker(self, num_id: str, depth: int) -> str:
        """Count one item on and write its marker; empty for a list that does not exist or has none."""
        levels = self._levels.get(num_id)
        if not levels or depth not in levels:
            return ""
        counters = self._counters.setdefault(self._abstract[num_id], [None] * _LEVELS)
        current = counters[depth]
        counters[depth] = levels[depth].start if current is None else current + 1
        counters[depth + 1 :] = [None] * (_LEVELS - depth - 1)
        if levels[depth].format == "bullet":
            return "-"
        if levels[depth].format == "none":
            return ""
        return _expand(levels, counters, depth)


def _levels(parent: Element) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for level in parent.findall("lvl"):
        values = {
            name: found.get("val", "")
            for name in ("numFmt", "lvlText", "start")
            if (found := level.find(name)) is not None
        }
        start = values.get("start", "1")
        levels[int(level.get("ilvl", "0"))] = _Level(
            values.get("numFmt", "decimal"), values.get("lvlText", ""), int(start) if start.isdigit() else 1
        )
    return levels


def _expand(levels: dict[int, _Level], counters: list[int | None], depth: int) -> str:
    marker = levels[depth].text
    for number in range(min(depth + 1, _LEVELS)):
        if (level := levels.get(number)) is None:
            continue
        value = counters[number]
        marker = marker.replace(f"%{number + 1}", written(level.start if value is None else value, level.format))
    return marker.strip()


def written(number: int, style: str) -> str:
    """Write a number in one of Word's number formats; decimal for those not known here."""
    match style:
        case "lowerLetter" | "upperLetter":
            letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
            return letter.upper() if style == "upperLetter" else letter
        case "lowerRoman" | "upperRoman":
            return _roman(number).upper() if style == "upperRoman" else _roman(number)
        case "chineseCounting" | "chineseCountingThousand" | "japaneseCounting" | "taiwaneseCountingThousand":
            return _chinese(number)
        case "decimalZero":
            return f"{number:02d}"
        case "decimalEnclosedCircle" | "decimalEnclosedCircleChinese" if 1 <= number <= 20:
            return chr(0x2460 + number - 1)
        case _:
            return str(number)


def _roman(number: int) -> str:
    letters = ""
    for value, letter in (*_ROMAN, *_ROMAN_LOW):
        letters += letter * (number // value)
        number %= value
    return letters


def _chinese(number: int) -> str:
    if number < 10:
        return _DIGITS[max(0, number)]
    if number < 20:
        return "十" + (_DIGITS[number % 10] if number % 10 else "")
    if number < 100:
        return _DIGITS[number // 10] + "十" + (_DIGITS[number % 10] if number % 10 else "")
    if number < 1000:
        rest = number % 100
        if rest == 0:
            return _DIGITS[number // 100] + "百"
        inner = "零" + _DIGITS[rest] if rest < 10 else ("一" if rest < 20 else "") + _chinese(rest)
        return _DIGITS[number // 100] + "百" + inner
    return str(number)
