"""Legal holds: what must not be deleted, whoever asks, until three people have lifted the hold."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from zhiku_platform.contracts.governance import ApprovalReason
from zhiku_platform.contracts.wire import SEARCHABLE, Message


class HoldScope(StrEnum):
    """What a hold keeps: every conversation of a `user`, a `document`, or a `knowledge_base` with all its documents."""

    USER = "user"
    DOCUMENT = "document"
    KNOWLEDGE_BASE = "knowledge_base"


class Held(Message):
    """One thing that a hold may keep."""

    scope: HoldScope
    id: str = Field(min_length=1, max_length=200, pattern=SEARCHABLE)


class NewHold(ApprovalReason):
    """Keep something for a matter, such as the number of a case."""

    held: Held
    matter: str = Field(min_length=3, max_length=200, pattern=SEARCHABLE)


class Hold(Message):
    """A hold as compliance sees it; a lifted one stays in the list."""

    id: str
    held: Held
    matter: str
    reason: str
    placed_by: str
    placed_by_name: str
    placed_at: datetime
    released_by: str | None
    released_at: datetime | None
    approval_id: str | None


class NewDeletion(Message):
    """What a service is about to delete for `requester`: the thing with all that goes with it."""

    requester: str = Field(min_length=1, max_length=200, pattern=SEARCHABLE)
    things: list[Held] = Field(min_length=1, max_length=200)


class HoldCheck(Message):
    """Whether anything of it is held. Which, and for what matter, is nothing for who deletes."""

    is_held: bool
