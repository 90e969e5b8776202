"""The demo handbook says what its questions claim, where they claim it, to whom they claim it."""

import csv
import email
import email.policy
import io
import re
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from docx import Document
from openpyxl import load_workbook
from pptx import Presentation
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pypdfium2 import PdfDocument

from zhiku_services.embedded.demo import HANDBOOK, QUESTIONS, build


class Question(BaseModel):
    """One line of `questions.jsonl`.

    `answers` are the strings of which a right answer holds one; the first stands in `document`, on `page`
    (page, slide or sheet, from 1) where the format has pages. `asker` may read the document, `denied` may
    not. A follow-up is asked after the question it names, in the same conversation.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    question: str
    language: str
    answers: list[str]
    document: str | None
    page: int | None
    asker: str = Field(alias="as")
    denied: list[str]
    answerable: bool
    follow_up_of: str | None


ACCOUNTS = {"lin": "group:engineering", "zhao": "group:finance", "chen": "group:compliance"}
LINE = TypeAdapter(Question)
ALL = [LINE.validate_json(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
ANSWERABLE = [question for question in ALL if question.answerable]


def pages_of(path: Path) -> list[str]:  # noqa: PLR0911 - one honest list of the formats
    """The text of each page, slide or sheet; one item where the format has none."""
    match path.suffix:
        case ".pdf":
            with PdfDocument(path) as pdf:
                return [pdf[number].get_textpage().get_text_bounded() for number in range(len(pdf))]
        case ".docx":
            document = Document(str(path))
            cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
            return ["\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])]
        case ".pptx":
            return ["".join(slide.element.itertext()) for slide in Presentation(str(path)).slides]
        case ".xlsx":
            return [
                "\n".join(" ".join(str(value) for value in row) for row in sheet.values)
                for sheet in load_workbook(path)
            ]
        case ".html":
            return [BeautifulSoup(path.read_text(encoding="utf-8"), "lxml").get_text()]
        case ".eml":
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = message.get_body(("plain",))
            assert body is not None
            return [str(body.get_content())]
        case ".txt":
            return [path.read_bytes().decode("gb18030")]
        case _:
            return [path.read_text(encoding="utf-8")]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def readers_of(path: str) -> list[str] | None:
    """The readers of the document's folder, None for everyone."""
    acl = (HANDBOOK / path).parent / ".zhiku-acl.toml"
    if not acl.exists():
        return None
    return TypeAdapter(list[str]).validate_python(tomllib.loads(acl.read_text(encoding="utf-8"))["readers"])


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: question.id)
def test_the_first_answer_stands_in_the_named_document(question: Question) -> None:
    assert question.document is not None
    pages = pages_of(HANDBOOK / question.document)
    place = pages[question.page - 1] if question.page else "\n".join(pages)
    assert question.answers[0] in squeezed(place)


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: question.id)
def test_askers_and_denied_follow_from_the_folder(question: Question) -> None:
    assert question.document is not None
    readers = readers_of(question.document)
    may = {name for name, group in ACCOUNTS.items() if readers is None or group in readers}
    assert question.asker in may
    assert set(question.denied) == set(ACCOUNTS) - may


@pytest.mark.parametrize(
    ("answer", "folder"),
    [
        ("CHF 92", "finance"),
        ("NOK 880", "finance"),
        ("1,860", "finance"),
        ("奖金池", "finance"),
        ("on-call", "engineering"),
        ("0.8%", "engineering"),
        ("break glass", "engineering"),
        ("45 天", "compliance"),
        ("fountain pen", "compliance"),
    ],
)
def test_a_restricted_fact_stands_in_its_folder_only(answer: str, folder: str) -> None:
    files = [path for path in HANDBOOK.rglob("*") if path.is_file() and path.name != ".zhiku-acl.toml"]
    holders = {
        path.parent.name for path in files if answer.lower() in squeezed("\n".join(pages_of(path)) + path.stem).lower()
    }
    assert holders == {folder}


def test_every_document_is_asked_about() -> None:
    documents = {
        str(path.relative_to(HANDBOOK)) for path in HANDBOOK.rglob("*") if path.is_file() and path.suffix != ".toml"
    }
    assert {question.document for question in ANSWERABLE} == documents


def test_both_languages_and_all_kinds_of_question_are_there() -> None:
    assert [sum(question.language == language for question in ALL) for language in ("en", "zh")] == [22, 22]
    assert sum(not question.answerable for question in ALL) == 4
    assert sum(question.follow_up_of is not None for question in ALL) == 4
    assert sum(bool(question.denied) for question in ALL) == 10


def test_a_follow_up_comes_after_its_question_and_stays_in_its_document() -> None:
    earlier: dict[str, Question] = {}
    for question in ALL:
        if question.follow_up_of is not None:
            assert earlier[question.follow_up_of].document == question.document
        earlier[question.id] = question
    assert len(earlier) == len(ALL)


def test_an_unanswerable_question_names_no_document() -> None:
    unanswerable = [question for question in ALL if not question.answerable]
    assert all(not question.answers and question.document is None for question in unanswerable)


def test_the_handbook_covers_every_format_and_stays_small() -> None:
    files = [path for path in HANDBOOK.rglob("*") if path.is_file()]
    wanted = {".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".html", ".md", ".txt", ".eml"}
    assert {path.suffix for path in files} == wanted | {".toml"}
    assert sum(path.stat().st_size for path in files) < 2_500_000


def test_the_holiday_calendar_counts_its_days_right() -> None:
    text = (HANDBOOK / "general/holiday-calendar-2027.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(io.StringIO(text)):
        days = date.fromisoformat(row["last_day"]) - date.fromisoformat(row["first_day"])
        assert days.days + 1 == int(row["days_off"]), row["holiday"]


@pytest.mark.parametrize("source", [name for name, kind in build.TARGETS.items() if kind in {"docx", "pptx", "xlsx"}])
def test_an_office_document_is_what_its_source_builds(source: str) -> None:
    kind = build.TARGETS[source]
    text = (build.HERE / "source" / source).read_text(encoding="utf-8")
    with (
        zipfile.ZipFile(io.BytesIO(build.BUILDERS[kind](text))) as built,
        zipfile.ZipFile((HANDBOOK / source).with_suffix(f".{kind}")) as committed,
    ):
        assert {name: built.read(name) for name in built.namelist()} == {
            name: committed.read(name) for name in committed.namelist()
        }
