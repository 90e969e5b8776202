"""What reviewers and witnesses ask of the log. Whoever reads it is in it: first the record, then the answer."""

import base64
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any

from pydantic import ValidationError
from sqlalchemy import Connection, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of
from zhiku_platform.contracts.audit import (
    ACTIONS,
    Accepted,
    AppendRequest,
    AuditFilter,
    AuditView,
    Checkpoint,
    ConsistencyProof,
    Cosignature,
    Detail,
    ExportRequest,
    Facets,
    LoggedEvent,
    LoggedReceipt,
    LogStatus,
    NewAuditView,
    PersonLookup,
    ProducedEvent,
    Pseudonyms,
    Reason,
    Revealed,
    TimelineKind,
)
from zhiku_platform.contracts.governance import ApprovalAction, ApprovalSubject, Resource
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import Database
from zhiku_platform.errors import NotFoundError, UnprocessableError
from zhiku_services.audit.bundle import write_bundle
from zhiku_services.audit.canonical import read
from zhiku_services.audit.errors import NoCheckpointError, WitnessRefusedError
from zhiku_services.audit.facets import pseudonyms_in
from zhiku_services.audit.intake import Intake
from zhiku_services.audit.log import (
    checkpoint_at,
    count_waiting,
    latest_checkpoint,
    sealing_checkpoints,
    sequence_gaps,
    tree_of,
    tree_reader,
)
from zhiku_services.audit.models import COSIGNATURE
from zhiku_services.audit.repository import AuditRepository, Found
from zhiku_services.audit.sealing import MasterKeys, Vault
from zhiku_services.audit.signer import Signer
from zhiku_services.audit.times import from_text
from zhiku_services.audit.verifier import (
    COSIGNATURE_V1,
    Note,
    TamperedError,
    VerifierKey,
    leaf_hash,
    open_checkpoint,
    root_from_inclusion,
)

_TIMELINES: Mapping[TimelineKind, str] = {
    TimelineKind.ACTOR: "person",
    TimelineKind.DOCUMENT: "document",
    TimelineKind.CONVERSATION: "conversation",
    TimelineKind.KNOWLEDGE_BASE: "knowledge_base",
}
_ID = re.compile(r"[a-z]{2,5}_[0-9A-Za-z-]{4,60}")


ReadableDocuments = Callable[[Principal, list[str]], set[str]]
"""Those of the documents that somebody may read now."""


@dataclass(frozen=True)
class Trail:
    """The log and what it stands on."""

    database: Database
    intake: Intake
    signer: Signer
    keys: MasterKeys
    documents: ReadableDocuments | None = None
    """Without it, nothing that repeats documents is revealed."""


def append(request: AppendRequest, trail: Trail) -> Accepted:
    """Make the events of another service durable."""
    return trail.intake.append(request.events, may_lose=request.may_lose)


def search(access: Access, wanted: AuditFilter, trail: Trail, *, cursor: str, limit: int) -> Page[LoggedEvent]:
    """Matching events, the newest first, masked."""
    _record_search(access, trail, "search", wanted)
    with trail.database.read() as session:
        connection = session.connection()
        found = AuditRepository(connection, access).search(wanted, before=_place(cursor), limit=limit + 1)
        sealed = sealing_checkpoints(connection, [entry.index for entry in found[:limit]])
    items = [to_logged_event(entry, sealed.get(entry.index)) for entry in found[:limit]]
    return Page(items=items, next_cursor=str(items[-1].index) if len(found) > limit else None)


def facets(access: Access, wanted: AuditFilter, trail: Trail) -> Facets:
    """How many matching events have which value."""
    _record_search(access, trail, "facets", wanted)
    with trail.database.read() as session:
        return AuditRepository(session.connection(), access).facets(wanted)


def timeline(
    access: Access, kind: TimelineKind, what: str, trail: Trail, *, cursor: str, limit: int
) -> Page[LoggedEvent]:
    """All that happened by or to one person, document, conversation or knowledge base, the oldest first."""
    try:
        wanted = AuditFilter.model_validate({_TIMELINES[kind]: what})
    except ValidationError as error:
        raise UnprocessableError(
            "The log does not call anybody that.",
            remedy="Look the pseudonym up with a reason, or take it from an event.",
        ) from error
    _record_search(access, trail, "timeline", wanted)
    with trail.database.read() as session:
        connection = session.connection()
        after = -1 if _place(cursor) is None else int(cursor)
        size = tree_of(connection).size
        found = AuditRepository(connection, access).after(wanted, after=after, limit=limit + 1, below=size)
        sealed = sealing_checkpoints(connection, [entry.index for entry in found[:limit]])
    items = [to_logged_event(entry, sealed.get(entry.index)) for entry in found[:limit]]
    return Page(items=items, next_cursor=str(items[-1].index) if len(found) > limit else None)


def get_event(access: Access, event_id: str, trail: Trail) -> LoggedEvent:
    """One event, masked."""
    _record(access, trail, "audit.viewed", event_id, what="event")
    with trail.database.read() as session:
        connection = session.connection()
        entry = _entry(AuditRepository(connection, access), event_id)
        return to_logged_event(entry, sealing_checkpoints(connection, [entry.index]).get(entry.index))


def prove(access: Access, event_id: str, trail: Trail) -> str:
    """A proof that one event is in the log, which can be checked offline (C2SP tlog-proof).

    Its extra data is the entry itself.

    Raises:
        NoCheckpointError: the event is so new that no checkpoint covers it.
    """
    _record(access, trail, "audit.viewed", event_id, what="proof")
    with trail.database.read() as session:
        connection = session.connection()
        entry = _entry(AuditRepository(connection, access), event_id)
        checkpoint = latest_checkpoint(connection)
        if checkpoint is None or checkpoint.size <= entry.index:
            raise NoCheckpointError
        path = tree_reader(connection, checkpoint.size).inclusion(entry.index, checkpoint.size)
    lines = [base64.b64encode(node).decode() for node in path]
    extra = base64.b64encode(entry.payload).decode()
    head = ["c2sp.org/tlog-proof@v1", f"extra {extra}", f"index {entry.index}", *lines]
    return "\n".join(head) + "\n\n" + checkpoint.note


def reveal(access: Access, event_id: str, reason: Reason, trail: Trail) -> Revealed:
    """Who did it, and the event's sealed part; the reviewer and the reason are in the log before.

    What an event seals of documents is for those who may read them all, now.
    """
    with trail.database.read() as session:
        # Only that there is such an event; nothing of it leaves before the record is durable.
        _entry(AuditRepository(session.connection(), access), event_id)
    _record_because(access, trail, "audit.revealed", event_id, reason.reason)
    with trail.database.read() as session:
        connection = session.connection()
        event = read(_entry(AuditRepository(connection, access), event_id).payload)
        vault = Vault(connection, trail.keys)
        data = event["data"]
        people = {name: _who(name, access.tenant, vault) for name in sorted(pseudonyms_in(event))}
        actor = data["actor"]["user"]["uid"]
        sealed = vault.open(event["id"], access.tenant, data["sealed"]) if "sealed" in data else None
    is_withheld = sealed is not None and not _may_read_all(access, event, trail)
    return Revealed(
        actor=people.get(actor, actor),
        people=people,
        sealed=None if is_withheld else sealed,
        is_withheld=is_withheld,
    )


def logged_receipt(access: Access, answer_id: str, trail: Trail) -> LoggedReceipt:
    """What the log says of an answer's receipt. That it is asked is recorded by who asks, with the review."""
    with trail.database.read() as session:
        connection = session.connection()
        repository = AuditRepository(connection, access)
        ends = ("answer.given", "answer.interrupted")
        found = [
            entry
            for action in ends
            for entry in repository.search(AuditFilter(action=action, subject=answer_id), before=None, limit=2)
        ]
        if not found:
            return LoggedReceipt()
        # An answer ends once: of two events about that, none proves anything.
        is_proven = len(found) == 1 and _is_proven(connection, found[0], trail)
        digest = read(found[0].payload)["data"]["unmapped"]["kb"].get("receipt")
        return LoggedReceipt(sha256=digest, is_proven=is_proven)


def _is_proven(connection: Connection, entry: Found, trail: Trail) -> bool:
    """Whether the entry is in the tree whose root the log's own key has signed."""
    latest = latest_checkpoint(connection)
    if latest is None or latest.size <= entry.index:
        return False
    try:
        signed = open_checkpoint(latest.note, VerifierKey.parse(trail.signer.public_key))
    except TamperedError:
        return False
    path = tree_reader(connection, signed.size).inclusion(entry.index, signed.size)
    return root_from_inclusion(leaf_hash(entry.payload), entry.index, signed.size, path) == signed.root


def find_person(access: Access, lookup: PersonLookup, trail: Trail) -> Pseudonyms:
    """What the log calls a person; it does not say whether there is such a person.

    A lookup brings nobody into the log: who was looked up stands in the sealed part, and beside it under
    the pseudonym that they have.
    """
    with trail.database.read() as session:
        known = Vault(session.connection(), trail.keys).known_pseudonym(access.tenant, lookup.user)
    clear: dict[str, Detail] = {} if known is None else {"user": lookup.user}
    sealed = {"user": lookup.user}
    _record_because(access, trail, "audit.person_looked_up", "person", lookup.reason, clear, sealed)
    return Pseudonyms(pseudonyms=[] if known is None else [known])


def list_views(access: Access, trail: Trail, *, cursor: str, limit: int) -> Page[AuditView]:
    """The caller's saved searches."""
    with trail.database.read() as session:
        found = AuditRepository(session.connection(), access).views(after=cursor, limit=limit + 1)
    return Page(items=found[:limit], next_cursor=found[limit - 1].id if len(found) > limit else None)


def save_view(access: Access, new: NewAuditView, trail: Trail) -> AuditView:
    with trail.database.write() as session:
        connection = session.connection()
        view = AuditRepository(connection, access).add_view(new)
        _record_within(access, trail, connection, "audit.view_saved", view.id)
        return view


def delete_view(access: Access, view_id: str, trail: Trail) -> None:
    with trail.database.write() as session:
        connection = session.connection()
        if not AuditRepository(connection, access).delete_view(view_id):
            raise NotFoundError("saved search")
        _record_within(access, trail, connection, "audit.view_deleted", view_id)


def status(access: Access, trail: Trail) -> LogStatus:
    """The log now."""
    _record(access, trail, "audit.viewed", "log", what="status")
    # Before the log: the signer may sign while we read.
    refusal = trail.signer.refusal()
    with trail.database.read() as session:
        connection = session.connection()
        tree = tree_of(connection)
        checkpoint = latest_checkpoint(connection)
        return LogStatus(
            origin=trail.signer.origin,
            public_key=trail.signer.public_key,
            next_public_key=trail.signer.next_public_key,
            handovers=trail.signer.handovers(),
            size=tree.size,
            waiting=count_waiting(connection),
            spooled=trail.intake.waiting_in_spool(),
            set_aside=trail.intake.set_aside_in_spool(),
            lost=trail.intake.lost,
            signer_refuses=refusal.concerns(tree.size, tree.root(), tree_reader(connection, tree.size).consistency),
            checkpoint=None if checkpoint is None else checkpoint.note,
            gaps=sequence_gaps(connection),
        )


def get_checkpoint(access: Access, trail: Trail) -> Checkpoint:
    """The latest checkpoint with its cosignatures."""
    _record(access, trail, "audit.viewed", "log", what="checkpoint")
    with trail.database.read() as session:
        checkpoint = latest_checkpoint(session.connection())
    if checkpoint is None:
        raise NoCheckpointError
    return checkpoint


def consistency(access: Access, first: int, second: int, trail: Trail) -> ConsistencyProof:
    """Prove that the first `first` entries begin the first `second`."""
    _record(access, trail, "audit.viewed", "log", what="consistency")
    with trail.database.read() as session:
        connection = session.connection()
        size = tree_of(connection).size
        if not first <= second <= size:
            raise UnprocessableError(
                f"The log has {size} entries.", remedy="Ask for a first size that is not above the second one."
            )
        hashes = tree_reader(connection, size).consistency(first, second)
    return ConsistencyProof(first=first, second=second, hashes=[node.hex() for node in hashes])


def add_cosignature(access: Access, cosignature: Cosignature, trail: Trail) -> None:
    """Keep a witness's cosignature, if it is good.

    Raises:
        NotFoundError: no checkpoint has this size.
        WitnessRefusedError: the signature is not the key's, or not of this checkpoint.
    """
    with trail.database.write() as session:
        connection = session.connection()
        if keep_cosignature(connection, cosignature):
            _record_within(
                access, trail, connection, "audit.witnessed", "log", size=cosignature.size, witness=cosignature.key
            )


def keep_cosignature(connection: Connection, cosignature: Cosignature) -> bool:
    """Keep a good cosignature, once per witness and checkpoint; whether it is new. See `add_cosignature`."""
    checkpoint = checkpoint_at(connection, cosignature.size)
    if checkpoint is None:
        raise NotFoundError("checkpoint")
    _check_cosignature(checkpoint, cosignature)
    known = select(COSIGNATURE.c.key).where(
        COSIGNATURE.c.size == cosignature.size, COSIGNATURE.c.key == cosignature.key
    )
    if connection.execute(known).first() is not None:
        return False
    connection.execute(COSIGNATURE.insert().values(**cosignature.model_dump()))
    return True


def describe_export(request: ExportRequest) -> ApprovalSubject:
    """What is to be taken out. Without `until`, that goes up to the moment when it is."""
    return ApprovalSubject(
        action=ApprovalAction.AUDIT_EXPORT,
        resource=Resource(kind="audit_log", id="log", title="Audit log"),
        terms={name: str(value) for name, value in request.filter.model_dump(mode="json", exclude_none=True).items()},
    )


def export(access: Access, request: ExportRequest, trail: Trail, target: IO[bytes], *, approval: str) -> None:
    """Write an evidence bundle of what matches and is covered by a checkpoint; see `write_bundle`."""
    clear, sealed = _said(request.filter)
    clear["approval"] = approval
    _record_because(access, trail, "audit.exported", "bundle", request.reason, clear, sealed)
    with trail.database.read() as session, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        write_bundle(archive, session.connection(), trail.signer, wanted=request.filter, access=access)


def to_logged_event(entry: Found, sealed_at: int | None) -> LoggedEvent:
    """An entry as reviewers read it."""
    event = read(entry.payload)
    data = event["data"]
    return LoggedEvent(
        index=entry.index,
        id=event["id"],
        at=from_text(event["time"]),
        recorded_at=from_text(event["recordedtime"]),
        actor=data["actor"]["user"]["uid"],
        action=event["type"].removeprefix("zhiku."),
        subject=event["subject"],
        outcome=data["outcome"],
        details=data["unmapped"]["kb"],
        has_sealed_part="sealed" in data,
        sealed_at=sealed_at,
    )


def _entry(repository: AuditRepository, event_id: str) -> Found:
    found = repository.event(event_id)
    if found is None:
        raise NotFoundError("event")
    return found


def _record(access: Access, trail: Trail, action: str, subject: str, **details: Detail) -> None:
    trail.intake.append_event(event_of(access, action, subject[:200], **details))


def _record_because(
    access: Access,
    trail: Trail,
    action: str,
    subject: str,
    reason: str,
    clear: Mapping[str, Detail] = MappingProxyType({}),
    sealed: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Record an act with its reason, which is free text and so may have to be forgotten."""
    event = event_of(access, action, subject, **clear)
    trail.intake.append_event(event.model_copy(update={"sealed": {**sealed, "reason": reason}, "group": event.id}))


def _record_search(access: Access, trail: Trail, what: str, wanted: AuditFilter) -> None:
    clear, sealed = _said(wanted)
    event = event_of(access, "audit.searched", what, **clear)
    update = {"sealed": sealed, "group": event.id} if sealed else {}
    trail.intake.append_event(event.model_copy(update=update))


def _record_within(
    access: Access, trail: Trail, connection: Connection, action: str, subject: str, **details: Detail
) -> None:
    trail.intake.store(connection, [ProducedEvent(event=event_of(access, action, subject, **details))])


def _said(wanted: AuditFilter) -> tuple[dict[str, Detail], dict[str, str]]:
    """A search as details of an event: in clear what can only be an id, a time or an action, sealed all else."""
    said = {f"by_{name}": str(value) for name, value in wanted.model_dump(mode="json", exclude_none=True).items()}
    free = {"by_subject", "by_knowledge_base", "by_document", "by_conversation"}
    sealed = {name: value for name, value in said.items() if name in free and _ID.fullmatch(value) is None}
    if wanted.action is not None and wanted.action not in ACTIONS:
        sealed["by_action"] = wanted.action
    return {name: value for name, value in said.items() if name not in sealed}, sealed


def _may_read_all(access: Access, event: Mapping[str, Any], trail: Trail) -> bool:
    """Whether the reviewer may read every document that an event's sealed part may repeat."""
    details = event["data"]["unmapped"]["kb"]
    documents = details.get("documents", [])
    if not documents:
        # Passages without documents can be checked by nobody any more.
        return not details.get("passages")
    return trail.documents is not None and trail.documents(access.principal, documents) >= set(documents)


def _place(cursor: str) -> int | None:
    return int(cursor) if cursor.isdecimal() and len(cursor) < 19 else None


def _who(pseudonym: str, tenant: str, vault: Vault) -> str | None:
    return vault.person(tenant, pseudonym)


def _check_cosignature(checkpoint: Checkpoint, cosignature: Cosignature) -> None:
    try:
        key = VerifierKey.parse(cosignature.key)
        body = checkpoint.note.split("\n\n", 1)[0]
        note = Note.parse(f"{body}\n\n{cosignature.line}\n")
    except ValueError as error:
        raise _refused() from error
    if key.kind != COSIGNATURE_V1 or not key.signed(note):
        raise _refused()


def _refused() -> WitnessRefusedError:
    return WitnessRefusedError(
        "This is not that witness's signature of this checkpoint.", remedy="Fetch the checkpoint and sign it again."
    )
