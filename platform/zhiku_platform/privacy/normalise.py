"""Text as the recognisers read it: half width, plain dashes and spaces, nothing invisible."""

from dataclasses import dataclass

_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_MATHEMATICAL_DIGITS = {0x1D7CE + n: ord("0") + n % 10 for n in range(50)}
_DASHES = dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212, 0xFE63], ord("-"))
_SPACES = dict.fromkeys([0x00A0, 0x2000, 0x2001, 0x2002, 0x2003, 0x2007, 0x2009, 0x202F, 0x3000, 0x0009], ord(" "))
_DOTS = {0x30FB: ord("·"), 0x2022: ord("·"), 0x2027: ord("·")}
_TABLE = _WIDTH | _MATHEMATICAL_DIGITS | _DASHES | _SPACES | _DOTS
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f")


@dataclass(frozen=True, slots=True)
class Normalised:
    """Text to search, with the way back to the text as it was given."""

    text: str
    offsets: tuple[int, ...] | None = None
    """For each character, where it stood; nothing where each still stands at its place."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the given text of `text[start:end]`, which is not empty."""
        return (start, end) if self.offsets is None else (self.offsets[start], self.offsets[end - 1] + 1)


def normalise(text: str) -> Normalised:
    """Make full width half, and remove what is invisible."""
    if text.isascii():
        return Normalised(text.replace("\t", " "))
    mapped = text.translate(_TABLE)
    if _INVISIBLE.isdisjoint(mapped):
        return Normalised(mapped)
    places = tuple(n for n, character in enumerate(mapped) if character not in _INVISIBLE)
    return Normalised("".join(mapped[n] for n in places), places)
