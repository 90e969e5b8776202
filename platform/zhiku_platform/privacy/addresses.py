"""Addresses, by rules on top of places and forms."""

import re
from collections.abc import Iterable, Iterator

from zhiku_platform.privacy.findings import Entity, Finding

_HAN = r"\u4e00-\u9fff"
_PROVINCES = (
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南"
    "|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门|广州|深圳|杭州|南京|武汉|成都|西安|苏州|郑州|长沙|青岛|沈阳|宁波|昆明|大连|厦门|合肥|济南|福州"
)
_ROAD = re.compile(
    rf"[{_HAN}]{{1,24}}?(?:路|街|大道|道|巷|弄|胡同|镇|乡|村|里|园|苑|小区|社区|广场|大厦|城|区)"
    r"(?: ?(?:[0-9A-Za-z一二三四五六七八九十]{1,5}(?:-\d{1,5})?(?:号院|号楼|号|弄|栋|幢|座|单元|组|室|楼|层|房|期)|\d{3,4}(?![0-9A-Za-z年元万亿米人]))){1,6}"
)
_LEAD = re.compile(
    r".*(?:家住|住在|住址|居住|地址|位于|寄到|寄往|寄至|送到|送至|搬到|前往|来自|在|到|至|住|是|为|往|于|的|从|和|与)"
)
_GAZETTEER = re.compile(_PROVINCES)
_HOUSE = re.compile(r"[号弄栋幢座室楼层元路街道]")
_TAIL = re.compile(
    r" ?(?:[0-9A-Za-z一二三四五六七八九十]{1,5}(?:-\d{1,5})?(?:号院|号楼|号|弄|栋|幢|座|单元|组|室|楼|层|房|期)){1,6}(?:\d{3,4}(?:室|房)?)?"
)

_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Way|Parkway"
    r"|Pkwy|Circle|Cir|Highway|Hwy|Trail|Alley|Close|Crescent|Green|Row|Plaza|Rua|Avda|Calle|Via|rue|ul|ulica|Strasse|Straße)"
)
_NAME = r"[^\W\d_][\w'’.\-]{0,24}"
_UNIT = r"(?:Apt|Suite|Unit|Ste|Box|Postbox|#)\.? ?\d{1,5}"
_MORE = rf"(?:,?\s{{1,3}}{_UNIT})?"
_CITY = rf"(?:,?[ \n>]{{1,4}}{_NAME}(?: {_NAME}){{0,4}}(?=\s{{0,2}},|\n)(?:\s{{0,2}},\s?[A-Z]{{2,3}})?(?:\s{{1,4}}{_NAME}(?: {_NAME}){{0,3}})?(?: \d{{4,6}})?)?"
ENGLISH = re.compile(
    rf"(?<![\w.\-/])(?:"
    rf"\d{{1,6}} (?:{_NAME} |\d{{1,5}}(?:st|nd|rd|th)? ){{1,5}}(?:\d{{1,5}}\b|{_STREET}\b\.?)(?:\s{{1,3}}\d{{1,4}}\b)?{_MORE}{_CITY}"
    rf"|\d{{1,6}} {_NAME}(?: {_NAME}){{0,4}},?\s{{1,3}}{_UNIT}{_CITY}"
    rf"|(?:{_NAME} ){{1,4}}\d{{1,5}},?\s{{1,3}}{_UNIT}{_CITY}"
    rf"|(?:Rua|Via|Viale|Piazza|Calle|Avenida|Avda|rue|ul|C/)\.? (?:{_NAME} ){{1,5}}\d{{1,5}}\b"
    rf"|[^\W\d_]{{3,24}}(?:stra(?:ss|ß)e|str|gasse|allee|weg|platz|straat|laan|vej|gade|v[äa]gen|gatan|veien|gata|katu|tie)\.? \d{{1,4}}\b"
    rf"|{_UNIT}(?:,? {_UNIT})?\s[DFA]PO [A-Z]{{2}} \d{{5}}|(?:PSC|Unit|CMR) \d{{1,5}},? Box \d{{1,5}}\s[ADF]PO [A-Z]{{2}} \d{{5}}"
    rf"|(?:USNV|USNS|USS|USCGC) {_NAME}\s[ADF]PO [A-Z]{{2}} \d{{5}})",
    re.IGNORECASE,
)
_ENGLISH_TRIGGER = re.compile(r"\d")


def find_addresses(text: str, places: Iterable[Finding]) -> Iterator[Finding]:
    """Find addresses with a house number, given the places that were found; text is normalised."""
    for match in _ROAD.finditer(text):
        start, end = match.span()
        yield Finding(_begin(text, start, end), end, Entity.ADDRESS, 0.6, "address-zh")
    yield from _chains(text, sorted(p for p in places if p.type is Entity.LOCATION))
    if _ENGLISH_TRIGGER.search(text):
        for match in ENGLISH.finditer(text):
            yield Finding(match.start(), match.end(), Entity.ADDRESS, 0.62, "address-en")


def _begin(text: str, start: int, end: int) -> int:
    """Where the address begins: at a province or city, or behind the words that lead to it."""
    if city := _GAZETTEER.search(text, start, end):
        return city.start()
    lead = _LEAD.match(text, start, end - 4)
    return lead.end() if lead else start


def _chains(text: str, places: list[Finding]) -> Iterator[Finding]:
    """Join Chinese places that touch, with the house behind them."""
    n = 0
    while n < len(places):
        first = last = places[n]
        n += 1
        while n < len(places) and places[n].start == last.end and "\u4e00" <= text[last.end - 1] <= "\u9fff":
            last = places[n]
            n += 1
        tail = _TAIL.match(text, last.end)
        end = tail.end() if tail else last.end
        if text[end - 1].isdigit() and text[end : end + 1] in {*"号弄栋幢座室楼层房"}:
            end += 1
        value = text[first.start : end]
        if any(c.isdigit() for c in value) and _HOUSE.search(value):
            yield Finding(first.start, end, Entity.ADDRESS, 0.63, "address-zh-chain")
        elif last is not first:
            yield Finding(first.start, end, Entity.LOCATION, 0.56, "location-chain")
