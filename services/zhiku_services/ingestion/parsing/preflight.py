"""Look at a file before any parser does: what it really is, and whether it is safe to open.

Reads the first and last kilobytes, and of a ZIP-based format its central directory; unpacks nothing but
the list of content types. What needs a parser (PDF password and page count) is checked in the child.
"""

import re
import struct
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import puremagic

from zhiku_platform.text.decoding import UndecodableTextError, decode
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.limits import ParseLimits

_HEAD_BYTES = 16_384
_TAIL_BYTES = 65_536
_CONTENT_TYPES = "[Content_Types].xml"
_DIRECTORY_BYTES_PER_ENTRY = 1024


class Format(StrEnum):
    """A format that has a parser."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    CSV = "csv"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"
    EML = "eml"


MEDIA_TYPES: dict[Format, str] = {
    Format.PDF: "application/pdf",
    Format.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Format.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.CSV: "text/csv",
    Format.HTML: "text/html",
    Format.MARKDOWN: "text/markdown",
    Format.TEXT: "text/plain",
    Format.EML: "message/rfc822",
}
EXTENSIONS: dict[str, Format] = {
    ".pdf": Format.PDF,
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), Format.DOCX),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".ppsm", ".potx"), Format.PPTX),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), Format.XLSX),
    **dict.fromkeys((".csv", ".tsv"), Format.CSV),
    **dict.fromkeys((".html", ".htm", ".xhtml"), Format.HTML),
    **dict.fromkeys((".md", ".markdown"), Format.MARKDOWN),
    **dict.fromkeys((".txt", ".text", ".log"), Format.TEXT),
    ".eml": Format.EML,
}
_TEXT_FORMATS = frozenset({Format.CSV, Format.HTML, Format.MARKDOWN, Format.TEXT, Format.EML})


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Extensions of formats without a parser here: a text file may carry any other extension.
_UNSUPPORTED = _names(
    ".doc .dot .xls .xlt .xlsb .ppt .pps .msg .pst .odt .ods .odp .rtf .epub .mobi .wps "
    ".et .dps .pages .numbers .key .vsd .vsdx .one .zip .7z .rar .gz .tar .bz2 .xz .exe .dll .iso "
    ".mp3 .mp4 .wav .flac .avi .mov .mkv .psd .ai .dwg .parquet .sqlite .db"
)
_ARCHIVE_MEMBERS = (".zip", ".7z", ".rar", ".gz", ".tar", ".bz2", ".xz", ".zst")
_LEGACY_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_OFFICE_MAIN_PARTS = (
    (
        rb"wordprocessingml\.(document|template)\.main|word\.(document|template)\.macroEnabled\.main",
        Format.DOCX,
    ),
    (rb"spreadsheetml\.(sheet|template)\.main|excel\.(sheet|template)\.macroEnabled\.main", Format.XLSX),
    (
        (
            rb"presentationml\.(presentation|slideshow|template)\.main"
            rb"|powerpoint\.(presentation|slideshow|template)\.macroEnabled\.main"
        ),
        Format.PPTX,
    ),
)
_HEADER_LINE = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]*:[ \t]?[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){2,}")
_MAIL_HEADER = re.compile(
    rb"^(from|to|subject|date|message-id|mime-version|received|return-path):", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the file is; `size_bytes` of the file on disk."""

    format: Format
    media_type: str
    size_bytes: int


def inspect(path: Path, *, file_name: str, limits: ParseLimits) -> Preflight:
    """Check a file and name its format.

    Raises:
        ParsingError: one of empty_file, too_large, archive_bomb, encrypted, wrong_extension,
            unsupported_type, corrupt, no_text_layer.
    """
    size = path.stat().st_size
    if size == 0:
        raise errors.EmptyFileError("The file is empty.")
    if size > limits.max_bytes:
        raise errors.TooLargeError(
            f"The file has {_megabytes(size)} MB; at most {_megabytes(limits.max_bytes)} MB are read.",
            size_bytes=size,
            limit_bytes=limits.max_bytes,
        )
    with path.open("rb") as file:
        found = _detect(file, size, PurePosixPath(file_name).suffix.lower(), limits)
    if found in _TEXT_FORMATS and size > limits.max_text_bytes:
        raise errors.TooLargeError(
            f"The text has {_megabytes(size)} MB; at most {_megabytes(limits.max_text_bytes)} MB are read.",
            size_bytes=size,
            limit_bytes=limits.max_text_bytes,
        )
    return Preflight(found, MEDIA_TYPES[found], size)


def _megabytes(size: int) -> int:
    return round(size / 1_000_000)


def _detect(file: BinaryIO, size: int, extension: str, limits: ParseLimits) -> Format:
    head = file.read(_HEAD_BYTES)
    content = _content_format(file, head, size, extension, limits)
    expected = EXTENSIONS.get(extension)
    if content is None:
        return _text_format(head, extension, expected)
    if expected is not None and expected is not content:
        raise _mismatch(extension, content.upper())
    if expected is None and extension in _UNSUPPORTED:
        raise _mismatch(extension, content.upper())
    return content


def _content_format(file: BinaryIO, head: bytes, size: int, extension: str, limits: ParseLimits) -> Format | None:
    """Name a binary format by its content; None for what may be text.

    A text may mention what a format begins with, and may begin with it: its name and its content decide.
    """
    if EXTENSIONS.get(extension) in _TEXT_FORMATS and not head.startswith(b"%PDF-") and _may_be_text(head):
        return None
    if b"%PDF-" in head[:1024]:
        _check_pdf_end(file, size)
        return Format.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_format(file, size, extension, limits)
    if head.startswith(_LEGACY_OFFICE):
        raise _legacy_office(file, extension)
    if head.startswith(_IMAGES) and not _is_text_bitmap(head):
        raise _image(head, extension, limits)
    return None


def _is_text_bitmap(head: bytes) -> bool:
    """`BM` begins many texts; a bitmap has four zero bytes at offset 6."""
    return head.startswith(b"BM") and head[6:10] != b"\0\0\0\0"


def _mismatch(extension: str, real: str) -> errors.WrongExtensionError:
    return errors.WrongExtensionError(f"The name ends in {extension}, but the content is {real}.")


def _check_pdf_end(file: BinaryIO, size: int) -> None:
    file.seek(max(0, size - _TAIL_BYTES))
    if b"%%EOF" not in file.read(_TAIL_BYTES):
        raise errors.CorruptFileError("The PDF breaks off before its end.")


def _image(head: bytes, extension: str, limits: ParseLimits) -> errors.ParsingError:
    if EXTENSIONS.get(extension) is not None:
        return _mismatch(extension, "an image")
    width, height = _png_size(head)
    if width * height > limits.max_pixels:
        return errors.TooLargeError(f"The image has {width} x {height} pixels; at most {limits.max_pixels} are read.")
    return errors.NoTextLayerError("The file is an image.")


def _png_size(head: bytes) -> tuple[int, int]:
    if not head.startswith(b"\x89PNG") or len(head) < 24:
        return 0, 0
    width, height = struct.unpack(">II", head[16:24])
    return int(width), int(height)


def _legacy_office(file: BinaryIO, extension: str) -> errors.ParsingError:
    """An OLE container: an encrypted Office file, or a format of before 2007."""
    file.seek(0)
    if "EncryptedPackage".encode("utf-16-le") in file.read(1_000_000):
        return errors.EncryptedError("The Office file is protected by a password.")
    if EXTENSIONS.get(extension) is not None:
        return _mismatch(extension, "an Office format of before 2007, or a mail of Outlook")
    return errors.UnsupportedTypeError(
        "Office formats of before 2007 and Outlook's .msg are not read.",
        remedy="Save it as DOCX, XLSX, PPTX or EML, and upload that.",
    )


# ZIP-based formats


def _zip_format(file: BinaryIO, size: int, extension: str, limits: ParseLimits) -> Format:
    _check_directory_size(file, size, limits)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_archive(archive, size, limits)
            return _office_format(archive, extension)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, struct.error) as error:
        raise errors.CorruptFileError("The file breaks off, or its ZIP directory is damaged.") from error


def _check_directory_size(file: BinaryIO, size: int, limits: ParseLimits) -> None:
    """Refuse a directory too large for the allowed number of entries, before it is read."""
    file.seek(max(0, size - _TAIL_BYTES - 22))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise errors.CorruptFileError("The file breaks off: its ZIP directory is missing.")
    _, _, _, entries, directory_bytes = struct.unpack("<HHHHI", tail[end + 4 : end + 16])
    if entries > limits.archive_entries or directory_bytes > limits.archive_entries * _DIRECTORY_BYTES_PER_ENTRY:
        raise errors.ArchiveBombError(f"The file holds more than {limits.archive_entries} parts.")


def _check_archive(archive: zipfile.ZipFile, size: int, limits: ParseLimits) -> None:
    members = archive.infolist()
    declared = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > limits.archive_entries:
        raise errors.ArchiveBombError(f"The file holds {len(members)} parts; {limits.archive_entries} are allowed.")
    if any(member.flag_bits & 1 for member in members):
        raise errors.EncryptedError("The file is protected by a password.")
    if max((member.file_size for member in members), default=0) > limits.archive_entry_bytes:
        raise errors.ArchiveBombError("A part of the file unpacks to more than is allowed.")
    if declared > limits.archive_total_bytes:
        raise errors.ArchiveBombError(f"The file unpacks to {_megabytes(declared)} MB.")
    if declared > limits.archive_ratio_floor_bytes and declared > limits.archive_ratio * size:
        raise errors.ArchiveBombError(f"The file unpacks to {declared // size} times its size.")
    # Parts that overlap each other add up to more than the file holds.
    if packed > size:
        raise errors.ArchiveBombError("Parts of the file overlap.")
    names = archive.namelist()
    if _CONTENT_TYPES in names and any(name.lower().endswith(_ARCHIVE_MEMBERS) for name in names):
        raise errors.ArchiveBombError("The file holds another archive.")


def _office_format(archive: zipfile.ZipFile, extension: str) -> Format:
    try:
        member = archive.getinfo(_CONTENT_TYPES)
    except KeyError:
        if EXTENSIONS.get(extension) is not None:
            raise _mismatch(extension, "a ZIP archive") from None
        raise errors.UnsupportedTypeError(
            "Archives, e-books and OpenDocument files are not read.",
            remedy="Unpack the archive, or save the document as DOCX, XLSX or PDF.",
        ) from None
    with archive.open(member) as part:
        types = part.read(4_000_000)
    for pattern, format_ in _OFFICE_MAIN_PARTS:
        if re.search(pattern, types):
            return format_
    raise errors.UnsupportedTypeError("This kind of Office file is not read.")


# Text formats


def _text_format(head: bytes, extension: str, expected: Format | None) -> Format:
    if expected is not None and expected not in _TEXT_FORMATS:
        real = "text" if _may_be_text(head) else "something else"
        if not head.strip(b"\0 \r\n\t"):
            raise errors.CorruptFileError("The file begins with zeros only: it was not saved completely.")
        raise _mismatch(extension, real)
    if not _may_be_text(head):
        if expected is not None:
            raise _mismatch(extension, _name_binary(head))
        raise errors.UnsupportedTypeError(f"The file is {_name_binary(head)}, which is not read.")
    if expected is not None:
        return expected
    if extension in _UNSUPPORTED or head.startswith(b"{\\rtf"):
        raise errors.UnsupportedTypeError(f"Files of the kind {extension or '.rtf'} are not read.")
    return _sniff_text(head)


def _may_be_text(head: bytes) -> bool:
    """Text has hardly any control characters, unless it is UTF-16 or UTF-32."""
    controls = sum(byte < 9 or (13 < byte < 32 and byte != 27) for byte in head)
    if controls <= len(head) // 100:
        return True
    try:
        return decode(head[: len(head) // 4 * 4]).encoding.startswith(("utf-16", "utf-32"))
    except UndecodableTextError:
        return False


def _name_binary(head: bytes) -> str:
    try:
        name = str(puremagic.from_string(head))
    except (puremagic.PureError, ValueError):
        return "binary data"
    return f"of the kind {name}" if name else "binary data"


def _sniff_text(head: bytes) -> Format:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:512].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Format.HTML
    if _HEADER_LINE.match(head) and len(_MAIL_HEADER.findall(head[:4096])) >= 2:
        return Format.EML
    return Format.TEXT
