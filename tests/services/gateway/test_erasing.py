"""An erased person's account, sessions and keys are gone from the mirror, and they are signed out."""

import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import PrincipalSigner, service_principal
from zhiku_platform.contracts.erasure import EraseOrder, PersonSought
from zhiku_platform.db import Database
from zhiku_platform.erasure import ErasureClient
from zhiku_platform.settings import Settings
from zhiku_services.gateway.app import create_directory_app

from .conftest import Gateway

DESK = service_principal("governance", "default")
LIN = PersonSought(sub="lin")


@pytest.fixture
def store(settings: Settings, database: Database) -> ErasureClient:
    http = TestClient(create_directory_app(settings, database=database))
    return ErasureClient("directory", http, PrincipalSigner(settings.secret_key.get_secret_value()))


def test_who_is_erased_is_signed_out_and_others_are_not(gateway: Gateway, store: ErasureClient) -> None:
    lin, zhao = gateway.sign_in("lin"), gateway.sign_in("zhao")
    secret = gateway.create_key("lin", "search")["secret"]
    before = {each.kind: each.count for each in store.find(DESK, LIN)}
    assert before["directory_user"] == 1
    assert before["api_key"] == 1
    assert before["session"] >= 1
    assert store.erase(DESK, EraseOrder(sub="lin", erasure_id="era_1")) == {"logout_notice": 0, **before}
    assert store.find(DESK, LIN) == []
    assert lin.get("/api/v1/session").status_code == 401
    key = {"Authorization": f"Bearer {secret}"}
    assert gateway.browse().get("/api/v1/documents/d1", headers=key).status_code == 401
    assert zhao.get("/api/v1/session").status_code == 200
    assert not any(store.erase(DESK, EraseOrder(sub="lin", erasure_id="era_1")).values())
