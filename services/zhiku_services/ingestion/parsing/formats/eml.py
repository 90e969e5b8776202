"""Mail as RFC 5322 writes it: headers, the text of the body, and a list of attachments."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, Message

from zhiku_platform.text.document import Block, Heading, Note, Paragraph, ParsedDocument
from zhiku_platform.text.normalisation import normalise, one_line
from zhiku_services.ingestion.parsing import errors
from zhiku_services.ingestion.parsing.formats import Report
from zhiku_services.ingestion.parsing.formats.html import html_blocks
from zhiku_services.ingestion.parsing.formats.plain import text_blocks
from zhiku_services.ingestion.parsing.formats.reading import decoded
from zhiku_services.ingestion.parsing.wire import Job

_MESSAGE_HEADERS = ("From", "To", "Subject", "Date")
_SHOWN_HEADERS = ("From", "To", "Cc", "Date")


def parse(job: Job, _report: Report) -> ParsedDocument:
    """Read a mail. Attachments are named in the text and in the notes; their content is not read."""
    with job.path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if not any(name in message for name in _MESSAGE_HEADERS):
        raise errors.CorruptFileError("The file has no mail headers.")
    blocks = list(_read(message))
    attachments = [_name(part) for part in message.walk() if _is_attachment(part)]
    if attachments:
        blocks.append(Paragraph("Attachments: " + ", ".join(attachments)))
    notes = tuple(Note("attachment", name) for name in attachments)
    return ParsedDocument(job.media_type, tuple(blocks), title=_header(message, "Subject") or None, notes=notes)


def _read(message: EmailMessage) -> Iterator[Block]:
    """Yield headers and body; forwarded messages stand where they are, with their own headers."""
    yield from _headers(message)
    for part in _shown(message):
        if part.get_content_type() == "message/rfc822":
            for forwarded in part.iter_parts():
                assert isinstance(forwarded, EmailMessage)
                yield from _read(forwarded)
        elif _is_body(part):
            text = _text(part)
            yield from (html_blocks(text) if part.get_content_subtype() == "html" else text_blocks(normalise(text)))


def _shown(part: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the parts without parts that a reader is shown, in order; of alternatives, one.

    `EmailMessage.get_body` gives one text only, though many programs write text, picture, and text again.
    """
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        yield part
        return
    children = [child for child in part.iter_parts() if isinstance(child, EmailMessage)]
    if part.get_content_subtype() == "alternative":
        children = sorted(children, key=_rank)[:1]
    for child in children:
        yield from _shown(child)


def _rank(part: EmailMessage) -> int:
    """Order alternatives: plain text, then what holds HTML, then any other."""
    if part.get_content_type() == "text/plain" and _text(part).strip():
        return 0
    return 1 if any(child.get_content_type() == "text/html" for child in part.walk()) else 2


def _is_body(part: Message) -> bool:
    """Tell whether a text is read: one with a file name is an attachment, unless it is the whole mail."""
    is_broken = part.get_content_maintype() == "multipart" and not part.is_multipart()
    if is_broken:
        return True
    if part.get_content_type() not in {"text/plain", "text/html"} or part.get_content_disposition() == "attachment":
        return False
    return part.get_filename() is None or any(name in part for name in _MESSAGE_HEADERS)


def _is_attachment(part: Message) -> bool:
    return (
        part.get_content_maintype() != "multipart"
        and part.get_content_type() != "message/rfc822"
        and not _is_body(part)
    )


def _header(message: EmailMessage, name: str) -> str:
    return one_line(str(message.get(name, "")))


def _headers(message: EmailMessage) -> Iterator[Block]:
    if subject := _header(message, "Subject"):
        yield Heading(subject, 1)
    lines = [f"{name}: {value}" for name in _SHOWN_HEADERS if (value := _header(message, name))]
    if lines:
        yield Paragraph("\n".join(lines))


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


def _name(part: Message) -> str:
    return one_line(part.get_filename() or part.get_content_type())
