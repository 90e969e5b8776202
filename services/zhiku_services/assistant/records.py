"""What is written down of an answer while it grows: rows, events, and the audit trail in the same transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import AuditEvent, Outcome, event_of, record
from zhiku_platform.contracts.assistant import AnswerEvent, AnswerProblem, AnswerState
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.assistant.answering.draft import Decision, Draft, replay
from zhiku_services.assistant.answering.wording import join_sentences
from zhiku_services.assistant.errors import NotRecordedError
from zhiku_services.assistant.models import AUDIT_OUTBOX, AnswerEventRow, AnswerRow, ReceiptRow
from zhiku_services.assistant.receipts import decisions_of, receipt_of, receipt_of_interrupted, stored
from zhiku_services.assistant.repository import AssistantRepository, abandoned_answers, events_of
from zhiku_services.assistant.streaming import EVENTS

LEASE: Final = timedelta(seconds=20)
_INTERRUPTED: Final = AnswerProblem(
    code="interrupted", detail="Zhiku was stopped while it wrote this answer.", remedy="Ask again."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that has been accepted. `conversation_id` is "" for one that no conversation keeps."""

    answer_id: str
    conversation_id: str
    question: str
    created_at: datetime


class Records(Protocol):
    """Keeps one answer. Called from worker threads, one call at a time."""

    def begin(self) -> None:
        """Record the question before anything is done about it.

        Raises:
            NotRecordedError: it could not be recorded, so it must not be answered.
        """
        ...

    def append(self, first: int, events: Sequence[AnswerEvent], draft: Draft) -> bool:
        """Keep events numbered from `first`, and what the draft stands on; return whether somebody asked to stop."""
        ...

    def finish(self, draft: Draft, state: AnswerState, last_event: int) -> None:
        """Keep the final state."""
        ...


class StoredRecords:
    """Keeps an answer in its conversation."""

    def __init__(self, access: Access, database: Database, asked: Asked) -> None:
        self._access = access
        self._database = database
        self._asked = asked

    def begin(self) -> None:
        asked = self._asked
        try:
            with self._database.write() as session:
                repository = AssistantRepository(session, self._access)
                conversation = repository.conversation(asked.conversation_id)
                if conversation is None:
                    raise NotFoundError("conversation")
                conversation.updated_at = asked.created_at
                conversation.title = conversation.title or title_of(asked.question)
                repository.add(conversation)
                repository.add(_new_row(self._access, asked))
                record(session, AUDIT_OUTBOX, _asked_event(self._access, asked))
        except SQLAlchemyError as error:
            raise NotRecordedError from error

    def append(self, first: int, events: Sequence[AnswerEvent], draft: Draft) -> bool:
        with self._database.write() as session:
            repository = AssistantRepository(session, self._access)
            row = repository.answer(self._asked.answer_id)
            if row is None:
                return True
            row.lease_until = utc_now() + LEASE
            row.last_event = first + len(events) - 1
            row.receipt_so_far = _so_far(self._access, self._asked, draft)
            repository.add(row)
            repository.add_events(
                [
                    AnswerEventRow(answer_id=row.id, n=n, event=event.model_dump(mode="json"))
                    for n, event in enumerate(events, first)
                ]
            )
            return row.is_stop_asked

    def finish(self, draft: Draft, state: AnswerState, last_event: int) -> None:
        with self._database.write() as session:
            repository = AssistantRepository(session, self._access)
            row = repository.answer(self._asked.answer_id)
            if row is not None:
                write_draft(row, draft, state, last_event)
                repository.add(row)
                repository.forget_events(row.id)
            _close(session, self._access, self._asked, draft, state)


class AuditedRecords:
    """Keeps nothing but the receipt and the audit trail."""

    def __init__(self, access: Access, database: Database, asked: Asked) -> None:
        self._access = access
        self._database = database
        self._asked = asked

    def begin(self) -> None:
        try:
            with self._database.write() as session:
                record(session, AUDIT_OUTBOX, _asked_event(self._access, self._asked))
        except SQLAlchemyError as error:
            raise NotRecordedError from error

    def append(self, first: int, events: Sequence[AnswerEvent], draft: Draft) -> bool:
        del first, events, draft
        return False

    def finish(self, draft: Draft, state: AnswerState, last_event: int) -> None:
        del last_event
        with self._database.write() as session:
            _close(session, self._access, self._asked, draft, state)


def title_of(question: str) -> str:
    """A conversation's title: the first question on one line, cut."""
    line = " ".join(question.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _new_row(access: Access, asked: Asked) -> AnswerRow:
    return AnswerRow(
        id=asked.answer_id,
        tenant=access.tenant,
        owner=access.principal.sub,
        conversation_id=asked.conversation_id,
        question=asked.question,
        state=AnswerState.STREAMING,
        sentences=[],
        citations=[],
        searched=[],
        timings_ms={},
        receipt_so_far=_so_far(access, asked, Draft(asked.question)),
        lease_until=asked.created_at + LEASE,
        created_at=asked.created_at,
    )


def write_draft(row: AnswerRow, draft: Draft, state: AnswerState, last_event: int) -> None:
    """Put the final state of a draft into its row."""
    row.state = state
    row.mode = draft.mode
    row.rewritten_question = draft.rewritten_question
    row.sentences = _dump(draft.sentences)
    row.citations = _dump(draft.citations)
    row.searched = list(draft.searched)
    row.timings_ms = dict(draft.timings_ms)
    row.problem = draft.problem.model_dump() if draft.problem else None
    row.last_event = last_event
    row.receipt_so_far = None


def _so_far(access: Access, asked: Asked, draft: Draft) -> dict[str, Any]:
    receipt = receipt_of(access, asked.answer_id, asked.conversation_id, asked.created_at, draft, AnswerState.STREAMING)
    return receipt.model_dump(mode="json")


def _dump(messages: Sequence[BaseModel]) -> list[dict[str, Any]]:
    return [message.model_dump(mode="json") for message in messages]


def _asked_event(access: Access, asked: Asked) -> AuditEvent:
    event = event_of(
        access,
        "question.asked",
        asked.answer_id,
        conversation=asked.conversation_id or None,
        chars=len(asked.question),
    )
    return _sealing(event, asked, {"question": asked.question})


def _sealing(event: AuditEvent, asked: Asked, texts: Mapping[str, str]) -> AuditEvent:
    """What people wrote and read, under the key of their conversation, so that it can be forgotten with it."""
    return event.model_copy(update={"sealed": dict(texts), "group": asked.conversation_id or asked.answer_id})


def _close(session: Session, access: Access, asked: Asked, draft: Draft, state: AnswerState) -> None:
    """Write the receipt, and the event that carries its digest."""
    receipt = receipt_of(access, asked.answer_id, asked.conversation_id, asked.created_at, draft, state)
    row = stored(receipt)
    AssistantRepository(session, access).add(row)
    if draft.decisions:
        record(session, AUDIT_OUTBOX, _found_event(access, asked, draft))
    record(session, AUDIT_OUTBOX, _given_event(access, asked, draft, state, row.sha256))


def _found_event(access: Access, asked: Asked, draft: Draft) -> AuditEvent:
    """What the safety policy decided; one entry of each list for each decision, and none of the words."""
    found = _found(sorted(draft.decisions), draft.policy.digest if draft.policy else None)
    return event_of(access, "safety.found", asked.answer_id, **found)


def _found(decided: Sequence[Decision], policy: str | None) -> dict[str, Detail]:
    return {
        "surfaces": [one.surface.value for one in decided],
        "categories": [one.category.value for one in decided],
        "severities": [one.severity.name.lower() for one in decided],
        "verdicts": [one.verdict.value for one in decided],
        "policy": policy,
    }


def _given_event(access: Access, asked: Asked, draft: Draft, state: AnswerState, receipt: str) -> AuditEvent:
    cited = list(dict.fromkeys(citation.passage_id for citation in draft.citations))
    read = [found.passage for found in draft.read]
    event = event_of(
        access,
        "answer.given",
        asked.answer_id,
        conversation=asked.conversation_id or None,
        documents=list(dict.fromkeys(passage.document_id for passage in read)),
        knowledge_bases=list(dict.fromkeys(passage.knowledge_base_id for passage in read)),
        state=state.value,
        mode=draft.mode.value if draft.mode else None,
        passages=cited,
        content_hashes=[draft.source_hashes.get(passage_id, "") for passage_id in cited],
        sentences=len(draft.sentences),
        model=draft.model_use.model if draft.model_use else None,
        prompt_version=draft.model_use.prompt_version if draft.model_use else None,
        receipt=receipt,
        problem=draft.problem.code if draft.problem else None,
    )
    text = join_sentences([sentence.text for sentence in draft.sentences])
    event = _sealing(event, asked, {"answer": text}) if text else event
    return event.model_copy(update={"outcome": Outcome.FAILED}) if state is AnswerState.FAILED else event


def close_abandoned(database: Database, *, all_of_them: bool) -> int:
    """Finish answers whose process died, with the sentences they had; return how many.

    `all_of_them` closes every streaming answer, which only the one process on a database may do; otherwise
    only those whose lease ended.
    """
    with database.write() as session:
        rows = abandoned_answers(session, None if all_of_them else utc_now())
        for row in rows:
            events = [EVENTS.validate_python(item.event) for item in events_of(session, row)]
            draft = replay(row.question, events)
            draft.problem = _INTERRUPTED
            receipt_of_it = receipt_of_interrupted(row.receipt_so_far, draft) if row.receipt_so_far else None
            receipt = stored(receipt_of_it) if receipt_of_it else None
            if receipt is not None:
                session.add(receipt)
            write_draft(row, draft, AnswerState.FAILED, row.last_event + 1)
            row.mode = None
            session.add(row)
            for item in events_of(session, row):
                session.delete(item)
            decided, policy = decisions_of(receipt_of_it) if receipt_of_it else ([], None)
            if decided:
                event = AuditEvent(
                    action="safety.found",
                    tenant=row.tenant,
                    actor=row.owner,
                    subject=row.id,
                    details=_found(decided, policy),
                )
                record(session, AUDIT_OUTBOX, event)
            record(
                session,
                AUDIT_OUTBOX,
                AuditEvent(
                    action="answer.interrupted",
                    tenant=row.tenant,
                    actor="svc-assistant",
                    subject=row.id,
                    outcome=Outcome.FAILED,
                    details=_shown(row, draft, receipt),
                ),
            )
        return len(rows)


def _shown(row: AnswerRow, draft: Draft, receipt: ReceiptRow | None) -> dict[str, Detail]:
    """What had been shown of an answer when it was cut off."""
    return {
        "conversation": row.conversation_id,
        "passages": list(dict.fromkeys(citation.passage_id for citation in draft.citations)),
        "documents": list(dict.fromkeys(citation.document_id for citation in draft.citations)),
        "knowledge_bases": list(dict.fromkeys(citation.knowledge_base_id for citation in draft.citations)),
        "sentences": len(draft.sentences),
        "receipt": receipt.sha256 if receipt else None,
    }
