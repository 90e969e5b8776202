"""The governance service, typed."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from zhiku_platform.access import service_principal
from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.contracts.cases import AnswerToSample, Case, CaseKind, NewCase, Sampled, Severity
from zhiku_platform.contracts.governance import Approval, BreakGlass, Claim, NewApproval, UseApproval
from zhiku_platform.contracts.holds import HoldCheck, NewDeletion
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.retention import RetentionRule

_RULES: TypeAdapter[list[RetentionRule]] = TypeAdapter(list[RetentionRule])


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

    def check_holds(self, principal: Principal, deletion: NewDeletion) -> HoldCheck:
        """Ask whether a legal hold keeps anything of what is about to be deleted."""
        return self._call(principal, "POST", "/internal/hold-checks", HoldCheck, deletion)

    def retention_rules(self, principal: Principal) -> list[RetentionRule]:
        """The rules in force; what has none is kept for ever."""
        return _RULES.validate_json(self._send(principal, "GET", "/internal/retention-rules").content)


def put_before_people(client: GovernanceClient, events: Sequence[ProducedEvent]) -> None:
    """Open the cases that these events of the assistant call for; the same event twice opens one case.

    A question or an answer that policy refused or wants looked at, an appeal, and answers by lot.
    """
    for event in (produced.event for produced in events):
        service = service_principal("assistant", event.tenant)
        if event.action == "answer.given":
            bases = event.details.get("knowledge_bases")
            where = bases if isinstance(bases, list) else []
            answer = AnswerToSample(answer_id=event.subject, knowledge_base_ids=where, person=event.actor)
            client.sample(service, answer)
        elif event.action == "answer.appealed":
            case = _case(event, CaseKind.APPEAL, Severity.MEDIUM)
            client.open_case(service, case.model_copy(update={"note": event.sealed.get("reason")}))
        elif event.action == "safety.found" and not _LOOKED_AT.isdisjoint(_listed(event, "verdicts")):
            found = [Severity(severity) for severity in _listed(event, "severities")]
            worst = max(found, key=[*Severity].index, default=Severity.LOW)
            client.open_case(service, _case(event, CaseKind.SAFETY_FINDING, worst))


_LOOKED_AT = frozenset({"review", "block"})
"""Verdicts of content safety that a person looks at afterwards."""


def _case(event: AuditEvent, kind: CaseKind, severity: Severity) -> NewCase:
    policy = event.details.get("policy")
    return NewCase(
        kind=kind,
        severity=severity,
        source_id=event.subject,
        subject_kind="answer",
        subject_id=event.subject,
        categories=sorted(set(_listed(event, "categories"))),
        policy_digest=policy if isinstance(policy, str) else None,
        person=event.actor,
    )


def _listed(event: AuditEvent, name: str) -> list[str]:
    found = event.details.get(name)
    return found if isinstance(found, list) else []
