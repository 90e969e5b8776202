"""The audit service, typed."""

from collections.abc import Sequence

from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.audit import (
    Accepted,
    AppendRequest,
    Checkpoint,
    ConsistencyProof,
    Cosignature,
    LoggedReceipt,
    LogStatus,
    ProducedEvent,
)
from zhiku_platform.contracts.erasure import CertificateDigest, SignedCertificate
from zhiku_platform.contracts.identity import Principal


class AuditClient(ServiceClient):
    """What services and witnesses say to the audit service."""

    service = "audit"

    def append(self, principal: Principal, events: Sequence[ProducedEvent]) -> Accepted:
        """Make events durable; events it has already are skipped, so trying again is safe.

        Raises:
            RemoteProblemError: `audit_unavailable`, no sink can write.
            ServiceUnavailableError: it does not answer; the events may be durable or not.
        """
        return self._call(principal, "POST", "/internal/audit-events", Accepted, AppendRequest(events=list(events)))

    def logged_receipt(self, principal: Principal, answer_id: str) -> LoggedReceipt:
        """What the log says of an answer's receipt, to who may review it."""
        return self._call(principal, "GET", f"/internal/receipts/{answer_id}", LoggedReceipt)

    def sign_erasure(self, principal: Principal, digest: str) -> SignedCertificate:
        """Have the log's key put its name to what the erasure desk certifies."""
        path = "/internal/erasure-certificates"
        return self._call(principal, "POST", path, SignedCertificate, CertificateDigest(sha256=digest))

    def status(self, principal: Principal) -> LogStatus:
        return self._call(principal, "GET", "/api/v1/audit-log", LogStatus)

    def checkpoint(self, principal: Principal) -> Checkpoint:
        """The latest checkpoint."""
        return self._call(principal, "GET", "/api/v1/audit-log/checkpoint", Checkpoint)

    def consistency(self, principal: Principal, first: int, second: int) -> ConsistencyProof:
        """Prove that the log of `first` entries is the beginning of the one of `second`."""
        path = f"/api/v1/audit-log/consistency?first={first}&second={second}"
        return self._call(principal, "GET", path, ConsistencyProof)

    def cosign(self, principal: Principal, cosignature: Cosignature) -> None:
        """Leave a witness's cosignature with the log."""
        self._send(principal, "POST", "/api/v1/audit-log/cosignatures", cosignature)
