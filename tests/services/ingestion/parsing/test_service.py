"""From a file on disk to a document, through the child."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhiku_platform.text.document import document_text
from zhiku_platform.text.passages import passages
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.ingestion.parsing.service import parse

EVAL_DATA = os.environ.get("ZHIKU_EVAL_DATA")
needs_eval_data = pytest.mark.skipif(EVAL_DATA is None, reason="set ZHIKU_EVAL_DATA to the evaluation data")


def test_a_pdf_comes_back_with_pages_places_and_progress(
    make_pdf: Callable[..., Path], text_mark: Callable[..., Any], pool: ParserPool
) -> None:
    path = make_pdf([text_mark(50, 100, "Page one says this.")], [text_mark(50, 100, "Page two says that.")])
    seen: list[tuple[int, int]] = []
    document = parse(path, file_name="a.pdf", pool=pool, on_progress=lambda done, total: seen.append((done, total)))
    assert document_text(document) == "Page one says this.\n\nPage two says that."
    assert document.media_type == "application/pdf"
    assert seen == [(1, 2), (2, 2)]


def test_what_the_child_refuses_arrives_as_the_same_error(
    make_pdf: Callable[..., Path], text_mark: Callable[..., Any], pool: ParserPool
) -> None:
    path = make_pdf([text_mark(50, 100, "x")], password="secret")
    with pytest.raises(errors.EncryptedError) as caught:
        parse(path, file_name="a.pdf", pool=pool)
    assert caught.value.remedy == errors.EncryptedError.usual_remedy
    assert caught.value.status == 422


def test_every_error_has_a_code_of_its_own_and_a_remedy() -> None:
    assert set(errors.BY_CODE.values()) == set(errors.ParsingError.__subclasses__())
    for code, error in errors.BY_CODE.items():
        assert error.code == code
        assert error("What happened.").remedy.endswith(".")


@needs_eval_data
@pytest.mark.slow
def test_real_documents_end_as_text_or_as_a_known_error(pool: ParserPool) -> None:
    folder = Path(EVAL_DATA or "") / "documents"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and "groundtruth" not in p.parts]
    files = [p for p in files if p.parent.name != "financebench_pdfs_a" and p.suffix not in {"", ".docling"}]
    assert len(files) > 100
    failed: dict[str, str] = {}
    for path in files:
        try:
            document = parse(path, file_name=path.name, pool=pool)
        except errors.ParsingError as error:
            failed[path.name] = error.code
            continue
        drafts = passages(document, count_tokens=len)
        assert drafts, path.name
        assert all(draft.tokens <= 480 for draft in drafts), path.name
    expected = {"unsupported_type", "no_text_layer", "encrypted"}
    assert set(failed.values()) <= expected
    assert len(failed) < 0.2 * len(files)
