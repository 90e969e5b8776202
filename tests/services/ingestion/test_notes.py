from zhiku_platform.contracts.ingestion import DocumentNote
from zhiku_platform.text.document import Note
from zhiku_services.ingestion.notes import summarised


def test_notes_of_one_kind_are_counted_and_the_first_named() -> None:
    pages = [Note("page_without_text", page=page) for page in range(1, 100)]
    attachments = [Note("attachment", "plan.pdf"), Note("attachment", "x" * 1_000)]

    assert summarised([*pages, *attachments, Note("unreadable_characters", count=7)]) == [
        DocumentNote(code="attachment", count=2, names=["plan.pdf", "x" * 200]),
        DocumentNote(code="page_without_text", count=99, pages=list(range(1, 21))),
        DocumentNote(code="unreadable_characters", count=7),
    ]
