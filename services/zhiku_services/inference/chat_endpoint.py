"""Chat through any OpenAI-compatible endpoint: vLLM, llama.cpp's server, a provider."""

import threading
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Literal

import httpx2
import openai
from openai.types import Model
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from zhiku_platform.contracts.inference import ChatDelta, ChatMessage, ChatRequest, ModelInfo, ModelState
from zhiku_platform.errors import ZhikuError
from zhiku_services.inference.errors import (
    ContextTooLongError,
    ModelUnavailableError,
    OverloadedError,
    UnknownModelError,
)

_CONNECT_S = 5.0
_SILENCE_S = 120.0
_BACK_OFF_S = 15.0
_RETRY_AFTER_S = 5
_CONTEXT_TOKENS = 8192
"""What fits, where neither a setting nor the endpoint says it."""
# llama.cpp and OpenAI name the error; vLLM only says it in its message.
_TOO_LONG = ("exceed_context_size_error", "context_length_exceeded", "maximum context length")


class ChatEndpoint:
    """A `ChatEngine` in another process. `model` None takes the first one that the endpoint lists.

    `context_tokens` None takes what the endpoint says of its model, as vLLM does.

    The endpoint may be silent for `silence_s` before it counts as gone: a long prompt takes time to read. One
    that has failed counts as missing for `back_off_s`, and is then tried again.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        context_tokens: int | None = None,
        silence_s: float = _SILENCE_S,
        back_off_s: float = _BACK_OFF_S,
    ) -> None:
        self._model = model
        self._listed: list[str] = []
        self._base_url = base_url
        self._api_key = api_key or "none"
        self._back_off_s = back_off_s
        self._failed_at: float | None = None
        self._problem: str | None = None
        self._listing: threading.Thread | None = None
        self._starting = threading.Lock()
        self._given_context = context_tokens
        self._listed_context: dict[str, int] = {}
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=self._api_key,
            timeout=httpx2.Timeout(silence_s, connect=_CONNECT_S),
            max_retries=0,
        )

    def start(self) -> None:
        """Nothing is loaded here; the endpoint is asked in the background what it serves."""
        self._learn_name()

    @property
    def _name(self) -> str | None:
        return self._model or next(iter(self._listed), None)

    def _learn_name(self) -> None:
        """Ask the endpoint for its models, unless that is under way; returns at once."""
        with self._starting:
            if self._listing is None or not self._listing.is_alive():
                self._listing = threading.Thread(target=self._list, name="list-chat-models", daemon=True)
                self._listing.start()

    def _list(self) -> None:
        try:
            with openai.OpenAI(
                base_url=self._base_url, api_key=self._api_key, timeout=_CONNECT_S, max_retries=0
            ) as client:
                self._take_list(client.models.list().data)
        except openai.APIError as error:
            # Whose model is named may serve without a list.
            if self._model is None:
                self._note_failure(_meaning(error, None))
        else:
            if self._listed:
                self._note_success()
            elif self._model is None:
                self._note_failure(_serves_nothing())

    def _take_list(self, models: Sequence[Model]) -> None:
        """Remember what is served; vLLM and others that follow it say with each model what fits."""
        self._listed = [model.id for model in models]
        told = {model.id: (model.model_extra or {}).get("max_model_len") for model in models}
        self._listed_context = {name: fits for name, fits in told.items() if isinstance(fits, int) and fits > 0}

    def _note_success(self) -> None:
        self._failed_at, self._problem = None, None

    def _note_failure(self, meaning: ZhikuError) -> None:
        self._failed_at, self._problem = time.monotonic(), str(meaning)

    async def stream(
        self, request: ChatRequest, *, more: Mapping[str, object] | None = None
    ) -> AsyncGenerator[ChatDelta, None]:
        """As every engine does; `more` is what this very server takes besides."""
        try:
            model = await self._served(request.model)
            async with await self._open(model, request, more) as chunks, aclosing(_deltas(chunks)) as deltas:
                self._note_success()
                async for delta in deltas:
                    yield delta
        except openai.APIError as error:
            meaning = _meaning(error, request.model)
            if isinstance(meaning, ModelUnavailableError):
                self._note_failure(meaning)
            if isinstance(meaning, UnknownModelError):
                # It serves others than it did: what it serves now is asked for again.
                self._listed = []
            raise meaning from error

    async def _served(self, wanted: str | None) -> str:
        """The name to ask for; checked here because some servers answer to any name with what they have."""
        if self._model is not None and wanted in {None, self._model}:
            return self._model
        if wanted is None or wanted not in self._listed:
            self._take_list((await self._client.models.list()).data)
        if not self._listed:
            raise _serves_nothing()
        if wanted is None:
            return self._listed[0]
        if wanted not in self._listed:
            raise _unknown(wanted)
        return wanted

    async def _open(
        self, model: str, request: ChatRequest, more: Mapping[str, object] | None
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        return await self._client.chat.completions.create(
            model=model,
            messages=_messages(request.messages),
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            seed=request.seed,
            stop=request.stop or None,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=more,
        )

    def describe(self) -> ModelInfo:
        """What the catalogue says: ready means that it may be asked, not that it answered just now."""
        return ModelInfo(
            id=self._name or "default",
            role="chat",
            state=self._state(),
            languages=[],
            origin=f"endpoint {self._base_url}",
            context_tokens=self._given_context or self._listed_context.get(self._name or "", _CONTEXT_TOKENS),
            problem=self._problem,
        )

    def adapters(self) -> list[ModelInfo]:
        """Those that it lists besides the one that is asked for by default."""
        mine = self.describe()
        return [mine.model_copy(update={"id": name}) for name in self._listed if name != self._name and "@" in name]

    def _state(self) -> ModelState:
        if self._failed_at is not None and time.monotonic() - self._failed_at < self._back_off_s:
            return ModelState.MISSING
        if self._name is not None:
            return ModelState.READY
        self._learn_name()
        return ModelState.LOADING

    async def close(self) -> None:
        await self._client.close()


def _messages(messages: Sequence[ChatMessage]) -> list[ChatCompletionMessageParam]:
    made: list[ChatCompletionMessageParam] = []
    for message in messages:
        if message.role == "system":
            made.append({"role": "system", "content": message.content})
        elif message.role == "user":
            made.append({"role": "user", "content": message.content})
        else:
            made.append({"role": "assistant", "content": message.content})
    return made


async def _deltas(chunks: openai.AsyncStream[ChatCompletionChunk]) -> AsyncGenerator[ChatDelta, None]:
    """Turn chunks into deltas; the finish and the token counts, which come apart, leave together and last."""
    finish: Literal["stop", "length"] | None = None
    prompt_tokens = completion_tokens = None
    try:
        async for chunk in chunks:
            if chunk.usage is not None:
                prompt_tokens, completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            for choice in chunk.choices:
                if choice.delta.content:
                    yield ChatDelta(text=choice.delta.content)
                if choice.finish_reason is not None:
                    finish = "length" if choice.finish_reason == "length" else "stop"
    except (ValueError, TypeError, AttributeError) as error:
        # The client library builds chunks of whatever comes: what is none shows when it is read.
        raise ModelUnavailableError(
            "The chat endpoint sent what is no part of an answer.", remedy="Look into the endpoint's own log."
        ) from error
    if finish is None:
        raise ModelUnavailableError("The model stopped in the middle of its answer.", remedy="Ask again.")
    yield ChatDelta(finish_reason=finish, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)


def _meaning(error: openai.APIError, model: str | None) -> ZhikuError:
    """Say what an endpoint's error means to a caller; its own message may quote the prompt."""
    if isinstance(error, openai.APIConnectionError):
        return ModelUnavailableError(
            "The chat endpoint cannot be reached.",
            remedy="Check `ZHIKU_CHAT_BASE_URL`, and that it is running.",
        )
    if any(mark in f"{error.type} {error.code} {error.message}" for mark in _TOO_LONG):
        return ContextTooLongError(
            "The question and its passages do not fit the model's context.",
            remedy="Ask with fewer or shorter passages.",
        )
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    if status == 404:
        return _unknown(model)
    if status in {429, 503}:
        return OverloadedError("The chat endpoint is busy.", retry_after_s=_RETRY_AFTER_S)
    if status in {401, 403}:
        return ModelUnavailableError("The chat endpoint refused our key.", remedy="Correct `ZHIKU_CHAT_API_KEY`.")
    return ModelUnavailableError(
        f"The chat endpoint failed with status {status}.", remedy="Look into the endpoint's own log."
    )


def _serves_nothing() -> ModelUnavailableError:
    return ModelUnavailableError("The chat endpoint serves no model.", remedy="Look into its own log.")


def _unknown(model: str | None) -> UnknownModelError:
    return UnknownModelError(
        f"The chat endpoint serves no model named `{model}`.", remedy="Choose one that `/api/v1/models` lists."
    )
