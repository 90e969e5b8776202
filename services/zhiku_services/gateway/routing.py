"""Which service answers which public address, and what the caller needs to be let through.

The one table of it. A service checks the same permission again; what is not listed cannot be reached from
outside, so nothing under `/internal` can.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zhiku_platform.access import Permission

Service = Literal["knowledge", "ingestion", "assistant", "inference", "audit", "governance", "safety", "finetune"]


@dataclass(frozen=True)
class ProxiedRoute:
    """One method on one path; `path` is the same in the service."""

    service: Service
    method: str
    path: str
    permission: Permission
    takes_upload: bool = False

    @property
    def name(self) -> str:
        """Unique, for the OpenAPI document."""
        words = self.path.removeprefix("/api/v1/").replace("{", "").replace("}", "").replace("-", "_").split("/")
        return "_".join([self.method.lower(), *words])


_TABLE: dict[Service, dict[str, dict[str, Permission]]] = {
    "knowledge": {
        "/knowledge-bases": {"GET": Permission.KNOWLEDGE_BASE_READ, "POST": Permission.KNOWLEDGE_BASE_CREATE},
        "/knowledge-bases/{knowledge_base_id}": {
            "GET": Permission.KNOWLEDGE_BASE_READ,
            "PATCH": Permission.KNOWLEDGE_BASE_MANAGE,
            "DELETE": Permission.KNOWLEDGE_BASE_MANAGE,
        },
        "/knowledge-bases/{knowledge_base_id}/deletion": {"POST": Permission.KNOWLEDGE_BASE_MANAGE},
        "/knowledge-bases/{knowledge_base_id}/grants": {
            "GET": Permission.KNOWLEDGE_BASE_MANAGE,
            "POST": Permission.KNOWLEDGE_BASE_MANAGE,
        },
        "/knowledge-bases/{knowledge_base_id}/grants/{grant_id}": {"DELETE": Permission.KNOWLEDGE_BASE_MANAGE},
        "/knowledge-bases/{knowledge_base_id}/releases": {
            "GET": Permission.RELEASE_MANAGE,
            "POST": Permission.RELEASE_MANAGE,
        },
        "/knowledge-bases/{knowledge_base_id}/releases/{number}/publish": {"POST": Permission.RELEASE_MANAGE},
        "/knowledge-bases/{knowledge_base_id}/releases/{before}/diff/{after}": {"GET": Permission.RELEASE_MANAGE},
        "/knowledge-bases/{knowledge_base_id}/releases/{before}/diff/{after}/documents/{document_id}": {
            "GET": Permission.RELEASE_MANAGE
        },
        "/knowledge-bases/{knowledge_base_id}/documents": {"GET": Permission.DOCUMENT_READ},
        "/documents/{document_id}": {"GET": Permission.DOCUMENT_READ},
        "/documents/{document_id}/acl": {"PUT": Permission.DOCUMENT_WRITE},
        "/documents/{document_id}/content": {"GET": Permission.DOCUMENT_READ},
        "/documents/{document_id}/passages": {"GET": Permission.DOCUMENT_READ},
        "/passages/{passage_id}": {"GET": Permission.DOCUMENT_READ},
        "/documents/{document_id}/readers": {"GET": Permission.ACCESS_EXPLAIN},
        "/users/{sub}/readable": {"GET": Permission.ACCESS_EXPLAIN},
        "/search": {"POST": Permission.SEARCH},
    },
    "ingestion": {
        "/knowledge-bases/{knowledge_base_id}/uploads": {"POST": Permission.DOCUMENT_WRITE},
        "/document-versions": {"GET": Permission.DOCUMENT_READ},
        "/document-versions/{version_id}": {"GET": Permission.DOCUMENT_READ},
        "/document-versions/{version_id}/retry": {"POST": Permission.DOCUMENT_WRITE},
        "/document-versions/{version_id}/cancel": {"POST": Permission.DOCUMENT_WRITE},
        "/documents/{document_id}": {"DELETE": Permission.DOCUMENT_WRITE},
        "/sources": {"GET": Permission.SOURCE_MANAGE, "POST": Permission.SOURCE_MANAGE},
        "/sources/{source_id}": {"DELETE": Permission.SOURCE_MANAGE},
        "/sources/{source_id}/sync": {"POST": Permission.SOURCE_MANAGE},
        "/syncs/{sync_id}": {"GET": Permission.SOURCE_MANAGE},
        "/syncs/{sync_id}/skipped": {"GET": Permission.SOURCE_MANAGE},
    },
    "assistant": {
        "/conversations": {"GET": Permission.CONVERSATION_READ, "POST": Permission.ASK},
        "/conversations/{conversation_id}": {
            "GET": Permission.CONVERSATION_READ,
            "PATCH": Permission.ASK,
            "DELETE": Permission.ASK,
        },
        "/conversations/{conversation_id}/questions": {"POST": Permission.ASK},
        "/answers/{answer_id}": {"GET": Permission.CONVERSATION_READ},
        "/answers/{answer_id}/stream": {"GET": Permission.CONVERSATION_READ},
        "/answers/{answer_id}/stop": {"POST": Permission.ASK},
        "/answers/{answer_id}/appeal": {"POST": Permission.ASK},
        "/answers/{answer_id}/feedback": {"PUT": Permission.ASK, "DELETE": Permission.ASK},
        "/answers/{answer_id}/receipt": {"GET": Permission.RECEIPT_READ},
        "/receipts/{answer_id}": {"GET": Permission.RECEIPT_REVIEW},
        "/receipts/{answer_id}/reveal": {"POST": Permission.AUDIT_REVEAL},
        "/receipts/{answer_id}/replay": {"POST": Permission.RECEIPT_REVIEW},
    },
    "inference": {"/models": {"GET": Permission.MODEL_READ}},
    "audit": {
        "/audit-events": {"GET": Permission.AUDIT_READ},
        "/audit-events/facets": {"POST": Permission.AUDIT_READ},
        "/audit-events/{event_id}": {"GET": Permission.AUDIT_READ},
        "/audit-events/{event_id}/proof": {"GET": Permission.AUDIT_READ},
        "/audit-events/{event_id}/reveal": {"POST": Permission.AUDIT_REVEAL},
        "/audit-timelines/{kind}/{what}": {"GET": Permission.AUDIT_READ},
        "/audit-pseudonyms": {"POST": Permission.AUDIT_REVEAL},
        "/audit-views": {"GET": Permission.AUDIT_READ, "POST": Permission.AUDIT_READ},
        "/audit-views/{view_id}": {"DELETE": Permission.AUDIT_READ},
        "/audit-exports": {"POST": Permission.AUDIT_EXPORT},
        "/audit-log": {"GET": Permission.AUDIT_READ},
        "/audit-log/checkpoint": {"GET": Permission.AUDIT_READ},
        "/audit-log/consistency": {"GET": Permission.AUDIT_READ},
        "/audit-log/cosignatures": {"POST": Permission.AUDIT_READ},
    },
    "governance": {
        "/approvals": {"GET": Permission.APPROVAL_OWN},
        "/approvals/{approval_id}": {"GET": Permission.APPROVAL_OWN},
        "/approvals/{approval_id}/approve": {"POST": Permission.APPROVAL_DECIDE},
        "/approvals/{approval_id}/refuse": {"POST": Permission.APPROVAL_DECIDE},
        "/approvals/{approval_id}/withdraw": {"POST": Permission.APPROVAL_OWN},
        "/retention-rules": {"GET": Permission.RETENTION_READ},
        "/retention-rules/{kind}": {"PUT": Permission.RETENTION_CHANGE},
        "/retention-rules/{kind}/due": {"GET": Permission.RETENTION_READ},
        "/legal-holds": {"GET": Permission.HOLD_READ, "POST": Permission.HOLD_PLACE},
        "/legal-holds/{hold_id}/release": {"POST": Permission.HOLD_PLACE},
        "/erasures": {"GET": Permission.ERASURE_READ, "POST": Permission.ERASURE_REQUEST},
        "/erasures/{erasure_id}": {"GET": Permission.ERASURE_READ},
        "/erasures/{erasure_id}/report": {"POST": Permission.ERASURE_REQUEST},
        "/erasures/{erasure_id}/run": {"POST": Permission.ERASURE_REQUEST},
        "/erasures/{erasure_id}/verify": {"POST": Permission.ERASURE_REQUEST},
        "/erasures/{erasure_id}/withdraw": {"POST": Permission.ERASURE_REQUEST},
        "/erasures/{erasure_id}/certificate": {"GET": Permission.ERASURE_READ},
        "/review-cases": {"GET": Permission.REVIEW_DECIDE},
        "/review-cases/{case_id}": {"GET": Permission.REVIEW_DECIDE},
        "/review-cases/{case_id}/claim": {"POST": Permission.REVIEW_DECIDE},
        "/review-cases/{case_id}/release": {"POST": Permission.REVIEW_DECIDE},
        "/review-cases/{case_id}/escalate": {"POST": Permission.REVIEW_DECIDE},
        "/review-cases/{case_id}/decide": {"POST": Permission.REVIEW_DECIDE},
        "/review-cases/{case_id}/notes": {"POST": Permission.REVIEW_DECIDE},
        "/review-figures": {"GET": Permission.REVIEW_DECIDE},
        "/sampling-rules": {"GET": Permission.REVIEW_DECIDE, "POST": Permission.REVIEW_CONFIGURE},
        "/sampling-rules/{rule_id}": {"DELETE": Permission.REVIEW_CONFIGURE},
    },
    "safety": {"/safety-policy": {"GET": Permission.SAFETY_MANAGE, "PUT": Permission.SAFETY_MANAGE}},
    "finetune": {
        "/training-examples/uploads": {"POST": Permission.TRAINING_MANAGE},
        "/training-examples/from-feedback": {"POST": Permission.TRAINING_MANAGE},
        "/training-datasets": {"GET": Permission.TRAINING_MANAGE},
        "/training-datasets/{dataset_id}": {"GET": Permission.TRAINING_MANAGE},
        "/training-methods": {"GET": Permission.TRAINING_MANAGE},
        "/training-runs": {"GET": Permission.TRAINING_MANAGE, "POST": Permission.TRAINING_MANAGE},
        "/training-runs/{run_id}": {"GET": Permission.TRAINING_MANAGE},
        "/training-runs/{run_id}/events": {"GET": Permission.TRAINING_MANAGE},
        "/training-runs/{run_id}/cancel": {"POST": Permission.TRAINING_MANAGE},
    },
}


def proxied_routes() -> Iterator[ProxiedRoute]:
    """Every address that a service answers through the gateway."""
    for service, paths in _TABLE.items():
        for path, methods in paths.items():
            for method, permission in methods.items():
                yield ProxiedRoute(
                    service, method, f"/api/v1{path}", permission, takes_upload=path.endswith("/uploads")
                )
