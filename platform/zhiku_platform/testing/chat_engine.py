"""The contract of every chat engine, as a test class to inherit from.

    @pytest.fixture(scope="module")
    def engine(loop: asyncio.Runner) -> Iterator[MyEngine]: ...

    class TestMyEngine(ChatEngineContract): ...

`engine` serves a real model with a context of less than 8,192 tokens, one caller at a time. `loop` is the event
loop that it lives on, as a process has one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import pytest

from zhiku_platform.contracts.inference import ChatDelta, ChatMessage, ChatRequest, ModelInfo, ModelState
from zhiku_platform.errors import ZhikuError


class Engine(Protocol):
    """What the contract needs of an engine."""

    def start(self) -> None: ...
    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]: ...
    def describe(self) -> ModelInfo: ...


def ask(text: str, *, max_tokens: int = 16, model: str | None = None, stop: list[str] | None = None) -> ChatRequest:
    """A request with one user message, at temperature 0."""
    message = ChatMessage(role="user", content=text)
    return ChatRequest(messages=[message], max_tokens=max_tokens, model=model, stop=stop or [])


async def answer(engine: Engine, request: ChatRequest) -> list[ChatDelta]:
    """Every piece of one answer."""
    return [delta async for delta in engine.stream(request)]


def text_of(deltas: list[ChatDelta]) -> str:
    return "".join(delta.text for delta in deltas)


class ChatEngineContract:
    """Engines that pass may stand in for each other."""

    def test_an_answer_arrives_in_pieces_and_ends_with_its_token_counts(
        self, engine: Engine, loop: asyncio.Runner
    ) -> None:
        deltas = loop.run(answer(engine, ask("Name one colour.", max_tokens=8)))
        *pieces, last = deltas
        assert len(pieces) >= 2
        assert all(piece.text and piece.finish_reason is None for piece in pieces)
        assert last.finish_reason in {"stop", "length"}
        assert last.prompt_tokens is not None
        assert last.prompt_tokens > 4
        assert last.completion_tokens is not None
        assert 1 <= last.completion_tokens <= 8

    def test_an_answer_that_reaches_its_limit_says_so(self, engine: Engine, loop: asyncio.Runner) -> None:
        last = loop.run(answer(engine, ask("Write one sentence about the sea.", max_tokens=5)))[-1]
        assert last.finish_reason == "length"
        assert last.completion_tokens == 5

    def test_the_same_question_gets_the_same_answer(self, engine: Engine, loop: asyncio.Runner) -> None:
        question = ask("Write one sentence about the sea.", max_tokens=12)
        first = text_of(loop.run(answer(engine, question)))
        assert first
        assert text_of(loop.run(answer(engine, question))) == first

    def test_a_stop_word_ends_the_answer_and_is_not_part_of_it(self, engine: Engine, loop: asyncio.Runner) -> None:
        whole = text_of(loop.run(answer(engine, ask("Write one sentence about the sea.", max_tokens=12))))
        word = whole.split()[3]
        deltas = loop.run(answer(engine, ask("Write one sentence about the sea.", max_tokens=12, stop=[word])))
        assert text_of(deltas) == whole[: whole.index(word)]
        assert deltas[-1].finish_reason == "stop"

    def test_closing_the_stream_frees_the_model_at_once(self, engine: Engine, loop: asyncio.Runner) -> None:
        async def leave_after_the_first_piece() -> float:
            async with aclosing(engine.stream(ask("Write a very long story.", max_tokens=3000))) as deltas:
                await anext(deltas)
            began = time.perf_counter()
            await answer(engine, ask("Hi", max_tokens=1))
            return time.perf_counter() - began

        # 3,000 tokens take this engine more than a minute on one core.
        assert loop.run(leave_after_the_first_piece()) < 10

    def test_a_caller_cancelled_before_the_first_piece_frees_the_model(
        self, engine: Engine, loop: asyncio.Runner
    ) -> None:
        async def cancel_while_the_prompt_is_read() -> float:
            reading = asyncio.create_task(answer(engine, ask("word " * 2500, max_tokens=400)))
            await asyncio.sleep(0.3)
            assert not reading.done()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            began = time.perf_counter()
            await answer(engine, ask("Hi", max_tokens=1))
            return time.perf_counter() - began

        # Reading 2,500 tokens and writing 400 takes this engine more than 20 s on one core.
        assert loop.run(cancel_while_the_prompt_is_read()) < 10

    def test_callers_at_the_same_time_all_get_their_answer(self, engine: Engine, loop: asyncio.Runner) -> None:
        async def ask_three() -> list[list[ChatDelta]]:
            return list(await asyncio.gather(*(answer(engine, ask("Hi", max_tokens=4)) for _ in range(3))))

        answers = [text_of(deltas) for deltas in loop.run(ask_three())]
        assert answers[0]
        assert len(set(answers)) == 1

    def test_a_prompt_beyond_the_context_is_refused_with_a_remedy(self, engine: Engine, loop: asyncio.Runner) -> None:
        with pytest.raises(ZhikuError) as refused:
            loop.run(answer(engine, ask("word " * 9000)))
        assert refused.value.code == "context_too_long"
        assert refused.value.status == 422
        assert "word word" not in str(refused.value)

    def test_a_model_that_is_not_served_is_named(self, engine: Engine, loop: asyncio.Runner) -> None:
        with pytest.raises(ZhikuError) as refused:
            loop.run(answer(engine, ask("Hi", model="no-such-model")))
        assert refused.value.code == "unknown_model"
        assert "no-such-model" in str(refused.value)

    def test_the_catalogue_says_it_is_ready(self, engine: Engine, loop: asyncio.Runner) -> None:
        loop.run(answer(engine, ask("Hi", max_tokens=1)))
        described = engine.describe()
        assert described.role == "chat"
        assert described.state is ModelState.READY
        assert described.problem is None
