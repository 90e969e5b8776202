"""What the parser noted, as it is kept with a version and shown beside it."""

from collections.abc import Iterable
from itertools import groupby

from zhiku_platform.contracts.ingestion import DocumentNote
from zhiku_platform.text.document import Note

_SHOWN = 20
_NAME_CHARS = 200


def summarised(notes: Iterable[Note]) -> list[DocumentNote]:
    """Join the notes of one kind, in the order of their codes; at most the first 20 pages and names are kept."""
    by_code = groupby(sorted(notes, key=lambda note: note.code), key=lambda note: note.code)
    return [_joined(list(alike)) for _, alike in by_code]


def _joined(notes: list[Note]) -> DocumentNote:
    return DocumentNote(
        code=notes[0].code,
        count=sum(note.count for note in notes),
        pages=[note.page for note in notes if note.page is not None][:_SHOWN],
        names=[note.name[:_NAME_CHARS] for note in notes if note.name][:_SHOWN],
    )
