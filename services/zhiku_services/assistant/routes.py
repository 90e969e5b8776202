"""The HTTP face of the assistant service."""

from typing import Annotated, Any

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.assistant import (
    Answer,
    AskRequest,
    Conversation,
    ConversationChange,
    ConversationDetail,
    Feedback,
    LearnableAnswer,
    NewAppeal,
    NewConversation,
    NewFeedback,
    NewQuestion,
    Reconstruction,
    Replay,
    RevealRequest,
    SealedReceipt,
)
from zhiku_platform.contracts.retention import Days, DueCount
from zhiku_platform.contracts.wire import SEARCHABLE, Page
from zhiku_platform.db import ReadSession, WriteSession, utc_now
from zhiku_platform.http import GuardedRouter, Stream
from zhiku_services.assistant import feedback, receipts, service
from zhiku_services.assistant.retention import count_due
from zhiku_services.assistant.running import RunningAnswer
from zhiku_services.assistant.service import Assistant, Events
from zhiku_services.assistant.streaming import encode_all

router = GuardedRouter(prefix="/api/v1", tags=["assistant"])
internal = GuardedRouter(prefix="/internal", tags=["internal"])

CanAsk = Annotated[Access, require(Permission.ASK)]
CanReadReceipt = Annotated[Access, require(Permission.RECEIPT_READ)]
CanReview = Annotated[Access, require(Permission.RECEIPT_REVIEW)]
CanReveal = Annotated[Access, require(Permission.AUDIT_REVEAL)]
CanCollect = Annotated[Access, require(Permission.FEEDBACK_COLLECT)]
CanExpire = Annotated[Access, require(Permission.RETENTION_APPLY)]
CanRead = Annotated[Access, require(Permission.CONVERSATION_READ)]

Cursor = Annotated[str, Query(max_length=100)]
After = Annotated[str, Query(max_length=40, pattern=SEARCHABLE)]
Limit = Annotated[int, Query(ge=1, le=200)]
LastEventId = Annotated[int, Header(alias="Last-Event-ID", ge=0)]

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Answer events, numbered from 1"}
}


@router.get("/conversations")
def list_conversations(
    access: CanRead, session: ReadSession, cursor: Cursor = "", limit: Limit = 50
) -> Page[Conversation]:
    """List your conversations, the one last used first."""
    return service.list_conversations(access, session, cursor=cursor, limit=limit)


@router.post("/conversations", status_code=201)
def create_conversation(access: CanAsk, session: WriteSession, new: NewConversation) -> Conversation:
    """Open a conversation."""
    return service.create_conversation(access, new, session)


@router.get("/conversations/{conversation_id}")
def get_conversation(access: CanRead, request: Request, conversation_id: str) -> ConversationDetail:
    """Get one of your conversations with its answers."""
    return service.get_conversation(access, conversation_id, _assistant(request))


@router.patch("/conversations/{conversation_id}")
def change_conversation(
    access: CanAsk, session: WriteSession, conversation_id: str, change: ConversationChange
) -> Conversation:
    """Rename one of your conversations."""
    return service.rename_conversation(access, conversation_id, change, session)


@router.delete("/conversations/{conversation_id}", status_code=204)
async def delete_conversation(access: CanAsk, request: Request, conversation_id: str) -> None:
    """Delete one of your conversations with its answers."""
    await service.delete_conversation(access, conversation_id, _assistant(request))


@router.post("/conversations/{conversation_id}/questions", response_class=StreamingResponse, responses=_STREAM)
async def ask_question(access: CanAsk, request: Request, conversation_id: str, new: NewQuestion) -> StreamingResponse:
    """Ask a question and stream its answer; the answer is written to its end even if you leave."""
    running = await service.ask_in_conversation(access, conversation_id, new, _assistant(request))
    return _stream(running.follow())


@router.get("/answers/{answer_id}")
def get_answer(access: CanRead, request: Request, answer_id: str) -> Answer:
    """Get one of your answers."""
    return service.get_answer(access, answer_id, _assistant(request))


@router.get("/answers/{answer_id}/stream", response_class=StreamingResponse, responses=_STREAM)
async def resume_answer(
    access: CanRead, request: Request, answer_id: str, last_event_id: LastEventId = 0
) -> StreamingResponse:
    """Stream what you have not yet seen of one of your answers."""
    return _stream(await service.resume_answer(access, answer_id, last_event_id, _assistant(request)))


@router.post("/answers/{answer_id}/stop")
async def stop_answer(access: CanAsk, request: Request, answer_id: str) -> Answer:
    """Stop one of your answers; what is written of it stays."""
    return await service.stop_answer(access, answer_id, _assistant(request))


@router.post("/answers/{answer_id}/appeal", status_code=204)
def appeal(access: CanAsk, session: WriteSession, answer_id: str, new: NewAppeal) -> None:
    """Appeal against what policy withheld of one of your answers; a person looks at it."""
    service.appeal(access, answer_id, new, session)


@router.put("/answers/{answer_id}/feedback")
def give_feedback(access: CanAsk, session: WriteSession, answer_id: str, new: NewFeedback) -> Feedback:
    """Rate one of your answers, say what was wrong with it, and what it should have been."""
    return feedback.give(access, answer_id, new, session)


@router.delete("/answers/{answer_id}/feedback", status_code=204)
def withdraw_feedback(access: CanAsk, session: WriteSession, answer_id: str) -> None:
    """Take back what you said of one of your answers."""
    feedback.withdraw(access, answer_id, session)


@router.get("/answers/{answer_id}/receipt")
def get_receipt(access: CanReadReceipt, session: ReadSession, answer_id: str) -> SealedReceipt:
    """Get the receipt of one of your answers: what was searched and read, under which rights, with which model."""
    return receipts.get_own(access, answer_id, session)


@router.get("/receipts/{answer_id}")
def review_receipt(access: CanReview, request: Request, answer_id: str) -> Reconstruction:
    """Reconstruct anybody's answer, with who asked and what masked; looking is recorded."""
    return receipts.reconstruct(access, answer_id, None, _review(request))


@router.post("/receipts/{answer_id}/reveal")
def reveal_receipt(access: CanReveal, request: Request, answer_id: str, reveal: RevealRequest) -> Reconstruction:
    """Reconstruct anybody's answer and show who asked what; the reason is recorded."""
    return receipts.reconstruct(access, answer_id, reveal, _review(request))


@router.post("/receipts/{answer_id}/replay")
def replay_receipt(access: CanReview, request: Request, answer_id: str) -> Replay:
    """Run the search of anybody's answer again and compare what it finds; this is recorded."""
    return receipts.replay(access, answer_id, _review(request))


@internal.get("/learnable-answers")
def list_learnable_answers(
    access: CanCollect, session: ReadSession, cursor: After = "", limit: Limit = 200
) -> Page[LearnableAnswer]:
    """List the answers of which their users let a model learn, with what was said of them."""
    return feedback.learnable(access, session, cursor=cursor, limit=limit)


@internal.get("/due-conversations")
def count_due_conversations(access: CanExpire, session: ReadSession, days: Annotated[Days, Query()]) -> DueCount:
    """Say how many conversations were last used more than so many days ago."""
    return DueCount(due=count_due(access, days, session, now=utc_now()))


@internal.post("/ask", response_class=StreamingResponse)
async def ask_once(access: CanAsk, request: Request, question: AskRequest) -> StreamingResponse:
    """Answer a question that comes with its own history; who hangs up stops the answer."""
    running = await service.ask_once(access, question, _assistant(request))
    return _stream(_until_hung_up(running))


async def _until_hung_up(running: RunningAnswer) -> Events:
    try:
        async for item in running.follow():
            yield item
    finally:
        running.cancel()


def _stream(events: Events) -> StreamingResponse:
    return Stream(
        encode_all(events),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _review(request: Request) -> receipts.Review:
    assistant = _assistant(request)
    return receipts.Review(assistant.database, assistant.knowledge, assistant.audit)


def _assistant(request: Request) -> Assistant:
    assistant: Assistant = request.app.state.assistant
    return assistant
