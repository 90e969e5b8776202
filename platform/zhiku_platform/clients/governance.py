"""The governance service, typed."""

from collections.abc import Sequence

from zhiku_platform.access import service_principal
from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.audit import ProducedEvent
from zhiku_platform.contracts.cases import AnswerToSample, Case, NewCase, Sampled
from zhiku_platform.contracts.governance import Approval, BreakGlass, Claim, NewApproval, UseApproval
from zhiku_platform.contracts.identity import Principal


class GovernanceClient(ServiceClient):
    """What services say to governance; `zhiku_platform.approvals` says how to use the part about approvals."""

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

    def open_case(self, principal: Principal, new: NewCase) -> Case:
        """Put something before people; the same source opens one case."""
        return self._call(principal, "POST", "/internal/review-cases", Case, new)

    def sample(self, principal: Principal, answer: AnswerToSample) -> bool:
        """Draw whether an answer comes to a reviewer, and open its case if so."""
        return self._call(principal, "POST", "/internal/review-samples", Sampled, answer).is_sampled

    def break_glass(self, principal: Principal, new: BreakGlass) -> Claim:
        """Claim an act that goes back, without approval."""
        return self._call(principal, "POST", "/internal/approvals/break-glass", Claim, new)


def sample_answers(client: GovernanceClient, events: Sequence[ProducedEvent]) -> None:
    """Draw, for each answer that these events tell of, whether a reviewer looks at it; again is the same lot."""
    for event in (produced.event for produced in events):
        if event.action == "answer.given":
            bases = event.details.get("knowledge_bases")
            answer = AnswerToSample(
                answer_id=event.subject,
                knowledge_base_ids=bases if isinstance(bases, list) else [],
                person=event.actor,
            )
            client.sample(service_principal("assistant", event.tenant), answer)
