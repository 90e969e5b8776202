"""The HTTP face of the inference service."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from fastapi.responses import Response

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, EmbedRequest, EmbedResponse, ModelList
from zhiku_platform.errors import ZhikuError
from zhiku_platform.http import GuardedRouter, Stream
from zhiku_services.inference import service
from zhiku_services.inference.embedding import Embedded
from zhiku_services.inference.service import Models

router = GuardedRouter(prefix="/api/v1", tags=["models"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])


T = TypeVar("T")

_GONE = 499
"""What a log shows of a request whose caller left; nobody reads it."""

_LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/x-ndjson": {}}, "description": "Lines of `ChatDelta`"}
}


def _models(request: Request) -> Models:
    models: Models = request.app.state.models
    return models


CanRead = Annotated[Access, require(Permission.MODEL_READ)]
CanRun = Annotated[Access, require(Permission.INFERENCE_RUN)]
Serving = Annotated[Models, Depends(_models)]


@router.get("/models")
def list_models(access: CanRead, models: Serving) -> ModelList:
    """List the models, and what is missing of them."""
    return service.list_models(access, models)


@internal.post("/embeddings", response_model=EmbedResponse)
async def embed(_access: CanRun, models: Serving, asked: EmbedRequest, request: Request) -> Response:
    """Encode texts; a caller that leaves takes its waiting texts along."""
    done = await _while_there(models.embedding.embed(asked.texts, asked.kind), request)
    if done is None:
        return Response(status_code=_GONE)
    content = await asyncio.to_thread(_as_json, models.embedding.embedder.model.id, done)
    return Response(content, media_type="application/json")


@internal.post("/chat", response_class=Stream, responses=_LINES)
async def chat(_access: CanRun, models: Serving, asked: ChatRequest, request: Request) -> Response:
    """Stream an answer as lines of `ChatDelta`; a failure in the middle is a last line `{"problem": …}`.

    What fails before the first piece is an ordinary error response.
    """
    deltas = models.chat.stream(asked)
    first = await _while_there(anext(deltas), request)
    return Stream(_lines(first, deltas), media_type="application/x-ndjson")


def _as_json(model: str, done: Embedded) -> bytes:
    """An `EmbedResponse` written straight from the array, many times faster than by way of the message."""
    fields = {
        "model": model,
        "dimensions": done.vectors.shape[1],
        "vectors": done.vectors,
        "tokens": sum(done.tokens),
    }
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)


async def _while_there(work: Awaitable[T], request: Request) -> T | None:
    """Wait for some work, but no longer than the caller; None if it left, and the work is cancelled."""
    arriving = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({arriving, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return arriving.result() if arriving.done() else None
    finally:
        arriving.cancel()
        leaving.cancel()
        await asyncio.gather(arriving, leaving, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _lines(first: ChatDelta | None, deltas: AsyncGenerator[ChatDelta, None]) -> AsyncIterator[bytes]:
    async with aclosing(deltas):
        if first is None:
            return
        yield _line(first)
        try:
            async for delta in deltas:
                yield _line(delta)
        except ZhikuError as error:
            yield orjson.dumps({"problem": error.problem().model_dump(mode="json")}) + b"\n"


def _line(delta: ChatDelta) -> bytes:
    return delta.model_dump_json().encode() + b"\n"
