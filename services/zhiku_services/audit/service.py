"""What reviewers and witnesses ask of the log. Whoever reads it is in it: first the record, then the answer."""

import base64
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from sqlalchemy import Connection

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of
from zhiku_platform.contracts.audit import (
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
    LogStatus,
    NewAuditView,
    PersonLookup,
    ProducedEvent,
    Pseudonyms,
    Reason,
    Revealed,
    TimelineKind,
)
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import Database
from zhiku_platform.errors import NotFoundError, UnprocessableError
from zhiku_services.audit.bundle import write_bundle
from zhiku_services.audit.canonical import read
from zhiku_services.audit.errors import NoCheckpointError, WitnessRefusedError
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
from zhiku_services.audit.verifier import COSIGNATURE_V1, Note, VerifierKey


@dataclass(frozen=True)
class Trail:
    """The log and what it stands on."""

    database: Database
    intake: Intake
    signer: Signer
    keys: MasterKeys


def append(request: AppendRequest, trail: Trail) -> Accepted:
    """Make the events of another service durable."""
    return trail.intake.append(request.events, may_lose=request.may_lose)


def search(access: Access, wanted: AuditFilter, trail: Trail, *, cursor: str, limit: int) -> Page[LoggedEvent]:
    """Matching events, the newest first, masked."""
    _record(access, trail, "audit.searched", "search", **_said(wanted))
    with trail.database.read() as session:
        connection = session.connection()
        found = AuditRepository(connection, access).search(wanted, before=_place(cursor), limit=limit + 1)
        sealed = sealing_checkpoints(connection, [entry.index for entry in found[:limit]])
    items = [to_logged_event(entry, sealed.get(entry.index)) for entry in found[:limit]]
    return Page(items=items, next_cursor=str(items[-1].index) if len(found) > limit else None)


def facets(access: Access, wanted: AuditFilter, trail: Trail) -> Facets:
    """How many matching events have which value."""
    _record(access, trail, "audit.searched", "facets", **_said(wanted))
    with trail.database.read() as session:
        return AuditRepository(session.connection(), access).facets(wanted)


def timeline(
    access: Access, kind: TimelineKind, what: str, trail: Trail, *, cursor: str, limit: int
) -> Page[LoggedEvent]:
    """All that happened by or to one actor, document, conversation or knowledge base, the oldest first."""
    wanted = AuditFilter.model_validate({kind.value: what})
    _record(access, trail, "audit.searched", "timeline", **_said(wanted))
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
    """Who did it, and the event's sealed part; the reviewer and the reason are in the log before."""
    with trail.database.read() as session:
        # Only that there is such an event; nothing of it leaves before the record is durable.
        _entry(AuditRepository(session.connection(), access), event_id)
    _record_because(access, trail, "audit.revealed", event_id, reason)
    with trail.database.read() as session:
        connection = session.connection()
        event = read(_entry(AuditRepository(connection, access), event_id).payload)
        vault = Vault(connection, trail.keys)
        data = event["data"]
        people = {name: _who(name, access.tenant, vault) for name in sorted(_pseudonyms(event))}
        actor = data["actor"]["user"]["uid"]
        sealed = vault.open(event["id"], access.tenant, data["sealed"]) if "sealed" in data else None
        return Revealed(actor=people.get(actor, actor), people=people, sealed=sealed)


def find_person(access: Access, lookup: PersonLookup, trail: Trail) -> Pseudonyms:
    """What the log calls a person; it does not say whether there is such a person."""
    _record_because(access, trail, "audit.person_looked_up", lookup.user, lookup)
    with trail.database.read() as session:
        known = Vault(session.connection(), trail.keys).known_pseudonym(access.tenant, lookup.user)
    return Pseudonyms(pseudonyms=[] if known is None else [known])


def erase_group(access: Access, group: str, trail: Trail) -> None:
    """Destroy the key of a record group, and record it in the same transaction; who may ask is the caller's rule.

    Raises:
        NotFoundError: there is no such group, or its key is destroyed already.
    """
    with trail.database.write() as session:
        connection = session.connection()
        if not Vault(connection, trail.keys).erase_group(access.tenant, group):
            raise NotFoundError("record group")
        _record_within(access, trail, connection, "audit.group_erased", group)


def forget_person(access: Access, user: str, trail: Trail) -> None:
    """Destroy the link between a person and their pseudonym, and record it in the same transaction.

    Raises:
        NotFoundError: the log does not know them, or has forgotten them already.
    """
    with trail.database.write() as session:
        connection = session.connection()
        pseudonym = Vault(connection, trail.keys).forget_person(access.tenant, user)
        if pseudonym is None:
            raise NotFoundError("person")
        _record_within(access, trail, connection, "audit.person_forgotten", pseudonym)


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
    with trail.database.read() as session:
        connection = session.connection()
        checkpoint = latest_checkpoint(connection)
        return LogStatus(
            origin=trail.signer.origin,
            public_key=trail.signer.public_key,
            size=tree_of(connection).size,
            waiting=count_waiting(connection),
            spooled=trail.intake.waiting_in_spool(),
            lost=trail.intake.lost,
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
    if any(_is_of(line, cosignature.key) for line in checkpoint.note.splitlines()):
        return False
    connection.execute(COSIGNATURE.insert().values(**cosignature.model_dump()))
    return True


def export(access: Access, request: ExportRequest, trail: Trail) -> bytes:
    """An evidence bundle of what matches and is covered by a checkpoint; see `write_bundle`."""
    _record_because(access, trail, "audit.exported", "bundle", request, **_said(request.filter))
    with trail.database.read() as session:
        target = BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            write_bundle(archive, session.connection(), trail.signer, wanted=request.filter, access=access)
        return target.getvalue()


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


def _record_because(access: Access, trail: Trail, action: str, subject: str, why: Reason, **details: Detail) -> None:
    """Record an act with its reason, which is free text and so may have to be forgotten."""
    event = event_of(access, action, subject, **details)
    trail.intake.append_event(event.model_copy(update={"sealed": {"reason": why.reason}, "group": event.id}))


def _record_within(
    access: Access, trail: Trail, connection: Connection, action: str, subject: str, **details: Detail
) -> None:
    trail.intake.store(connection, [ProducedEvent(event=event_of(access, action, subject, **details))])


def _said(wanted: AuditFilter) -> dict[str, Detail]:
    """A search as details of an event; its fields are ids and names of actions."""
    said: dict[str, Detail] = wanted.model_dump(mode="json", exclude_none=True)
    return {f"by_{name}": value for name, value in said.items()}


def _place(cursor: str) -> int | None:
    return int(cursor) if cursor.isdecimal() and len(cursor) < 19 else None


def _pseudonyms(event: dict[str, Any]) -> set[str]:
    details = event["data"]["unmapped"]["kb"].values()
    texts = [event["data"]["actor"]["user"]["uid"], event["subject"], *details]
    bare = [text.removeprefix("user:") for text in texts if isinstance(text, str)]
    return {text for text in bare if text.startswith("psn_")}


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


def _is_of(line: str, key: str) -> bool:
    return line.startswith(f"— {key.split('+', 1)[0]} ")
