"""A worker's way through one document version: check, parse, cut, embed, publish.

Nothing here is remembered in the process: stopping anywhere and starting again ends in the same index.
Vectors are never all in memory; a document goes out in parts of `PART` passages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from zhiku_platform.access import service_principal
from zhiku_platform.blobs import BlobName, BlobStore
from zhiku_platform.clients.knowledge import KnowledgeClient
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import EmbedResponse, TextKind
from zhiku_platform.contracts.ingestion import DocumentNote, Reason, VersionState
from zhiku_platform.contracts.knowledge import DocumentTarget, PassageDraft, PublishedPassage, PublishRequest
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import NotFoundError, RemoteProblemError, ServiceUnavailableError, ZhikuError
from zhiku_platform.holds import CheckHolds
from zhiku_platform.telemetry import get_logger, stage
from zhiku_platform.text.document import ParsedDocument
from zhiku_platform.text.passages import CountTokens, index_text, passages
from zhiku_services.ingestion import leases, lifecycle
from zhiku_services.ingestion.leases import Lease, LeaseKeeper, LeaseLostError
from zhiku_services.ingestion.lifecycle import Acl
from zhiku_services.ingestion.notes import summarised
from zhiku_services.ingestion.parsing.errors import BlobMissingError, NoPassagesError, ParsingError
from zhiku_services.ingestion.states import Trace, backoff_s
from zhiku_services.ingestion.timing import Timing

log = get_logger(__name__)

PART = 128
EMBED_BATCH = 32
_SERVICE = "ingestion"
_TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})
_STALE_FENCE = "stale_fence"

OnProgress = Callable[[int, int], None]


class Parse(Protocol):
    """Turns a file into its structure; see `parsing.service.parse`."""

    def __call__(self, path: Path, *, file_name: str, on_progress: OnProgress) -> ParsedDocument: ...


class Inspect(Protocol):
    """Looks at a file before it is parsed and names its media type; see `parsing.preflight.inspect`."""

    def __call__(self, path: Path, *, file_name: str) -> str: ...


class Embed(Protocol):
    """Embeds texts; see `InferenceClient.embed`."""

    def __call__(self, principal: Principal, texts: Sequence[str], kind: TextKind) -> EmbedResponse: ...


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker needs, all of it given."""

    name: str
    database: Database
    blobs: BlobStore
    knowledge: KnowledgeClient
    embed: Embed
    inspect: Inspect
    parse: Parse
    count_tokens: CountTokens
    keeper: LeaseKeeper
    check_holds: CheckHolds
    timing: Timing = field(default_factory=Timing)


def claim(version_id: str, worker: Worker) -> Lease | None:
    """Take a version if it is there to be taken."""
    with stage(_SERVICE, "claim"), worker.database.write() as session:
        return leases.claim(session, version_id, worker=worker.name, timing=worker.timing)


def work(lease: Lease, worker: Worker) -> None:
    """Bring a claimed version to an end, or back into the queue if the end has to wait.

    A lost lease ends the work quietly: whoever took the document over goes on.
    """
    with worker.keeper.hold(lease):
        try:
            _index(lease, worker)
        except LeaseLostError:
            log.info("lease_lost", version_id=lease.version_id, fence=lease.fence)
        except ParsingError as error:
            _end_badly(lease, worker, error, may_pass_later=error.may_pass_later)
        except RemoteProblemError as error:
            _answer_problem(lease, worker, error)
        except ServiceUnavailableError as error:
            defer(lease, worker, _reason(lease, error))
        except ZhikuError as error:
            _end_badly(lease, worker, error, may_pass_later=False)


def _index(lease: Lease, worker: Worker) -> None:
    path = _blob_path(lease, worker)
    with stage(_SERVICE, "preflight"):
        lease.media_type = worker.inspect(path, file_name=lease.file_name)
    lease.enter(VersionState.PARSING)
    with stage(_SERVICE, "parse"):
        parsed = worker.parse(path, file_name=lease.file_name, on_progress=lease.report)
    lease.title = (parsed.title or "").strip()[:500] or lease.title
    with stage(_SERVICE, "passages"):
        drafts = passages(parsed, count_tokens=_while_held(lease, worker.count_tokens), title=lease.title)
    if not drafts:
        raise NoPassagesError("The file holds no text that could be searched.")
    lease.passages, lease.pages = len(drafts), parsed.pages
    lease.enter(VersionState.EMBEDDING, total=len(drafts))
    _publish(lease, worker, drafts, summarised(parsed.notes))


def _while_held(lease: Lease, count: CountTokens) -> CountTokens:
    """Count as long as the lease holds: to cut a long text takes minutes, and it may be cancelled."""

    def counted(text: str, /) -> int:
        lease.check()
        return count(text)

    return counted


def _publish(lease: Lease, worker: Worker, drafts: list[PassageDraft], notes: list[DocumentNote]) -> None:
    """Embed and publish part by part; only the last part makes the version visible."""
    acl, revision = Acl(), 0
    starts = range(0, len(drafts), PART)
    for part, start in enumerate(starts):
        published, model = _embed(lease, worker, drafts[start : start + PART], start)
        final = part == len(starts) - 1
        if final:
            acl, revision = _announce(lease, worker, VersionState.PUBLISHING, Trace.FLIP)
        elif part == 0:
            acl, revision = _announce(lease, worker, VersionState.EMBEDDING, Trace.PARTS)
        request = PublishRequest(
            target=_target(lease, acl, revision),
            version_id=lease.publication_id,
            fence=lease.fence,
            part=part,
            final=final,
            embedding_model=model,
            passages=published,
        )
        with stage(_SERVICE, "publish"):
            worker.knowledge.publish(service_principal(_SERVICE, lease.tenant), request)
    with stage(_SERVICE, "state"), worker.database.write() as session:
        document, version = leases.held(session, lease)
        version.done = version.total = len(drafts)
        version.notes = [note.model_dump() for note in notes]
        lifecycle.finish(session, version, document, acl_revision=revision)
    log.info(
        "document_indexed",
        document_id=lease.document_id,
        version_id=lease.version_id,
        passages=len(drafts),
    )


def _embed(lease: Lease, worker: Worker, drafts: list[PassageDraft], start: int) -> tuple[list[PublishedPassage], str]:
    published: list[PublishedPassage] = []
    model = ""
    for offset in range(0, len(drafts), EMBED_BATCH):
        batch = drafts[offset : offset + EMBED_BATCH]
        texts = [index_text(lease.title, draft.heading_path, draft.text) for draft in batch]
        with stage(_SERVICE, "embed"):
            answer = worker.embed(service_principal(_SERVICE, lease.tenant), texts, TextKind.PASSAGE)
        model = answer.model
        published += [PublishedPassage(draft=d, vector=v) for d, v in zip(batch, answer.vectors, strict=True)]
        lease.report(start + offset + len(batch), lease.total)
    return published, model


def _target(lease: Lease, acl: Acl, acl_revision: int) -> DocumentTarget:
    return DocumentTarget(
        document_id=lease.document_id,
        knowledge_base_id=lease.knowledge_base_id,
        source_id=lease.source_id or None,
        path=lease.path,
        title=lease.title,
        media_type=lease.media_type,
        blob=lease.blob,
        size_bytes=lease.size_bytes,
        content_hash=lease.blob,
        level=acl.level,
        readers=None if acl.readers is None else list(acl.readers),
        acl_revision=acl_revision,
        pages=lease.pages,
    )


def _announce(lease: Lease, worker: Worker, to: VersionState, trace: Trace) -> tuple[Acl, int]:
    """Write what is about to be in the index, and read the ACL of this moment."""
    with stage(_SERVICE, "state"), lease.writing(), worker.database.write() as session:
        return leases.advance(session, lease, to, trace=trace, lease_s=worker.timing.lease_s)


def _blob_path(lease: Lease, worker: Worker) -> Path:
    try:
        return worker.blobs.path(BlobName(lease.blob))
    except NotFoundError as error:
        raise BlobMissingError("The stored bytes of this document are missing.") from error


def _reason(lease: Lease, error: ZhikuError) -> Reason:
    code = error.remote_code if isinstance(error, RemoteProblemError) else error.code
    return Reason(code=code, stage=lease.stage, detail=error.detail, remedy=error.remedy)


def _answer_problem(lease: Lease, worker: Worker, error: RemoteProblemError) -> None:
    if error.remote_code == _STALE_FENCE:
        log.info("lease_lost", version_id=lease.version_id, fence=lease.fence)
    elif error.remote.status in _TRANSIENT_STATUS:
        defer(lease, worker, _reason(lease, error))
    else:
        _end_badly(lease, worker, error, may_pass_later=False)


def _end_badly(lease: Lease, worker: Worker, error: ZhikuError, *, may_pass_later: bool) -> None:
    reason = _reason(lease, error)
    log.info("document_refused", version_id=lease.version_id, code=reason.code, stage=reason.stage)
    if may_pass_later:
        strike(lease, worker, reason)
        return
    try:
        with worker.database.write() as session:
            document, version = leases.held(session, lease)
            lifecycle.stop(session, version, document, VersionState.FAILED, reason)
    except LeaseLostError:
        log.info("lease_lost", version_id=lease.version_id, fence=lease.fence)


def strike(lease: Lease, worker: Worker, reason: Reason) -> None:
    """Count a failed attempt: again after a pause, or quarantine."""
    timing = worker.timing
    wait_s = backoff_s(lease.attempt, first_s=timing.strike_backoff_s, longest_s=60.0)
    try:
        with worker.database.write() as session:
            document, version = leases.held(session, lease)
            lifecycle.strike(session, version, document, reason, max_attempts=timing.max_attempts, wait_s=wait_s)
    except LeaseLostError:
        log.info("lease_lost", version_id=lease.version_id, fence=lease.fence)


def defer(lease: Lease, worker: Worker, reason: Reason) -> None:
    """Wait for another service without counting an attempt; after `defer_total_s`, fail."""
    try:
        with worker.database.write() as session:
            document, version = leases.held(session, lease)
            now = utc_now()
            since = version.deferred_since or now
            if now - since > timedelta(seconds=worker.timing.defer_total_s):
                lifecycle.stop(session, version, document, VersionState.FAILED, reason)
                return
            version.attempt -= 1
            version.deferrals += 1
            version.deferred_since = since
            lifecycle.set_reason(version, reason)
            lifecycle.requeue(session, version, not_before=_due(now, version.deferrals, worker.timing))
    except LeaseLostError:
        log.info("lease_lost", version_id=lease.version_id, fence=lease.fence)


def _due(now: datetime, deferrals: int, timing: Timing) -> datetime:
    wait_s = backoff_s(deferrals, first_s=timing.defer_first_s, longest_s=timing.defer_longest_s)
    return now + timedelta(seconds=wait_s)
