"""What every chat engine does, whatever runs the model."""

from collections.abc import AsyncGenerator
from typing import Protocol

from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelInfo


class ChatEngine(Protocol):
    """A chat model behind one door. Both implementations pass `zhiku_platform.testing.chat_engine`."""

    def start(self) -> None:
        """Begin loading in the background; returns at once, and a second call does nothing."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        """Generate an answer piece by piece; the last piece alone has a `finish_reason`.

        Closing the iterator stops the generation.

        Raises:
            ModelMissingError: the model is not installed.
            ModelUnavailableError: it does not answer, or stopped in the middle.
            ContextTooLongError: the prompt does not fit.
            OverloadedError: too many are waiting.
            UnknownModelError: `request.model` is not served here.
        """
        ...

    def describe(self) -> ModelInfo:
        """What the catalogue says of this model now."""
        ...

    def adapters(self) -> list[ModelInfo]:
        """The adapters beside it that requests may name now."""
        ...

    async def close(self) -> None:
        """Let go of the model and its connections."""
        ...
