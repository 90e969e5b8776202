"""Words and ruling lines of a PDF page, read with pdfium.

Layout works in a frame in which most of the page's text runs from left to right: points, origin in the top
left corner, y downwards. For a page as most are, that is the page as shown; `Frame.shown` maps back.
"""

import ctypes
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

_HYPHENS = ("\x02", "\ufffe")
_MAX_PATHS = 4_000
_FORM_DEPTH = 3
# A rectangle thinner than this (points) is a ruling line; both sides longer, a frame or a shading.
_THIN = 2.5
_MIN_RULE = 8.0
_BOLD_WEIGHT = 600
_FORCE_BOLD = 1 << 18


class Rect(NamedTuple):
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Word:
    """`size` in points; `spaced` if white space stood before it in the page's text."""

    text: str
    rect: Rect
    size: float
    bold: bool
    spaced: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """`width` and `height` of the page as shown; the layout is that turned clockwise by `turn` quarters."""

    width: float
    height: float
    turn: int

    def shown(self, rect: Rect) -> Rect:
        """Map a rectangle of the layout to the page as shown."""
        x0, y0, x1, y1 = rect
        match self.turn:
            case 1:
                return Rect(y0, self.height - x1, y1, self.height - x0)
            case 2:
                return Rect(self.width - x1, self.height - y1, self.width - x0, self.height - y0)
            case 3:
                return Rect(self.width - y1, x0, self.width - y0, x1)
            case _:
                return rect


@dataclass(frozen=True, slots=True)
class PageContent:
    """`height` and `width` are those of the layout frame; `drawn` if there is anything but text."""

    frame: Frame
    width: float
    height: float
    words: list[Word]
    rules: list[Rect]
    drawn: bool


class _Style(NamedTuple):
    size: float
    bold: bool
    angle: int


class _Char(NamedTuple):
    code: int
    rect: Rect
    style: _Style
    spaced: bool


def read_page(page: pdfium.PdfPage) -> PageContent:
    """Read one page; the caller closes it."""
    rotation = page.get_rotation() // 90
    left, bottom, right, top = page.get_bbox()
    textpage = page.get_textpage()
    try:
        chars = list(_chars(textpage.raw))
    finally:
        textpage.close()
    angles = Counter(char.style.angle for char in chars)
    angle = angles.most_common(1)[0][0] if angles else rotation
    to_layout = _Map(left, bottom, right, top, angle)
    rules, drawn = _rules(page, to_layout)
    turn = (angle - rotation) % 4
    sides = (right - left, top - bottom)
    shown = sides if rotation % 2 == 0 else sides[::-1]
    layout = sides if angle % 2 == 0 else sides[::-1]
    return PageContent(Frame(*shown, turn), *layout, list(_words(chars, to_layout, angle)), rules, drawn)


class _Map:
    """From the page's own space (y upwards) to the layout frame, by clockwise quarter turns."""

    def __init__(self, left: float, bottom: float, right: float, top: float, turns: int) -> None:
        self.edges = (left, bottom, right, top)
        self.turns = turns

    def __call__(self, rect: Rect) -> Rect:
        left, bottom, right, top = self.edges
        x0, y0, x1, y1 = rect
        match self.turns:
            case 1:
                return Rect(y0 - bottom, x0 - left, y1 - bottom, x1 - left)
            case 2:
                return Rect(right - x1, y0 - bottom, right - x0, y1 - bottom)
            case 3:
                return Rect(top - y1, right - x1, top - y0, right - x0)
            case _:
                return Rect(x0 - left, top - y1, x1 - left, top - y0)


def _chars(textpage: Any) -> Iterator[_Char]:
    """Yield the characters of a page in the page's own space and order."""
    rect = raw.FS_RECTF()
    reference = ctypes.byref(rect)
    unicode, box, owner = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox, raw.FPDFText_GetTextObject
    styles: dict[int, _Style] = {}
    fonts: dict[int, bool] = {}
    spaced = True
    style = _Style(0.0, False, 0)
    for index in range(max(0, raw.FPDFText_CountChars(textpage))):
        code = unicode(textpage, index)
        if code in {32, 13, 10, 9, 0xA0, 0}:
            spaced = True
            continue
        if not box(textpage, index, reference):
            continue
        handle = owner(textpage, index)
        address = ctypes.cast(handle, ctypes.c_void_p).value or 0
        if address not in styles:
            styles[address] = _style(textpage, index, handle, fonts)
        style = styles[address] if address else style
        yield _Char(code, Rect(rect.left, rect.bottom, rect.right, rect.top), style, spaced)
        spaced = False


def _style(textpage: Any, index: int, handle: Any, fonts: dict[int, bool]) -> _Style:
    matrix = raw.FS_MATRIX()
    scale, angle = 1.0, 0
    if raw.FPDFText_GetMatrix(textpage, index, ctypes.byref(matrix)):
        scale = math.hypot(matrix.c, matrix.d) or 1.0
        angle = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
    return _Style(raw.FPDFText_GetFontSize(textpage, index) * scale, _is_bold(handle, fonts), angle)


def _is_bold(handle: Any, fonts: dict[int, bool]) -> bool:
    font = raw.FPDFTextObj_GetFont(handle) if handle else None
    if not font:
        return False
    address = ctypes.cast(font, ctypes.c_void_p).value or 0
    if address not in fonts:
        buffer = ctypes.create_string_buffer(128)
        raw.FPDFFont_GetBaseFontName(font, buffer, 128)
        name = buffer.value.decode("latin-1").lower()
        flags = raw.FPDFFont_GetFlags(font)
        heavy = raw.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT or bool(flags > 0 and flags & _FORCE_BOLD)
        fonts[address] = heavy or any(part in name for part in ("bold", "black", "heavy", "simhei"))
    return fonts[address]


def _words(chars: list[_Char], to_layout: _Map, angle: int) -> Iterator[Word]:
    """Join characters to words: up to white space, a jump, or a change of style.

    `angle` is that of text which runs level in the layout; other text comes last, since it stands beside.
    """
    aside: list[Word] = []
    current: list[_Char] = []
    rects: list[Rect] = []
    for char in chars:
        rect = to_layout(char.rect)
        if current and (char.spaced or not _adjoins(current[-1], rects[-1], char, rect)):
            word = _word(current, rects)
            if current[0].style.angle == angle:
                yield word
            else:
                aside.append(word)
            current, rects = [], []
        current.append(char)
        rects.append(rect)
    if current:
        aside.append(_word(current, rects))
    yield from aside


def _adjoins(one: _Char, before: Rect, two: _Char, after: Rect) -> bool:
    if one.style is not two.style and one.style != two.style:
        return False
    size = max(4.0, one.style.size)
    level = abs(before.y1 - after.y1) < 0.4 * size
    return level and -0.6 * size < after.x0 - before.x1 < 0.28 * size


def _word(chars: list[_Char], rects: list[Rect]) -> Word:
    text = "".join(map(_letter, chars))
    rect = Rect(
        min(r.x0 for r in rects), min(r.y0 for r in rects), max(r.x1 for r in rects), max(r.y1 for r in rects)
    )
    style = chars[0].style
    return Word(text, rect, style.size or rect.y1 - rect.y0, style.bold, chars[0].spaced)


def _letter(char: _Char) -> str:
    letter = chr(char.code) if char.code < 0x110000 and not 0xD800 <= char.code < 0xE000 else "\ufffd"
    return "-" if letter in _HYPHENS else letter


def _rules(page: pdfium.PdfPage, to_layout: _Map) -> tuple[list[Rect], bool]:
    """List the straight lines and thin rectangles of a page, and tell whether anything is drawn at all."""
    rules: list[Rect] = []
    drawn = False
    for number, item in enumerate(page.get_objects(max_depth=_FORM_DEPTH)):
        if item.type == raw.FPDF_PAGEOBJ_TEXT:
            continue
        drawn = True
        if number > _MAX_PATHS:
            break
        if item.type != raw.FPDF_PAGEOBJ_PATH or item.level > 0:
            continue
        rect = to_layout(Rect(*item.get_bounds()))
        width, height = rect.x1 - rect.x0, rect.y1 - rect.y0
        if min(width, height) <= _THIN and max(width, height) >= _MIN_RULE:
            rules.append(rect)
        elif width >= _MIN_RULE and height >= _MIN_RULE and raw.FPDFPath_CountSegments(item.raw) <= 6:
            rules += _stroked_sides(item, rect)
    return rules, drawn


def _stroked_sides(item: Any, rect: Rect) -> list[Rect]:
    """The four sides of a rectangle that is drawn as an outline."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    if not raw.FPDFPath_GetDrawMode(item.raw, ctypes.byref(fill), ctypes.byref(stroke)) or not stroke.value:
        return []
    x0, y0, x1, y1 = rect
    return [Rect(x0, y0, x1, y0), Rect(x0, y1, x1, y1), Rect(x0, y0, x0, y1), Rect(x1, y0, x1, y1)]
