"""Mail as RFC 5322 writes it: headers, the text of the body, and a list of attachments."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage

from zhiku_platform.text.document import Block, Heading, Note, Paragraph, ParsedDocument
from zhiku_platform.text.normalisation import normalise, one_line
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.html import html_blocks
from zhiku_services.ingestion.parsing.formats.plain import text_blocks
from zhiku_services.ingestion.parsing.formats.reading import decoded
from zhiku_services.ingestion.parsing.wire import Job

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read a mail. Attachments are named in the text and in the notes; their content is not read."""
    with job.path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if not any(name in message for name in ("From", "To", "Subject", "Date")):
        raise errors.CorruptFileError("The file has no mail headers.")
    attachments = [_name(part) for part in _attachments(message)]
    blocks = [*_headers(message), *_body(message)]
    if attachments:
        blocks.append(Paragraph("Attachments: " + ", ".join(attachments)))
    notes = tuple(Note("attachment", f"The attachment {name} was not read.") for name in attachments)
    return ParsedDocument(job.media_type, tuple(blocks), title=_header(message, "Subject") or None, notes=notes)


def _header(message: EmailMessage, name: str) -> str:
    return one_line(str(message.get(name, "")))


def _headers(message: EmailMessage) -> Iterator[Block]:
    if subject := _header(message, "Subject"):
        yield Heading(subject, 1)
    lines = [f"{name}: {value}" for name in _SHOWN_HEADERS if (value := _header(message, name))]
    if lines:
        yield Paragraph("\n".join(lines))


def _body(message: EmailMessage) -> Iterator[Block]:
    """Yield the plain body, else the HTML one; forwarded messages follow with their headers."""
    body = message.get_body(("plain", "html"))
    if isinstance(body, EmailMessage):
        text = _text(body)
        if not text.strip() and (rich := message.get_body(("html",))) is not None and rich is not body:
            body = rich
            text = _text(rich) if isinstance(rich, EmailMessage) else ""
        yield from (html_blocks(text) if body.get_content_type() == "text/html" else text_blocks(normalise(text)))
    for part in message.iter_attachments():
        if part.get_content_type() == "message/rfc822":
            for forwarded in part.get_payload():
                if isinstance(forwarded, EmailMessage):
                    yield from _headers(forwarded)
                    yield from _body(forwarded)


def _text(part: EmailMessage) -> str:
    """Decode a text part by its charset, else by its bytes."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload:
        return ""
    charset = part.get_content_charset()
    if charset in {"gb2312", "gbk"}:
        charset = "gb18030"
    if charset:
        try:
            return payload.decode(charset)
        except (LookupError, UnicodeError):
            pass
    return decoded(payload)


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.iter_attachments():
        if part.get_content_type() != "message/rfc822":
            yield part


def _name(part: EmailMessage) -> str:
    return one_line(part.get_filename() or part.get_content_type())
