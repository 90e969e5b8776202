"""The service's face: reviewers' questions under `/api/v1`, other services' events under `/internal`."""

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Annotated

from fastapi import Query, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.approvals import Approvals, GivenApproval, waiting
from zhiku_platform.contracts.audit import (
    ACTOR,
    Accepted,
    AppendRequest,
    AuditFilter,
    AuditView,
    Checkpoint,
    ConsistencyProof,
    Cosignature,
    ExportRequest,
    Facets,
    LoggedEvent,
    LoggedReceipt,
    LogStatus,
    NewAuditView,
    Outcome,
    PersonLookup,
    Pseudonyms,
    Reason,
    Revealed,
    TimelineKind,
)
from zhiku_platform.contracts.erasure import CertificateDigest, SignedCertificate
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.wire import SEARCHABLE, Moment, Page
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.http import GuardedRouter
from zhiku_services.audit import service
from zhiku_services.audit.erasing import sign_certificate
from zhiku_services.audit.service import Trail

router = GuardedRouter(prefix="/api/v1", tags=["audit"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanAppend = Annotated[Access, require(Permission.AUDIT_APPEND)]
CanRead = Annotated[Access, require(Permission.AUDIT_READ)]
CanReveal = Annotated[Access, require(Permission.AUDIT_REVEAL)]
CanReview = Annotated[Access, require(Permission.RECEIPT_REVIEW)]
CanCertify = Annotated[Access, require(Permission.PERSON_ERASE)]
CanExport = Annotated[Access, require(Permission.AUDIT_EXPORT)]

Cursor = Annotated[str, Query(max_length=40)]
Limit = Annotated[int, Query(ge=1, le=200)]
Actor = Annotated[str | None, Query(max_length=200, pattern=ACTOR)]
Text = Annotated[str | None, Query(max_length=200, pattern=SEARCHABLE)]
Size = Annotated[int, Query(ge=0, le=2**53)]

_ZIP: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/zip": {}}, "description": "The bundle; `verify.py` in it checks it"}
}
_ASKED: dict[int | str, dict[str, object]] = {
    202: {"model": Approval, "description": "Two others are asked; come back with `approval`"}
}
_PROOF: dict[int | str, dict[str, object]] = {
    200: {"content": {"text/plain": {}}, "description": "A C2SP tlog-proof; its extra data is the entry"}
}


@router.get("/audit-events")
def search_audit_events(
    access: CanRead,
    request: Request,
    actor: Actor = None,
    person: Actor = None,
    action: Text = None,
    subject: Text = None,
    knowledge_base: Text = None,
    document: Text = None,
    conversation: Text = None,
    outcome: Outcome | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[LoggedEvent]:
    """Search the audit trail, the newest first. People are pseudonyms. That you searched is recorded."""
    wanted = AuditFilter(
        actor=actor, person=person, action=action, subject=subject, knowledge_base=knowledge_base,
        document=document, conversation=conversation, outcome=outcome, since=since, until=until,
    )  # fmt: skip
    return service.search(access, wanted, _trail(request), cursor=cursor, limit=limit)


@router.post("/audit-events/facets")
def count_audit_events(access: CanRead, request: Request, wanted: AuditFilter) -> Facets:
    """Count what a search finds, by actor, action, outcome and knowledge base."""
    return service.facets(access, wanted, _trail(request))


@router.get("/audit-events/{event_id}")
def get_audit_event(access: CanRead, request: Request, event_id: str) -> LoggedEvent:
    """Get one event."""
    return service.get_event(access, event_id, _trail(request))


@router.get("/audit-events/{event_id}/proof", response_class=PlainTextResponse, responses=_PROOF)
def prove_audit_event(access: CanRead, request: Request, event_id: str) -> PlainTextResponse:
    """Get a proof that the event is in the log; it is checked offline, with the log's public key."""
    return PlainTextResponse(service.prove(access, event_id, _trail(request)))


@router.post("/audit-events/{event_id}/reveal")
def reveal_audit_event(access: CanReveal, request: Request, event_id: str, reason: Reason) -> Revealed:
    """See who did it, and its sealed part. Your reason is recorded first."""
    return service.reveal(access, event_id, reason, _trail(request))


@router.get("/audit-timelines/{kind}/{what}")
def get_audit_timeline(
    access: CanRead, request: Request, kind: TimelineKind, what: str, cursor: Cursor = "", limit: Limit = 50
) -> Page[LoggedEvent]:
    """All that happened by or to one actor, document, conversation or knowledge base, the oldest first."""
    return service.timeline(access, kind, what, _trail(request), cursor=cursor, limit=limit)


@router.post("/audit-pseudonyms")
def find_audit_pseudonyms(access: CanReveal, request: Request, lookup: PersonLookup) -> Pseudonyms:
    """Find what the log calls a person. Your reason is recorded first."""
    return service.find_person(access, lookup, _trail(request))


@router.get("/audit-views")
def list_audit_views(access: CanRead, request: Request, cursor: Cursor = "", limit: Limit = 50) -> Page[AuditView]:
    """List your saved searches."""
    return service.list_views(access, _trail(request), cursor=cursor, limit=limit)


@router.post("/audit-views", status_code=201)
def save_audit_view(access: CanRead, request: Request, new: NewAuditView) -> AuditView:
    """Save a search."""
    return service.save_view(access, new, _trail(request))


@router.delete("/audit-views/{view_id}", status_code=204)
def delete_audit_view(access: CanRead, request: Request, view_id: str) -> None:
    """Delete one of your saved searches."""
    service.delete_view(access, view_id, _trail(request))


@router.post("/audit-exports", response_class=Response, responses={**_ZIP, **_ASKED})
def export_audit_events(
    access: CanExport, request: Request, wanted: ExportRequest, approval: GivenApproval = None
) -> Response:
    """Export evidence: what matches and is signed, with proofs, keys and a program that checks them.

    Two others have to approve it first: ask without `approval`, and come back with theirs.
    """
    approvals = _approvals(request)
    subject = service.describe_export(wanted)
    if approval is None:
        return waiting(approvals.ask(access, subject, wanted.reason))
    claim = approvals.use(access, approval, subject)
    file = TemporaryFile(prefix="zhiku-bundle-")  # noqa: SIM115 - closed once it is sent
    try:
        service.export(access, wanted, _trail(request), file, approval=approval)
        # Before anything leaves: of two that were begun with one approval, the last one only.
        approvals.complete(access, claim)
    except BaseException:
        file.close()
        raise
    return StreamingResponse(_read(file), media_type="application/zip")


@router.get("/audit-log")
def get_audit_log(access: CanRead, request: Request) -> LogStatus:
    """Get the log's size, latest checkpoint, public key, and the gaps in what producers sent."""
    return service.status(access, _trail(request))


@router.get("/audit-log/checkpoint")
def get_audit_checkpoint(access: CanRead, request: Request) -> Checkpoint:
    """Get the latest checkpoint with its cosignatures."""
    return service.get_checkpoint(access, _trail(request))


@router.get("/audit-log/consistency")
def prove_audit_consistency(access: CanRead, request: Request, first: Size, second: Size) -> ConsistencyProof:
    """Prove that the log has only grown between two sizes."""
    return service.consistency(access, first, second, _trail(request))


@router.post("/audit-log/cosignatures", status_code=204)
def add_audit_cosignature(access: CanRead, request: Request, cosignature: Cosignature) -> None:
    """Leave a witness's cosignature of a checkpoint."""
    service.add_cosignature(access, cosignature, _trail(request))


@internal.post("/audit-events")
def append_audit_events(access: CanAppend, request: Request, events: AppendRequest) -> Accepted:
    """Make another service's events durable."""
    del access
    return service.append(events, _trail(request))


@internal.post("/erasure-certificates")
def sign_erasure_certificate(access: CanCertify, request: Request, certificate: CertificateDigest) -> SignedCertificate:
    """Sign what the erasure desk certifies."""
    trail = _trail(request)
    return SignedCertificate(note=sign_certificate(access, certificate.sha256, trail), key=trail.signer.public_key)


@internal.get("/receipts/{answer_id}")
def get_logged_receipt(access: CanReview, request: Request, answer_id: str) -> LoggedReceipt:
    """Tell what the log says of an answer's receipt."""
    return service.logged_receipt(access, answer_id, _trail(request))


def _approvals(request: Request) -> Approvals:
    approvals: Approvals | None = request.app.state.approvals
    if approvals is None:
        raise ServiceUnavailableError("Nobody can be asked to approve this.", remedy="Start the governance service.")
    return approvals


def _trail(request: Request) -> Trail:
    trail: Trail = request.app.state.trail
    return trail


def _read(file: IO[bytes]) -> Iterator[bytes]:
    """A file from its beginning; it has no name, so closing it is all there is to tidy up."""
    with file:
        file.seek(0)
        while part := file.read(1 << 20):
            yield part
