"""Sessions and the provider: renewed while it lets them live, ended when it does not."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from zhiku_services.gateway import sessions
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.models import SessionRow

from .conftest import Gateway


def renewals(gateway: Gateway) -> int:
    """How often tokens were asked for since the last time that somebody looked."""
    asked = gateway.provider.asked.count("POST token")
    gateway.provider.asked.clear()
    return asked


def row_of(gateway: Gateway) -> SessionRow:
    with gateway.database.read() as session:
        return session.exec(select(SessionRow)).one()


def end_at_provider(gateway: Gateway, browser: Any) -> None:
    """End the provider's own session without a word to the gateway."""
    row = row_of(gateway)
    tokens = Digests(gateway.settings.secret_key.get_secret_value()).unseal(
        "provider-tokens", browser.cookies["zhiku_session"], row.provider_tokens or ""
    )
    assert tokens is not None
    refresh_token = tokens.split('"refresh_token": "')[1].split('"')[0]
    path = "/realms/zhiku/protocol/openid-connect/revoke"
    assert gateway.browse().post(path, data={"token": refresh_token}).status_code == 200


def test_a_session_is_renewed_when_its_tokens_run_out_and_not_before(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    assert renewals(gateway) == 1
    gateway.clock.pass_time(seconds=299)
    assert browser.get("/api/v1/session").status_code == 200
    assert renewals(gateway) == 0
    for _ in range(3):
        gateway.clock.pass_time(seconds=301)
        assert browser.get("/api/v1/session").status_code == 200
        assert browser.get("/api/v1/session").status_code == 200
        assert renewals(gateway) == 1


def test_a_session_that_the_provider_ended_ends_here_with_the_next_renewal(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    end_at_provider(gateway, browser)
    assert browser.get("/api/v1/session").status_code == 200
    gateway.clock.pass_time(seconds=301)
    assert browser.get("/api/v1/session").status_code == 401
    assert ("session.ended", "svc-gateway", {"reason": "provider_ended", "user": "lin"}) in gateway.audited()
    assert browser.get("/api/v1/session").status_code == 401
    assert renewals(gateway) == 2


@pytest.mark.parametrize("pause", [{"seconds": 301}, {"hours": 7}])
def test_many_requests_at_once_renew_once(gateway: Gateway, pause: dict[str, float]) -> None:
    browser = gateway.sign_in("lin")
    renewals(gateway)
    gateway.clock.pass_time(**pause)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: browser.get("/api/v1/session").status_code, range(16)))
    assert set(answers) == {200}
    assert renewals(gateway) == 1


def test_many_requests_after_a_pause_find_out_that_the_session_ended(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    end_at_provider(gateway, browser)
    gateway.clock.pass_time(hours=7)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: browser.get("/api/v1/session").status_code, range(16)))
    assert set(answers) == {401}


def test_a_session_outlives_an_outage_of_the_provider_for_an_hour(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.provider.is_down = True
    # The hour begins with the first attempt that fails, however long nobody came before.
    gateway.clock.pass_time(hours=2)
    assert browser.get("/api/v1/session").status_code == 200
    gateway.clock.pass_time(seconds=3600)
    assert browser.get("/api/v1/session").status_code == 200
    gateway.clock.pass_time(seconds=1)
    response = browser.get("/api/v1/session")
    assert (response.status_code, response.json()["code"]) == (503, "identity_provider_unavailable")
    gateway.clock.pass_time(seconds=31)
    gateway.provider.is_down = False
    assert browser.get("/api/v1/session").status_code == 200


def test_an_outage_counts_anew_after_the_provider_answered(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    for _ in range(2):
        gateway.provider.is_down = True
        gateway.clock.pass_time(seconds=901)
        assert browser.get("/api/v1/session").status_code == 200
        gateway.clock.pass_time(seconds=3500)
        assert browser.get("/api/v1/session").status_code == 200
        gateway.provider.is_down = False
        gateway.clock.pass_time(seconds=31)
        assert browser.get("/api/v1/session").status_code == 200


def test_who_never_waits_for_the_answer_does_not_go_on_for_ever(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.clock.pass_time(seconds=301)
    door = gateway.app.state.door
    found = door.signed_in(browser.cookies["zhiku_session"])
    for _ in range(2):
        # A caller claims the renewal and hangs up.
        with gateway.database.write() as session:
            assert sessions.claim_renewal(found, at=gateway.clock(), session=session)
        gateway.clock.pass_time(seconds=3601)
    gateway.provider.is_down = True
    assert browser.get("/api/v1/session").status_code == 503


def test_a_provider_that_is_down_is_asked_every_half_minute(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.provider.is_down = True
    gateway.clock.pass_time(seconds=301)
    renewals(gateway)
    for _ in range(6):
        assert browser.get("/api/v1/session").status_code == 200
        gateway.clock.pass_time(seconds=10)
    assert renewals(gateway) == 2


def test_a_renewal_makes_no_login_fresher(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    signed_in_at = row_of(gateway).authenticated_at
    assert signed_in_at == gateway.clock()
    gateway.clock.pass_time(seconds=301)
    browser.get("/api/v1/session")
    assert row_of(gateway).authenticated_at == signed_in_at


def test_the_database_holds_the_providers_tokens_sealed(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    with gateway.database.read() as session:
        rows = str(session.connection().execute(text("SELECT * FROM session")).all())
    assert "eyJ" not in rows
    sealed = row_of(gateway).provider_tokens
    assert sealed is not None
    right = Digests(gateway.settings.secret_key.get_secret_value())
    cookie = browser.cookies["zhiku_session"]
    assert right.unseal("provider-tokens", cookie, sealed) is not None
    assert right.unseal("provider-tokens", cookie + "x", sealed) is None
    assert right.unseal("another purpose", cookie, sealed) is None
    assert Digests("another secret").unseal("provider-tokens", cookie, sealed) is None
    assert right.unseal("provider-tokens", cookie, sealed[:-4]) is None


def test_a_session_whose_tokens_cannot_be_opened_ends(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    with gateway.database.write() as session:
        row = session.exec(select(SessionRow)).one()
        row.provider_tokens = "rubbish"
        session.add(row)
    gateway.clock.pass_time(seconds=301)
    assert browser.get("/api/v1/session").status_code == 401
    assert ("session.ended", "svc-gateway", {"reason": "tokens_lost", "user": "lin"}) in gateway.audited()


def test_signing_out_takes_the_refresh_token_back(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.provider.asked.clear()
    assert browser.post("/api/v1/auth/logout").status_code == 204
    assert "POST revoke" in gateway.provider.asked


def test_signing_out_works_while_the_provider_is_down(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.provider.is_down = True
    assert browser.post("/api/v1/auth/logout").status_code == 204
    assert browser.get("/api/v1/session").status_code == 401


def test_after_signing_out_the_provider_can_be_left_too(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    browser.post("/api/v1/auth/logout")
    leaving = browser.get("/api/v1/auth/logout")
    address = leaving.headers["location"]
    assert address.startswith(
        "http://127.0.0.1:8000/realms/zhiku/protocol/openid-connect/logout?client_id=zhiku-portal"
    )
    assert "id_token_hint=eyJ" in address
    assert browser.get(address).headers["location"] == "http://127.0.0.1:8000/"
    assert "id_token_hint" not in browser.get("/api/v1/auth/logout").headers["location"]


@pytest.mark.parametrize("cookie", ["", "x", "x" * 400])
def test_a_made_up_leaving_cookie_is_no_hint(gateway: Gateway, cookie: str) -> None:
    response = gateway.browse().get("/api/v1/auth/logout", headers={"Cookie": f"zhiku_leaving={cookie}"})
    assert "id_token_hint" not in response.headers["location"]
