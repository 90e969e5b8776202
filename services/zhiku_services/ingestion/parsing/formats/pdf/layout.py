"""From words to reading order: segments, columns, rows."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median

from zhiku_services.ingestion.parsing.formats.pdf.glyphs import Rect, Word

CJK = re.compile("[\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# Words further apart than this (in font sizes) do not belong to one running line.
_WORD_GAP = 1.0
_MIN_GUTTER = 7.0
_MIN_COLUMN_LINES = 4
# A line in letters this much larger than those around it is a heading.
_LARGER = 1.12


@dataclass(slots=True)
class Segment:
    """Words that run on without a wide gap. `table` is set for a table that was cut out: it has no words."""

    words: list[Word]
    rect: Rect
    text: str
    size: float
    bold: bool
    table: object | None = None


@dataclass(slots=True)
class Row:
    """Segments side by side on one line, from left to right."""

    segments: list[Segment]
    rect: Rect = field(init=False)

    def __post_init__(self) -> None:
        self.rect = bounds(segment.rect for segment in self.segments)

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


def bounds(rects: Iterable[Rect]) -> Rect:
    """The smallest rectangle around all."""
    xs0, ys0, xs1, ys1 = zip(*rects, strict=True)
    return Rect(min(xs0), min(ys0), max(xs1), max(ys1))


def segments(words: Sequence[Word]) -> list[Segment]:
    """Group words into segments: same line, no wide gap."""
    result: list[Segment] = []
    for line in _lines(words):
        run = [line[0]]
        for word in line[1:]:
            size = max(run[-1].size, word.size, 4.0)
            if _gap(run[-1].rect, word.rect) > _WORD_GAP * size:
                result.append(segment(run))
                run = []
            run.append(word)
        result.append(segment(run))
    return result


def _gap(one: Rect, two: Rect) -> float:
    """The horizontal distance between two rectangles; negative where they overlap."""
    return max(one.x0, two.x0) - min(one.x1, two.x1)


def _lines(words: Sequence[Word]) -> list[list[Word]]:
    """Group words whose vertical centres lie close, each group ordered from left to right."""
    lines: list[list[Word]] = []
    centres: list[tuple[float, float]] = []
    for word in sorted(words, key=lambda w: (w.rect.y0 + w.rect.y1) / 2):
        centre, height = (word.rect.y0 + word.rect.y1) / 2, word.rect.y1 - word.rect.y0
        for back in range(1, min(4, len(lines)) + 1):
            other, tall = centres[-back]
            if abs(centre - other) <= 0.32 * max(height, tall) and not _collides(lines[-back], word):
                lines[-back].append(word)
                break
        else:
            lines.append([word])
            centres.append((centre, height))
    return [_ordered(line) for line in lines]


def _ordered(line: Sequence[Word]) -> list[Word]:
    """Order the words of a line as they are read."""
    rtl = sum(bool(RTL.match(word.text)) for word in line)
    return sorted(line, key=lambda w: -w.rect.x1 if 2 * rtl > len(line) else w.rect.x0)


def _collides(line: Sequence[Word], word: Word) -> bool:
    """Tell whether a word lies over another of the line, as with overprinted or tightly set lines."""
    width = word.rect.x1 - word.rect.x0
    for other in line:
        overlap = min(other.rect.x1, word.rect.x1) - max(other.rect.x0, word.rect.x0)
        if overlap > 0.5 * min(width, other.rect.x1 - other.rect.x0) and overlap > 1.5:
            return True
    return False


def segment(words: Sequence[Word]) -> Segment:
    """Join words to a segment."""
    text = words[0].text
    for before, word in pairwise(words):
        text += ("" if _joined(before, word) else " ") + word.text
    letters = sum(len(word.text) for word in words)
    size = sum(word.size * len(word.text) for word in words) / letters
    bold = sum(len(word.text) for word in words if word.bold) > 0.8 * letters
    return Segment(list(words), bounds(word.rect for word in words), text, size, bold)


def _joined(before: Word, word: Word) -> bool:
    """Tell whether no space stands between two words: parts of one word, or Chinese text."""
    gap = _gap(before.rect, word.rect)
    if CJK.match(before.text[-1]) and CJK.match(word.text[0]):
        return gap < 0.6 * word.size
    return not word.spaced and gap < 0.18 * max(word.size, 4.0)


def rows(parts: Sequence[Segment]) -> list[Row]:
    """Group segments into rows, from top to bottom."""
    result: list[list[Segment]] = []
    for part in sorted(parts, key=lambda s: ((s.rect.y0 + s.rect.y1) / 2, s.rect.x0)):
        if result and part.table is None and _same_row(result[-1], part):
            result[-1].append(part)
        else:
            result.append([part])
    return [Row(sorted(row, key=lambda s: s.rect.x0)) for row in result]


def _same_row(row: Sequence[Segment], part: Segment) -> bool:
    first = row[0]
    if first.table is not None:
        return False
    height = min(first.rect.y1 - first.rect.y0, part.rect.y1 - part.rect.y0)
    overlap = min(first.rect.y1, part.rect.y1) - max(first.rect.y0, part.rect.y0)
    apart = all(min(s.rect.x1, part.rect.x1) - max(s.rect.x0, part.rect.x0) < 1.5 for s in row)
    return apart and overlap > 0.55 * height


# Columns


def two_up(parts: list[Segment], width: float, height: float) -> list[list[Segment]]:
    """Cut a sheet that shows two pages side by side: wide, with text on both sides of an empty middle."""
    if width < 1.2 * height or any(s.rect.x0 < 0.52 * width and s.rect.x1 > 0.48 * width for s in parts):
        return [parts]
    left = [s for s in parts if s.rect.x1 <= 0.5 * width]
    right = [s for s in parts if s.rect.x0 > 0.5 * width]
    sides = [rows([s for s in side if s.table is None]) for side in (left, right)]
    full = all(len(side) >= 2 * _MIN_COLUMN_LINES and mean(len(row.text) for row in side) >= 18 for side in sides)
    return [left, right] if full else [parts]


def flows(parts: Sequence[Segment], depth: int = 0) -> list[list[Segment]]:
    """Order segments into flows: what is read to its end before the next begins.

    Looks for a gutter that divides running text; above, between and below such bands text is one flow.
    """
    if len(parts) < 2 * _MIN_COLUMN_LINES or depth > 3:
        return [list(parts)] if parts else []
    found = _best_band(parts)
    if found is None:
        return [list(parts)]
    gutter, top, bottom = found
    above = [s for s in parts if s.rect.y1 <= top + 1]
    below = [s for s in parts if s.rect.y0 >= bottom - 1]
    taken = {id(s) for s in (*above, *below)}
    inside = [s for s in parts if id(s) not in taken]
    heads = _heads_of(below, inside, gutter)
    below = [*heads, *below]
    taken |= {id(s) for s in heads}
    inside = [s for s in inside if id(s) not in taken]
    left = [s for s in inside if _is_left(s, gutter)]
    right = [s for s in inside if not _is_left(s, gutter)]
    return [
        *flows(above, depth + 1),
        *flows(left, depth + 1),
        *flows(right, depth + 1),
        *flows(below, depth + 1),
    ]


def _is_left(part: Segment, gutter: float) -> bool:
    return (part.rect.x0 + part.rect.x1) / 2 < gutter


def _heads_of(below: Sequence[Segment], inside: Sequence[Segment], gutter: float) -> list[Segment]:
    """Find the headings under the shorter column that belong to the text below the columns, not to the longer one."""
    texts = [s for s in inside if s.table is None]
    ends = [max((s.rect.y1 for s in texts if _is_left(s, gutter) is side), default=0.0) for side in (True, False)]
    size = median(s.size for s in texts)
    is_bold = 2 * sum(s.bold for s in texts) > len(texts)
    heads: list[Segment] = []
    for part in sorted(inside, key=lambda s: s.rect.y1, reverse=True):
        stands_out = part.size >= _LARGER * size or (part.bold and not is_bold)
        if not below or part.table is not None or part.rect.y0 < min(ends) or not stands_out:
            break
        heads.append(part)
    return heads


def _best_band(parts: Sequence[Segment]) -> tuple[float, float, float] | None:
    """Find the gutter and the band (x, top, bottom) with the most lines of running text on both sides."""
    best: tuple[int, float, float, float] | None = None
    for gutter in _candidates(parts):
        for top, bottom in _free_bands(parts, gutter):
            inside = [s for s in parts if s.rect.y0 >= top - 1 and s.rect.y1 <= bottom + 1]
            left = [s for s in inside if s.rect.x1 <= gutter]
            right = [s for s in inside if s.rect.x0 >= gutter]
            if min(len(left), len(right)) < _MIN_COLUMN_LINES:
                continue
            if not _side_by_side(left, right) or not _are_columns(left, right):
                continue
            score = min(len(left), len(right))
            if best is None or score > best[0]:
                best = (score, gutter, top, bottom)
    return best[1:] if best else None


def _candidates(parts: Sequence[Segment]) -> list[float]:
    """Places just left of where many segments begin."""
    starts = sorted(s.rect.x0 for s in parts if s.table is None)
    if not starts:
        return []
    places: list[float] = []
    number = 0
    while number < len(starts):
        end = bisect_left(starts, starts[number] + 3)
        if end - number >= _MIN_COLUMN_LINES and starts[number] > starts[0] + 20:
            places.append(starts[number] - 0.5)
        number = end
    return places


def _free_bands(parts: Sequence[Segment], gutter: float) -> list[tuple[float, float]]:
    """The vertical stretches in which no segment comes near the gutter from the left or crosses it."""
    crossing = sorted((s.rect.y0, s.rect.y1) for s in parts if s.rect.x0 < gutter and s.rect.x1 > gutter - _MIN_GUTTER)
    top = min(s.rect.y0 for s in parts)
    bottom = max(s.rect.y1 for s in parts)
    bands: list[tuple[float, float]] = []
    for y0, y1 in crossing:
        if y0 - top > 10:
            bands.append((top, y0))
        top = max(top, y1)
    if bottom - top > 10:
        bands.append((top, bottom))
    return bands


def _are_columns(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Tell columns of running text from the cells of a table.

    Text fills its column, one segment a line. Where the lines of the two sides do not stand level either,
    as those of a table do, less filled columns count too.
    """
    one, two = rows([s for s in left if s.table is None]), rows([s for s in right if s.table is None])
    if min(len(one), len(two)) < _MIN_COLUMN_LINES:
        return False
    fill = 0.55 if _are_level(one, two) else 0.3
    return _is_prose(one, fill) and _is_prose(two, fill)


def _are_level(one: Sequence[Row], two: Sequence[Row]) -> bool:
    fewer = one if len(one) <= len(two) else two
    feet = sorted(row.rect.y1 for row in (two if fewer is one else one))
    hits = 0
    for row in fewer:
        place = bisect_left(feet, row.rect.y1 - 1.2)
        hits += place < len(feet) and feet[place] <= row.rect.y1 + 1.2
    return hits > 0.55 * len(fewer)


def _is_prose(lines: Sequence[Row], least_fill: float) -> bool:
    left, right = min(r.rect.x0 for r in lines), max(r.rect.x1 for r in lines)
    width = max(1.0, right - left)
    fill = mean((row.rect.x1 - row.rect.x0) / width for row in lines)
    text = "".join(row.text for row in lines)
    cjk = len(CJK.findall(text))
    letters = (len(text) - cjk + 2.2 * cjk) / len(lines)
    digits = sum(char.isdigit() for char in text) / max(1, len(text))
    single = mean(len(row.segments) for row in lines)
    return fill >= least_fill and letters >= 18 and digits < 0.25 and single < 1.35


def _side_by_side(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    one, two = bounds(s.rect for s in left), bounds(s.rect for s in right)
    return min(one.y1, two.y1) - max(one.y0, two.y0) > 0.3 * min(one.y1 - one.y0, two.y1 - two.y0)


def line_pitch(lines: Sequence[Row]) -> float:
    """The usual distance from one line's top to the next, in points; 0 if there are too few lines."""
    steps = [
        b.rect.y0 - a.rect.y0 for a, b in pairwise(lines) if 0 < b.rect.y0 - a.rect.y0 < 4 * (a.rect.y1 - a.rect.y0)
    ]
    return median(steps) if steps else 0.0
