"""How long things are kept: a rule for each kind, changed with the approval of two."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from zhiku_platform.contracts.governance import ApprovalReason
from zhiku_platform.contracts.wire import Message


class Kept(StrEnum):
    """What has a rule: conversations, by the time of their last question."""

    CONVERSATIONS = "conversations"


Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionRule(Message):
    """So many days after its last use a thing is deleted, unless a legal hold keeps it; None keeps it for ever."""

    kind: Kept
    days: int | None
    changed_by: str
    changed_at: datetime
    approval_id: str


class RetentionChange(ApprovalReason):
    """Keep a kind so many days from now on, or for ever."""

    days: Days | None


class DueCount(Message):
    """How many things a rule would delete now, those under a legal hold with them."""

    due: int
