"""The inference service over HTTP, with real models."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.clients.inference import ChatClient, InferenceClient
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import ModelState, TextKind
from zhiku_platform.errors import RemoteProblemError
from zhiku_platform.inprocess import AsyncInProcessTransport
from zhiku_platform.settings import Settings
from zhiku_platform.testing.chat_engine import ask
from zhiku_services.inference.app import create_app
from zhiku_services.inference.batching import EmbeddingBatcher
from zhiku_services.inference.catalogue import CHAT, EMBEDDING
from zhiku_services.inference.chat_embedded import EmbeddedChat
from zhiku_services.inference.chat_models import bundled_chat
from zhiku_services.inference.embedding import Embedder
from zhiku_services.inference.service import Models, open_models

CALLER = service_principal("test", "default")


@pytest.fixture(scope="module")
def signer(settings: Settings) -> PrincipalSigner:
    return PrincipalSigner(settings.secret_key.get_secret_value())


@pytest.fixture(scope="module")
def http(settings: Settings, embedder: Embedder) -> Iterator[TestClient]:
    chat = EmbeddedChat(bundled_chat(settings.models_folder))
    models = Models(settings, EmbeddingBatcher(lambda: embedder), chat)
    with TestClient(create_app(settings, models=models)) as client:
        yield client


@pytest.fixture
def client(http: TestClient, signer: PrincipalSigner) -> InferenceClient:
    return InferenceClient(http, signer)


def test_vectors_are_of_unit_length_and_near_for_the_same_meaning(client: InferenceClient) -> None:
    question = client.embed(CALLER, ["员工每年有几天年假？"], TextKind.QUERY).vectors[0]
    texts = ["每位员工每年享有15天带薪年假。", "Receipts are kept for ten years."]
    done = client.embed(CALLER, texts, TextKind.PASSAGE)
    assert done.model == EMBEDDING.id
    assert done.dimensions == 384
    assert all(math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-5) for vector in done.vectors)
    leave, receipts = (sum(a * b for a, b in zip(question, v, strict=True)) for v in done.vectors)
    assert leave > receipts + 0.05


def test_the_catalogue_lists_both_models(client: InferenceClient) -> None:
    client.embed(CALLER, ["warm"], TextKind.QUERY)
    listed = {model.role: model for model in client.models(CALLER).models}
    assert listed["embedding"].state is ModelState.READY
    assert listed["embedding"].sha256 == EMBEDDING.weights_sha256
    assert listed["chat"].id == CHAT.id
    assert listed["chat"].languages == ["en"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/models", None),
        ("POST", "/internal/embeddings", {"texts": ["a"], "kind": "query"}),
        ("POST", "/internal/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
    ],
)
def test_a_stranger_gets_nowhere(http: TestClient, method: str, path: str, body: object) -> None:
    answer = http.request(method, path, json=body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_signed_in"


def test_a_principal_without_a_role_may_not_run_a_model(http: TestClient, signer: PrincipalSigner) -> None:
    token = signer.sign(Principal(sub="nobody", tenant="default"))
    body = {"texts": ["a"], "kind": "query"}
    answer = http.post("/internal/embeddings", json=body, headers={PRINCIPAL_HEADER: token})
    assert answer.status_code == 403


def test_no_text_and_too_many_texts_are_refused(http: TestClient, signer: PrincipalSigner) -> None:
    headers = {PRINCIPAL_HEADER: signer.sign(CALLER)}
    for texts in ([], ["a"] * 513):
        answer = http.post("/internal/embeddings", json={"texts": texts, "kind": "query"}, headers=headers)
        assert answer.status_code == 422


def test_health_says_what_is_missing_when_no_model_is_installed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, models_dir=tmp_path / "models")
    models = open_models(settings)
    with TestClient(create_app(settings, models=models)) as client:
        with pytest.raises(RemoteProblemError) as refused:
            InferenceClient(client, PrincipalSigner(settings.secret_key.get_secret_value())).embed(
                CALLER, ["a"], TextKind.QUERY
            )
        assert refused.value.remote_code == "model_missing"
        assert "zhiku models fetch" in refused.value.remedy
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["code"] == "model_missing"
        assert client.get("/healthz").status_code == 200


@pytest.fixture(scope="module")
def chat(settings: Settings, embedder: Embedder, signer: PrincipalSigner) -> ChatClient:
    engine = EmbeddedChat(bundled_chat(settings.models_folder))
    app = create_app(settings, models=Models(settings, EmbeddingBatcher(lambda: embedder), engine))
    transport = AsyncInProcessTransport(app)
    return ChatClient(httpx2.AsyncClient(transport=transport, base_url="http://inference"), signer)


@pytest.mark.slow
class TestChatOverHttp:
    def test_an_answer_streams_to_the_client(self, chat: ChatClient, loop: asyncio.Runner) -> None:
        async def read() -> list[str]:
            deltas = [delta async for delta in chat.stream_chat(CALLER, ask("Name a colour.", max_tokens=6))]
            assert deltas[-1].finish_reason is not None
            return [delta.text for delta in deltas]

        pieces = loop.run(read())
        assert len(pieces) > 2
        assert "".join(pieces).strip()

    def test_an_error_before_the_first_piece_arrives_as_a_problem(self, chat: ChatClient, loop: asyncio.Runner) -> None:
        async def read() -> None:
            async for _ in chat.stream_chat(CALLER, ask("word " * 9000)):
                pass

        with pytest.raises(RemoteProblemError) as refused:
            loop.run(read())
        assert refused.value.remote_code == "context_too_long"

    def test_leaving_the_stream_frees_the_model(self, chat: ChatClient, loop: asyncio.Runner) -> None:
        async def leave_and_ask_again() -> str:
            request = ask("Write a very long story.", max_tokens=3000)
            async with aclosing(chat.stream_chat(CALLER, request)) as deltas:
                await anext(deltas)
            async with asyncio.timeout(20):
                answer = [delta.text async for delta in chat.stream_chat(CALLER, ask("Hi", max_tokens=3))]
            return "".join(answer)

        assert loop.run(leave_and_ask_again())

    def test_a_caller_that_leaves_while_the_prompt_is_read_frees_the_model(
        self, chat: ChatClient, loop: asyncio.Runner
    ) -> None:
        async def leave_and_ask_again() -> str:
            async def read() -> None:
                async for _ in chat.stream_chat(CALLER, ask("word " * 2500, max_tokens=400)):
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(), timeout=0.5)
            async with asyncio.timeout(20):
                answer = [delta.text async for delta in chat.stream_chat(CALLER, ask("Hi", max_tokens=3))]
            return "".join(answer)

        assert loop.run(leave_and_ask_again())
