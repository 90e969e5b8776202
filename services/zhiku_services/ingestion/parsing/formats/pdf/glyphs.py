"""Words and ruling lines of a PDF page, read with pdfium.

Layout works in a frame in which most of the page's text runs from left to right: points, origin in the top
left corner, y downwards. For a page as most are, that is the page as shown; `Frame.shown` maps back.
"""

import ctypes
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import pypdfium2 as pdfium
from pypdfium2 import raw

_HYPHENS = ("\x02", "\ufffe")
_MAX_PATHS = 4_000
_WHITE = frozenset({0, 9, 10, 13, 32, 0xA0})
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
    """`angle` in counterclockwise quarters, in the page's own space."""

    size: float
    bold: bool
    angle: int


@dataclass(slots=True)
class _Run:
    """Characters of one word: the rectangle in the page's own space, `start` and `end` along the text."""

    letters: list[str]
    left: float
    bottom: float
    right: float
    top: float
    style: _Style
    spaced: bool
    start: float
    end: float
    base: float

    def adjoins(self, code: int, start: float, end: float, base: float) -> bool:
        """Tell whether a character goes on with the word: on its line, without a gap or a jump."""
        size = max(4.0, self.style.size)
        if abs(base - self.base) >= 0.4 * size:
            return False
        if -0.6 * size < start - self.end < 0.28 * size:
            return True
        # Letters of one ligature share its box; a script from right to left adjoins on the other side.
        same_box = abs(start - self.start) < 0.1 and abs(end - self.end) < 0.1
        return same_box or (_is_rtl(code) and -0.6 * size < self.start - end < 0.28 * size)

    def add(self, code: int, rect: Rect, start: float, end: float) -> None:
        self.letters.append(_letter(code))
        self.left, self.bottom = min(self.left, rect.x0), min(self.bottom, rect.y0)
        self.right, self.top = max(self.right, rect.x1), max(self.top, rect.y1)
        self.start, self.end = start, end


def read_page(page: pdfium.PdfPage) -> PageContent:
    """Read one page; the caller closes it."""
    rotation = page.get_rotation() // 90
    left, bottom, right, top = page.get_bbox()
    textpage = page.get_textpage()
    try:
        runs = _runs(textpage.raw)
    finally:
        textpage.close()
    angles: Counter[int] = Counter()
    for run in runs:
        angles[run.style.angle] += len(run.letters)
    angle = angles.most_common(1)[0][0] if angles else rotation
    to_layout = _Map(left, bottom, right, top, angle)
    rules, drawn = _rules(page, to_layout)
    turn = (angle - rotation) % 4
    wide, high = right - left, top - bottom
    frame = Frame(wide, high, turn) if rotation % 2 == 0 else Frame(high, wide, turn)
    width, height = (wide, high) if angle % 2 == 0 else (high, wide)
    return PageContent(frame, width, height, _words(runs, to_layout, angle), rules, drawn)


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


def _runs(textpage: Any) -> list[_Run]:
    """Read the words of a page in the order of its text.

    A style is looked up where a word begins or its height changes: some PDFs hold every letter as an object
    of its own, and to ask each costs more than all the rest.
    """
    box = raw.FS_RECTF()
    reference = ctypes.byref(box)
    unicode, loose_box = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    styles = _Styles(textpage)
    runs: list[_Run] = []
    style, height, spaced = _Style(0.0, False, 0), -1.0, True
    for index in range(max(0, raw.FPDFText_CountChars(textpage))):
        code = unicode(textpage, index)
        if code in _WHITE:
            spaced = True
            continue
        if not loose_box(textpage, index, reference):
            continue
        rect = Rect(box.left, box.bottom, box.right, box.top)
        changed = spaced or abs(rect.y1 - rect.y0 - height) > 0.05 * height
        if changed:
            style, height = styles.at(index), rect.y1 - rect.y0
        start, end, base = _along(rect, style.angle)
        run = runs[-1] if runs and not spaced else None
        if run is not None and (not changed or run.style == style) and run.adjoins(code, start, end, base):
            run.add(code, rect, start, end)
        else:
            runs.append(_Run([_letter(code)], *rect, style, spaced, start, end, base))
        spaced = False
    return runs


def _along(rect: Rect, angle: int) -> tuple[float, float, float]:
    """Where a character starts and ends along its text, and where its foot is across it."""
    match angle:
        case 1:
            return rect.y0, rect.y1, -rect.x1
        case 2:
            return -rect.x1, -rect.x0, -rect.y1
        case 3:
            return -rect.y1, -rect.y0, rect.x0
        case _:
            return rect.x0, rect.x1, rect.y0


class _Styles:
    """Looks up size, weight and angle of characters; fonts are looked up once."""

    def __init__(self, textpage: Any) -> None:
        self.textpage = textpage
        self.bold: dict[int, bool] = {}

    def at(self, index: int) -> _Style:
        matrix = raw.FS_MATRIX()
        scale, angle = 1.0, 0
        if raw.FPDFText_GetMatrix(self.textpage, index, ctypes.byref(matrix)):
            scale = math.hypot(matrix.c, matrix.d) or 1.0
            angle = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
        size = raw.FPDFText_GetFontSize(self.textpage, index) * scale
        return _Style(size, self._is_bold(index), angle)

    def _is_bold(self, index: int) -> bool:
        handle = raw.FPDFText_GetTextObject(self.textpage, index)
        font = raw.FPDFTextObj_GetFont(handle) if handle else None
        if not font:
            return False
        address = ctypes.cast(font, ctypes.c_void_p).value or 0
        if address not in self.bold:
            self.bold[address] = _is_bold_font(font)
        return self.bold[address]


def _is_bold_font(font: Any) -> bool:
    buffer = ctypes.create_string_buffer(128)
    raw.FPDFFont_GetBaseFontName(font, buffer, 128)
    name = buffer.value.decode("latin-1").lower()
    flags = raw.FPDFFont_GetFlags(font)
    if raw.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT or (flags > 0 and flags & _FORCE_BOLD):
        return True
    return any(part in name for part in ("bold", "black", "heavy", "simhei"))


def _words(runs: list[_Run], to_layout: _Map, angle: int) -> list[Word]:
    """Place words in the layout; those that do not run at `angle` come last, since they stand beside."""
    level = [run for run in runs if run.style.angle == angle]
    aside = [run for run in runs if run.style.angle != angle]
    return [_word(run, to_layout) for run in (*level, *aside)]


def _word(run: _Run, to_layout: _Map) -> Word:
    rect = to_layout(Rect(run.left, run.bottom, run.right, run.top))
    return Word("".join(run.letters), rect, run.style.size or rect.y1 - rect.y0, run.style.bold, run.spaced)


def _letter(code: int) -> str:
    letter = chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return "-" if letter in _HYPHENS else letter


def _is_rtl(code: int) -> bool:
    return 0x590 <= code < 0x900 or 0xFB1D <= code < 0xFE00 or 0xFE70 <= code < 0xFF00


def _rules(page: pdfium.PdfPage, to_layout: _Map) -> tuple[list[Rect], bool]:
    """List the straight lines and thin rectangles of a page, and tell whether anything is drawn at all."""
    rules: list[Rect] = []
    paths = drawn = 0
    for index in range(raw.FPDFPage_CountObjects(page.raw)):
        item = raw.FPDFPage_GetObject(page.raw, index)
        kind = raw.FPDFPageObj_GetType(item)
        if kind == raw.FPDF_PAGEOBJ_TEXT:
            continue
        drawn += 1
        if kind == raw.FPDF_PAGEOBJ_PATH:
            paths += 1
            if paths > _MAX_PATHS:
                break
            rules += _path_rules(item, to_layout)
    return rules, drawn > 0


def _path_rules(item: Any, to_layout: _Map) -> list[Rect]:
    edges = [ctypes.c_float() for _ in range(4)]
    if not raw.FPDFPageObj_GetBounds(item, *map(ctypes.byref, edges)):
        return []
    rect = to_layout(Rect(*(edge.value for edge in edges)))
    width, height = rect.x1 - rect.x0, rect.y1 - rect.y0
    if min(width, height) <= _THIN and max(width, height) >= _MIN_RULE:
        return [rect]
    if min(width, height) >= _MIN_RULE and raw.FPDFPath_CountSegments(item) <= 6:
        return _stroked_sides(item, rect)
    return []


def _stroked_sides(item: Any, rect: Rect) -> list[Rect]:
    """The four sides of a rectangle that is drawn as an outline."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    if not raw.FPDFPath_GetDrawMode(item, ctypes.byref(fill), ctypes.byref(stroke)) or not stroke.value:
        return []
    x0, y0, x1, y1 = rect
    return [Rect(x0, y0, x1, y0), Rect(x0, y1, x1, y1), Rect(x0, y0, x0, y1), Rect(x1, y0, x1, y1)]
