"""Answers that are being written in this process.

Each is written by a task of its own, so that it does not depend on who listens; listeners follow its
list of events from any number on. What is listed is kept in the database a moment later.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Final, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError

from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerEvent,
    AnswerProblem,
    AnswerState,
    DoneEvent,
    StartEvent,
)
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.assistant.answering.draft import Draft
from zhiku_services.assistant.answering.pipeline import Question, Tools, answer, bind_unfinished
from zhiku_services.assistant.answering.safeguard import Safeguard
from zhiku_services.assistant.errors import TooManyAnswersError, WithheldError
from zhiku_services.assistant.models import AnswerRow
from zhiku_services.assistant.ports import Knowledge
from zhiku_services.assistant.records import Asked, Records, write_draft
from zhiku_services.assistant.visibility import NOTHING, look, past_events, visible_answer

log = get_logger(__name__)
T = TypeVar("T")

HEARTBEAT_S: Final = 15.0
_KEEP_EVERY_S: Final = 0.25
_RENEW_EVERY_S: Final = 5.0
_MAX_RUNNING: Final = 200
_NOT_SHOWN: Final = AnswerProblem(
    code="rights_not_checked",
    detail="The answer is written and kept, but what you may read could not be checked just now.",
    remedy="Open the conversation again in a moment.",
)


class RunningAnswer:
    """One answer while it is written; `follow` can be called by any number of listeners."""

    def __init__(
        self,
        principal: Principal,
        asked: Asked,
        *,
        question: Question,
        tools: Tools,
        records: Records,
        knowledge: Knowledge,
    ) -> None:
        self.principal = principal
        self.asked = asked
        self.draft = Draft(asked.question)
        self._question = question
        self._tools = tools
        self._safeguard = Safeguard(self.draft, tools)
        self._records = records
        self._knowledge = knowledge
        self._limiter = CapacityLimiter(1)
        self._log: list[AnswerEvent] = []
        self._kept = 0
        self._is_finished = False
        self._changed = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Record the question, then start to write.

        Raises:
            NotRecordedError: the question could not be recorded.
        """
        await self._in_thread(self._records.begin)
        self._publish(StartEvent(answer_id=self.asked.answer_id, conversation_id=self.asked.conversation_id))
        self._writing = asyncio.create_task(self._write())
        self._task = asyncio.create_task(self._supervise(self._writing))

    async def follow(
        self, after: int = 0, *, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncIterator[tuple[int, AnswerEvent] | None]:
        """Yield the events numbered above `after`, from 1, until the last; None when nothing happened for a while."""
        index = max(0, min(after, len(self._log)))
        while True:
            while index < len(self._log):
                index += 1
                if index > after:
                    yield index, self._log[index - 1]
            if self._is_finished:
                if after >= len(self._log):
                    # The last event has the whole answer, so it comes whatever the listener has seen.
                    yield len(self._log), self._log[-1]
                return
            changed = self._changed
            try:
                async with asyncio.timeout(heartbeat_s):
                    await changed.wait()
            except TimeoutError:
                yield None

    async def resume(
        self, after: int, *, heartbeat_s: float = HEARTBEAT_S
    ) -> AsyncIterator[tuple[int, AnswerEvent] | None]:
        """Follow from a number on as somebody who comes back: what happened before is shown under current rights."""
        past = list(enumerate(self._log, 1))
        ids = [citation.passage_id for citation in self.draft.citations]
        sight = await self._in_thread(partial(look, self.principal, [*ids, *self.draft.source_hashes], self._knowledge))
        for n, event in past_events(past, sight, may_preview=sight.shows(self.draft.source_hashes)):
            if n > after:
                yield n, event
        async for item in self.follow(max(after, len(past)), heartbeat_s=heartbeat_s):
            yield item

    def cancel(self) -> None:
        """Stop writing, and keep what is there; does nothing once it is finished."""
        if self._writing is not None:
            self._writing.cancel()

    async def stop(self) -> None:
        """Stop writing, keep what is there, and wait until it is kept."""
        self.cancel()
        if self._task is not None:
            await asyncio.shield(self._task)

    def on_end(self, callback: Callable[[], object]) -> None:
        """Call back once the answer is finished and kept."""
        assert self._task is not None
        self._task.add_done_callback(lambda _: callback())

    async def _supervise(self, writing: asyncio.Task[None]) -> None:
        keeping = asyncio.create_task(self._keep_events(writing))
        try:
            state = await self._outcome(writing)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await self._finish(state)

    async def _outcome(self, writing: asyncio.Task[None]) -> AnswerState:
        try:
            await writing
        except asyncio.CancelledError:
            await self._keep_unfinished_sentence()
            return AnswerState.STOPPED
        except ZhikuError as error:
            self.draft.problem = _problem_of(error)
            return AnswerState.FAILED
        except Exception as error:  # noqa: BLE001 - a worker's outermost loop: the answer ends as failed, with a reason
            # Only the type: an exception may quote what a user wrote.
            log.error("answer_failed", answer_id=self.asked.answer_id, error=type(error).__name__)
            self.draft.problem = AnswerProblem(
                code="internal", detail="Zhiku could not write this answer.", remedy="Ask again."
            )
            return AnswerState.FAILED
        return AnswerState.DONE

    async def _write(self) -> None:
        written = answer(self._question, self.draft, self._tools)
        async with aclosing(self._safeguard.watch(written)) as events:
            async for event in events:
                self._publish(event)

    async def _keep_unfinished_sentence(self) -> None:
        """Keep what was begun when the answer was stopped; what cannot be checked now, or fails, is not kept."""
        try:
            async with aclosing(self._safeguard.watch(bind_unfinished(self.draft, self._tools))) as events:
                async for event in events:
                    self._publish(event)
        except ZhikuError as error:
            self.draft.problem = _problem_of(error)

    def _publish(self, event: AnswerEvent) -> None:
        self.draft.apply(event)
        self._log.append(event)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _keep_events(self, writing: asyncio.Task[None]) -> None:
        """Write new events down a few times a second, renew the lease, and see whether somebody asked to stop."""
        idle_s = 0.0
        while True:
            await asyncio.sleep(_KEEP_EVERY_S)
            idle_s += _KEEP_EVERY_S
            if self._kept == len(self._log) and idle_s < _RENEW_EVERY_S:
                continue
            idle_s = 0.0
            fresh = self._log[self._kept :]
            try:
                is_stop_asked = await self._in_thread(partial(self._records.append, self._kept + 1, fresh, self.draft))
            except SQLAlchemyError as error:
                # The database may be back in a moment; what is not kept now is kept then.
                log.warning("answer_events_not_kept", answer_id=self.asked.answer_id, error=type(error).__name__)
                continue
            self._kept += len(fresh)
            if is_stop_asked:
                writing.cancel()

    async def _finish(self, state: AnswerState) -> None:
        last = len(self._log) + 1
        try:
            await self._in_thread(partial(self._records.finish, self.draft, state, last))
        except Exception as error:  # noqa: BLE001 - a worker's outermost loop: without a record there is no answer
            log.error("answer_not_kept", answer_id=self.asked.answer_id, error=type(error).__name__)
            final = self._lost()
        else:
            final = await self._kept_answer(state)
        self._is_finished = True
        self._publish(DoneEvent(answer=final))

    async def _kept_answer(self, state: AnswerState) -> Answer:
        """The answer as it may be shown now; where rights cannot be checked now, without its words."""
        try:
            return await self._in_thread(partial(self._visible, state))
        except Exception as error:  # noqa: BLE001 - a worker's outermost loop: whoever listens has to hear the end
            log.error("answer_not_shown", answer_id=self.asked.answer_id, error=type(error).__name__)
            hidden = visible_answer(self.row(state), NOTHING)
            return hidden.model_copy(update={"problem": _NOT_SHOWN, "text": "", "sentences": []})

    def _visible(self, state: AnswerState) -> Answer:
        row = self.row(state)
        sight = look(self.principal, [citation.passage_id for citation in self.draft.citations], self._knowledge)
        return visible_answer(row, sight)

    def _lost(self) -> Answer:
        draft = Draft(self.asked.question)
        draft.problem = AnswerProblem(
            code="answer_not_recorded",
            detail="The answer could not be recorded, so it is withdrawn.",
            remedy="Ask again.",
        )
        self.draft = draft
        return visible_answer(self.row(AnswerState.FAILED), NOTHING)

    def row(self, state: AnswerState) -> AnswerRow:
        asked = self.asked
        row = AnswerRow(
            id=asked.answer_id,
            tenant=self.principal.tenant,
            owner=self.principal.sub,
            conversation_id=asked.conversation_id,
            question=asked.question,
            state=state,
            sentences=[],
            citations=[],
            searched=[],
            timings_ms={},
            lease_until=asked.created_at,
            created_at=asked.created_at,
        )
        write_draft(row, self.draft, state, len(self._log) + 1)
        return row

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._limiter)


def _problem_of(error: ZhikuError) -> AnswerProblem:
    problem = error.problem()
    categories = error.categories if isinstance(error, WithheldError) else []
    return AnswerProblem(code=problem.code, detail=problem.detail, remedy=problem.remedy, categories=categories)


class RunningAnswers:
    """Every answer that is being written in this process."""

    def __init__(self) -> None:
        self._running: dict[str, RunningAnswer] = {}

    async def start(self, running: RunningAnswer) -> RunningAnswer:
        """Record a question and begin to answer it.

        Raises:
            TooManyAnswersError: as many as can be are being written.
            NotRecordedError: the question could not be recorded.
        """
        if len(self._running) >= _MAX_RUNNING:
            raise TooManyAnswersError(_MAX_RUNNING)
        answer_id = running.asked.answer_id
        self._running[answer_id] = running
        try:
            await running.begin()
        except BaseException:
            del self._running[answer_id]
            raise
        running.on_end(lambda: self._running.pop(answer_id, None))
        return running

    def find(self, principal: Principal, answer_id: str) -> RunningAnswer | None:
        """An answer of this user that is being written here."""
        running = self._running.get(answer_id)
        if running is None or (running.principal.tenant, running.principal.sub) != (
            principal.tenant,
            principal.sub,
        ):
            return None
        return running

    async def stop_conversation(self, principal: Principal, conversation_id: str) -> None:
        """Stop what is being written in one conversation of this user."""
        for running in list(self._running.values()):
            if running.asked.conversation_id == conversation_id and self.find(principal, running.asked.answer_id):
                await running.stop()

    async def stop_all(self) -> None:
        """Stop every answer and keep its partial text; for the end of the process."""
        async with anyio.create_task_group() as group:
            for running in list(self._running.values()):
                group.start_soon(running.stop)
