"""What is refused before a parser sees it, each with its code."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from zhiku_services.ingestion.parsing import errors, preflight
from zhiku_services.ingestion.parsing.limits import ParseLimits
from zhiku_services.ingestion.parsing.preflight import Format

CONTENT_TYPES = (
    '<Types><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/></Types>'
)
MakeZip = Callable[..., Path]


@pytest.fixture
def inspect(tmp_path: Path) -> Callable[..., preflight.Preflight]:
    def run(data: bytes | Path, name: str) -> preflight.Preflight:
        path = data if isinstance(data, Path) else tmp_path / "file"
        if isinstance(data, bytes):
            path.write_bytes(data)
        return preflight.inspect(path, file_name=name, limits=ParseLimits())

    return run


Inspect = Callable[..., preflight.Preflight]


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"%PDF-1.4 ... %%EOF", "a.pdf", Format.PDF),
        (b"a,b\n1,2\n", "a.csv", Format.CSV),
        (b"# Title", "a.md", Format.MARKDOWN),
        (b"plain", "a.txt", Format.TEXT),
        (b"plain", "a.unknown", Format.TEXT),
        (b"plain", "no_extension", Format.TEXT),
        (b"<!DOCTYPE html><p>x", "page", Format.HTML),
        (b"From: a@b.c\r\nTo: d@e.f\r\nSubject: x\r\n\r\nhi", "mail", Format.EML),
        ("员工手册".encode("gb18030") * 40, "a.txt", Format.TEXT),
        ("员工手册。\n".encode("utf-16-le") * 40, "a.txt", Format.TEXT),
        ("员工手册".encode("utf-16"), "a.txt", Format.TEXT),
    ],
)
def test_the_format_comes_from_content_and_name(inspect: Inspect, data: bytes, name: str, expected: Format) -> None:
    assert inspect(data, name).format is expected


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.pdf", "empty_file"),
        (b"just text", "a.pdf", "wrong_extension"),
        (b"just text", "a.docx", "wrong_extension"),
        (b"%PDF-1.4 ... %%EOF", "a.docx", "wrong_extension"),
        (b"%PDF-1.4 ... %%EOF", "a.txt", "wrong_extension"),
        (b"%PDF-1.4 ... %%EOF", "a.zip", "wrong_extension"),
        (b"\xff\xd8\xff\xe0 jpeg", "a.pdf", "wrong_extension"),
        (bytes(range(256)) * 4, "a.csv", "wrong_extension"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.docx", "wrong_extension"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.doc", "unsupported_type"),
        (b"{\\rtf1 x}", "a", "unsupported_type"),
        (b"\x7fELF" + bytes(range(256)), "a.bin", "unsupported_type"),
        (b"%PDF-1.4 begins but breaks", "a.pdf", "corrupt"),
        (b"PK\x03\x04 begins but breaks", "a.docx", "corrupt"),
        (b"\0" * 4096, "a.pdf", "corrupt"),
        (b"\xff\xd8\xff\xe0 jpeg", "a.jpg", "no_text_layer"),
    ],
)
def test_a_bad_file_is_refused_with_its_code(inspect: Inspect, data: bytes, name: str, code: str) -> None:
    with pytest.raises(errors.ParsingError) as caught:
        inspect(data, name)
    assert caught.value.code == code
    assert caught.value.remedy.endswith(".")


def test_500_megabytes_are_refused_without_being_read(inspect: Inspect, tmp_path: Path) -> None:
    path = tmp_path / "huge.pdf"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    with pytest.raises(errors.TooLargeError, match="500 MB; at most 200 MB"):
        inspect(path, "huge.pdf")


def test_an_encrypted_office_file_is_named_as_such(inspect: Inspect) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(errors.EncryptedError):
        inspect(data, "a.docx")


def test_an_image_of_too_many_pixels_is_too_large(inspect: Inspect, png: Callable[[int, int], bytes]) -> None:
    with pytest.raises(errors.TooLargeError):
        inspect(png(30_000, 30_000), "a.png")
    with pytest.raises(errors.NoTextLayerError):
        inspect(png(300, 300), "a.png")


# ZIP-based formats


def test_a_bomb_is_refused_by_what_it_declares(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("bomb.docx", {"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": b"\0" * 50_000_000})
    assert path.stat().st_size < 60_000
    with pytest.raises(errors.ArchiveBombError, match="times its size"):
        inspect(path, "bomb.docx")


def test_too_large_a_part_is_refused(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("part.docx", {"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": b"\0" * 105_000_000})
    with pytest.raises(errors.ArchiveBombError):
        inspect(path, "part.docx")


def test_too_many_parts_are_refused(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("parts.docx", {f"part{n}": "" for n in range(10_001)})
    with pytest.raises(errors.ArchiveBombError, match="10000 parts"):
        inspect(path, "parts.docx")


def test_overlapping_parts_are_refused(inspect: Inspect, make_zip: MakeZip, tmp_path: Path) -> None:
    path = make_zip("quine.docx", {f"part{n:04d}": bytes(range(256)) * 40 for n in range(50)})
    data = bytearray(path.read_bytes())
    # Let every entry of the directory claim the bytes of all parts together.
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        data[place + 20 : place + 24] = len(data).to_bytes(4, "little")
        place = data.find(b"PK\x01\x02", place + 4)
    path.write_bytes(data)
    with pytest.raises(errors.ArchiveBombError, match="overlap"):
        inspect(path, "quine.docx")


def test_an_archive_in_an_office_file_is_refused(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("nested.docx", {"[Content_Types].xml": CONTENT_TYPES, "word/embeddings/more.zip": b"PK"})
    with pytest.raises(errors.ArchiveBombError, match="another archive"):
        inspect(path, "nested.docx")


def test_a_plain_archive_is_unsupported_but_as_docx_it_is_misnamed(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("files.zip", {"a.txt": "hello"})
    with pytest.raises(errors.UnsupportedTypeError, match="Archives"):
        inspect(path, "files.zip")
    with pytest.raises(errors.WrongExtensionError):
        inspect(path, "files.docx")


def test_a_truncated_office_file_is_corrupt(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("cut.docx", {"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": bytes(range(256)) * 99})
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(errors.CorruptFileError):
        inspect(path, "cut.docx")


def test_a_word_file_named_xlsx_is_misnamed(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("a.xlsx", {"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": "<x/>"})
    with pytest.raises(errors.WrongExtensionError, match="DOCX"):
        inspect(path, "a.xlsx")


def test_a_part_protected_by_a_password_is_encrypted(inspect: Inspect, make_zip: MakeZip) -> None:
    path = make_zip("locked.docx", {"[Content_Types].xml": CONTENT_TYPES})
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert zipfile.is_zipfile(path)
    with pytest.raises(errors.EncryptedError):
        inspect(path, "locked.docx")
