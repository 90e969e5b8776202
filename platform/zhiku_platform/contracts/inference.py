"""Models behind one door: embeddings, and chat as OpenAI has it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from zhiku_platform.contracts.wire import Message


class TextKind(StrEnum):
    """Asymmetric embedding models encode questions and passages differently."""

    QUERY = "query"
    PASSAGE = "passage"


class EmbedRequest(Message):
    texts: list[str] = Field(min_length=1, max_length=512)
    kind: TextKind


class EmbedResponse(Message):
    """Vectors are unit length, in the order of the texts, each of `dimensions` floats."""

    model: str
    dimensions: int
    vectors: list[list[float]]
    tokens: int


class ChatMessage(Message):
    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(Message):
    """A chat completion. `model` None asks for the default model release."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1, le=8192, strict=True)] = 512
    temperature: Annotated[float, Field(ge=0, le=2, strict=True)] = 0.0
    seed: StrictInt | None = 0
    stop: list[str] = []


class ChatDelta(Message):
    """One piece of a streamed completion. The last has a `finish_reason` and the token counts."""

    text: str = ""
    finish_reason: Literal["stop", "length", "cancelled"] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ModelState(StrEnum):
    READY = "ready"
    LOADING = "loading"
    MISSING = "missing"


class ModelInfo(Message):
    """One model of the catalogue; `problem` says what is missing and how to get it."""

    id: str
    role: Literal["chat", "embedding"]
    state: ModelState
    languages: list[str]
    origin: str
    sha256: str | None = None
    context_tokens: int
    problem: str | None = None


class ModelList(Message):
    models: list[ModelInfo]
