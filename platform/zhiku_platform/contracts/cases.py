"""Review cases: what machines cannot decide, and what people decided about it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from zhiku_platform.contracts.wire import SEARCHABLE, Message


class CaseKind(StrEnum):
    """Why somebody should look."""

    SAFETY_FINDING = "safety_finding"
    APPEAL = "appeal"
    SAMPLE = "sample"
    REPORT = "report"
    PRIVACY_QUARANTINE = "privacy_quarantine"
    BREAK_GLASS = "break_glass"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class CaseState(StrEnum):
    """`second` waits for another reviewer, `escalated` for compliance approvers: two disagreed, or one passed it on."""

    OPEN = "open"
    SECOND = "second"
    ESCALATED = "escalated"
    DECIDED = "decided"


class Verdict(StrEnum):
    """`confirmed`: what was found is there, or what was done was right. `dismissed`: it is not, or was not."""

    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=SEARCHABLE)]
Text = Annotated[str, Field(min_length=3, max_length=2000, pattern=SEARCHABLE)]


class NewCase(Message):
    """What a service asks people to look at, by ids alone: the text stays where it is, and is read there, masked.

    `source_id` names the finding or appeal, so that asking twice opens one case. `person` is who it is about: they
    never decide on it, and who does is not told their name. `note` is what they themselves say, as in an appeal.
    """

    kind: CaseKind
    severity: Severity
    source_id: Name
    subject_kind: Name
    subject_id: Name
    knowledge_base_id: Name | None = None
    categories: list[Name] = Field(default=[], max_length=50)
    policy_digest: str | None = Field(default=None, max_length=64)
    person: Name | None = None
    note: Text | None = None


class Decided(Message):
    """One reviewer's word. Who it was is shown once the case is decided."""

    verdict: Verdict
    reason: str
    at: datetime
    by: str | None = None


class Note(Message):
    """`by` is None for what the person says whom the case is about."""

    by: str | None
    text: str
    at: datetime


class Case(Message):
    """A case as reviewers see it. `decisions` are hidden from who is to decide a second time."""

    id: str
    kind: CaseKind
    severity: Severity
    subject_kind: str
    subject_id: str
    knowledge_base_id: str | None
    categories: list[str]
    policy_digest: str | None
    state: CaseState
    opened_at: datetime
    due_at: datetime
    is_overdue: bool
    claimed_by: str | None
    claimed_until: datetime | None
    verdict: Verdict | None
    decisions: list[Decided]
    notes: list[Note]


class Decision(Message):
    verdict: Verdict
    reason: Text


class NewNote(Message):
    text: Text


class Escalation(Message):
    reason: Text


class Agreement(Message):
    """How often two who decided apart said the same; `kappa` is Cohen's, without what chance explains."""

    cases: int
    share: float | None
    kappa: float | None


class CaseFigures(Message):
    """What waits, what is late, how fast people decide, and how much they agree."""

    waiting: dict[str, int]
    overdue: int
    decided: int
    median_hours: float | None
    overturned_appeals: int
    agreement: Agreement


class NewSamplingRule(Message):
    """Of answers, `per_mille` come to a reviewer; of one knowledge base, or of all without one."""

    knowledge_base_id: Name | None = None
    per_mille: int = Field(ge=1, le=1000)


class SamplingRule(NewSamplingRule):
    id: str
    created_by: str
    created_at: datetime


class AnswerToSample(Message):
    """An answer that was given; whether somebody looks at it is drawn from its id."""

    answer_id: Name
    knowledge_base_ids: list[Name] = Field(default=[], max_length=200)
    person: Name


class Sampled(Message):
    is_sampled: bool
