"""Read a text file whatever its encoding."""

from pathlib import Path

from zhiku_platform.text.decoding import UndecodableTextError, decode
from zhiku_platform.text.normalisation import normalise
from zhiku_services.ingestion.parsing import errors


def read_text(path: Path) -> str:
    """Return the text of a file, normalised.

    Raises:
        TextEncodingError: the encoding could not be found.
        EmptyFileError: there is nothing but white space.
    """
    text = normalise(decoded(path.read_bytes()))
    if not text.strip():
        raise errors.EmptyFileError("The file holds nothing but white space.")
    return text


def decoded(data: bytes) -> str:
    """Decode bytes; raises TextEncodingError."""
    try:
        return decode(data).text
    except UndecodableTextError as error:
        raise errors.TextEncodingError(error.detail, remedy=error.remedy) from error
