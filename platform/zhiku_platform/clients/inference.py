"""The inference service, typed."""

from collections.abc import AsyncGenerator, Sequence

import httpx2
from pydantic import ValidationError

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.clients.base import ServiceClient, headers_for, raise_problem, unreachable
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import (
    ChatDelta,
    ChatRequest,
    EmbedRequest,
    EmbedResponse,
    ModelList,
    TextKind,
)
from zhiku_platform.contracts.wire import Message
from zhiku_platform.errors import Problem, RemoteProblemError, ServiceUnavailableError
from zhiku_platform.http import BrokenResponseError


class InferenceClient(ServiceClient):
    """Embeddings and the catalogue, for threads."""

    service = "inference"

    def embed(self, principal: Principal, texts: Sequence[str], kind: TextKind) -> EmbedResponse:
        """Encode 1 to 512 texts.

        Raises:
            RemoteProblemError: `overloaded`, `model_missing` or `model_unavailable`.
        """
        request = EmbedRequest(texts=list(texts), kind=kind)
        return self._call(principal, "POST", "/internal/embeddings", EmbedResponse, request)

    def models(self, principal: Principal) -> ModelList:
        """What can be asked for, and what is missing."""
        return self._call(principal, "GET", "/api/v1/models", ModelList)


class ChatClient:
    """Streams answers, for an event loop."""

    def __init__(self, http: httpx2.AsyncClient, signer: PrincipalSigner) -> None:
        self._http = http
        self._signer = signer

    async def stream_chat(self, principal: Principal, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        """Generate an answer piece by piece; the last has the `finish_reason`. Closing it stops the model.

        Raises:
            RemoteProblemError: `overloaded`, `model_missing`, `model_unavailable`, `context_too_long` or
                `unknown_model`, before the first piece or in the middle.
            ServiceUnavailableError: the service does not answer, or the stream ended without its last piece.
        """
        call = self._http.stream(
            "POST",
            "/internal/chat",
            headers=headers_for(self._signer, principal),
            content=request.model_dump_json(),
        )
        finished = False
        try:
            async with call as response:
                if not response.is_success:
                    await response.aread()
                    raise_problem("inference", response)
                async for line in response.aiter_lines():
                    delta = _read(line)
                    finished = delta.finish_reason is not None
                    yield delta
        except (httpx2.TransportError, BrokenResponseError) as error:
            # In one process a response that broke off comes as what the service raised.
            raise unreachable("inference") from error
        if not finished:
            raise ServiceUnavailableError("The model's answer broke off.", remedy="Ask again.")


class _Failure(Message):
    problem: Problem


def _read(line: str) -> ChatDelta:
    try:
        return ChatDelta.model_validate_json(line)
    except ValidationError:
        raise RemoteProblemError(_Failure.model_validate_json(line).problem) from None
