"""Files made for the tests: PDFs written by hand, Office packages part by part."""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from zhiku_platform.text.document import ParsedDocument
from zhiku_services.ingestion.parsing import preflight, wire
from zhiku_services.ingestion.parsing.formats import parse_file
from zhiku_services.ingestion.parsing.limits import ParseLimits
from zhiku_services.ingestion.parsing.pool import ParserPool

PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


@dataclass(frozen=True)
class Text:
    """A line of text with its baseline at (x, y), y from the top of the page, in points."""

    x: float
    y: float
    text: str
    size: float = 10
    bold: bool = False


@dataclass(frozen=True)
class Rule:
    x0: float
    y0: float
    x1: float
    y1: float


MakePdf = Callable[..., Path]


def _content(marks: Sequence[Text | Rule], height: float) -> bytes:
    parts: list[str] = []
    for mark in marks:
        if isinstance(mark, Rule):
            parts.append(f"0.5 w {mark.x0} {height - mark.y0} m {mark.x1} {height - mark.y1} l S")
            continue
        chinese = not mark.text.isascii()
        font = "F3" if chinese else "F2" if mark.bold else "F1"
        escaped = mark.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        shown = f"<{mark.text.encode('utf-16-be').hex()}>" if chinese else f"({escaped})"
        parts.append(f"BT /{font} {mark.size} Tf {mark.x} {height - mark.y} Td {shown} Tj ET")
    return "\n".join(parts).encode("latin-1")


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def _encryption(password: str) -> tuple[bytes, bytes]:
    """The file key and the /Encrypt dictionary of the standard handler, revision 2 (PDF 1.7, 7.6.3)."""
    padded = (password.encode() + PAD)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + struct.pack("<i", -4) + b"0123456789abcdef").digest()[:5]
    user = _rc4(key, PAD)
    entry = f"<< /Filter /Standard /V 1 /R 2 /O <{owner.hex()}> /U <{user.hex()}> /P -4 >>"
    return key, entry.encode()


@pytest.fixture
def make_pdf(tmp_path: Path) -> MakePdf:
    """Write a PDF: one list of marks a page; `rotate` in degrees, `password` to open it."""

    def make(
        *pages: Sequence[Text | Rule],
        name: str = "made.pdf",
        size: tuple[float, float] = (595, 842),
        rotate: int = 0,
        password: str | None = None,
        crop: tuple[float, float, float, float] | None = None,
    ) -> Path:
        objects: dict[int, bytes] = {
            3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            4: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
            5: b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
            b"/DescendantFonts [6 0 R] >>",
            6: b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light "
            b"/CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /DW 1000 >>",
        }
        key, encrypt = _encryption(password) if password is not None else (b"", b"")
        kids: list[int] = []
        for number, marks in enumerate(pages):
            page, stream = 10 + 2 * number, 11 + 2 * number
            kids.append(page)
            data = _content(marks, size[1])
            if key:
                salted = key + struct.pack("<I", stream)[:3] + b"\0\0"
                data = _rc4(hashlib.md5(salted).digest()[:10], data)
            extra = f"/Rotate {rotate}" + (f" /CropBox [{' '.join(map(str, crop))}]" if crop else "")
            objects[page] = (
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] {extra} "
                f"/Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> /Contents {stream} 0 R >>"
            ).encode()
            objects[stream] = b"<< /Length %d >>\nstream\n%b\nendstream" % (len(data), data)
        objects[1] = b"<< /Type /Catalog /Pages 2 0 R >>"
        kids_text = " ".join(f"{kid} 0 R" for kid in kids)
        objects[2] = f"<< /Type /Pages /Kids [{kids_text}] /Count {len(kids)} >>".encode()
        if encrypt:
            objects[7] = encrypt
        path = tmp_path / name
        path.write_bytes(_assembled(objects, encrypted=bool(encrypt)))
        return path

    return make


def _assembled(objects: Mapping[int, bytes], *, encrypted: bool) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places: dict[int, int] = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    top = max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % top
    for number in range(1, top):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    extra = b" /Encrypt 7 0 R /ID [<%b> <%b>]" % ((b"0123456789abcdef".hex().encode(),) * 2) if encrypted else b""
    out += b"trailer\n<< /Size %d /Root 1 0 R%b >>\nstartxref\n%d\n%%%%EOF\n" % (top, extra, start)
    return bytes(out)


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    """Write a ZIP file from parts by name."""

    def make(name: str, parts: Mapping[str, str | bytes]) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, data in parts.items():
                archive.writestr(part, data)
        return path

    return make


@pytest.fixture
def parsed() -> Callable[..., ParsedDocument]:
    """Parse a file in this process, as the child would."""

    def parse(path: Path, *, file_name: str | None = None, limits: ParseLimits | None = None) -> ParsedDocument:
        limits = limits or ParseLimits()
        name = file_name or path.name
        found = preflight.inspect(path, file_name=name, limits=limits)
        job = wire.Job(path, name, found.format, found.media_type, limits)
        return parse_file(job, lambda _done, _total: None)

    return parse


@pytest.fixture(scope="session")
def pool() -> Iterator[ParserPool]:
    with ParserPool(1) as made:
        yield made


@pytest.fixture
def png() -> Callable[[int, int], bytes]:
    """Write the header of a PNG of so many pixels, without its pixels."""

    def make(width: int, height: int) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        crc = struct.pack(">I", zlib.crc32(b"IHDR" + header))
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + crc

    return make


@pytest.fixture
def text_mark() -> type[Text]:
    return Text


@pytest.fixture
def rule_mark() -> type[Rule]:
    return Rule
