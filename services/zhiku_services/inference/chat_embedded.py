"""Chat with a small model in this process: llama.cpp's own server, on a loopback port that needs a key.

Calling the server over its socket rather than through the binding's Python callback costs a millisecond and
lets a caller leave while the prompt is still being read: the callback is first called after that, and reading
a long prompt on one core takes seconds.
"""

import asyncio
import math
import secrets
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp as _untyped_llama

from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelInfo, ModelState
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.inference.chat_endpoint import ChatEndpoint
from zhiku_services.inference.chat_models import ChatChoice
from zhiku_services.inference.errors import ModelUnavailableError, OverloadedError, UnknownModelError

log = get_logger(__name__)

llama: Any = _untyped_llama

_READ_AT_ONCE = 128
"""Prompt tokens between two looks at whether the caller is still there: about a second on one core."""


@dataclass(frozen=True)
class LlamaServer:
    """A running server; it stops when the last reference goes."""

    engine: Any
    base_url: str
    api_key: str


def run_llama_server(model: Path, *, alias: str, context_tokens: int, slots: int, threads: int) -> LlamaServer:
    """Load a GGUF file and serve it as `alias` on a free port of 127.0.0.1, to holders of a fresh random key alone."""
    key = secrets.token_urlsafe(32)
    params = llama.CommonParams()
    params.model.path = str(model)
    params.model_alias = {alias}
    params.n_ctx = context_tokens * slots
    params.n_parallel = slots
    params.n_batch = params.n_ubatch = _READ_AT_ONCE
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = ""
    params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    params.verbosity = -1
    params.fit_params = False
    # The prompt cache may otherwise grow to 8 GiB; the slots' own state already keeps the shared beginning.
    params.cache_ram_mib = 0
    engine = llama.Server(params)
    return LlamaServer(engine, f"{engine.listening_address}/v1", key)


@dataclass(frozen=True)
class _Loaded:
    """`server` is kept, for it stops when the last reference goes."""

    server: LlamaServer
    endpoint: ChatEndpoint
    info: ModelInfo


class EmbeddedChat:
    """A `ChatEngine` that answers `slots` callers at a time, lets `waiting` more wait, refuses the rest."""

    def __init__(
        self,
        choice: ChatChoice,
        *,
        slots: int = 1,
        waiting: int = 8,
        threads: int = 1,
    ) -> None:
        self._choice = choice
        self._slots = slots
        self._waiting = waiting
        self._threads = threads
        self._inside = 0
        self._free = asyncio.Semaphore(slots)
        self._loaded: Future[_Loaded] | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        with self._starting:
            if self._loaded is None:
                self._loaded = Future()
                threading.Thread(target=self._load, args=(self._loaded,), name="load-chat", daemon=True).start()

    def _load(self, loaded: Future[_Loaded]) -> None:
        try:
            model = self._choice.find()
            server = run_llama_server(
                model.path,
                alias=model.info.id,
                context_tokens=model.info.context_tokens,
                slots=self._slots,
                threads=self._threads,
            )
        except ZhikuError as error:
            log.warning("chat_model_not_loaded", model=self._choice.announced.id, code=error.code)
            loaded.set_exception(error)
        except (RuntimeError, OSError) as error:
            log.exception("chat_model_not_loaded", model=self._choice.announced.id, error=type(error).__name__)
            loaded.set_exception(
                ModelUnavailableError("The chat model could not be loaded.", remedy="Run `zhiku doctor`.")
            )
        else:
            endpoint = ChatEndpoint(server.base_url, api_key=server.api_key, model=model.info.id)
            loaded.set_result(_Loaded(server, endpoint, model.info))
            log.info("chat_model_loaded", model=model.info.id)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        loaded = await self._wait_loaded()
        if request.model not in {None, loaded.info.id}:
            raise UnknownModelError(
                f"No model named `{request.model}` is served here.",
                remedy=f"Ask for `{loaded.info.id}`, or for none.",
            )
        async with self._slot(), aclosing(loaded.endpoint.stream(request)) as deltas:
            async for delta in deltas:
                yield delta

    async def _wait_loaded(self) -> "_Loaded":
        self.start()
        assert self._loaded is not None
        return await asyncio.shield(asyncio.wrap_future(self._loaded))

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None, None]:
        if self._inside >= self._slots + self._waiting:
            seconds = math.ceil(self._inside / self._slots) * 10
            raise OverloadedError("The chat model has too many questions waiting.", retry_after_s=min(seconds, 60))
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1

    def describe(self) -> ModelInfo:
        if self._loaded is None or not self._loaded.done():
            return self._choice.announced
        error = self._loaded.exception()
        if error is not None:
            return self._choice.announced.model_copy(update={"state": ModelState.MISSING, "problem": str(error)})
        return self._loaded.result().info.model_copy(update={"state": ModelState.READY})

    async def close(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded.done() and loaded.exception() is None:
            await loaded.result().endpoint.close()
