"""CSV and its cousins: the delimiter is found by which one gives rows of even width."""

import csv
import io
from collections import Counter
from collections.abc import Iterator

from zhiku_platform.text.document import ParsedDocument, Table
from zhiku_platform.text.normalisation import normalise
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.reading import decoded
from zhiku_services.ingestion.parsing.wire import Job

_DELIMITERS = (",", ";", "\t", "|", "，")
_SAMPLE_ROWS = 200
_FIELD_CHARS = 10_000_000


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read a file as one table whose first row is the header."""
    csv.field_size_limit(_FIELD_CHARS)
    # Not normalised before it is cut: tabs may delimit.
    text = decoded(job.path.read_bytes())
    if not text.strip():
        raise errors.EmptyFileError("The file holds nothing but white space.")
    try:
        rows = [tuple(normalise(cell).strip() for cell in row) for row in _reader(text, delimiter(text))]
    except csv.Error as error:
        raise errors.CorruptFileError("A quoted field of the table does not end.") from error
    filled = tuple(row for row in rows if any(row))
    return ParsedDocument(job.media_type, (Table(filled, header_rows=1 if len(filled) > 1 else 0),))


def delimiter(text: str) -> str:
    """Find the delimiter: the one that cuts most rows into the same number of cells, at least two."""
    best, best_score = ",", 0.0
    for candidate in _DELIMITERS:
        widths = [len(row) for row in _sample(text, candidate) if row]
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        score = count / len(widths) * min(width, 20) ** 0.25 if width > 1 else 0.0
        if score > best_score + 1e-9:
            best, best_score = candidate, score
    return best


def _sample(text: str, candidate: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in _reader(text[:200_000], candidate):
            rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        return []
    return rows


def _reader(text: str, candidate: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=candidate, skipinitialspace=True)
