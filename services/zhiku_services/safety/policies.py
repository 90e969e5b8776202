"""Which safety policy is in force, and changing it, which two other people have to approve.

Until somebody has changed it, that is the policy of the settings. What is approved names the digest of the policy
before and after and each verdict that differs, so nobody agrees to one and gets another.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.approvals import Approvals
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.governance import ApprovalAction, ApprovalReason, ApprovalSubject, Claim, Resource
from zhiku_platform.contracts.safety import PolicyMark
from zhiku_platform.contracts.wire import Message
from zhiku_platform.db import Database, utc_now
from zhiku_services.safety.errors import UnchangedPolicyError
from zhiku_services.safety.models import AUDIT_OUTBOX, PolicyRow
from zhiku_services.safety.policy import Policy
from zhiku_services.safety.repository import PolicyRepository
from zhiku_services.safety.service import Safety

_LOOK_EVERY_S: Final = 2.0


class CurrentPolicy(Message):
    """The policy in force; the last three are None for the one of the settings."""

    policy: Policy
    mark: PolicyMark
    changed_by: str | None = None
    changed_at: datetime | None = None
    approval: str | None = None


class PolicyChange(ApprovalReason):
    """A policy to take the place of the one in force."""

    policy: Policy


class Policies:
    """Gives each tenant the screen with its own policy; a change is in force everywhere within two seconds.

    Safe to share between threads.
    """

    def __init__(self, database: Database, screen: Safety, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.screen = screen
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[float, int, Safety]] = {}
        self._turn = threading.Lock()

    def of(self, tenant: str) -> Safety:
        """The screen for what this tenant's people ask and read."""
        now = self._clock()
        looked_at, number, screen = self._known.get(tenant, (now - _LOOK_EVERY_S, -1, self.screen))
        if now - looked_at < _LOOK_EVERY_S:
            return screen
        with self._database.read() as session:
            row = PolicyRepository(session, tenant).latest()
        latest = row.number if row else 0
        if latest != number:
            screen = self.screen.under(Policy.model_validate(row.content)) if row else self.screen
        with self._turn:
            self._known[tenant] = (now, latest, screen)
        return screen

    def forget(self, tenant: str) -> None:
        """Look anew the next time, because this process has changed the policy itself."""
        with self._turn:
            self._known.pop(tenant, None)


def current(access: Access, session: Session, screen: Safety) -> CurrentPolicy:
    """The policy in force for the caller's tenant."""
    row = PolicyRepository(session, access.tenant).latest()
    if row is None:
        return CurrentPolicy(policy=screen.policy, mark=screen.mark)
    own = screen.under(Policy.model_validate(row.content))
    return CurrentPolicy(
        policy=own.policy, mark=own.mark, changed_by=row.changed_by, changed_at=row.changed_at, approval=row.approval
    )


def describe(access: Access, policy: Policy, session: Session, screen: Safety) -> ApprovalSubject:
    """What putting this policy in force would change now.

    Raises:
        UnchangedPolicyError: nothing.
    """
    before, after = current(access, session, screen), screen.under(policy)
    if before.mark.digest == after.mark.digest:
        raise UnchangedPolicyError
    return ApprovalSubject(
        action=ApprovalAction.SAFETY_POLICY_CHANGE,
        resource=Resource(kind="safety_policy", id=access.tenant, title=policy.version),
        terms={
            "before_sha256": before.mark.digest,
            "after_sha256": after.mark.digest,
            "changes": _differences(before.policy.as_lines(), policy.as_lines()),
        },
    )


def change(
    access: Access, policy: Policy, session: Session, screen: Safety, *, approvals: Approvals, approval_id: str
) -> Claim:
    """Put a policy in force, if exactly this was approved; the claim is for the caller to complete after the commit.

    Of two changes at the same time one fails: both would have the same number.
    """
    claim = approvals.use(access, approval_id, describe(access, policy, session, screen))
    repository = PolicyRepository(session, access.tenant)
    last = repository.latest()
    row = PolicyRow(
        tenant=access.tenant,
        number=last.number + 1 if last else 1,
        content=policy.model_dump(mode="json"),
        changed_by=access.principal.sub,
        changed_at=utc_now(),
        approval=approval_id,
    )
    repository.add(row)
    digest = screen.under(policy).mark.digest
    event = event_of(
        access, "safety.policy_changed", access.tenant, version=policy.version, policy=digest, approval=approval_id
    )
    record(session, AUDIT_OUTBOX, event)
    return claim


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """One line for each rule that is another one, or is there on one side alone."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name}: {before.get(name, '–')} → {after.get(name, '–')}"
        for name in names
        if before.get(name) != after.get(name)
    ]
