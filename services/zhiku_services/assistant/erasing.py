"""What the assistant holds of a person, and how it is erased.

Their own conversations, answers, ratings and receipts go. Those of others in which they are named go where that was
decided, each conversation as a whole: half of one would be another person's words put in order by us.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.contracts.holds import Held, HoldScope
from zhiku_platform.db import Database
from zhiku_platform.erasure import Mentions, counted, found
from zhiku_services.assistant.models import (
    AUDIT_OUTBOX,
    AnswerEventRow,
    AnswerRow,
    ConversationRow,
    FeedbackRow,
    ReceiptRow,
)
from zhiku_services.assistant.ports import Holds

_IN_LIMIT = 500
_HELD_LIMIT = 200


@dataclass(frozen=True)
class PersonalData:
    """Conversations and what stands on them."""

    database: Database
    holds: Holds

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.database.read() as session:
            return _Person(session, access, sought).report()

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        with self.database.write() as session:
            person = _Person(session, access, order)
            conversations = set(person.conversations()) | (set(person.conversations_of_others()) & set(order.decided))
            receipts = set(person.receipts()) | (set(person.receipts_of_others()) & set(order.decided))
            receipts |= _answers_of(session, conversations)
            owners = {order.sub} | _owners(session, conversations, receipts)
            for some in _slices(sorted(owners), _HELD_LIMIT):
                self.holds.check(access, [Held(scope=HoldScope.USER, id=sub) for sub in some])
            counts = {
                "conversation": _delete_conversations(session, conversations),
                "receipt": _delete_receipts(session, receipts),
            }
            if any(counts.values()):
                record(session, AUDIT_OUTBOX, event_of(access, "person.erased", order.erasure_id, **counts))
        self.database.scrub()
        return counts


class _Person:
    """The rows of one person in one transaction."""

    def __init__(self, session: Session, access: Access, sought: PersonSought) -> None:
        self._session = session
        self._tenant = access.tenant
        self._sub = sought.sub
        self._mentions = Mentions(sought.values)

    def report(self) -> list[Found]:
        own, receipts = self.conversations(), self.receipts()
        other, other_receipts = self.conversations_of_others(), self.receipts_of_others()
        return [
            *found("conversation", Disposition.ERASE, own, own),
            *found("receipt", Disposition.ERASE, receipts, receipts),
            *found("conversation_of_another", Disposition.DECIDE, other, other),
            *found("receipt_of_another", Disposition.DECIDE, other_receipts, other_receipts),
            *counted("event_on_its_way", Disposition.ERASE, self._waiting()),
        ]

    def conversations(self) -> list[str]:
        query = select(ConversationRow.id).where(
            col(ConversationRow.tenant) == self._tenant, col(ConversationRow.owner) == self._sub
        )
        return list(self._session.exec(query))

    def receipts(self) -> list[str]:
        query = select(ReceiptRow.answer_id).where(
            col(ReceiptRow.tenant) == self._tenant, col(ReceiptRow.owner) == self._sub
        )
        return list(self._session.exec(query))

    def conversations_of_others(self) -> list[str]:
        query = select(ConversationRow).where(
            col(ConversationRow.tenant) == self._tenant, col(ConversationRow.owner) != self._sub
        )
        titled = {row.id for row in self._session.exec(query) if self._mentions.found_in(row.title)}
        answers = select(AnswerRow).where(col(AnswerRow.tenant) == self._tenant, col(AnswerRow.owner) != self._sub)
        rows = self._session.exec(answers.execution_options(yield_per=_IN_LIMIT))
        named = {row.conversation_id for row in rows if self._mentions.found_in(*_texts(row))}
        return sorted(titled | named | self._rated_by_others())

    def _rated_by_others(self) -> set[str]:
        """Conversations of which others say something that names the person."""
        query = (
            select(AnswerRow.conversation_id, FeedbackRow.comment, FeedbackRow.correction)
            .join(FeedbackRow, col(FeedbackRow.answer_id) == col(AnswerRow.id))
            .where(col(FeedbackRow.tenant) == self._tenant, col(FeedbackRow.owner) != self._sub)
        )
        rows = self._session.exec(query)
        return {
            conversation for conversation, comment, correction in rows if self._mentions.found_in(comment, correction)
        }

    def receipts_of_others(self) -> list[str]:
        """Those whose conversation is no longer there, or never was: the others go with theirs."""
        kept = _answers_of(self._session, self.conversations_of_others())
        query = select(ReceiptRow).where(col(ReceiptRow.tenant) == self._tenant, col(ReceiptRow.owner) != self._sub)
        rows = self._session.exec(query.execution_options(yield_per=_IN_LIMIT))
        return [row.answer_id for row in rows if self._mentions.found_in(row.body) and row.answer_id not in kept]

    def _waiting(self) -> int:
        """Events of theirs that are not yet in the log, where alone they can be forgotten."""
        outbox = AUDIT_OUTBOX.c
        query = select(func.count()).where(outbox.tenant == self._tenant, outbox.actor == self._sub)
        return self._session.exec(query).one()


def _texts(row: AnswerRow) -> list[str | None]:
    whole = json.dumps([row.sentences, row.citations, row.receipt_so_far], ensure_ascii=False)
    return [row.question, row.rewritten_question, whole]


def _answers_of(session: Session, conversations: Collection[str]) -> set[str]:
    return {
        answer_id
        for some in _slices(sorted(conversations), _IN_LIMIT)
        for answer_id in session.exec(select(AnswerRow.id).where(col(AnswerRow.conversation_id).in_(some)))
    }


def _owners(session: Session, conversations: Collection[str], receipts: Collection[str]) -> set[str]:
    owners = set[str]()
    for some in _slices(sorted(conversations), _IN_LIMIT):
        owners |= set(session.exec(select(ConversationRow.owner).where(col(ConversationRow.id).in_(some))))
    for some in _slices(sorted(receipts), _IN_LIMIT):
        owners |= set(session.exec(select(ReceiptRow.owner).where(col(ReceiptRow.answer_id).in_(some))))
    return owners


def _delete_conversations(session: Session, conversations: Collection[str]) -> int:
    for some in _slices(sorted(conversations), _IN_LIMIT):
        answers = select(AnswerRow.id).where(col(AnswerRow.conversation_id).in_(some))
        session.exec(delete(AnswerEventRow).where(col(AnswerEventRow.answer_id).in_(answers)))
        session.exec(delete(AnswerRow).where(col(AnswerRow.conversation_id).in_(some)))
        session.exec(delete(ConversationRow).where(col(ConversationRow.id).in_(some)))
    return len(conversations)


def _delete_receipts(session: Session, receipts: Collection[str]) -> int:
    return sum(
        session.exec(delete(ReceiptRow).where(col(ReceiptRow.answer_id).in_(some))).rowcount
        for some in _slices(sorted(receipts), _IN_LIMIT)
    )


def _slices(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
