"""Every route with somebody else's ids: to whom a thing is hidden, it does not exist, byte for byte."""

import base64
import re
import time
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from sqlmodel import select

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import RetireRequest
from zhiku_platform.settings import Settings
from zhiku_services.knowledge.models import GrantRow, PassageRow
from zhiku_services.knowledge.routes import internal, router

from .conftest import INGESTION, LIN, OTHER_TENANT, STRANGER, ZHAO, Knowledge

ROUTES = sorted(
    (method, f"{route.path}")
    for each in (router, internal)
    for route in each.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/knowledge-bases/{knowledge_base_id}/grants"): {"subject": "user:eve", "role": "owner"},
    ("PATCH", "/api/v1/knowledge-bases/{knowledge_base_id}"): {"name": "Mine"},
    ("POST", "/api/v1/knowledge-bases/{knowledge_base_id}/releases"): {"publish": True},
    ("PUT", "/api/v1/documents/{document_id}/acl"): {"readers": ["user:eve"]},
    ("POST", "/api/v1/search"): {"query": "merger", "knowledge_base_ids": ["{knowledge_base_id}"]},
    ("POST", "/internal/search"): {"query": "merger", "knowledge_base_ids": ["{knowledge_base_id}"]},
    ("POST", "/internal/authorize"): {"knowledge_base_id": "{knowledge_base_id}", "role": "viewer"},
    ("POST", "/internal/readable-passages"): {"passage_ids": ["{passage_id}"]},
    ("POST", "/internal/readable-documents"): {"document_ids": ["{document_id}"]},
    ("POST", "/api/v1/knowledge-bases"): {"name": "Merger"},
    ("POST", "/api/v1/knowledge-bases/{knowledge_base_id}/deletion"): {"reason": "It is no longer needed"},
}
FOR_SERVICES = {
    ("POST", "/internal/publish"),
    ("POST", "/internal/retire"),
    ("PUT", "/internal/documents/{document_id}/acl"),
}
"""Routes that no user has the permission for."""
LISTS = {
    ("GET", "/api/v1/knowledge-bases"),
    ("POST", "/api/v1/knowledge-bases"),
    ("POST", "/internal/readable-passages"),
    ("POST", "/internal/readable-documents"),
    ("GET", "/api/v1/users/{sub}/readable"),
}
"""Routes that answer everybody, each with their own."""
SECRET = re.compile("merger|kb_[0-9a-f]{20,}|doc-hidden", re.IGNORECASE)


@pytest.fixture
def ids(knowledge: Knowledge) -> dict[str, str]:
    """What zhao owns and lin may partly read; nobody else sees anything of it."""
    kb = knowledge.create("Merger", "user:lin")
    knowledge.publish(kb, "doc-hidden", "The merger text.", title="Merger plan", readers=["user:zhao"])
    with knowledge.database.read() as session:
        passage = session.exec(select(PassageRow.id)).one()
        grant = session.exec(select(GrantRow.id)).first()
    return {
        "knowledge_base_id": kb,
        "document_id": "doc-hidden",
        "passage_id": passage,
        "grant_id": str(grant),
        "number": "1",
        "before": "0",
        "after": "1",
        "sub": "zhao",
    }


MISSING = {
    "knowledge_base_id": "kb_000000000000",
    "document_id": "doc_none",
    "passage_id": "psg_none",
    "grant_id": "grt_none",
    "number": "7",
    "before": "7",
    "after": "8",
    "sub": "nobody",
}


def fill(template: Any, values: dict[str, str]) -> Any:
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(each, values) for each in template]
    return template.format(**values) if isinstance(template, str) else template


def answer(knowledge: Knowledge, by: Principal, method: str, path: str, values: dict[str, str]) -> Any:
    body = fill(BODIES.get((method, path)), values)
    headers = {**knowledge.headers(by), "X-Request-Id": "same"}
    return knowledge.http.request(method, path.format(**values), json=body, headers=headers)


@pytest.mark.parametrize("by", [STRANGER, OTHER_TENANT], ids=["stranger", "other tenant"])
def test_what_is_hidden_answers_as_what_is_missing(knowledge: Knowledge, ids: dict[str, str], by: Principal) -> None:
    for method, path in ROUTES:
        hidden, missing = (answer(knowledge, by, method, path, values) for values in (ids, MISSING))
        if (method, path) in FOR_SERVICES:
            assert (hidden.status_code, missing.status_code) == (403, 403), path
        elif (method, path) in LISTS:
            assert hidden.status_code in {200, 201, 403, 404}, path
        else:
            assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content), path
            assert hidden.status_code in {403, 404}, path
        if (method, path) != ("POST", "/api/v1/knowledge-bases"):
            assert SECRET.search(hidden.text) is None, path


def test_a_viewer_is_shown_nothing_of_a_document_it_may_not_read(knowledge: Knowledge, ids: dict[str, str]) -> None:
    for method, path in ROUTES:
        response = answer(knowledge, LIN, method, path, ids)
        assert response.status_code < 500, path
        for hidden in ("plan", "doc-hidden", ids["passage_id"]):
            assert hidden not in response.text, path


@pytest.mark.parametrize("role", [Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN, Role.SECURITY_ADMIN])
def test_an_administrator_is_shown_no_content(knowledge: Knowledge, ids: dict[str, str], role: Role) -> None:
    administrator = ZHAO.model_copy(update={"roles": frozenset({role}), "sub": "adm"})
    for method, path in ROUTES:
        response = answer(knowledge, administrator, method, path, ids)
        assert response.status_code in ({200, 403, 404} if role is Role.SECURITY_ADMIN else {403}), path
        assert "plan" not in response.text, path


def test_who_is_two_administrators_is_none(knowledge: Knowledge, ids: dict[str, str]) -> None:
    both = ZHAO.model_copy(update={"roles": frozenset({Role.SECURITY_ADMIN, Role.AUDIT_ADMIN}), "sub": "adm"})
    for method, path in ROUTES:
        assert answer(knowledge, both, method, path, ids).status_code == 403, path


@pytest.mark.parametrize("name", ["a\x00b", "知库", "..", "%2e%2e", "' or 1=1 --", '"', "x" * 300])
def test_no_name_breaks_a_route(knowledge: Knowledge, ids: dict[str, str], name: str) -> None:
    for method, path in ROUTES:
        if (method, path) in FOR_SERVICES:
            continue
        values = dict.fromkeys(ids, name)
        body = fill(BODIES.get((method, path)), values)
        address = "/".join(_quoted(part, values) for part in path.split("/"))
        response = knowledge.http.request(method, address, json=body, headers=knowledge.headers(ZHAO))
        assert response.status_code < 500, (method, path, response.text)


def _quoted(part: str, values: dict[str, str]) -> str:
    return quote(part.format(**values), safe="") if "{" in part else part


def test_a_retired_document_is_missing_to_its_owner_too(knowledge: Knowledge, ids: dict[str, str]) -> None:
    request = RetireRequest(tenant="acme", document_id="doc-hidden", fence=9)
    knowledge.http.post("/internal/retire", content=request.model_dump_json(), headers=knowledge.headers(INGESTION))
    for method, path in ROUTES:
        if "{document_id}" in path and (method, path) not in FOR_SERVICES:
            gone, missing = (
                answer(knowledge, ZHAO, method, path, ids | {"document_id": document})
                for document in ("doc-hidden", "doc_none")
            )
            assert (gone.status_code, gone.content) == (404, missing.content)


def forged(principal: Principal) -> dict[str, str]:
    """Tokens that say they are somebody's, each wrong in one way."""
    good = PrincipalSigner("one secret").sign(principal)
    head, body, _ = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return {
        "of another key": good,
        "without a signature": f"{head}.{body}.",
        "of no algorithm": f"{none}.{body}.",
        "not a token": "zhao",
    }


@pytest.mark.parametrize("kind", ["of another key", "without a signature", "of no algorithm", "not a token", "expired"])
def test_a_forged_principal_gets_nowhere(knowledge: Knowledge, ids: dict[str, str], kind: str) -> None:
    if kind == "expired":
        secret = Settings().secret_key.get_secret_value()
        token = PrincipalSigner(secret, clock=lambda: time.time() - 3600).sign(ZHAO)
    else:
        token = forged(ZHAO)[kind]
    for method, path in ROUTES:
        body = fill(BODIES.get((method, path)), ids)
        response = knowledge.http.request(
            method, path.format(**ids), json=body, headers={PRINCIPAL_HEADER: token, "X-Request-Id": "same"}
        )
        assert response.status_code == 401, path
        assert SECRET.search(response.text) is None, path
