"""Chat through an OpenAI-compatible endpoint: llama.cpp's own server."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zhiku_platform.contracts.inference import ModelState
from zhiku_platform.testing.chat_engine import ChatEngineContract, answer, ask
from zhiku_services.inference.catalogue import CHAT
from zhiku_services.inference.chat_embedded import LlamaServer
from zhiku_services.inference.chat_endpoint import ChatEndpoint
from zhiku_services.inference.errors import ModelUnavailableError


@pytest.fixture(scope="module")
def engine(llama_server: LlamaServer, loop: asyncio.Runner) -> Iterator[ChatEndpoint]:
    made = ChatEndpoint(llama_server.base_url, api_key=llama_server.api_key)
    yield made
    loop.run(made.close())


@pytest.mark.slow
class TestChatEndpoint(ChatEngineContract):
    """It stands in for the engine in process."""

    def test_without_a_name_it_takes_the_model_that_the_endpoint_lists(
        self, engine: ChatEndpoint, loop: asyncio.Runner
    ) -> None:
        loop.run(answer(engine, ask("Hi", max_tokens=1)))
        assert engine.describe().id == CHAT.id

    def test_a_wrong_key_is_an_operators_error(self, llama_server: LlamaServer) -> None:
        with pytest.raises(ModelUnavailableError, match="ZHIKU_CHAT_API_KEY"):
            asyncio.run(answer(ChatEndpoint(llama_server.base_url, api_key="wrong"), ask("Hi")))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_endpoint_that_nobody_serves_is_named_as_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    engine = ChatEndpoint(f"http://127.0.0.1:{port}/v1", model="any")
    with pytest.raises(ModelUnavailableError, match="ZHIKU_CHAT_BASE_URL"):
        asyncio.run(answer(engine, ask("Hi")))
    assert engine.describe().state is ModelState.MISSING


class _Odd(BaseHTTPRequestHandler):
    """Begins an answer and then sends a line that is none; says of its model what fits."""

    def do_GET(self) -> None:
        body = b'{"object": "list", "data": [{"id": "any", "object": "model", "max_model_len": 4096}]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {"content": "Fif"}}]}\n\n')
        self.wfile.write(b"data: " + self.server.line + b"\n\n")  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        del format, args


@pytest.fixture
def odd(request: pytest.FixtureRequest) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        server.line = request.param  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


@pytest.mark.parametrize(
    "odd",
    [b"<html>502 Bad Gateway</html>", b'{"choices": null}', b'{"choices": [{"index": 0}]}'],
    indirect=True,
    ids=["html", "null", "no delta"],
)
def test_an_endpoint_that_sends_an_odd_line_has_failed(odd: str) -> None:
    with pytest.raises(ModelUnavailableError):
        asyncio.run(answer(ChatEndpoint(odd, model="any"), ask("Hi")))


@pytest.mark.parametrize("odd", [b""], indirect=True)
def test_an_endpoint_says_what_fits_into_its_model(odd: str) -> None:
    engine = ChatEndpoint(odd, model="any")
    engine.start()
    deadline = time.monotonic() + 5
    while engine.describe().context_tokens != 4096 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.describe().context_tokens == 4096
    assert ChatEndpoint(odd, model="any", context_tokens=2048).describe().context_tokens == 2048


def test_an_endpoint_counts_as_ready_before_its_first_question() -> None:
    assert ChatEndpoint("http://127.0.0.1:1/v1", model="any").describe().state is ModelState.READY


def test_an_endpoint_that_failed_is_tried_again_after_a_while() -> None:
    engine = ChatEndpoint("http://127.0.0.1:1/v1", model="any", back_off_s=0.2)
    with pytest.raises(ModelUnavailableError):
        asyncio.run(answer(engine, ask("Hi")))
    assert engine.describe().state is ModelState.MISSING
    time.sleep(0.25)
    assert engine.describe().state is ModelState.READY


def test_a_model_without_a_name_is_not_ready_while_its_endpoint_is_away() -> None:
    engine = ChatEndpoint("http://127.0.0.1:1/v1", back_off_s=60)
    engine.start()
    deadline = time.monotonic() + 5
    while engine.describe().state is ModelState.LOADING and time.monotonic() < deadline:
        time.sleep(0.01)
    described = engine.describe()
    assert described.state is ModelState.MISSING
    assert described.problem is not None
    assert "ZHIKU_CHAT_BASE_URL" in described.problem


def test_an_endpoint_that_stays_silent_is_given_up(silent_port: int) -> None:
    engine = ChatEndpoint(f"http://127.0.0.1:{silent_port}/v1", model="any", silence_s=0.2)
    with pytest.raises(ModelUnavailableError, match="cannot be reached"):
        asyncio.run(answer(engine, ask("Hi")))
