"""Parse a file: check it, then hand it to a child process."""

from pathlib import Path

from zhiku_platform.text.document import ParsedDocument
from zhiku_services.ingestion.parsing import preflight, wire
from zhiku_services.ingestion.parsing.limits import ParseLimits
from zhiku_services.ingestion.parsing.pool import OnProgress, ParserPool


def parse(
    path: Path,
    *,
    file_name: str,
    limits: ParseLimits | None = None,
    on_progress: OnProgress | None = None,
    pool: ParserPool,
) -> ParsedDocument:
    """Return the structure of the file at `path`; its format comes from its content and `file_name`.

    `on_progress(done, total)` counts pages, slides or sheets. An exception out of it cancels.
    The result holds at least one block with text.

    Raises:
        ParsingError: the file is refused or failed; `code` and `remedy` say why and what to do.
    """
    limits = limits or ParseLimits()
    found = preflight.inspect(path, file_name=file_name, limits=limits)
    job = wire.Job(path.resolve(), file_name, found.format, found.media_type, limits)
    return pool.run(job, on_progress)
