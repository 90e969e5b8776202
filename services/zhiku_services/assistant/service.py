"""Conversations and answers: who asks sees his own, and of them what he may read now."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerEvent,
    AnswerState,
    AskRequest,
    Conversation,
    ConversationChange,
    ConversationDetail,
    DoneEvent,
    Feedback,
    NewAppeal,
    NewConversation,
    NewQuestion,
    Receipt,
)
from zhiku_platform.contracts.holds import Held, HoldScope
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import ChatDelta, ChatRequest
from zhiku_platform.contracts.knowledge import SearchRequest, SearchResult
from zhiku_platform.contracts.safety import Screening, StreamStep, StreamStepped, Surface
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import Database, new_id, utc_now
from zhiku_platform.errors import NotFoundError, UnprocessableError, ZhikuError
from zhiku_services.assistant.answering.pipeline import Question
from zhiku_services.assistant.answering.profile import ModelProfile, profile_of
from zhiku_services.assistant.errors import (
    AnswerFinishedError,
    NothingToAppealError,
    UnsafeAnswerError,
    UnsafeQuestionError,
)
from zhiku_services.assistant.feedback import feedback_of
from zhiku_services.assistant.models import AUDIT_OUTBOX, AnswerRow, ConversationRow
from zhiku_services.assistant.ports import AuditLog, Holds, Inference, Knowledge, Safety
from zhiku_services.assistant.records import Asked, AuditedRecords, StoredRecords, close_abandoned, title_of
from zhiku_services.assistant.repository import AssistantRepository
from zhiku_services.assistant.running import HEARTBEAT_S, RunningAnswer, RunningAnswers
from zhiku_services.assistant.streaming import EVENTS
from zhiku_services.assistant.visibility import look, passages_of, past_events, visible_answer

T = TypeVar("T")
Events = AsyncIterator[tuple[int, AnswerEvent] | None]

_WITHHELD: Final = frozenset({UnsafeQuestionError.code, UnsafeAnswerError.code})
_CONTEXT_QUESTIONS: Final = 6
_MICROS_DIGITS: Final = 16
"""Of a moment before the year 2286."""
_POLL_EVERY_S: Final = 0.3
_CALLS_AT_ONCE: Final = 16
"""Blocking calls of the assistant to other services; the rest wait for a thread."""


@dataclass(frozen=True, slots=True)
class Assistant:
    """What the service is built of; made once in `app.py`."""

    database: Database
    knowledge: Knowledge
    inference: Inference
    audit: AuditLog
    safety: Safety
    holds: Holds
    running: RunningAnswers
    calls: CapacityLimiter


def build_assistant(
    database: Database, knowledge: Knowledge, inference: Inference, audit: AuditLog, safety: Safety, holds: Holds
) -> Assistant:
    """Put the service together; call it where an event loop can be assumed later, not necessarily now."""
    return Assistant(
        database, knowledge, inference, audit, safety, holds, RunningAnswers(), CapacityLimiter(_CALLS_AT_ONCE)
    )


# Conversations


def list_conversations(access: Access, session: Session, *, cursor: str, limit: int) -> Page[Conversation]:
    """The caller's conversations, the one last used first.

    Raises:
        UnprocessableError: the cursor is none of ours.
    """
    rows = AssistantRepository(session, access).conversations(_read_cursor(cursor), limit + 1)
    shown = rows[:limit]
    following = _write_cursor(shown[-1]) if len(rows) > limit else None
    return Page(items=[_to_conversation(row) for row in shown], next_cursor=following)


def create_conversation(access: Access, new: NewConversation, session: Session) -> Conversation:
    """Open an empty conversation on some knowledge bases; none means all that the caller may view."""
    row = new_conversation_row(access, new.knowledge_base_ids)
    AssistantRepository(session, access).add(row)
    record(session, AUDIT_OUTBOX, event_of(access, "conversation.created", row.id))
    return _to_conversation(row)


def new_conversation_row(access: Access, knowledge_base_ids: Sequence[str]) -> ConversationRow:
    now = utc_now()
    return ConversationRow(
        id=new_id("conv"),
        tenant=access.tenant,
        owner=access.principal.sub,
        title="",
        knowledge_base_ids=list(knowledge_base_ids),
        created_at=now,
        updated_at=now,
    )


def get_conversation(access: Access, conversation_id: str, assistant: Assistant) -> ConversationDetail:
    """A conversation with its answers, as far as the caller may read their sources now.

    Raises:
        NotFoundError: it is missing, or another user's.
    """
    with assistant.database.read() as session:
        repository = AssistantRepository(session, access)
        conversation = _own(repository, conversation_id)
        rows = repository.answers(conversation_id)
        said = _said_of(rows, repository)
    sight = look(access.principal, passages_of(rows), assistant.knowledge)
    return ConversationDetail(
        conversation=_to_conversation(conversation),
        answers=[visible_answer(row, sight, said.get(row.id)) for row in rows],
    )


def _said_of(rows: Sequence[AnswerRow], repository: AssistantRepository) -> dict[str, Feedback]:
    found = repository.feedback([row.id for row in rows])
    return {answer_id: feedback_of(row) for answer_id, row in found.items()}


def rename_conversation(
    access: Access, conversation_id: str, change: ConversationChange, session: Session
) -> Conversation:
    repository = AssistantRepository(session, access)
    row = _own(repository, conversation_id)
    row.title = change.title
    repository.add(row)
    record(session, AUDIT_OUTBOX, event_of(access, "conversation.renamed", row.id))
    return _to_conversation(row)


async def delete_conversation(access: Access, conversation_id: str, assistant: Assistant) -> None:
    """Stop what is being written in it, then delete it with its answers.

    Raises:
        HeldError: a legal hold keeps the caller's conversations.
    """
    await _in_thread(assistant, partial(_require_deletable, access, conversation_id, assistant))
    await assistant.running.stop_conversation(access.principal, conversation_id)
    await _in_thread(assistant, partial(_delete, access, conversation_id, assistant))


def _require_deletable(access: Access, conversation_id: str, assistant: Assistant) -> None:
    with assistant.database.read() as session:
        _own(AssistantRepository(session, access), conversation_id)
    _check_holds(access, assistant)


def _delete(access: Access, conversation_id: str, assistant: Assistant) -> None:
    with assistant.database.write() as session:
        repository = AssistantRepository(session, access)
        repository.delete_conversation(_own(repository, conversation_id))
        record(session, AUDIT_OUTBOX, event_of(access, "conversation.deleted", conversation_id))
        session.flush()
        # Last, so that next to nothing lies between this and the commit.
        _check_holds(access, assistant)


def _check_holds(access: Access, assistant: Assistant) -> None:
    assistant.holds.check(access, [Held(scope=HoldScope.USER, id=access.principal.sub)])


# Answers


async def ask_in_conversation(
    access: Access, conversation_id: str, new: NewQuestion, assistant: Assistant
) -> RunningAnswer:
    """Record a question and begin to answer it; the answer is written whether or not anybody listens.

    Raises:
        NotFoundError: the conversation is missing, or another user's.
        NotRecordedError: the question could not be recorded, so it is not answered.
    """
    question = await _in_thread(
        assistant, partial(_question_in_context, access, conversation_id, new, assistant.database)
    )
    asked = Asked(new_id("ans"), conversation_id, new.text, utc_now())
    return await _start(access, asked, question, StoredRecords(access, assistant.database, asked), assistant)


async def ask_once(access: Access, request: AskRequest, assistant: Assistant) -> RunningAnswer:
    """Begin to answer a question that comes with its own history."""
    earlier = tuple(message.content for message in request.history if message.role == "user")[-_CONTEXT_QUESTIONS:]
    question = Question(request.question, earlier, tuple(request.knowledge_base_ids))
    conversation_id = ""
    if request.persist:
        conversation_id = await _in_thread(assistant, partial(_open_conversation, access, request, assistant.database))
    asked = Asked(new_id("ans"), conversation_id, request.question, utc_now())
    records = (StoredRecords if request.persist else AuditedRecords)(access, assistant.database, asked)
    return await _start(access, asked, question, records, assistant)


def _open_conversation(access: Access, request: AskRequest, database: Database) -> str:
    row = new_conversation_row(access, request.knowledge_base_ids)
    row.title = title_of(request.question)
    with database.write() as session:
        AssistantRepository(session, access).add(row)
        record(session, AUDIT_OUTBOX, event_of(access, "conversation.created", row.id))
    return row.id


def _question_in_context(access: Access, conversation_id: str, new: NewQuestion, database: Database) -> Question:
    with database.read() as session:
        repository = AssistantRepository(session, access)
        conversation = _own(repository, conversation_id)
        earlier = repository.answers(conversation_id)[-_CONTEXT_QUESTIONS:]
    wanted = conversation.knowledge_base_ids if new.knowledge_base_ids is None else new.knowledge_base_ids
    return Question(new.text, tuple(row.question for row in earlier), tuple(wanted))


async def _start(
    access: Access,
    asked: Asked,
    question: Question,
    records: StoredRecords | AuditedRecords,
    assistant: Assistant,
) -> RunningAnswer:
    tools = _ServiceTools(access.principal, assistant)
    running = RunningAnswer(
        access.principal, asked, question=question, tools=tools, records=records, knowledge=assistant.knowledge
    )
    return await assistant.running.start(running)


def get_answer(access: Access, answer_id: str, assistant: Assistant) -> Answer:
    """An answer, as far as the caller may read its sources now; while it is written, its finished sentences.

    Raises:
        NotFoundError: it is missing, or another user's.
    """
    with assistant.database.read() as session:
        repository = AssistantRepository(session, access)
        row = repository.answer(answer_id)
        if row is None:
            raise NotFoundError("answer")
        said = _said_of([row], repository).get(answer_id)
    running = assistant.running.find(access.principal, answer_id)
    if running is not None and row.state == AnswerState.STREAMING:
        row = running.row(AnswerState.STREAMING)
    return visible_answer(row, look(access.principal, passages_of([row]), assistant.knowledge), said)


async def resume_answer(access: Access, answer_id: str, after: int, assistant: Assistant) -> Events:
    """The events of an answer numbered above `after`; the last one always comes.

    Raises:
        NotFoundError: the answer is missing, or another user's.
    """
    if (running := assistant.running.find(access.principal, answer_id)) is not None:
        return running.resume(after)
    await _in_thread(assistant, partial(_load_answer, access, answer_id, assistant.database))
    return _follow_stored(access, answer_id, after, assistant)


async def _follow_stored(access: Access, answer_id: str, after: int, assistant: Assistant) -> Events:
    """Follow an answer that another process writes, through the database, and end with what was kept."""
    quiet_s = 0.0
    while True:
        row, fresh = await _in_thread(assistant, partial(_stored_events, access, answer_id, after, assistant))
        for n, event in fresh:
            after = max(after, n)
            quiet_s = 0.0
            yield n, event
        if row.state != AnswerState.STREAMING:
            final = await _in_thread(assistant, partial(get_answer, access, answer_id, assistant))
            yield row.last_event, DoneEvent(answer=final)
            return
        if row.lease_until < utc_now():
            await _in_thread(assistant, partial(close_abandoned, assistant.database, all_of_them=False))
            continue
        await asyncio.sleep(_POLL_EVERY_S)
        quiet_s += _POLL_EVERY_S
        if quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            yield None


def _stored_events(
    access: Access, answer_id: str, after: int, assistant: Assistant
) -> tuple[AnswerRow, list[tuple[int, AnswerEvent]]]:
    with assistant.database.read() as session:
        repository = AssistantRepository(session, access)
        row = repository.answer(answer_id)
        stored = repository.events(answer_id)
    if row is None:
        raise NotFoundError("answer")
    if not any(item.n > after for item in stored):
        return row, []
    events = [(item.n, EVENTS.validate_python(item.event)) for item in stored]
    ids = [event.citation.passage_id for _, event in events if event.type == "citation"]
    sight = look(access.principal, ids, assistant.knowledge)
    return row, [item for item in past_events(events, sight, may_preview=False) if item[0] > after]


async def stop_answer(access: Access, answer_id: str, assistant: Assistant) -> Answer:
    """Stop an answer and keep what is written of it.

    Raises:
        NotFoundError: it is missing, or another user's.
        AnswerFinishedError: there is nothing to stop.
    """
    row = await _in_thread(assistant, partial(_load_answer, access, answer_id, assistant.database))
    if row.state != AnswerState.STREAMING:
        raise AnswerFinishedError
    await _in_thread(assistant, partial(_ask_to_stop, access, answer_id, assistant.database))
    if (running := assistant.running.find(access.principal, answer_id)) is not None:
        await running.stop()
    else:
        async for _ in _follow_stored(access, answer_id, row.last_event, assistant):
            pass
    return await _in_thread(assistant, partial(get_answer, access, answer_id, assistant))


def appeal(access: Access, answer_id: str, new: NewAppeal, session: Session) -> None:
    """Put what policy withheld before a person; appealing again changes nothing.

    Raises:
        NotFoundError: the answer is missing, or another user's.
        NothingToAppealError: policy withheld nothing of it.
    """
    problem, conversation_id = _end_of(AssistantRepository(session, access), answer_id)
    if problem not in _WITHHELD:
        raise NothingToAppealError
    event = event_of(access, "answer.appealed", answer_id, conversation=conversation_id, problem=problem)
    sealed = {"sealed": {"reason": new.reason}, "group": conversation_id or answer_id}
    record(session, AUDIT_OUTBOX, event.model_copy(update=sealed))


def _end_of(repository: AssistantRepository, answer_id: str) -> tuple[str | None, str | None]:
    """What went wrong with an answer, and its conversation; of one that none keeps, its receipt says so."""
    if (row := repository.answer(answer_id)) is not None:
        return (row.problem or {}).get("code"), row.conversation_id
    kept = repository.receipt(answer_id)
    receipt = Receipt.model_validate_json(kept.body) if kept else None
    if receipt is None or receipt.conversation_id:
        raise NotFoundError("answer")
    return receipt.problem, None


def _ask_to_stop(access: Access, answer_id: str, database: Database) -> None:
    with database.write() as session:
        repository = AssistantRepository(session, access)
        if repository.answer(answer_id) is not None:
            repository.ask_to_stop(answer_id)
            record(session, AUDIT_OUTBOX, event_of(access, "answer.stopped", answer_id))


def _load_answer(access: Access, answer_id: str, database: Database) -> AnswerRow:
    with database.read() as session:
        row = AssistantRepository(session, access).answer(answer_id)
    if row is None:
        raise NotFoundError("answer")
    return row


def _own(repository: AssistantRepository, conversation_id: str) -> ConversationRow:
    row = repository.conversation(conversation_id)
    if row is None:
        raise NotFoundError("conversation")
    return row


def _to_conversation(row: ConversationRow) -> Conversation:
    return Conversation(
        id=row.id,
        title=row.title,
        knowledge_base_ids=row.knowledge_base_ids,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _write_cursor(row: ConversationRow) -> str:
    return f"{int(row.updated_at.timestamp() * 1_000_000)}-{row.id}"


def _read_cursor(cursor: str) -> tuple[datetime, str] | None:
    if not cursor:
        return None
    micros, _, row_id = cursor.partition("-")
    if not micros.isdecimal() or len(micros) > _MICROS_DIGITS or not row_id:
        raise UnprocessableError("This cursor is none of ours.", remedy="Start the listing without one.")
    seconds, rest = divmod(int(micros), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), row_id


async def _in_thread(assistant: Assistant, work: Callable[[], T]) -> T:
    return await to_thread.run_sync(work, limiter=assistant.calls)


class _ServiceTools:
    """The other services on behalf of one principal; blocking calls run in worker threads."""

    def __init__(self, principal: Principal, assistant: Assistant) -> None:
        self._principal = principal
        self._assistant = assistant

    async def search(self, query: str, knowledge_base_ids: Sequence[str], limit: int) -> SearchResult:
        request = SearchRequest(query=query, knowledge_base_ids=list(knowledge_base_ids), limit=limit)
        return await _in_thread(self._assistant, partial(self._assistant.knowledge.search, self._principal, request))

    async def readable(self, passage_ids: Sequence[str]) -> set[str]:
        ids = list(passage_ids)
        knowledge = self._assistant.knowledge
        return (
            await _in_thread(self._assistant, partial(knowledge.readable_passages, self._principal, ids))
            if ids
            else set()
        )

    async def screen(self, surface: Surface, texts: Sequence[str]) -> Screening:
        screen = self._assistant.safety.screen
        return await _in_thread(self._assistant, partial(screen, self._principal, surface, texts))

    async def step(self, step: StreamStep) -> StreamStepped:
        return await _in_thread(self._assistant, partial(self._assistant.safety.step, self._principal, step))

    async def model(self) -> ModelProfile | None:
        """The chat model to use; None if there is none, or the inference service does not say."""
        try:
            listed = await _in_thread(self._assistant, partial(self._assistant.inference.models, self._principal))
        except ZhikuError:
            return None
        profiles = [profile for info in listed.models if (profile := profile_of(info)) is not None]
        return profiles[0] if profiles else None

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        return self._assistant.inference.stream_chat(self._principal, request)
