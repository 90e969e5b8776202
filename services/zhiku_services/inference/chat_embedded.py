"""Chat with a small model in this process: llama.cpp's own server, on a loopback port that needs a key.

Calling the server over its socket rather than through the binding's Python callback costs a millisecond and
lets a caller leave while the prompt is still being read: the callback is first called after that, and reading
a long prompt on one core takes seconds.
"""

import asyncio
import math
import secrets
import threading
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp as _untyped_llama

from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelInfo, ModelState
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.inference.adapters import Adapter, AdapterFolder, not_loadable
from zhiku_services.inference.chat_endpoint import ChatEndpoint
from zhiku_services.inference.chat_models import ChatChoice, ChatModel
from zhiku_services.inference.errors import ModelUnavailableError, OverloadedError, UnknownModelError

log = get_logger(__name__)

llama: Any = _untyped_llama

_READ_AT_ONCE = 128
"""Prompt tokens between two looks at whether the caller is still there: about a second on one core."""
_MAX_ADAPTERS = 8
"""Beside the base at a time; each takes its file's size. The one that was loaded first makes room."""


@dataclass(frozen=True)
class LlamaServer:
    """A running server; it stops when the last reference goes."""

    engine: Any
    base_url: str
    api_key: str


def run_llama_server(
    model: Path, *, alias: str, context_tokens: int, slots: int, threads: int, adapters: Sequence[Path] = ()
) -> LlamaServer:
    """Load a GGUF file and serve it as `alias` on a free port of 127.0.0.1, to holders of a fresh random key alone.

    An adapter changes the answers to such requests alone as name its place in `adapters`.
    """
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
    params.lora_adapters = [_unapplied(path) for path in adapters]
    # The prompt cache may otherwise grow to 8 GiB; the slots' own state already keeps the shared beginning.
    params.cache_ram_mib = 0
    engine = llama.Server(params)
    return LlamaServer(engine, f"{engine.listening_address}/v1", key)


def _unapplied(path: Path) -> Any:
    adapter = llama.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(path), 0.0
    return adapter


@dataclass(frozen=True)
class _Loaded:
    """`server` is kept, for it stops when the last reference goes. `adapters` are in the order of their loading."""

    server: LlamaServer
    endpoint: ChatEndpoint
    model: ChatModel
    adapters: tuple[Adapter, ...]

    def scales(self, name: str | None) -> list[dict[str, float]]:
        """All adapters off but the one that is named; the engine keeps what it has read of a prompt apart for each."""
        return [{"id": place, "scale": float(each.name == name)} for place, each in enumerate(self.adapters)]


class EmbeddedChat:
    """A `ChatEngine` that answers `slots` callers at a time, lets `waiting` more wait, refuses the rest.

    A request may name an adapter of the folder. One that is not loaded yet is loaded by a second server, beside those
    that are, and takes the first one's place once it is ready; until then the first answers, and ends what it began.
    """

    def __init__(
        self,
        choice: ChatChoice,
        *,
        slots: int = 1,
        waiting: int = 8,
        threads: int = 1,
        adapters: AdapterFolder | None = None,
    ) -> None:
        self._choice = choice
        self._adapters = adapters
        self._adding = asyncio.Lock()
        self._retired: list[ChatEndpoint] = []
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
            opened = self._open(self._choice.find(), ())
        except ZhikuError as error:
            log.warning("chat_model_not_loaded", model=self._choice.announced.id, code=error.code)
            loaded.set_exception(error)
        except (RuntimeError, OSError) as error:
            log.exception("chat_model_not_loaded", model=self._choice.announced.id, error=type(error).__name__)
            loaded.set_exception(
                ModelUnavailableError("The chat model could not be loaded.", remedy="Run `zhiku doctor`.")
            )
        else:
            loaded.set_result(opened)
            log.info("chat_model_loaded", model=opened.model.info.id)

    def _open(self, model: ChatModel, adapters: tuple[Adapter, ...]) -> _Loaded:
        server = run_llama_server(
            model.path,
            alias=model.info.id,
            context_tokens=model.info.context_tokens,
            slots=self._slots,
            threads=self._threads,
            adapters=[each.path for each in adapters],
        )
        endpoint = ChatEndpoint(server.base_url, api_key=server.api_key, model=model.info.id)
        return _Loaded(server, endpoint, model, adapters)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        loaded = await self._serving(request.model)
        own = request.model_copy(update={"model": None})
        async with (
            self._slot(),
            aclosing(loaded.endpoint.stream(own, more={"lora": loaded.scales(request.model)})) as deltas,
        ):
            async for delta in deltas:
                yield delta

    async def _serving(self, name: str | None) -> "_Loaded":
        loaded = await self._wait_loaded()
        if name in {None, loaded.model.info.id}:
            return loaded
        assert name is not None
        async with self._adding:
            loaded = await self._wait_loaded()
            if name not in {each.name for each in loaded.adapters}:
                loaded = await asyncio.to_thread(self._with_adapter, loaded, name)
                self._replace(loaded)
        return loaded

    def _with_adapter(self, loaded: "_Loaded", name: str) -> "_Loaded":
        if self._adapters is None:
            raise UnknownModelError(
                f"No model named `{name}` is served here.",
                remedy=f"Ask for `{loaded.model.info.id}`, or for none.",
            )
        adapter = self._adapters.find(name, loaded.model.info.sha256)
        others = loaded.adapters[max(0, len(loaded.adapters) + 1 - _MAX_ADAPTERS) :]
        try:
            opened = self._open(loaded.model, (*others, adapter))
        except (RuntimeError, OSError) as error:
            log.exception("chat_adapter_not_loaded", adapter=name, error=type(error).__name__)
            raise not_loadable(name) from error
        log.info("chat_adapter_loaded", adapter=name)
        return opened

    def _replace(self, loaded: "_Loaded") -> None:
        if self._loaded is not None and self._loaded.done():
            self._retired.append(self._loaded.result().endpoint)
        self._loaded = Future()
        self._loaded.set_result(loaded)

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
        return self._loaded.result().model.info.model_copy(update={"state": ModelState.READY})

    def adapters(self) -> list[ModelInfo]:
        if self._loaded is None or not self._loaded.done() or self._loaded.exception() is not None:
            return []
        loaded = self._loaded.result()
        ready, base = ModelState.READY, loaded.model.info
        more = {"state": ready, "origin": f"adapter of {base.id}"}
        return [base.model_copy(update={**more, "id": each.name, "sha256": each.digest}) for each in loaded.adapters]

    async def close(self) -> None:
        for endpoint in self._retired:
            await endpoint.close()
        self._retired.clear()
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded.done() and loaded.exception() is None:
            await loaded.result().endpoint.close()
