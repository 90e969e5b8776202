"""Questions answered by a model behind an OpenAI-compatible endpoint, through the real inference service."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.clients.inference import ChatClient, InferenceClient
from zhiku_platform.contracts.assistant import Answer, AnswerMode
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelList
from zhiku_platform.inprocess import AsyncInProcessTransport, InProcessTransport
from zhiku_platform.settings import Settings
from zhiku_platform.testing.knowledge import LocalKnowledge
from zhiku_services.assistant.app import create_app, open_database
from zhiku_services.inference.app import create_app as create_inference_app
from zhiku_services.inference.batching import EmbeddingBatcher
from zhiku_services.inference.chat_endpoint import ChatEndpoint
from zhiku_services.inference.embedding import Embedder
from zhiku_services.inference.errors import ModelMissingError
from zhiku_services.inference.service import Models

from ..local_holds import LocalHolds
from .conftest import Assistant, LocalSafety, OutboxLog, ScriptedInference

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LEAVE = "How many days of annual leave do I get?"
BACK_OFF_S = 1.0


class OpenAiHandler(BaseHTTPRequestHandler):
    """`GET /v1/models` and `POST /v1/chat/completions` with one fixed answer, streamed."""

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"object": "list", "data": [MODEL]}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["model"] == MODEL["id"]
        pieces = ("Employees get 15 days", " of annual leave. [1]")
        events = [_chunk([{"index": 0, "delta": {"content": piece}, "finish_reason": None}]) for piece in pieces]
        events.append(_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        events.append(_chunk([], usage={"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}))
        self._send("text/event-stream", "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]))

    def _send(self, media_type: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing to standard error."""


MODEL = {"id": "large-model", "object": "model", "created": 0, "owned_by": "test"}


def _chunk(choices: list[dict[str, object]], **more: object) -> str:
    made = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": MODEL["id"], "choices": choices}
    return json.dumps({**made, **more})


@contextmanager
def openai_server(port: int = 0) -> Iterator[int]:
    """Serve on a loopback port, which is told, while inside."""
    with ThreadingHTTPServer(("127.0.0.1", port), OpenAiHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Inference:
    """Both clients of the inference service, as the embedded platform joins them."""

    def __init__(self, models: InferenceClient, chat: ChatClient) -> None:
        self._models = models
        self._chat = chat

    def models(self, principal: Principal) -> ModelList:
        return self._models.models(principal)

    def stream_chat(self, principal: Principal, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        return self._chat.stream_chat(principal, request)


def no_embedder() -> Embedder:
    raise ModelMissingError("Questions need none here.", remedy="None.")


Make = Callable[[int, str | None], Assistant]


@pytest.fixture
async def make(tmp_path: Path, knowledge: LocalKnowledge) -> AsyncIterator[Make]:
    """Build the assistant over an inference service for an endpoint's port and the model's configured name."""
    settings = Settings(home=tmp_path)
    made: list[tuple[Assistant, Models]] = []

    def build(port: int, model: str | None) -> Assistant:
        chat = ChatEndpoint(f"http://127.0.0.1:{port}/v1", model=model, back_off_s=BACK_OFF_S)
        models = Models(settings, EmbeddingBatcher(no_embedder), chat)
        serving = create_inference_app(settings, models=models)
        models.start()
        signer = PrincipalSigner(settings.secret_key.get_secret_value())
        in_process = InProcessTransport(serving, asyncio.get_running_loop())
        inference = Inference(
            InferenceClient(httpx2.Client(transport=in_process, base_url="http://inference"), signer),
            ChatClient(
                httpx2.AsyncClient(transport=AsyncInProcessTransport(serving), base_url="http://inference"), signer
            ),
        )
        database = open_database(settings)
        log, safety = OutboxLog(database), LocalSafety()
        app = create_app(
            settings,
            database=database,
            knowledge=knowledge,
            inference=inference,
            audit=log,
            safety=safety,
            holds=LocalHolds(),
            rules=lambda _: [],
        )
        made.append((Assistant(app, database, knowledge, ScriptedInference(), log, safety), models))
        return made[-1][0]

    yield build
    for assistant, models in made:
        await assistant.close()
        assistant.database.close()
        await models.close()


async def _until_generated(assistant: Assistant) -> Answer:
    async with asyncio.timeout(20):
        while (answer := await assistant.ask(LEAVE)).mode is not AnswerMode.GENERATED:
            await asyncio.sleep(0.1)
    return answer


async def test_the_first_question_to_a_named_model_is_answered_by_it(make: Make) -> None:
    with openai_server() as port:
        answer = await make(port, "large-model").ask(LEAVE)
    assert answer.mode is AnswerMode.GENERATED
    assert answer.text == "Employees get 15 days of annual leave."
    assert answer.citations[0].quote == "Every employee gets 15 days of annual leave a year."


@pytest.mark.parametrize("model", [None, "large-model"])
async def test_an_endpoint_that_was_down_is_used_again(make: Make, model: str | None) -> None:
    with openai_server() as port:
        assistant = make(port, model)
        await _until_generated(assistant)
    assert (await assistant.ask(LEAVE)).mode is AnswerMode.EXTRACTIVE
    with openai_server(port):
        answer = await _until_generated(assistant)
    assert answer.text == "Employees get 15 days of annual leave."


async def test_an_endpoint_that_starts_after_the_platform_is_used(make: Make) -> None:
    with openai_server() as port:
        pass
    assistant = make(port, None)
    assert (await assistant.ask(LEAVE)).mode is AnswerMode.EXTRACTIVE
    with openai_server(port):
        await _until_generated(assistant)
