"""Back-channel logout: what the provider may end, and what nobody else can."""

from typing import Any

import httpx2
import pytest
from sqlmodel import select

from zhiku_services.gateway.models import LogoutTokenRow, ProviderLogoutRow, SessionRow

from .conftest import Gateway

LOGOUT = "/oidc/backchannel-logout"
EVENTS: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}


def claims(**changes: Any) -> dict[str, Any]:
    return {"aud": "zhiku-portal", "jti": "j-1", "sub": "lin", "events": EVENTS, **changes}


def send(gateway: Gateway, token: str) -> httpx2.Response:
    return gateway.browse().post(LOGOUT, data={"logout_token": token})


def sid_of(gateway: Gateway, sub: str) -> str:
    """What the provider calls the newest session of a user."""
    with gateway.database.read() as session:
        rows = session.exec(select(SessionRow).where(SessionRow.sub == sub).order_by(SessionRow.id)).all()
    assert rows[-1].provider_session is not None
    return rows[-1].provider_session


def is_signed_in(browser: Any) -> bool:
    return bool(browser.get("/api/v1/session").status_code == 200)


def test_a_sid_ends_that_session_and_no_other(gateway: Gateway) -> None:
    first = gateway.sign_in("lin")
    sid = sid_of(gateway, "lin")
    second, other = gateway.sign_in("lin"), gateway.sign_in("zhao")
    response = send(gateway, gateway.sign(claims(sid=sid)))
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert [is_signed_in(browser) for browser in (first, second, other)] == [False, True, True]
    assert ("session.ended", "svc-gateway", {"reason": "provider_logout", "user": "lin"}) in gateway.audited()


def test_a_sub_alone_ends_every_session_of_that_user(gateway: Gateway) -> None:
    first, second, other = gateway.sign_in("lin"), gateway.sign_in("lin"), gateway.sign_in("zhao")
    assert send(gateway, gateway.sign(claims())).status_code == 200
    assert [is_signed_in(browser) for browser in (first, second, other)] == [False, False, True]


def test_a_logout_keeps_the_key_of_its_user(gateway: Gateway) -> None:
    secret = gateway.create_key("zhao", "search")["secret"]
    send(gateway, gateway.sign(claims(sub="zhao")))
    headers = {"Authorization": f"Bearer {secret}"}
    assert gateway.browse().get("/api/v1/documents/d1", headers=headers).status_code == 200


def test_a_login_from_before_the_logout_begins_no_session(gateway: Gateway) -> None:
    browser = gateway.browse()
    begun = browser.get("/api/v1/auth/login")
    returned = browser.post(begun.headers["location"], data={"username": "lin", "password": "demo"})
    send(gateway, gateway.sign(claims()))
    refused = browser.get(returned.headers["location"])
    assert (refused.status_code, refused.json()["code"]) == (401, "login_refused")
    assert ("session.refused", "anonymous", {"reason": "provider_logout"}) in gateway.audited()


def test_a_login_after_the_logout_is_let_in_even_by_the_same_sid(gateway: Gateway) -> None:
    gateway.sign_in("lin")
    sid = sid_of(gateway, "lin")
    old = gateway.sign(claims(sid=sid))
    gateway.clock.pass_time(seconds=1)
    again = gateway.sign_in("lin")
    with gateway.database.write() as session:
        for row in session.exec(select(SessionRow)):
            row.provider_session = sid
            session.add(row)
    assert send(gateway, old).status_code == 200
    assert is_signed_in(again)
    gateway.clock.pass_time(seconds=1)
    assert send(gateway, gateway.sign(claims(sid=sid, jti="j-2"))).status_code == 200
    assert not is_signed_in(again)


def test_a_token_works_once(gateway: Gateway) -> None:
    token = gateway.sign(claims())
    assert send(gateway, token).status_code == 200
    gateway.clock.pass_time(seconds=1)
    browser = gateway.sign_in("lin")
    assert send(gateway, token).status_code == 400
    assert is_signed_in(browser)
    assert ("session.refused", "anonymous", {"reason": "logout_token:jti"}) in gateway.audited()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"iss": "https://evil.example"}, "iss"), ({"aud": "another-client"}, "aud"), ({"nonce": "n"}, "nonce")],
)
def test_a_token_with_a_wrong_claim_ends_nothing(gateway: Gateway, changes: dict[str, Any], reason: str) -> None:
    browser = gateway.sign_in("lin")
    response = send(gateway, gateway.sign(claims(**changes)))
    assert (response.status_code, response.json()["code"]) == (400, "logout_token_invalid")
    assert is_signed_in(browser)
    assert ("session.refused", "anonymous", {"reason": f"logout_token:{reason}"}) in gateway.audited()


def test_an_id_token_ends_nothing(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    id_token = gateway.sign({"aud": "zhiku-portal", "azp": "zhiku-portal", "sub": "lin", "nonce": "n", "sid": "s"})
    assert send(gateway, id_token).status_code == 400
    assert is_signed_in(browser)


@pytest.mark.parametrize("typ", ["at+jwt", "secevent+jwt"])
def test_a_token_of_another_type_ends_nothing(gateway: Gateway, typ: str) -> None:
    assert send(gateway, gateway.sign(claims(), typ=typ)).status_code == 400
    assert send(gateway, gateway.sign(claims(), typ="logout+jwt")).status_code == 200


@pytest.mark.parametrize("rubbish", ["", "x", "a.b.c", "x" * 20_000])
def test_rubbish_is_refused(gateway: Gateway, rubbish: str) -> None:
    assert send(gateway, rubbish).status_code in {400, 422}


def test_what_was_used_is_forgotten_when_it_can_do_no_harm(gateway: Gateway) -> None:
    for n in range(3):
        send(gateway, gateway.sign(claims(jti=f"old-{n}", sid=f"s-{n}")))
    gateway.clock.pass_time(hours=1)
    send(gateway, gateway.sign(claims(jti="new", sid="s-9")))
    with gateway.database.read() as session:
        kept = session.exec(select(LogoutTokenRow)).all(), session.exec(select(ProviderLogoutRow)).all()
    assert [len(rows) for rows in kept] == [1, 1]
