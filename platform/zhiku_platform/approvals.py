"""For services whose acts take more than one person: three lines before the effect, one after it.

    subject = ...                                    # describe exactly what is about to be done
    if approval is None:
        return waiting(approvals.ask(access, subject, reason))
    claim = approvals.use(access, approval, subject)
    ...                                              # the effect
    approvals.complete(access, claim)

`use` is durable, with its audit event, before it returns. If the process dies before `complete`, the same person can
use the approval again for the same act after a few minutes, until it expires; so an effect must be safe to repeat, or
hold back what it gives until `complete` has returned, which of two claims only the later one can make it do.
"""

import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from zhiku_platform.access import Access, service_principal
from zhiku_platform.clients.governance import GovernanceClient
from zhiku_platform.contracts.governance import Approval, ApprovalSubject, BreakGlass, Claim, NewApproval, UseApproval
from zhiku_platform.contracts.identity import Principal

GivenApproval = Annotated[str | None, Query(alias="approval", pattern=r"^apr_[0-9a-f]{28}$")]
"""The approval that a caller acts with, `?approval=ID`."""


class Approvals:
    """The approvals of one service's acts. `client` is asked for at each call: it may be built later."""

    def __init__(self, service: str, client: Callable[[], GovernanceClient]) -> None:
        self._service = service
        self._client = client

    def ask(self, access: Access, subject: ApprovalSubject, reason: str) -> Approval:
        """Ask the others; who has asked for exactly this already gets that request."""
        new = NewApproval(subject=subject, requester=access.principal, reason=reason)
        return self._client().request(self._own(access), new)

    def use(self, access: Access, approval_id: str, subject: ApprovalSubject) -> Claim:
        """Claim the act that is described.

        Raises:
            RemoteProblemError: there is none, it is not for this act, or it is not to be used now.
        """
        wanted = UseApproval(subject=subject, requester=access.principal, act_id=_new_act())
        return self._client().use(self._own(access), approval_id, wanted)

    def complete(self, access: Access, claim: Claim) -> None:
        """Say that the act is done, or that what it gives is about to leave."""
        self._client().complete(self._own(access), claim)

    def break_glass(self, access: Access, subject: ApprovalSubject, reason: str) -> Claim:
        """Claim an act that goes back, without approval; the log and everybody who decides are told."""
        new = BreakGlass(subject=subject, requester=access.principal, reason=reason, act_id=_new_act())
        return self._client().break_glass(self._own(access), new)

    def _own(self, access: Access) -> Principal:
        return service_principal(self._service, access.tenant)


def waiting(approval: Approval) -> Response:
    """The answer 202: nothing was done, and these are asked."""
    return Response(approval.model_dump_json(), 202, media_type="application/json")


def _new_act() -> str:
    return f"act_{secrets.token_hex(14)}"
