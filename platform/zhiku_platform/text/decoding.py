"""Find the encoding of a text file: Unicode, the Chinese encodings, then the rest."""

import codecs
import re
from typing import NamedTuple

from charset_normalizer import from_bytes

from zhiku_platform.errors import ZhikuError

_SAMPLE_BYTES = 64_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The most frequent characters of written Chinese, in simplified and in traditional form. Running text
# has them at every third place or so; bytes decoded by the wrong table do not.
_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然"
    "家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机"
    "十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西"
    "斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打"
    "条款规定人民法律法规应当责任单位部门企业公司员工管理系统数据安全使用服务，。、：；！？（）《》“”"
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實軍無與長機關點業將兩間問並應戰頭體見產"
    "話給門處義條係氣題爾別規責單員數據務資訊請電臺灣「」"
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_PRIVATE = re.compile("[\ue000-\uf8ff\ufffd\U000f0000-\U0010fffd]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_CHINESE_ENCODINGS = ("gb18030", "big5hkscs")
_LIKE_CP1252 = frozenset({"cp1250", "cp1254", "cp1257", "cp1258", "iso8859_15", "latin_1", "mac_roman", "cp850"})
# Below this share of frequent characters among Han ones a text is not taken to be running Chinese.
_MIN_FREQUENT = 0.12
# Ours: with bytes that its encoding does not know, it has to read as Chinese beyond doubt.
_MIN_FREQUENT_DAMAGED = 0.25
# Ours: how many characters bear out an encoding against one that does not fit it; and where only the ends do not.
_MIN_GOOD = 20
_MIN_GOOD_CUT = 2


class UndecodableTextError(ZhikuError):
    status = 422
    code = "undecodable_text"
    title = "Unknown text encoding"


class Decoded(NamedTuple):
    text: str
    encoding: str


def decode(data: bytes) -> Decoded:
    """Decode a text file, without its byte order mark.

    Tried in this order: byte order mark, UTF-8, UTF-16 without a mark, UTF-8, GB18030 or Big5 with a few bytes
    that do not belong to it, and what charset-normalizer finds. What cannot be decoded becomes U+FFFD.

    Raises:
        UndecodableTextError: no encoding gives readable text, or the bytes are no text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return Decoded(_marked(data, encoding), encoding.removesuffix("-sig"))
    if (text := _try(data, "utf-8")) is not None and not _looks_binary(text):
        return Decoded(text, "utf-8")
    for guess in (_utf16_without_mark, _damaged_utf8, _chinese, _by_statistics):
        if (found := guess(data)) is not None:
            return found
    raise _undecodable()


def _marked(data: bytes, encoding: str) -> str:
    text = data.decode(encoding, errors="replace")
    if _bad(text) * _MIN_GOOD > len(text):
        raise _undecodable()
    return text


def _bad(text: str) -> int:
    return text.count("\ufffd")


def _undecodable() -> UndecodableTextError:
    return UndecodableTextError(
        "The encoding of this text could not be found.", remedy="Save the file as UTF-8 and upload it again."
    )


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _looks_binary(text: str) -> bool:
    sample = text[:_SAMPLE_BYTES]
    return len(_CONTROL.findall(sample)) > max(1, len(sample) // 100)


def _damaged_utf8(data: bytes) -> Decoded | None:
    """Recognise UTF-8 with few bad bytes: other encodings hardly ever give a sequence of several bytes."""
    text = data.decode("utf-8", errors="replace")
    good = len(text) - len(text.encode("ascii", "ignore")) - _bad(text)
    # A file may begin and end amid a character: a log that was rotated, a copy that broke off.
    inner = _bad(text.strip("\ufffd"))
    if good < (_MIN_GOOD * inner if inner else _MIN_GOOD_CUT) or _looks_binary(text):
        return None
    return Decoded(text, "utf-8")


def _utf16_without_mark(data: bytes) -> Decoded | None:
    """Recognise UTF-16 by zero bytes at every second place, or by bytes that read as Chinese."""
    if len(data) % 2:
        return None
    sample = data[:_SAMPLE_BYTES]
    half = max(1, len(sample) // 2)
    for encoding, high, low in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        mostly_ascii = high.count(0) > 0.4 * half and low.count(0) < 0.05 * half
        text = _try(data, encoding)
        if text is None or _looks_binary(text) or _PRIVATE.search(text[:_SAMPLE_BYTES]):
            continue
        if mostly_ascii or _chineseness(text) > 0.3:
            return Decoded(text, encoding)
    return None


def _chinese(data: bytes) -> Decoded | None:
    candidates: list[tuple[float, Decoded]] = []
    for encoding in _CHINESE_ENCODINGS:
        text = data.decode(encoding, errors="replace")
        score = _chineseness(text)
        least = _MIN_FREQUENT_DAMAGED if _bad(text) else _MIN_FREQUENT
        if score >= least and _bad(text) * _MIN_GOOD < len(text) and not _looks_binary(text):
            candidates.append((score, Decoded(text, encoding)))
    return max(candidates, key=lambda candidate: candidate[0], default=(0.0, None))[1]


def _chineseness(text: str) -> float:
    """Share of frequent characters among all that are not ASCII, less the share of private-use ones."""
    sample = [char for char in text[:_SAMPLE_BYTES] if not char.isascii()]
    if not sample or not _HAN.search("".join(sample)):
        return 0.0
    frequent = sum(char in _FREQUENT for char in sample)
    private = sum(bool(_PRIVATE.match(char)) for char in sample)
    return (frequent - 2 * private) / len(sample)


def _by_statistics(data: bytes) -> Decoded | None:
    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    if best is None:
        return None
    # Neighbours of Windows-1252 decode Western text too, with a few wrong letters; it is far more common.
    encoding = "cp1252" if best.encoding in _LIKE_CP1252 and _try(data, "cp1252") is not None else best.encoding
    text = _try(data, encoding)
    if text is None or _looks_binary(text):
        return None
    return Decoded(text, encoding)
