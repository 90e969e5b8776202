"""The whole platform as a user starts it: `zhiku up --demo`, in a process and a home of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest

from zhiku_platform.settings import Settings

START_TIMEOUT_S = 180
INDEX_TIMEOUT_S = 300
FRESH_S = 120


@dataclass
class Logins:
    """Sessions of demo accounts at a platform."""

    url: str
    clients: dict[str, httpx2.Client] = field(default_factory=dict)
    _at: dict[str, float] = field(default_factory=dict)

    def signed_in(self, username: str) -> httpx2.Client:
        """A client with the session of a demo account, made by the real login; fresh enough for all."""
        if username not in self.clients:
            self.clients[username] = sign_in(self.url, username)
        elif time.monotonic() - self._at[username] > FRESH_S:
            log_in(self.clients[username], username)
        else:
            return self.clients[username]
        self._at[username] = time.monotonic()
        return self.clients[username]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


@dataclass
class Running:
    """A running platform."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    started_s: float
    logins: Logins
    first_answer_s: float | None = None

    def signed_in(self, username: str) -> httpx2.Client:
        """A client with the session of a demo account."""
        return self.logins.signed_in(username)

    def knowledge_base(self) -> str:
        """The id of the demo's knowledge base."""
        items = self.signed_in("lin").get("/api/v1/knowledge-bases").json()["items"]
        found: str = next(item["id"] for item in items if item["name"].startswith("Luyu"))
        return found

    def ask(self, username: str, question: str, conversation: str | None = None) -> dict[str, Any]:
        """Ask in the portal's way and return the finished answer."""
        client = self.signed_in(username)
        if conversation is None:
            created = client.post("/api/v1/conversations", json={"knowledge_base_ids": []})
            assert created.status_code == 201, created.text
            conversation = created.json()["id"]
        path = f"/api/v1/conversations/{conversation}/questions"
        with client.stream("POST", path, json={"text": question}, timeout=120) as response:
            assert response.status_code == 200, response.read()
            for line in response.iter_lines():
                if line.startswith("data:") and '"type":"done"' in line.replace(" ", ""):
                    answer: dict[str, Any] = json.loads(line[5:])["answer"]
                    return answer
        raise AssertionError("the stream ended without an answer")


class _LoginForm(HTMLParser):
    """Reads the first form with a password, or with the wanted account's button, off the login page."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = values.get("action", "")
        if tag == "input" and values.get("type") == "hidden":
            self.fields[values["name"]] = values.get("value", "")


def sign_in(url: str, username: str) -> httpx2.Client:
    """A client that has logged in."""
    client = httpx2.Client(base_url=url, headers={"Origin": url}, follow_redirects=True, timeout=60)
    log_in(client, username)
    return client


def log_in(client: httpx2.Client, username: str) -> None:
    """Go through the login as a browser without a cookie would; the client then sends what the portal sends."""
    client.cookies.clear()
    page = client.get("/api/v1/auth/login", params={"next": "/"})
    assert page.status_code == 200, page.text
    form = _LoginForm()
    form.feed(page.text)
    answer = client.post(
        page.url.join(form.action or str(page.url)),
        data={**form.fields, "username": username, "password": "demo"},
    )
    assert answer.status_code == 200, answer.text
    session = client.get("/api/v1/session")
    assert session.status_code == 200, session.text
    client.headers["X-CSRF-Token"] = session.json()["csrf_token"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """The environment of a new user: none of Zhiku's settings but where the models lie."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHIKU_")}
    return {**kept, "ZHIKU_MODELS_DIR": str(Settings().models_folder)}


@pytest.fixture(scope="session")
def command() -> str:
    """The installed `zhiku`."""
    found = shutil.which("zhiku", path=str(Path(sys.executable).parent))
    assert found is not None, "`zhiku` is not installed beside this Python"
    return found


@pytest.fixture(scope="session")
def run_zhiku(command: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end and return what it said."""

    def run(*arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *arguments], capture_output=True, text=True, timeout=timeout_s, env=environment(), check=False
        )

    return run


@pytest.fixture(scope="session")
def zhiku(command: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("zhiku-home")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [command, "up", "--demo", "--home", str(home), "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        wait_until_ready(url, process, home / "up.log")
        running = Running(home, url, process, time.monotonic() - started, Logins(url))
        _wait_until_indexed(running)
        yield running
        running.logins.close()
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for what `/readyz` waits for, as long as the process lives."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not ready in {START_TIMEOUT_S} s: {log.read_text(encoding='utf-8')}")


def _wait_until_indexed(running: Running) -> None:
    """Wait for the demo's documents; zhao, who owns their source, sees the state of each."""
    client = running.signed_in("zhao")
    deadline = time.monotonic() + INDEX_TIMEOUT_S
    states: list[str] = []
    while time.monotonic() < deadline:
        items = client.get("/api/v1/document-versions", params={"limit": 100}).json()["items"]
        states = [item["state"] for item in items]
        if len(states) >= 18 and set(states) <= {"indexed", "failed", "quarantined"}:
            break
        time.sleep(0.5)
    assert states.count("indexed") == len(states) >= 18, states
