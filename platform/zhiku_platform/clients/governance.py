"""The governance service, typed."""

from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.governance import Approval, BreakGlass, Claim, NewApproval, UseApproval
from zhiku_platform.contracts.identity import Principal


class GovernanceClient(ServiceClient):
    """What a service that owns an act says to governance; see `zhiku_platform.approvals` for how to use it."""

    service = "governance"

    def request(self, principal: Principal, new: NewApproval) -> Approval:
        """Ask on behalf of a person; asking again for exactly the same gives the same approval."""
        return self._call(principal, "POST", "/internal/approvals", Approval, new)

    def use(self, principal: Principal, approval_id: str, wanted: UseApproval) -> Claim:
        """Claim the act.

        Raises:
            RemoteProblemError: `not_found`, or one of the conflicts in the governance service's errors.
        """
        return self._call(principal, "POST", f"/internal/approvals/{approval_id}/use", Claim, wanted)

    def complete(self, principal: Principal, claim: Claim) -> None:
        """Say that the act is done.

        Raises:
            RemoteProblemError: `stale_claim`, it was claimed again since.
        """
        self._send(principal, "POST", "/internal/approvals/complete", claim)

    def break_glass(self, principal: Principal, new: BreakGlass) -> Claim:
        """Claim an act that goes back, without approval."""
        return self._call(principal, "POST", "/internal/approvals/break-glass", Claim, new)
