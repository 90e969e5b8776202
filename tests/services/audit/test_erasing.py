"""A person is forgotten by the log, and every proof stays valid."""

import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import PrincipalSigner, service_principal
from zhiku_platform.clients.audit import AuditClient
from zhiku_platform.contracts.audit import AuditEvent, ProducedEvent
from zhiku_platform.contracts.erasure import EraseOrder, PersonSought
from zhiku_platform.erasure import ErasureClient
from zhiku_platform.errors import RemoteProblemError
from zhiku_services.audit.verifier import Note, VerifierKey

from .conftest import KNOWLEDGE, Audit

DESK = service_principal("governance", "acme")
ORDER = EraseOrder(sub="lin", erasure_id="era_1", groups=["cnv_1", "cnv_9"])


@pytest.fixture
def http(audit: Audit) -> TestClient:
    return TestClient(audit.service.app)


@pytest.fixture
def store(http: TestClient, audit: Audit) -> ErasureClient:
    return ErasureClient("audit", http, PrincipalSigner(audit.settings.secret_key.get_secret_value()))


def said(n: int) -> ProducedEvent:
    """A question in conversation `n`."""
    event = AuditEvent(
        action="question.asked", tenant="acme", actor="lin", subject=f"ans_{n}",
        sealed={"question": "How long is leave?"}, group=f"cnv_{n}",
    )  # fmt: skip
    return ProducedEvent(event=event)


def kinds(store: ErasureClient) -> dict[str, int]:
    return {each.kind: each.count for each in store.find(DESK, PersonSought(sub="lin", groups=ORDER.groups))}


def test_the_person_is_forgotten_and_the_log_still_verifies(audit: Audit, store: ErasureClient) -> None:
    audit.append(said(1), said(2))
    assert kinds(store) == {"record_group": 1, "pseudonym": 1}
    assert store.erase(DESK, ORDER) == {"record_group": 1, "pseudonym": 1, "saved_search": 0}
    assert kinds(store) == {}
    assert store.erase(DESK, ORDER) == {"record_group": 0, "pseudonym": 0, "saved_search": 0}
    audit.settle()
    assert audit.verify().status == 0
    actions = [event["type"].removeprefix("zhiku.") for event in audit.events()]
    assert [action for action in actions if action.startswith("audit.")][-2:] == [
        "audit.group_erased",
        "audit.person_forgotten",
    ]


def test_a_lookup_writes_nobody_into_the_log(audit: Audit, store: ErasureClient) -> None:
    audit.append(said(1))
    store.erase(DESK, ORDER)
    for user in ("lin", "Li Na, 13800138000"):
        found = audit.post("/api/v1/audit-pseudonyms", {"user": user, "reason": "A complaint, case 17"})
        assert found == {"pseudonyms": []}
    with audit.database.engine.connect() as connection:
        known = connection.exec_driver_sql("SELECT sub FROM person").scalars().all()
    assert not {"lin", "Li Na, 13800138000"} & set(known)
    audit.settle()
    last = audit.events()[-1]
    assert (last["subject"], last["data"]["unmapped"]["kb"]) == ("person", {})
    assert audit.verify().ok


def test_a_certificate_is_signed_for_the_desk_alone(audit: Audit, http: TestClient) -> None:
    client = AuditClient(http, PrincipalSigner(audit.settings.secret_key.get_secret_value()))
    signed = client.sign_erasure(DESK, "ab" * 32)
    key = VerifierKey.parse(audit.trail.signer.public_key)
    note = Note.parse(signed.note)
    assert str(key) == signed.key
    assert key.signed(note)
    assert note.body.decode().splitlines() == [f"{audit.trail.signer.origin}/erasure", "ab" * 32]
    with pytest.raises(RemoteProblemError):
        client.sign_erasure(KNOWLEDGE, "ab" * 32)
