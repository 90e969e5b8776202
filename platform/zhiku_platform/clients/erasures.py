"""The erasure desk, typed."""

from zhiku_platform.access import service_principal
from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.erasure import (
    Certificate,
    Erasure,
    ErasureChoice,
    NewErasure,
    ReplayReport,
    StoreReport,
    Verification,
)
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.identity import Principal


class ErasureDeskClient(ServiceClient):
    """Every method checks the rights of the principal it is called for."""

    service = "governance"

    def request(self, principal: Principal, new: NewErasure) -> Erasure:
        return self._call(principal, "POST", "/api/v1/erasures", Erasure, new)

    def report(self, principal: Principal, erasure_id: str, decided: list[str]) -> Erasure:
        """Ask every store what it holds; nothing is erased."""
        path = f"/api/v1/erasures/{erasure_id}/report"
        return self._call(principal, "POST", path, Erasure, ErasureChoice(decided=decided))

    def run(self, principal: Principal, erasure_id: str, approval: str | None) -> Erasure | Approval:
        """Erase what was approved; an `Approval` is the answer that two others are asked."""
        query = "" if approval is None else f"?approval={approval}"
        response = self._send(principal, "POST", f"/api/v1/erasures/{erasure_id}/run{query}")
        answer = Approval if response.status_code == 202 else Erasure
        return answer.model_validate_json(response.content)

    def verify(self, principal: Principal, erasure_id: str) -> list[StoreReport]:
        """Ask every store again; nothing is what is wanted."""
        return self._call(principal, "POST", f"/api/v1/erasures/{erasure_id}/verify", Verification).left

    def certificate(self, principal: Principal, erasure_id: str) -> Certificate:
        return self._call(principal, "GET", f"/api/v1/erasures/{erasure_id}/certificate", Certificate)

    def replay(self, tenant: str) -> ReplayReport:
        """Repeat every erasure, as after the restore of a backup."""
        desk = service_principal("governance", tenant)
        return self._call(desk, "POST", "/internal/erasures/replay", ReplayReport)
