"""Approvals: what takes more than one person, and what is said about it.

An approval is bound to the digest of an `ApprovalSubject`, which the service that owns the effect describes twice:
when somebody asks, and when they act. Whatever differs then was not approved.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from zhiku_platform.access import Permission
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.wire import SEARCHABLE, Message

Term = str | int | bool | None | list[str]
"""One detail of what is approved. No floats: two programs may write the same one differently."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ApprovalAction(StrEnum):
    """What takes more than one person. The database knows the same list; see `RULES` for what holds for each."""

    KNOWLEDGE_BASE_DELETE = "knowledge_base.delete"
    AUDIT_EXPORT = "audit.export"
    SAFETY_POLICY_CHANGE = "safety_policy.change"
    PRIVACY_POLICY_CHANGE = "privacy_policy.change"
    PERSONAL_DATA_REVEAL = "personal_data.reveal"
    PERSON_ERASE = "person.erase"
    RETENTION_CHANGE = "retention.change"
    LEGAL_HOLD_RELEASE = "legal_hold.release"
    MODEL_RELEASE_PUBLISH = "model_release.publish"
    PROMPT_PUBLISH = "prompt.publish"
    RELEASE_ROLL_BACK = "release.roll_back"


_DAY_S = 24 * 3600


@dataclass(frozen=True)
class ActionRule:
    """What one action takes: so many approvers, distinct and none of them the requester.

    `owners` are the services that may ask and act; `lifetime_s` runs from the request to the act.
    """

    says: str
    owners: frozenset[str]
    approvers: int = 2
    lifetime_s: int = 3 * _DAY_S
    decided_with: Permission = Permission.APPROVAL_DECIDE
    may_break_glass: bool = False


RULES: Mapping[ApprovalAction, ActionRule] = MappingProxyType(
    {
        ApprovalAction.KNOWLEDGE_BASE_DELETE: ActionRule(
            "Delete a knowledge base with all it holds", frozenset({"knowledge"})
        ),
        ApprovalAction.AUDIT_EXPORT: ActionRule("Take evidence out of the audit log", frozenset({"audit"})),
        ApprovalAction.SAFETY_POLICY_CHANGE: ActionRule(
            "Change what counts as unsafe, and what becomes of it", frozenset({"assistant", "safety"})
        ),
        ApprovalAction.PRIVACY_POLICY_CHANGE: ActionRule(
            "Change what becomes of personal data in a knowledge base", frozenset({"knowledge", "vault"})
        ),
        ApprovalAction.PERSONAL_DATA_REVEAL: ActionRule(
            "See personal data that was replaced", frozenset({"vault"}), approvers=1, lifetime_s=_DAY_S
        ),
        ApprovalAction.PERSON_ERASE: ActionRule("Erase a person everywhere", frozenset({"governance"})),
        ApprovalAction.RETENTION_CHANGE: ActionRule("Change how long something is kept", frozenset({"governance"})),
        ApprovalAction.LEGAL_HOLD_RELEASE: ActionRule("Lift a legal hold", frozenset({"governance"})),
        ApprovalAction.MODEL_RELEASE_PUBLISH: ActionRule("Put a model into use", frozenset({"finetune"})),
        ApprovalAction.PROMPT_PUBLISH: ActionRule("Put a prompt into use", frozenset({"assistant"})),
        ApprovalAction.RELEASE_ROLL_BACK: ActionRule(
            "Go back to what was in use before",
            frozenset({"assistant", "finetune", "inference", "knowledge"}),
            lifetime_s=_DAY_S,
            may_break_glass=True,
        ),
    }
)
"""The one table of who must agree to what."""


class ApprovalState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    USED = "used"
    WITHDRAWN = "withdrawn"


class Whose(StrEnum):
    """Which approvals to list: one's own, those that wait for one's decision, or all that one may see."""

    MINE = "mine"
    TO_DECIDE = "to_decide"
    ALL = "all"


class ApprovalStep(StrEnum):
    """What the caller may do with an approval now; `use` is done at the address of the act itself."""

    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    USE = "use"


class Resource(Message):
    """What the act is done to."""

    kind: str = Field(pattern=r"^[a-z_]+$", max_length=40)
    id: str = Field(min_length=1, max_length=200, pattern=SEARCHABLE)
    title: str = Field(max_length=500, pattern=SEARCHABLE)


class ApprovalSubject(Message):
    """Exactly what is approved. Approvers read `terms`, so they name whatever the act depends on."""

    action: ApprovalAction
    resource: Resource
    terms: dict[str, Term] = Field(default={}, max_length=50)

    @property
    def digest(self) -> str:
        """SHA-256 of the subject as JSON with sorted names, in hex."""
        said = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(b"zhiku-approval-v1\n" + said.encode()).hexdigest()


class ApprovalReason(Message):
    """Why; approvers read it, and the audit log keeps it sealed."""

    reason: str = Field(min_length=10, max_length=500, pattern=SEARCHABLE)


class ApprovalDecision(Message):
    """A yes to what has this digest, which is what the approver was shown."""

    digest: Digest


class Vote(Message):
    """One approver's yes."""

    sub: str
    name: str
    at: datetime


class Refusal(Vote):
    reason: str


class Approval(Message):
    """An approval as its requester and those who decide see it; `completed_at` is when the act was done."""

    id: str
    action: ApprovalAction
    resource: Resource
    terms: dict[str, Term]
    digest: str
    state: ApprovalState
    requester: str
    requester_name: str
    reason: str
    created_at: datetime
    expires_at: datetime
    approvers_needed: int
    approvals: list[Vote]
    refusal: Refusal | None
    used_at: datetime | None
    completed_at: datetime | None
    is_break_glass: bool
    may: list[ApprovalStep]


class NewApproval(ApprovalReason):
    """A service asks on behalf of `requester`."""

    subject: ApprovalSubject
    requester: Principal


class BreakGlass(NewApproval):
    """A service acts at once on behalf of `requester`, without anybody's approval; see `ActionRule`."""

    act_id: str = Field(min_length=1, max_length=64, pattern=SEARCHABLE)


class UseApproval(Message):
    """A service is about to act on behalf of `requester`. Saying the same again changes nothing."""

    subject: ApprovalSubject
    requester: Principal
    act_id: str = Field(min_length=1, max_length=64, pattern=SEARCHABLE)


class Claim(Message):
    """The right to act once: `fence` is what nobody who claimed earlier has."""

    approval_id: str
    act_id: str
    fence: int


def action_table() -> str:
    """Every action as a Markdown table, for the documentation."""
    rows = [
        [
            f"`{action}`", rule.says, str(rule.approvers), f"{rule.lifetime_s // 3600} h", f"`{rule.decided_with}`",
            "yes" if rule.may_break_glass else "no", ", ".join(sorted(rule.owners)),
        ]
        for action, rule in RULES.items()
    ]  # fmt: skip
    head = ["action", "what it does", "approvers", "lasts", "decided with", "break-glass", "asked for by"]
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])
