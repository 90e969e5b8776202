"""Erasing a person: what each store is asked, and what it says it holds."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from zhiku_platform.contracts.governance import ApprovalReason
from zhiku_platform.contracts.wire import SEARCHABLE, Message, Moment

MAX_VALUES = 20
MAX_IDS = 10_000

Value = Annotated[str, Field(min_length=2, max_length=200, pattern=SEARCHABLE)]
"""A name, an e-mail address, a telephone or identity number, as it stands in texts."""

ItemId = Annotated[str, Field(min_length=1, max_length=200, pattern=SEARCHABLE)]


class Disposition(StrEnum):
    """What becomes of something: `erase` goes with the person; `decide` is a business record or another person's,
    and goes only where it was chosen; `keep` stays, and the report says so.
    """

    ERASE = "erase"
    DECIDE = "decide"
    KEEP = "keep"


class PersonSought(Message):
    """Who is sought: by the id they sign in with, and by what names them in texts.

    `groups` are record groups of the audit log that are known to be theirs.
    """

    sub: Annotated[str, Field(min_length=1, max_length=200, pattern=SEARCHABLE)]
    values: list[Value] = Field(default=[], max_length=MAX_VALUES)
    groups: list[ItemId] = Field(default=[], max_length=MAX_IDS)


class Found(Message):
    """What a store holds of one kind. `ids` name it to who may see it; they are no personal data.

    `groups` are the record groups under which the audit log seals what was said of it.
    """

    kind: str = Field(pattern=r"^[a-z_]+$", max_length=40)
    disposition: Disposition
    count: int = Field(ge=0)
    ids: list[str] = []
    groups: list[str] = []


class Holdings(Message):
    found: list[Found]


class EraseOrder(PersonSought):
    """Erase what goes with the person, and of what was to be decided the `decided`. Saying it again is safe."""

    erasure_id: str = Field(min_length=1, max_length=40, pattern=SEARCHABLE)
    decided: list[ItemId] = Field(default=[], max_length=MAX_IDS)


class Erased(Message):
    """How much of each kind this order took; what an earlier one took is not counted again."""

    counts: dict[str, int]


class CertificateDigest(Message):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class SignedCertificate(Message):
    """A C2SP signed note of the log's key over the digest, and the key to check it with."""

    note: str
    key: str


class ErasureState(StrEnum):
    """`running` until every store was asked again and has nothing left."""

    REQUESTED = "requested"
    REPORTED = "reported"
    RUNNING = "running"
    ERASED = "erased"
    WITHDRAWN = "withdrawn"


class NewErasure(ApprovalReason):
    """Ask for a person to be erased. What names them is kept sealed, and is in no log."""

    sub: Annotated[str, Field(min_length=1, max_length=200, pattern=SEARCHABLE)]
    values: list[Value] = Field(default=[], max_length=MAX_VALUES)
    legal_basis: str = Field(min_length=3, max_length=200, pattern=SEARCHABLE)
    due_at: Moment


class ErasureChoice(Message):
    """Of what was found for decision, what is to be erased as well, by its ids."""

    decided: list[ItemId] = Field(default=[], max_length=MAX_IDS)


class StoreReport(Message):
    store: str
    found: list[Found]


class StoreErased(Message):
    store: str
    counts: dict[str, int]
    at: datetime


class Erasure(Message):
    """An erasure as compliance sees it.

    `sub` is whose it is, as long as that may be known; of the `values` only how many there are is said.
    `left` is what the last look found of what should be gone.
    """

    id: str
    state: ErasureState
    sub: str | None
    values: int
    reason: str
    legal_basis: str
    due_at: datetime
    requester: str
    requester_name: str
    created_at: datetime
    report: list[StoreReport]
    report_digest: str | None
    reported_at: datetime | None
    decided: list[str]
    approval_id: str | None
    begun_at: datetime | None
    erased: list[StoreErased]
    left: list[StoreReport]
    done_at: datetime | None


class Verification(Message):
    """What should be gone and is not; nothing is what is wanted."""

    left: list[StoreReport]


class Certificate(Message):
    """What was erased, signed by the key of the audit log.

    `note` covers the SHA-256 of `certificate` as JSON with sorted names, without spaces, in UTF-8.
    """

    certificate: dict[str, Any]
    note: str
    key: str


class Replayed(Message):
    """What a replay after a restore found and erased again; `left` are stores that still hold something."""

    erasure_id: str
    counts: dict[str, int]
    left: list[str]


class ReplayReport(Message):
    replayed: list[Replayed]
