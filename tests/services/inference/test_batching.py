"""The queue in front of the embedding model."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError

import numpy as np
import pytest

from zhiku_platform.contracts.inference import ModelState, TextKind
from zhiku_services.inference.batching import EmbeddingBatcher
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.embedding import Embedded, Embedder
from zhiku_services.inference.errors import ModelMissingError, ModelUnavailableError, OverloadedError


class Gate:
    """The real embedder behind a gate: it records what it is asked, and waits to be let through."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.open = threading.Event()
        self.reached = threading.Semaphore(0)
        self.calls: list[tuple[TextKind, list[str]]] = []

    @property
    def model(self) -> ResolvedModel:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        self.calls.append((kind, list(texts)))
        self.reached.release()
        assert self.open.wait(timeout=30)
        return self._embedder.embed(texts, kind)


@pytest.fixture
def gate(embedder: Embedder) -> Gate:
    return Gate(embedder)


def test_texts_of_concurrent_callers_run_in_one_call(gate: Gate) -> None:
    batcher = EmbeddingBatcher(lambda: gate)
    first = batcher.submit(["one"], TextKind.QUERY)
    assert gate.reached.acquire(timeout=30)
    later = [batcher.submit([text], TextKind.QUERY) for text in ("two", "three")]
    gate.open.set()
    for future in (first, *later):
        assert future.result(timeout=30).vectors.shape == (1, gate.dimensions)
    assert gate.calls == [(TextKind.QUERY, ["one"]), (TextKind.QUERY, ["two", "three"])]
    batcher.close()


def test_a_question_overtakes_the_passages_of_a_long_document(gate: Gate) -> None:
    batcher = EmbeddingBatcher(lambda: gate, slice_texts=2)
    document = batcher.submit(["a", "b", "c", "d"], TextKind.PASSAGE)
    assert gate.reached.acquire(timeout=30)
    question = batcher.submit(["q"], TextKind.QUERY)
    gate.open.set()
    assert len(document.result(timeout=30).vectors) == 4
    question.result(timeout=30)
    assert [texts for _, texts in gate.calls] == [["a", "b"], ["q"], ["c", "d"]]
    batcher.close()


def test_each_caller_gets_the_vectors_of_its_own_texts_in_order(batcher: EmbeddingBatcher, embedder: Embedder) -> None:
    groups = [["年假有几天?", "Annual leave"], ["差旅报销"], ["x " * 900, "short", "工资"]]
    futures = [batcher.submit(group, TextKind.PASSAGE) for group in groups]
    for group, future in zip(groups, futures, strict=True):
        alone = embedder.embed(group, TextKind.PASSAGE)
        done = future.result(timeout=60)
        np.testing.assert_allclose(done.vectors, alone.vectors, atol=1e-5)
        assert done.tokens == alone.tokens


def test_texts_of_a_caller_that_left_are_not_encoded(gate: Gate) -> None:
    batcher = EmbeddingBatcher(lambda: gate)
    first = batcher.submit(["first"], TextKind.PASSAGE)
    assert gate.reached.acquire(timeout=30)

    async def leave() -> None:
        task = asyncio.create_task(batcher.embed(["unwanted"], TextKind.PASSAGE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert batcher.waiting == 0
    gate.open.set()
    first.result(timeout=30)
    batcher.submit(["last"], TextKind.PASSAGE).result(timeout=30)
    assert [texts for _, texts in gate.calls] == [["first"], ["last"]]
    batcher.close()


def test_a_caller_that_leaves_halfway_stops_the_rest_of_its_texts(gate: Gate) -> None:
    batcher = EmbeddingBatcher(lambda: gate, slice_texts=1)
    document = batcher.submit(["a", "b", "c"], TextKind.PASSAGE)
    assert gate.reached.acquire(timeout=30)
    assert document.cancel()
    gate.open.set()
    batcher.submit(["next"], TextKind.PASSAGE).result(timeout=30)
    assert [texts for _, texts in gate.calls] == [["a"], ["next"]]
    with pytest.raises(CancelledError):
        document.result()
    batcher.close()


def test_a_full_queue_refuses_with_a_time_to_come_back(gate: Gate) -> None:
    batcher = EmbeddingBatcher(lambda: gate, max_waiting=3)
    running = batcher.submit(["running"], TextKind.PASSAGE)
    assert gate.reached.acquire(timeout=30)
    waiting = batcher.submit(["a", "b"], TextKind.PASSAGE)
    with pytest.raises(OverloadedError) as refused:
        batcher.submit(["c", "d"], TextKind.PASSAGE)
    assert refused.value.status == 503
    assert refused.value.retry_after_s >= 1
    gate.open.set()
    assert len(running.result(timeout=30).vectors) == 1
    assert len(waiting.result(timeout=30).vectors) == 2
    batcher.close()


def test_the_event_loop_goes_on_while_a_text_is_encoded(batcher: EmbeddingBatcher) -> None:
    async def longest_pause() -> float:
        await batcher.embed(["warm"], TextKind.PASSAGE)
        begun = time.perf_counter()
        work = asyncio.create_task(batcher.embed(["word " * 500] * 4, TextKind.PASSAGE))
        worst, last = 0.0, time.perf_counter()
        ticks = 0
        while not work.done():
            await asyncio.sleep(0.005)
            worst, last = max(worst, time.perf_counter() - last), time.perf_counter()
            ticks += 1
        assert ticks > 10
        return worst / (time.perf_counter() - begun)

    # A loop held up by one of the four texts would pause for a quarter of the time that all of them take.
    assert asyncio.run(longest_pause()) < 0.2


def test_closing_tells_the_waiting_and_refuses_the_new(gate: Gate) -> None:
    batcher = EmbeddingBatcher(lambda: gate)
    running = batcher.submit(["running"], TextKind.PASSAGE)
    assert gate.reached.acquire(timeout=30)
    waiting = batcher.submit(["waiting"], TextKind.PASSAGE)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    gate.open.set()
    closing.join(timeout=30)
    assert len(running.result().vectors) == 1
    with pytest.raises(ModelUnavailableError):
        waiting.result(timeout=5)
    with pytest.raises(ModelUnavailableError):
        batcher.submit(["new"], TextKind.PASSAGE)


def test_a_model_that_is_missing_is_told_to_every_caller() -> None:
    def load() -> Embedder:
        raise ModelMissingError("It is not there.", remedy="Run `zhiku models fetch`.")

    batcher = EmbeddingBatcher(load)
    with pytest.raises(ModelMissingError):
        batcher.submit(["a"], TextKind.QUERY).result(timeout=30)
    with pytest.raises(ModelMissingError):
        batcher.submit(["b"], TextKind.QUERY).result(timeout=30)
    assert batcher.state is ModelState.MISSING
    batcher.close()


def test_a_failure_of_another_kind_to_load_is_told_to_everybody() -> None:
    loading = threading.Event()

    def load() -> Embedder:
        assert loading.wait(timeout=30)
        raise MemoryError

    batcher = EmbeddingBatcher(load)
    early = batcher.submit(["a"], TextKind.QUERY)
    loading.set()
    with pytest.raises(ModelUnavailableError, match="zhiku doctor"):
        early.result(timeout=5)
    with pytest.raises(ModelUnavailableError):
        batcher.submit(["b"], TextKind.QUERY).result(timeout=5)
    assert batcher.state is ModelState.MISSING
    batcher.close()


class EngineError(Exception):
    """As onnxruntime's: an `Exception` and nothing narrower."""


@pytest.mark.parametrize("failure", [RuntimeError, MemoryError, EngineError])
def test_a_failure_of_the_engine_is_told_to_its_callers_and_the_next_are_served(
    embedder: Embedder, failure: type[Exception]
) -> None:
    class FailsOnce(Gate):
        def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
            if not self.calls:
                self.calls.append((kind, list(texts)))
                raise failure("out of memory")
            return embedder.embed(texts, kind)

    batcher = EmbeddingBatcher(lambda: FailsOnce(embedder), slice_texts=1)
    with pytest.raises(ModelUnavailableError):
        batcher.submit(["a", "b"], TextKind.PASSAGE).result(timeout=5)
    assert len(batcher.submit(["c"], TextKind.PASSAGE).result(timeout=30).vectors) == 1
    assert batcher.waiting == 0
    batcher.close()
