"""Why a file could not be parsed. Codes are stable; each error says what to do about it.

ParsingError
├── final: the same bytes fail again
│   ├── EmptyFileError          empty_file
│   ├── TooLargeError           too_large
│   ├── TooManyPagesError       too_many_pages
│   ├── EncryptedError          encrypted
│   ├── ArchiveBombError        archive_bomb
│   ├── WrongExtensionError     wrong_extension
│   ├── UnsupportedTypeError    unsupported_type
│   ├── CorruptFileError        corrupt
│   ├── NoTextLayerError        no_text_layer
│   ├── TextEncodingError       undecodable_text
│   ├── OutputTooLargeError     output_too_large
│   ├── NoPassagesError         no_passages
│   └── BlobMissingError        blob_missing
└── may_pass_later: another attempt may end better
    ├── ParseTimeoutError       parse_timeout
    ├── ParseOutOfMemoryError   parse_out_of_memory
    └── ParserCrashedError      parser_crashed
"""

from typing import ClassVar

from zhiku_platform.errors import ZhikuError


class ParsingError(ZhikuError):
    """The base of all; `may_pass_later` tells whether another attempt makes sense."""

    status = 422
    code = "parsing_failed"
    title = "The file could not be read"
    usual_remedy: ClassVar[str] = "Check the file and upload it again."
    may_pass_later: ClassVar[bool] = False

    def __init__(self, detail: str, *, remedy: str | None = None, **extra: str | float | None) -> None:
        super().__init__(detail, remedy=remedy or self.usual_remedy, **extra)


class EmptyFileError(ParsingError):
    code = "empty_file"
    title = "Empty file"
    usual_remedy = "Check that the file was saved completely, then upload it again."


class TooLargeError(ParsingError):
    status = 413
    code = "too_large"
    title = "File too large"
    usual_remedy = "Split the file, or ask an administrator to raise the limit."


class TooManyPagesError(ParsingError):
    status = 413
    code = "too_many_pages"
    title = "Too many pages"
    usual_remedy = "Split the document into parts and upload those."


class EncryptedError(ParsingError):
    code = "encrypted"
    title = "Protected by a password"
    usual_remedy = "Remove the password and upload the file again."


class ArchiveBombError(ParsingError):
    code = "archive_bomb"
    title = "Suspicious archive"
    usual_remedy = "Save the document anew in its own application, without embedded files, and upload that."


class WrongExtensionError(ParsingError):
    code = "wrong_extension"
    title = "Name and content differ"
    usual_remedy = "Give the file the extension of its real format."


class UnsupportedTypeError(ParsingError):
    status = 415
    code = "unsupported_type"
    title = "Unsupported format"
    usual_remedy = "Save it as PDF, DOCX, PPTX, XLSX, CSV, HTML, Markdown, TXT or EML."


class CorruptFileError(ParsingError):
    code = "corrupt"
    title = "Damaged file"
    usual_remedy = "Open it in its own application, save it anew, and upload that; or copy it from its source again."


class NoTextLayerError(ParsingError):
    code = "no_text_layer"
    title = "No text in the file"
    usual_remedy = "It seems to hold only images: run text recognition (OCR) and upload the searchable version."


class TextEncodingError(ParsingError):
    code = "undecodable_text"
    title = "Unknown text encoding"
    usual_remedy = "Save the file as UTF-8 and upload it again."


class OutputTooLargeError(ParsingError):
    status = 413
    code = "output_too_large"
    title = "Too much text"
    usual_remedy = "Split the file into parts and upload those."


class NoPassagesError(ParsingError):
    code = "no_passages"
    title = "No text to search"


class BlobMissingError(ParsingError):
    code = "blob_missing"
    title = "The stored file is gone"
    usual_remedy = "Upload the file again; if it comes from a source, change it there and run a sync."


class ParseTimeoutError(ParsingError):
    code = "parse_timeout"
    title = "Parsing took too long"
    usual_remedy = "Try again; if it stays so, split the file or print it to a new PDF."
    may_pass_later = True


class ParseOutOfMemoryError(ParsingError):
    code = "parse_out_of_memory"
    title = "Parsing needs too much memory"
    usual_remedy = "Try again; if it stays so, split the file or remove large embedded objects."
    may_pass_later = True


class ParserCrashedError(ParsingError):
    code = "parser_crashed"
    title = "The parser stopped"
    usual_remedy = "Try again; if it stays so, save the file anew in its own application."
    may_pass_later = True


BY_CODE: dict[str, type[ParsingError]] = {
    error.code: error
    for error in (
        EmptyFileError,
        TooLargeError,
        TooManyPagesError,
        EncryptedError,
        ArchiveBombError,
        WrongExtensionError,
        UnsupportedTypeError,
        CorruptFileError,
        NoTextLayerError,
        TextEncodingError,
        OutputTooLargeError,
        NoPassagesError,
        BlobMissingError,
        ParseTimeoutError,
        ParseOutOfMemoryError,
        ParserCrashedError,
    )
}
