"""No split of a model's bytes lets through what policy masks or blocks, over HTTP from its socket to the reader's.

The model is a server that writes the same answer cut in two at every byte, inside characters of several bytes and
inside its own events too. Each part is a chunk of its own, so it is read on its own.
"""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from .conftest import environment, free_port, sign_in, wait_until_ready

pytestmark = pytest.mark.slow

TEXT = "员工手册\n\n正式员工每年享有15天年假。未休年假可结转至次年3月31日。\n"
QUESTION = "正式员工每年有多少天年假？"
INDEX_TIMEOUT_S = 180


def frame(text: str) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]}, ensure_ascii=False)}\n\n"


STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def script(first: str, then: str) -> bytes:
    """An answer whose second sentence comes in two events."""
    return (frame(f"正式员工每年享有15天年假[1]。{first}") + frame(then) + STOP).encode()


MASKED = script("未休网上赌", "场年假可结转至次年3月31日[1]。")
BLOCKED = script("出售冰", "毒的未休年假可结转至次年3月31日[1]。")
LEADING = script("未休年假![a](https://evil", ".example/?q=1)可结转至次年3月31日[1]。")


def cuts(script: bytes, first: str, last: str) -> range:
    """Every place from a word's first byte to another's last; a cut elsewhere leaves both whole."""
    return range(script.index(first.encode()), script.index(last.encode()) + len(last.encode()) + 1)


@dataclass
class Model(ThreadingHTTPServer):
    """Says `script`, cut at `cut`."""

    script: bytes = MASKED
    cut: int = 0
    daemon_threads: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"object":"list","data":[{"id":"cut","object":"model","created":0,"owned_by":"x"}]}'
        self._begin("application/json", ("Content-Length", str(len(body))))
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._begin("text/event-stream", ("Transfer-Encoding", "chunked"))
        model = self.server
        assert isinstance(model, Model)
        for part in (model.script[: model.cut], model.script[model.cut :]):
            if part:
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, media_type: str, length: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header(*length)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of what it overrides
        """Say nothing."""


@dataclass
class Platform:
    """A platform whose model can be cut, one who asks in the portal's way, and one who asks in OpenAI's."""

    model: Model
    portal: httpx2.Client
    openai: httpx2.Client

    def ask(self) -> str:
        """All that ever leaves for the portal, as it stands in the bytes."""
        made = self.portal.post("/api/v1/conversations", json={"knowledge_base_ids": []}).json()["id"]
        path = f"/api/v1/conversations/{made}/questions"
        return self.portal.post(path, json={"text": QUESTION}).read().decode()

    def complete(self) -> str:
        """All that ever leaves for an OpenAI client."""
        body = {"model": "zhiku", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
        return self.openai.post("/v1/chat/completions", json=body).read().decode()


@pytest.fixture(scope="module")
def platform(command: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    model = Model()
    threading.Thread(target=model.serve_forever, daemon=True).start()
    home, port = tmp_path_factory.mktemp("split"), free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"ZHIKU_CHAT_BASE_URL": model.base_url(), "ZHIKU_RATE_PER_S": "10000", "ZHIKU_RATE_BURST": "10000"}
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [command, "up", "--home", str(home), "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment(), **settings},
        )
    try:
        wait_until_ready(url, process, home / "up.log")
        portal = sign_in(url, "zhao")
        _teach(portal)
        new = {"name": "split", "scopes": ["ask"], "expires_in_days": 1}
        key = portal.post("/api/v1/api-keys", json=new).json()["secret"]
        with (
            closing(portal),
            httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as openai,
        ):
            yield Platform(model, portal, openai)
    finally:
        process.terminate()
        process.wait(timeout=30)
        model.shutdown()
        model.server_close()


def _teach(portal: httpx2.Client) -> None:
    made = portal.post("/api/v1/knowledge-bases", json={"name": "Handbook"}).json()["id"]
    path = f"/api/v1/knowledge-bases/{made}"
    assert portal.post(f"{path}/uploads", files={"file": ("handbook.md", TEXT.encode())}).status_code == 202
    deadline = time.monotonic() + INDEX_TIMEOUT_S
    while not portal.get(f"{path}/documents").json()["items"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_masked_words_never_leave_wherever_the_bytes_are_cut(platform: Platform) -> None:
    platform.model.script = MASKED
    for platform.model.cut in cuts(MASKED, "网", "场"):
        for left in (platform.ask(), platform.complete()):
            assert "未休＊＊＊＊年假" in left
            assert "赌" not in left


def test_a_blocked_answer_never_leaves_wherever_the_bytes_are_cut(platform: Platform) -> None:
    platform.model.script = BLOCKED
    for platform.model.cut in cuts(BLOCKED, "出", "毒"):
        for left in (platform.ask(), platform.complete()):
            assert '"code":"answer_withheld"' in left or '"code": "answer_failed"' in left
            assert "冰" not in left


def test_an_address_never_leaves_wherever_the_bytes_are_cut(platform: Platform) -> None:
    platform.model.script = LEADING
    for platform.model.cut in cuts(LEADING, "![a]", "q=1)"):
        for left in (platform.ask(), platform.complete()):
            assert "31日。" in left
            assert "evil" not in left
