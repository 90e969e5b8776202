"""Audit events, the catalogue of them, and what the audit service says and is told.

The action names are a contract that only grows: reviewers' saved searches and other systems rely on them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, StrictBool, model_validator

from zhiku_platform.contracts.wire import SEARCHABLE, Message, Moment, PlainText
from zhiku_platform.db import new_id, utc_now

Detail = str | int | bool | None | list[str]
"""A detail of an event. No floats: two programs may write the same one differently, and bytes are what is signed."""

MAX_EVENT_BYTES = 65_535
"""The longest entry that a tile of tlog-tiles can carry (its length is a uint16)."""
MAX_CLEAR_BYTES = 48 * 1024
"""What `details` may take of it, as JSON."""
MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8785, section 3.2.2.3)."""


MAX_PERSON = 205
_PSEUDONYM_BYTES = 41
"""A user's id of 200 characters, after `user:`."""
MAX_VOIDED = 200
"""How many voided numbers one event may tell of; the rest wait for the next."""


class Outcome(StrEnum):
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


class SubjectKind(StrEnum):
    """What the `subject` of an event is the id of."""

    ANSWER = "answer"
    APPROVAL = "approval"
    API_KEY = "api_key"
    AUDIT = "audit"
    CONVERSATION = "conversation"
    DOCUMENT = "document"
    ERASURE = "erasure"
    KNOWLEDGE_BASE = "knowledge_base"
    LEGAL_HOLD = "legal_hold"
    REVIEW_CASE = "review_case"
    SESSION = "session"
    SOURCE = "source"
    USER = "user"
    OTHER = "other"


class EventClass(IntEnum):
    """The OCSF class of an event."""

    DETECTION_FINDING = 2004
    ACCOUNT_CHANGE = 3001
    AUTHENTICATION = 3002
    ENTITY_MANAGEMENT = 3004
    USER_ACCESS = 3005
    API_ACTIVITY = 6003
    DATASTORE_ACTIVITY = 6005

    @property
    def title(self) -> str:
        """The name that OCSF gives it."""
        return self.name.replace("_", " ").title().replace("Api", "API")


class OnOutage(StrEnum):
    """What becomes of an act while no sink can take its event: refused, or done and counted as lost."""

    REFUSE = "refuse"
    COUNT = "count"


@dataclass(frozen=True)
class EventKind:
    """One line of the catalogue."""

    subject: SubjectKind
    event_class: EventClass
    says: str
    on_outage: OnOutage = OnOutage.REFUSE


_ENTITY = EventClass.ENTITY_MANAGEMENT
_SIGN_IN = EventClass.AUTHENTICATION
_RIGHTS = EventClass.USER_ACCESS
_USE = EventClass.API_ACTIVITY
_READ = EventClass.DATASTORE_ACTIVITY

ACTIONS: Mapping[str, EventKind] = MappingProxyType(
    {
        "access.denied": EventKind(
            SubjectKind.OTHER, _USE, "Somebody was refused an address, so many times.", OnOutage.COUNT
        ),
        "access.explained": EventKind(SubjectKind.OTHER, _READ, "Somebody asked who sees what, and why."),
        "answer.appealed": EventKind(
            SubjectKind.ANSWER, _USE, "Who asked appealed against what policy withheld; the reason is sealed."
        ),
        "answer.given": EventKind(SubjectKind.ANSWER, _USE, "An answer was finished; its passages are named."),
        "answer.interrupted": EventKind(
            SubjectKind.ANSWER, _USE, "An answer ended with its process; what was shown is named."
        ),
        "answer.rated": EventKind(
            SubjectKind.ANSWER, _USE, "Who asked rated an answer; what they wrote of it is sealed."
        ),
        "answer.rating_withdrawn": EventKind(SubjectKind.ANSWER, _USE, "Who asked took a rating back."),
        "answer.stopped": EventKind(SubjectKind.ANSWER, _USE, "Who asked called an answer off."),
        "api_key.created": EventKind(SubjectKind.API_KEY, EventClass.ACCOUNT_CHANGE, "Somebody made an API key."),
        "api_key.refused": EventKind(
            SubjectKind.API_KEY, _SIGN_IN, "A key was turned down: wrong, expired or revoked.", OnOutage.COUNT
        ),
        "api_key.revoked": EventKind(SubjectKind.API_KEY, EventClass.ACCOUNT_CHANGE, "An API key was ended."),
        "approval.approved": EventKind(
            SubjectKind.APPROVAL, _RIGHTS, "Somebody agreed to an act; whether that is enough is said."
        ),
        "approval.break_glass": EventKind(
            SubjectKind.APPROVAL, _RIGHTS, "Somebody went back in an emergency, without the approval it takes."
        ),
        "approval.expired": EventKind(SubjectKind.APPROVAL, _RIGHTS, "A request or an approval ran out unused."),
        "approval.refused": EventKind(SubjectKind.APPROVAL, _RIGHTS, "Somebody refused an act, with a reason."),
        "approval.requested": EventKind(
            SubjectKind.APPROVAL, _RIGHTS, "Somebody asked for an act that takes more people, with a reason."
        ),
        "approval.used": EventKind(
            SubjectKind.APPROVAL, _RIGHTS, "The act that was approved is about to be done; said again by a retry."
        ),
        "approval.withdrawn": EventKind(SubjectKind.APPROVAL, _RIGHTS, "The requester took a request back."),
        "audit.events_lost": EventKind(
            SubjectKind.AUDIT, EventClass.DETECTION_FINDING, "While no sink could write, so many events were lost."
        ),
        "audit.exported": EventKind(SubjectKind.AUDIT, _READ, "Evidence left the platform as a bundle."),
        "audit.group_erased": EventKind(
            SubjectKind.OTHER, _ENTITY, "The key of a record group was destroyed; its sealed parts are unreadable."
        ),
        "audit.key_announced": EventKind(
            SubjectKind.AUDIT, _ENTITY, "The log's next key was made; both sign from now on."
        ),
        "audit.key_handed_over": EventKind(
            SubjectKind.AUDIT, _ENTITY, "The log's key is about to hand over to the next one."
        ),
        "audit.person_forgotten": EventKind(
            SubjectKind.OTHER, _ENTITY, "The link between a pseudonym and its person was destroyed."
        ),
        "audit.person_looked_up": EventKind(
            SubjectKind.OTHER, _READ, "A reviewer asked for the pseudonym of a person, who is sealed, with a reason."
        ),
        "audit.revealed": EventKind(
            SubjectKind.AUDIT, _READ, "A reviewer saw who did something, and its sealed part, with a reason."
        ),
        "audit.searched": EventKind(SubjectKind.AUDIT, _READ, "Somebody searched the audit trail."),
        "audit.viewed": EventKind(SubjectKind.AUDIT, _READ, "Somebody read one event, its proof, or a report."),
        "audit.view_deleted": EventKind(SubjectKind.AUDIT, _ENTITY, "Somebody deleted a saved search."),
        "audit.view_saved": EventKind(SubjectKind.AUDIT, _ENTITY, "Somebody saved a search."),
        "audit.witnessed": EventKind(SubjectKind.AUDIT, _ENTITY, "A witness cosigned a checkpoint."),
        "conversation.created": EventKind(SubjectKind.CONVERSATION, _ENTITY, "Somebody opened a conversation."),
        "conversation.deleted": EventKind(SubjectKind.CONVERSATION, _ENTITY, "Its owner deleted a conversation."),
        "conversation.expired": EventKind(
            SubjectKind.CONVERSATION, _ENTITY, "Nobody had used a conversation for as long as the rule keeps it."
        ),
        "conversation.renamed": EventKind(SubjectKind.CONVERSATION, _ENTITY, "Its owner renamed a conversation."),
        "directory.synced": EventKind(SubjectKind.OTHER, _ENTITY, "The directory's mirror was brought in step."),
        "document.accepted": EventKind(SubjectKind.DOCUMENT, _ENTITY, "A document version was taken in."),
        "document.acl_changed": EventKind(SubjectKind.DOCUMENT, _RIGHTS, "Who may read a document changed."),
        "document.cancelled": EventKind(SubjectKind.DOCUMENT, _ENTITY, "Its ingestion was called off."),
        "document.deleted": EventKind(SubjectKind.DOCUMENT, _ENTITY, "Somebody deleted a document."),
        "document.failed": EventKind(SubjectKind.DOCUMENT, _ENTITY, "Its ingestion failed, with a reason."),
        "document.indexed": EventKind(SubjectKind.DOCUMENT, _ENTITY, "A document version can be found."),
        "document.published": EventKind(SubjectKind.DOCUMENT, _ENTITY, "A version entered a release."),
        "document.quarantined": EventKind(SubjectKind.DOCUMENT, _ENTITY, "A document was set aside, with a reason."),
        "document.retired": EventKind(SubjectKind.DOCUMENT, _ENTITY, "A document left the index."),
        "document.retried": EventKind(SubjectKind.DOCUMENT, _ENTITY, "Somebody asked to ingest it again."),
        "document.viewed": EventKind(
            SubjectKind.DOCUMENT, _READ, "Somebody opened a document or its passages; once in five minutes."
        ),
        "grant.given": EventKind(SubjectKind.KNOWLEDGE_BASE, _RIGHTS, "A user or group got a role."),
        "grant.removed": EventKind(SubjectKind.KNOWLEDGE_BASE, _RIGHTS, "A user or group lost a role."),
        "knowledge_base.changed": EventKind(
            SubjectKind.KNOWLEDGE_BASE, _ENTITY, "Its name, its description or who publishes it changed."
        ),
        "knowledge_base.created": EventKind(SubjectKind.KNOWLEDGE_BASE, _ENTITY, "Somebody made a knowledge base."),
        "knowledge_base.deleted": EventKind(SubjectKind.KNOWLEDGE_BASE, _ENTITY, "A knowledge base was deleted."),
        "retention.changed": EventKind(
            SubjectKind.OTHER, _ENTITY, "How long something is kept changed, with the approval of two."
        ),
        "question.asked": EventKind(SubjectKind.ANSWER, _USE, "A question was accepted; nothing was done yet."),
        "legal_hold.kept": EventKind(SubjectKind.LEGAL_HOLD, _ENTITY, "A hold kept what somebody wanted to delete."),
        "legal_hold.placed": EventKind(
            SubjectKind.LEGAL_HOLD, _ENTITY, "A reviewer had something kept; matter and reason are sealed."
        ),
        "legal_hold.released": EventKind(
            SubjectKind.LEGAL_HOLD, _ENTITY, "A hold was lifted, with the approval of two."
        ),
        "person.erased": EventKind(
            SubjectKind.ERASURE, _ENTITY, "A service erased what it held of a person; the erasure is named, not they."
        ),
        "erasure.begun": EventKind(
            SubjectKind.ERASURE, _ENTITY, "A person is about to be erased everywhere, with the approval of two."
        ),
        "erasure.certified": EventKind(
            SubjectKind.ERASURE, _ENTITY, "Every store was asked again and had nothing left; the certificate is signed."
        ),
        "erasure.incomplete": EventKind(
            SubjectKind.ERASURE, _ENTITY, "A store still had something left; the erasure goes on."
        ),
        "erasure.replayed": EventKind(
            SubjectKind.ERASURE, _ENTITY, "An earlier erasure was repeated, as after the restore of a backup."
        ),
        "erasure.reported": EventKind(SubjectKind.ERASURE, _READ, "Every store was asked what it holds of a person."),
        "erasure.requested": EventKind(
            SubjectKind.ERASURE, _ENTITY, "Somebody asked for a person to be erased; the reason is sealed."
        ),
        "erasure.viewed": EventKind(SubjectKind.ERASURE, _READ, "Somebody looked at an erasure, and whose it is."),
        "erasure.verified": EventKind(SubjectKind.ERASURE, _READ, "Every store was asked again after an erasure."),
        "erasure.withdrawn": EventKind(SubjectKind.ERASURE, _ENTITY, "A request to erase was taken back."),
        "receipt.replayed": EventKind(SubjectKind.ANSWER, _READ, "A reviewer ran an answer's search again."),
        "receipt.revealed": EventKind(SubjectKind.ANSWER, _READ, "A reviewer saw who had asked, with a reason."),
        "receipt.reviewed": EventKind(SubjectKind.ANSWER, _READ, "A reviewer reconstructed an answer."),
        "release.created": EventKind(SubjectKind.KNOWLEDGE_BASE, _ENTITY, "A draft was closed as a release."),
        "release.published": EventKind(SubjectKind.KNOWLEDGE_BASE, _ENTITY, "Readers were given a later release."),
        "release.rolled_back": EventKind(SubjectKind.KNOWLEDGE_BASE, _ENTITY, "Readers were given an earlier release."),
        "review.claimed": EventKind(SubjectKind.REVIEW_CASE, _READ, "A reviewer took a case to look at."),
        "review.decided": EventKind(SubjectKind.REVIEW_CASE, _ENTITY, "A reviewer gave an opinion on a case."),
        "review.escalated": EventKind(SubjectKind.REVIEW_CASE, _ENTITY, "A reviewer left a case to approvers."),
        "review.noted": EventKind(SubjectKind.REVIEW_CASE, _ENTITY, "A reviewer wrote something down beside a case."),
        "review.opened": EventKind(SubjectKind.REVIEW_CASE, _ENTITY, "Something was put before people to look at."),
        "review.released": EventKind(SubjectKind.REVIEW_CASE, _ENTITY, "A reviewer put a case back."),
        "safety.found": EventKind(
            SubjectKind.ANSWER, _USE, "Content safety found something in a question, its passages or its answer."
        ),
        "safety.policy_changed": EventKind(
            SubjectKind.OTHER, _ENTITY, "Another safety policy came into force, with the approval of two."
        ),
        "sampling_rule.added": EventKind(SubjectKind.OTHER, _ENTITY, "Somebody has a share of answers looked at."),
        "sampling_rule.deleted": EventKind(SubjectKind.OTHER, _ENTITY, "Somebody ended a sampling rule."),
        "search.run": EventKind(SubjectKind.OTHER, _READ, "Somebody searched; the documents found are named."),
        "session.ended": EventKind(SubjectKind.SESSION, _SIGN_IN, "Somebody signed out."),
        "session.refused": EventKind(
            SubjectKind.OTHER, _SIGN_IN, "A login was turned down, with a reason.", OnOutage.COUNT
        ),
        "session.started": EventKind(SubjectKind.SESSION, _SIGN_IN, "Somebody signed in."),
        "source.created": EventKind(SubjectKind.SOURCE, _ENTITY, "Somebody connected a source."),
        "source.deleted": EventKind(SubjectKind.SOURCE, _ENTITY, "Somebody disconnected a source."),
        "source.sync_requested": EventKind(SubjectKind.SOURCE, _ENTITY, "Somebody asked for a sync."),
        "source.synced": EventKind(SubjectKind.SOURCE, _ENTITY, "A sync ended; its counts are named."),
        "training_dataset.frozen": EventKind(
            SubjectKind.OTHER, _ENTITY, "Somebody froze examples to train on; the root names their content."
        ),
        "training_run.cancelled": EventKind(SubjectKind.OTHER, _ENTITY, "Somebody ended a training run."),
        "training_run.ended": EventKind(
            SubjectKind.OTHER, _ENTITY, "A training run is over; what came of it is named by the digest of its weights."
        ),
        "training_run.queued": EventKind(SubjectKind.OTHER, _ENTITY, "Somebody had a model trained on a dataset."),
        "user.added": EventKind(SubjectKind.OTHER, _RIGHTS, "The directory named somebody new."),
        "user.changed": EventKind(SubjectKind.OTHER, _RIGHTS, "Somebody's roles or groups changed in the directory."),
        "user.conflict": EventKind(
            SubjectKind.OTHER, _RIGHTS, "Somebody was given two of the three administrators, and holds neither."
        ),
        "user.deprovisioned": EventKind(
            SubjectKind.OTHER, _RIGHTS, "Somebody left the directory; sessions and keys ended at once."
        ),
        "user.reinstated": EventKind(SubjectKind.OTHER, _RIGHTS, "Somebody came back into the directory."),
    }
)
"""Every action that can be recorded; `record` refuses any other. Add a line here before you record a new one."""


class UnknownActionError(ValueError):
    """An action that the catalogue does not have."""

    def __init__(self, action: str) -> None:
        super().__init__(f"`{action}` is not in the catalogue: add it to `ACTIONS` in zhiku_platform/contracts/audit")


class UnrecordableEventError(ValueError):
    """An event that the log would refuse for ever: it is refused where it is made, with the act it tells of."""


class AuditEvent(Message):
    """One thing that happened. `action` is `noun.verb`, such as `document.published`.

    `details` are readable by every reviewer for ever: ids, counts, digests; people only under `PEOPLE`, where
    they are replaced by pseudonyms. `sealed` is what may have to be forgotten: it is encrypted under the key of
    the record group `group`, such as a conversation's id, and unreadable once that key is destroyed.
    """

    action: str = Field(pattern=r"^[a-z_]+\.[a-z_]+$", max_length=80)
    tenant: str = Field(max_length=100, pattern=SEARCHABLE)
    actor: str = Field(max_length=200, pattern=SEARCHABLE)
    subject: str = Field(max_length=200, pattern=SEARCHABLE)
    outcome: Outcome = Outcome.DONE
    details: dict[str, Detail] = {}
    id: str = Field(default_factory=lambda: new_id("evt"), max_length=40, pattern=r"^[A-Za-z0-9_-]+$")
    at: Moment = Field(default_factory=utc_now)
    sealed: dict[str, str] = {}
    group: str | None = Field(default=None, max_length=200, pattern=SEARCHABLE)

    @model_validator(mode="after")
    def _needs_a_group(self) -> "AuditEvent":
        if self.sealed and self.group is None:
            raise ValueError("a sealed part needs the record group whose key seals it")
        return self


PEOPLE = frozenset({"approvers", "holder", "member", "owner", "person", "readers", "requester", "user"})
"""Details that name users, bare or as `user:SUB`, one or a list; the log keeps their pseudonyms."""


def people_in(name: str, value: Detail) -> list[str]:
    """The users and groups that a detail names, as it was recorded."""
    if name not in PEOPLE:
        return []
    return [value] if isinstance(value, str) else value if isinstance(value, list) else []


def clear_size(details: Mapping[str, Detail]) -> int:
    """At most how many bytes details take in the log, where each person stands as a pseudonym."""
    written = len(json.dumps(details, ensure_ascii=False).encode(errors="surrogatepass"))
    people = (who for name, value in details.items() for who in people_in(name, value))
    return written + sum(max(0, _PSEUDONYM_BYTES - len(who)) for who in people)


class Stamp(Message):
    """Where an event comes from, and its place there: 1, 2, 3 … without a gap, but for `voided` numbers.

    A number is voided when its transaction rolled back; the next event of the same process says so.
    """

    producer: str = Field(max_length=40, pattern=r"^[a-z0-9_-]+$")
    boot: str = Field(max_length=40, pattern=r"^[a-z0-9]+$")
    seq: int = Field(ge=1, le=MAX_INT)
    voided: list[Annotated[int, Field(ge=1, le=MAX_INT)]] = Field(default=[], max_length=MAX_VOIDED)


class ProducedEvent(Message):
    event: AuditEvent
    stamp: Stamp | None = None


class AppendRequest(Message):
    """Events to make durable. With `may_lose`, those whose class says so are only counted while no sink can write;
    who keeps events in an outbox never says that.
    """

    events: list[ProducedEvent] = Field(min_length=1, max_length=1000)
    may_lose: StrictBool = False


class Accepted(Message):
    """How many of the events are durable now: all of them. `spooled` of them only on the second sink."""

    accepted: int
    spooled: int = 0


ACTOR = r"^(psn_[0-9a-f]{28}|svc-[a-z-]+|anonymous|operator)$"
"""Who the log says did something. A person's own id is none: a search is recorded, and the record keeps no names."""

_Searched = Annotated[str | None, Field(default=None, max_length=200, pattern=SEARCHABLE)]
_Actor = Annotated[str | None, Field(default=None, max_length=200, pattern=ACTOR)]


class AuditFilter(Message):
    """What a reviewer looks for. Every given field must match.

    `actor` did it; `person` did it or is named by it. Both are a pseudonym (see `PersonLookup`) or a service.
    """

    actor: _Actor = None
    person: _Actor = None
    action: _Searched = None
    subject: _Searched = None
    knowledge_base: _Searched = None
    document: _Searched = None
    conversation: _Searched = None
    outcome: Outcome | None = None
    since: Moment | None = None
    until: Moment | None = None


class LoggedEvent(Message):
    """An event as a reviewer reads it: people are pseudonyms, and what is sealed is not here.

    `sealed_at` is the size of the first checkpoint that covers it; None while it awaits one.
    """

    index: int
    id: str
    at: datetime
    recorded_at: datetime
    actor: str
    action: str
    subject: str
    outcome: Outcome
    details: dict[str, Detail]
    has_sealed_part: bool
    sealed_at: int | None


class FacetValue(Message):
    value: str
    count: int


class Facets(Message):
    """How many events of a search have which value, the most frequent first, twenty at most of each."""

    total: int
    actor: list[FacetValue]
    action: list[FacetValue]
    outcome: list[FacetValue]
    knowledge_base: list[FacetValue]


class TimelineKind(StrEnum):
    ACTOR = "actor"
    DOCUMENT = "document"
    CONVERSATION = "conversation"
    KNOWLEDGE_BASE = "knowledge_base"


class Reason(Message):
    """Why a reviewer must know; kept in the log."""

    reason: PlainText = Field(min_length=10, max_length=500)


class PersonLookup(Reason):
    user: PlainText = Field(min_length=1, max_length=200)


class Pseudonyms(Message):
    """What the log calls a person; more than one after their mapping was destroyed and they came back."""

    pseudonyms: list[str]


class Revealed(Message):
    """Who did it, and its sealed part. None is what can no longer be known.

    `is_withheld` says that there is a sealed part that the reviewer may not see: it repeats documents that they may
    not read.
    """

    actor: str | None
    people: dict[str, str | None]
    sealed: dict[str, str] | None
    is_withheld: bool = False


class LoggedReceipt(Message):
    """What the log says of an answer's receipt; its digest is None if the log does not have it, or not yet.

    `is_proven` says that its entry is the one that a signed checkpoint covers.
    """

    sha256: str | None = None
    is_proven: bool = False


class NewAuditView(Message):
    name: PlainText = Field(min_length=1, max_length=100)
    filter: AuditFilter


class AuditView(NewAuditView):
    id: str
    created_at: datetime


class SequenceGap(Message):
    """Numbers of one producer's process that never came: events that were removed on the way, or cut off."""

    producer: str
    boot: str
    first: int
    last: int


class LogStatus(Message):
    """The log now. `waiting` events are durable and not yet in the tree, `spooled` ones on the second sink.

    `set_aside` lines of the second sink could not be read. `next_public_key` signs beside the other; `handovers` are
    the notes by which earlier keys handed over. `signer_refuses` says that the log does not continue what was signed.
    """

    origin: str
    public_key: str
    next_public_key: str | None
    handovers: list[str]
    size: int
    waiting: int
    spooled: int
    set_aside: int
    lost: int
    signer_refuses: bool
    checkpoint: str | None
    gaps: list[SequenceGap]


class Checkpoint(Message):
    """A signed note with the cosignatures of witnesses (C2SP tlog-checkpoint)."""

    size: int
    note: str


class ConsistencyProof(Message):
    """Hashes in hex that prove that the log of `first` entries is the beginning of the one of `second`."""

    first: int
    second: int
    hashes: list[str]


class Cosignature(Message):
    """A witness's line below a checkpoint of `size`, with the key that it is verified by."""

    size: int = Field(ge=1)
    key: PlainText = Field(max_length=400)
    line: PlainText = Field(max_length=400)


class ExportRequest(Reason):
    """What to put into an evidence bundle; without a filter, the tenant's whole log."""

    filter: AuditFilter = AuditFilter()


def event_catalogue() -> str:
    """Every action as a Markdown table, for the documentation."""
    rows = [
        [f"`{action}`", f"{kind.event_class.title} ({kind.event_class.value})", kind.subject, kind.on_outage, kind.says]
        for action, kind in sorted(ACTIONS.items())
    ]
    table = [["action", "OCSF class", "subject", "if nothing can write", "what happened"], ["---"] * 5, *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in table)
