"""The OpenAI-compatible face: its messages, and how they become ours.

Requests may hold more than we use (`temperature`, `tools`, …): what has no meaning here is ignored, as every
compatible server does; what would change the meaning of the answer is refused.
"""

import struct
from base64 import b64encode
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zhiku_platform.contracts.assistant import Answer, AskRequest
from zhiku_platform.contracts.inference import ChatMessage, EmbedRequest, EmbedResponse, TextKind
from zhiku_platform.errors import UnprocessableError

EVERYTHING = "zhiku"
"""The model that asks every knowledge base that the caller may view; `zhiku/ID` asks one."""


class UnsupportedRequestError(UnprocessableError):
    """A request that has no meaning here. OpenAI's status for it is 400."""

    status = 400

    def __init__(self, detail: str, *, param: str) -> None:
        super().__init__(detail, remedy="Change that parameter.", param=param)


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ContentPart(_Request):
    type: str
    text: str = ""


class IncomingMessage(_Request):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The message's words.

        Raises:
            UnsupportedRequestError: it holds something that is not text.
        """
        if isinstance(self.content, str):
            return self.content
        parts = self.content or []
        if any(part.type != "text" for part in parts):
            raise UnsupportedRequestError("Only text can be asked.", param="messages")
        return "\n".join(part.text for part in parts)


class StreamOptions(_Request):
    include_usage: bool = False


class ChatCompletionRequest(_Request):
    model: str = Field(min_length=1, max_length=200)
    messages: list[IncomingMessage] = Field(min_length=1, max_length=500)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None

    @property
    def reports_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def knowledge_base_ids(self) -> list[str]:
        """What the model's name asks; empty for everything."""
        return [self.model.removeprefix(f"{EVERYTHING}/")] if self.model != EVERYTHING else []


def question_of(chat: ChatCompletionRequest) -> AskRequest:
    """The last message as the question, what was said before as its history.

    A system message is left out: how the assistant answers is set by its own prompts, not by who asks.

    Raises:
        UnsupportedRequestError: the chat does not end with a question in words, or wants several answers.
    """
    if chat.n not in {None, 1}:
        raise UnsupportedRequestError("One answer at a time can be had.", param="n")
    last = chat.messages[-1]
    if last.role != "user" or not last.text.strip():
        raise UnsupportedRequestError("The last message must be a question of the user.", param="messages")
    history = [
        ChatMessage(role="user" if message.role == "user" else "assistant", content=message.text)
        for message in chat.messages[:-1]
        if message.role in {"user", "assistant"}
    ]
    try:
        return AskRequest(question=last.text, history=history[-200:], knowledge_base_ids=chat.knowledge_base_ids)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UnsupportedRequestError(f"The question cannot be asked: {first['msg']}.", param="messages") from error


class EmbeddingsRequest(_Request):
    """`input_type` is not OpenAI's: our models encode what is asked and what is searched differently."""

    input: str | list[str]
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    input_type: TextKind = TextKind.PASSAGE

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


def embed_request_of(asked: EmbeddingsRequest) -> EmbedRequest:
    """The texts to encode.

    Raises:
        UnsupportedRequestError: there are none, or more than 512.
    """
    try:
        return EmbedRequest(texts=asked.texts, kind=asked.input_type)
    except ValidationError as error:
        raise UnsupportedRequestError("`input` takes 1 to 512 texts.", param="input") from error


def embeddings_of(asked: EmbeddingsRequest, encoded: EmbedResponse) -> dict[str, Any]:
    """Embeddings as OpenAI sends them; base64 is of little-endian float32, and what its own client asks for.

    Raises:
        UnsupportedRequestError: another number of dimensions was asked for than the model has.
    """
    if asked.dimensions not in {None, encoded.dimensions}:
        raise UnsupportedRequestError(f"The model has {encoded.dimensions} dimensions.", param="dimensions")
    data = [
        {
            "object": "embedding",
            "index": n,
            "embedding": _base64(vector) if asked.encoding_format == "base64" else vector,
        }
        for n, vector in enumerate(encoded.vectors)
    ]
    usage = {"prompt_tokens": encoded.tokens, "total_tokens": encoded.tokens}
    return {"object": "list", "model": encoded.model, "data": data, "usage": usage}


def _base64(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class Source(BaseModel):
    """What Zhiku adds to an answer, in the field `zhiku`."""

    answer_id: str
    mode: str | None
    sentences: list[dict[str, Any]]
    citations: list[dict[str, Any]]
    searched: list[str]
    usage_is_estimated: bool = True


def source_of(answer: Answer) -> dict[str, Any]:
    """The citations of an answer, each sentence bound to its own."""
    return Source(
        answer_id=answer.id,
        mode=answer.mode,
        sentences=[sentence.model_dump(mode="json") for sentence in answer.sentences],
        citations=[citation.model_dump(mode="json") for citation in answer.citations],
        searched=answer.searched,
    ).model_dump(mode="json")


def usage_of(request: AskRequest, text: str) -> dict[str, int]:
    """Tokens as OpenAI reports them, estimated as a quarter of the UTF-8 bytes.

    An answer may come from a model, from quotes, or from several calls, so no tokenizer has the true count.
    """
    prompt = sum(_tokens(message.content) for message in request.history) + _tokens(request.question)
    completion = _tokens(text)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // 4)
