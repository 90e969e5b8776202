"""`/v1` as OpenAI has it, so that any OpenAI client can ask."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any, TypeVar

import httpx2
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.clients.assistant import AssistantClient
from zhiku_platform.clients.base import headers_for, raise_problem, unreachable
from zhiku_platform.contracts.assistant import AnswerEvent, DoneEvent
from zhiku_platform.contracts.inference import EmbedResponse
from zhiku_platform.contracts.knowledge import KnowledgeBase
from zhiku_platform.contracts.wire import Page
from zhiku_platform.errors import NotFoundError, ServiceUnavailableError
from zhiku_platform.http import GuardedRouter, Stream
from zhiku_services.gateway.bodies import MAX_BODY_BYTES
from zhiku_services.gateway.door import door_of
from zhiku_services.gateway.openai_messages import (
    EVERYTHING,
    ChatCompletionRequest,
    EmbeddingsRequest,
    embed_request_of,
    embeddings_of,
    question_of,
)
from zhiku_services.gateway.openai_stream import chunks, completion

T = TypeVar("T")

router = GuardedRouter(prefix="/v1", tags=["openai"], max_body_size=MAX_BODY_BYTES)

CanAsk = Annotated[Access, require(Permission.ASK)]
CanEmbed = Annotated[Access, require(Permission.INFERENCE_RUN)]


class ModelNotFoundError(NotFoundError):
    """No such model, or a knowledge base that the caller may not view: the two do not differ."""

    code = "model_not_found"

    def __init__(self) -> None:
        super().__init__("model")
        self.extra["param"] = "model"


@router.get("/models")
async def list_models(access: CanAsk, request: Request) -> dict[str, Any]:
    """List what you may ask: everything, and each knowledge base."""
    bases = await _knowledge_bases(access, request)
    return {"object": "list", "data": [_everything(), *(_model(base) for base in bases)]}


@router.get("/models/{model:path}")
async def get_model(access: CanAsk, request: Request, model: str) -> dict[str, Any]:
    """Describe one model."""
    found = await _find_model(access, request, model)
    return found if found is not None else _everything()


_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {}}, "description": "The answer, or its stream"}
}


@router.post("/chat/completions", response_model=None, responses=_ANSWER)
async def create_chat_completion(access: CanAsk, request: Request, chat: ChatCompletionRequest) -> Response:
    """Answer the last message from the documents that you may read."""
    asked = question_of(chat)
    await _find_model(access, request, chat.model)
    assistant = AssistantClient(_upstream(request, "assistant"), door_of(request).signer)
    events = assistant.ask(access.principal, asked)
    created = int(time.time())
    if not chat.stream:
        answer = await _unless_caller_leaves(request, _last(events))
        return JSONResponse(completion(chat, asked, answer.answer, created))
    # The first event says that the question was taken; before it, an error can still have its status.
    first = await anext(events)
    return Stream(
        chunks(chat, asked, _chain(first, events), created),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/embeddings")
async def create_embeddings(access: CanEmbed, request: Request, asked: EmbeddingsRequest) -> dict[str, Any]:
    """Encode texts with the model that the index uses."""
    texts = embed_request_of(asked)
    headers = headers_for(door_of(request).signer, access.principal)
    http = _upstream(request, "inference")
    try:
        response = await http.post("/internal/embeddings", headers=headers, content=texts.model_dump_json())
    except httpx2.TransportError as error:
        raise unreachable("inference") from error
    raise_problem("inference", response)
    return embeddings_of(asked, EmbedResponse.model_validate_json(response.content))


async def _find_model(access: Access, request: Request, model: str) -> dict[str, Any] | None:
    """The model of one knowledge base, or None for the one that asks everything.

    Raises:
        ModelNotFoundError: it is neither, or the caller may not view it.
    """
    if model == EVERYTHING:
        return None
    for base in await _knowledge_bases(access, request):
        if model == f"{EVERYTHING}/{base.id}":
            return _model(base)
    raise ModelNotFoundError


async def _knowledge_bases(access: Access, request: Request) -> list[KnowledgeBase]:
    http = _upstream(request, "knowledge")
    bases: list[KnowledgeBase] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await _knowledge_base_page(access, request, http, cursor)
        bases += page.items
        cursor = page.next_cursor
    return bases


async def _knowledge_base_page(
    access: Access, request: Request, http: httpx2.AsyncClient, cursor: str
) -> Page[KnowledgeBase]:
    headers = headers_for(door_of(request).signer, access.principal)
    params: dict[str, str | int] = {"limit": 200, "cursor": cursor}
    try:
        response = await http.get("/api/v1/knowledge-bases", headers=headers, params=params)
    except httpx2.TransportError as error:
        raise unreachable("knowledge") from error
    raise_problem("knowledge", response)
    return Page[KnowledgeBase].model_validate_json(response.content)


async def _last(events: AsyncIterator[AnswerEvent]) -> DoneEvent:
    async for event in events:
        if isinstance(event, DoneEvent):
            return event
    raise ServiceUnavailableError("The answer broke off.", remedy="Ask again.")


async def _chain(first: AnswerEvent, rest: AsyncIterator[AnswerEvent]) -> AsyncIterator[AnswerEvent]:
    yield first
    async for event in rest:
        yield event


async def _unless_caller_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, but drop it when the caller hangs up."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _everything() -> dict[str, Any]:
    return {"id": EVERYTHING, "object": "model", "created": 0, "owned_by": "zhiku", "name": "知库 Zhiku"}


def _model(base: KnowledgeBase) -> dict[str, Any]:
    return {
        "id": f"{EVERYTHING}/{base.id}",
        "object": "model",
        "created": int(base.created_at.timestamp()),
        "owned_by": "zhiku",
        "name": base.name,
    }


def _upstream(request: Request, service: str) -> httpx2.AsyncClient:
    client: httpx2.AsyncClient = request.app.state.upstreams[service]
    return client
