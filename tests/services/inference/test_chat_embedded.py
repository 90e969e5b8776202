"""The in-process chat engine."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from zhiku_platform.contracts.inference import ModelState
from zhiku_platform.testing.chat_engine import ChatEngineContract, answer, ask, text_of
from zhiku_services.inference.chat_embedded import EmbeddedChat, LlamaServer
from zhiku_services.inference.chat_models import bundled_chat
from zhiku_services.inference.errors import ModelMissingError, OverloadedError


@pytest.fixture(scope="module")
def engine(models_folder: Path, loop: asyncio.Runner) -> Iterator[EmbeddedChat]:
    made = EmbeddedChat(bundled_chat(models_folder))
    yield made
    loop.run(made.close())


@pytest.mark.slow
class TestEmbeddedChat(ChatEngineContract):
    """It stands in for an endpoint."""


@pytest.mark.slow
def test_more_callers_than_may_wait_are_refused_with_a_time_to_come_back(models_folder: Path) -> None:
    engine = EmbeddedChat(bundled_chat(models_folder), waiting=1)

    async def ask_three() -> list[object]:
        calls = [answer(engine, ask("Hi", max_tokens=4)) for _ in range(3)]
        found: list[object] = list(await asyncio.gather(*calls, return_exceptions=True))
        await engine.close()
        return found

    outcomes = asyncio.run(ask_three())
    refused = [outcome for outcome in outcomes if isinstance(outcome, OverloadedError)]
    assert len(refused) == 1
    assert refused[0].problem().model_dump()["retry_after_s"] >= 1
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 2


def test_a_model_that_is_not_installed_names_the_command_that_installs_it(tmp_path: Path) -> None:
    engine = EmbeddedChat(bundled_chat(tmp_path))
    with pytest.raises(ModelMissingError, match="zhiku models fetch"):
        asyncio.run(answer(engine, ask("Hi")))
    described = engine.describe()
    assert described.state is ModelState.MISSING
    assert described.problem is not None
    assert "zhiku models fetch" in described.problem


def test_starting_returns_before_the_model_is_loaded(models_folder: Path) -> None:
    engine = EmbeddedChat(bundled_chat(models_folder))
    assert engine.describe().state is ModelState.LOADING
    engine.start()
    engine.start()

    async def ask_and_close() -> str:
        text = text_of(await answer(engine, ask("Hi", max_tokens=2)))
        await engine.close()
        return text

    assert asyncio.run(ask_and_close())


@pytest.mark.slow
class TestLlamaServer:
    def test_a_local_user_without_the_key_is_refused(self, llama_server: LlamaServer) -> None:
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        stranger = httpx2.post(f"{llama_server.base_url}/chat/completions", json=body)
        assert stranger.status_code == 401

    def test_it_listens_on_loopback_alone(self, llama_server: LlamaServer) -> None:
        port = httpx2.URL(llama_server.base_url).port
        assert port is not None
        # A socket bound to every address would answer here; one bound to 127.0.0.1 does not.
        with pytest.raises(OSError, match=r"refused|timed out|assign"):
            socket.create_connection(("127.0.0.2", port), timeout=2)
