"""Every query of the assistant service. Each starts from the caller's own conversations."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import tuple_
from sqlmodel import Session, col, delete, select, update

from zhiku_platform.access import Access, Permission
from zhiku_services.assistant.models import AnswerEventRow, AnswerRow, ConversationRow, FeedbackRow, ReceiptRow


class AssistantRepository:
    """The rows of one user, in one transaction."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._tenant = access.tenant
        self._owner = access.principal.sub

    def conversations(self, before: tuple[datetime, str] | None, limit: int) -> list[ConversationRow]:
        """The caller's conversations, the one last used first."""
        query = select(ConversationRow).where(
            col(ConversationRow.tenant) == self._tenant, col(ConversationRow.owner) == self._owner
        )
        place = tuple_(col(ConversationRow.updated_at), col(ConversationRow.id))
        if before is not None:
            query = query.where(place < tuple_(*before))
        return list(
            self._session.exec(
                query.order_by(col(ConversationRow.updated_at).desc(), col(ConversationRow.id).desc()).limit(limit)
            )
        )

    def conversation(self, conversation_id: str) -> ConversationRow | None:
        query = select(ConversationRow).where(
            col(ConversationRow.id) == conversation_id,
            col(ConversationRow.tenant) == self._tenant,
            col(ConversationRow.owner) == self._owner,
        )
        return self._session.exec(query).first()

    def delete_conversation(self, conversation: ConversationRow) -> None:
        """Delete a conversation with its answers, their events and what was said of them."""
        answers = select(AnswerRow.id).where(col(AnswerRow.conversation_id) == conversation.id)
        self._session.exec(delete(FeedbackRow).where(col(FeedbackRow.answer_id).in_(answers)))
        self._session.exec(delete(AnswerEventRow).where(col(AnswerEventRow.answer_id).in_(answers)))
        self._session.exec(delete(AnswerRow).where(col(AnswerRow.conversation_id) == conversation.id))
        self._session.delete(conversation)
        self._session.flush()

    def answers(self, conversation_id: str) -> list[AnswerRow]:
        """The answers of a conversation, oldest first."""
        query = select(AnswerRow).where(
            col(AnswerRow.conversation_id) == conversation_id,
            col(AnswerRow.tenant) == self._tenant,
            col(AnswerRow.owner) == self._owner,
        )
        return list(self._session.exec(query.order_by(col(AnswerRow.created_at), col(AnswerRow.id))))

    def answer(self, answer_id: str) -> AnswerRow | None:
        query = select(AnswerRow).where(
            col(AnswerRow.id) == answer_id,
            col(AnswerRow.tenant) == self._tenant,
            col(AnswerRow.owner) == self._owner,
        )
        return self._session.exec(query).first()

    def events(self, answer_id: str) -> list[AnswerEventRow]:
        """The events of an answer of the caller that is being written, in order."""
        query = (
            select(AnswerEventRow)
            .join(AnswerRow, col(AnswerRow.id) == col(AnswerEventRow.answer_id))
            .where(
                col(AnswerEventRow.answer_id) == answer_id,
                col(AnswerRow.tenant) == self._tenant,
                col(AnswerRow.owner) == self._owner,
            )
        )
        return list(self._session.exec(query.order_by(col(AnswerEventRow.n))))

    def receipt(self, answer_id: str) -> ReceiptRow | None:
        query = select(ReceiptRow).where(
            col(ReceiptRow.answer_id) == answer_id,
            col(ReceiptRow.tenant) == self._tenant,
            col(ReceiptRow.owner) == self._owner,
        )
        return self._session.exec(query).first()

    def feedback(self, answer_ids: Sequence[str]) -> dict[str, FeedbackRow]:
        """What the caller said of answers, by answer."""
        query = select(FeedbackRow).where(
            col(FeedbackRow.answer_id).in_(answer_ids),
            col(FeedbackRow.tenant) == self._tenant,
            col(FeedbackRow.owner) == self._owner,
        )
        return {row.answer_id: row for row in self._session.exec(query)}

    def withdraw_feedback(self, row: FeedbackRow) -> None:
        self._session.delete(row)
        self._session.flush()

    def add(self, row: ConversationRow | AnswerRow | ReceiptRow | FeedbackRow) -> None:
        self._session.add(row)
        self._session.flush()

    def add_events(self, rows: Sequence[AnswerEventRow]) -> None:
        self._session.add_all(rows)
        self._session.flush()

    def forget_events(self, answer_id: str) -> None:
        self._session.exec(delete(AnswerEventRow).where(col(AnswerEventRow.answer_id) == answer_id))

    def ask_to_stop(self, answer_id: str) -> None:
        """Leave a note for the process that writes the answer."""
        self._session.exec(update(AnswerRow).where(col(AnswerRow.id) == answer_id).values(is_stop_asked=True))


class ReceiptReview:
    """The receipts and answers of a reviewer's tenant, whoever asked."""

    def __init__(self, session: Session, access: Access) -> None:
        if access.permission not in {Permission.RECEIPT_REVIEW, Permission.AUDIT_REVEAL}:
            raise TypeError(f"a review needs `{Permission.RECEIPT_REVIEW}`, not `{access.permission}`")
        self._session = session
        self._tenant = access.tenant

    def receipt(self, answer_id: str) -> ReceiptRow | None:
        query = select(ReceiptRow).where(col(ReceiptRow.answer_id) == answer_id, col(ReceiptRow.tenant) == self._tenant)
        return self._session.exec(query).first()

    def answer(self, answer_id: str) -> AnswerRow | None:
        query = select(AnswerRow).where(col(AnswerRow.id) == answer_id, col(AnswerRow.tenant) == self._tenant)
        return self._session.exec(query).first()


class Learnable:
    """The answers of a tenant of which their users let a model learn, for the service that makes datasets of them."""

    def __init__(self, session: Session, access: Access) -> None:
        if access.permission is not Permission.FEEDBACK_COLLECT:
            raise TypeError(f"this needs `{Permission.FEEDBACK_COLLECT}`, not `{access.permission}`")
        self._session = session
        self._tenant = access.tenant

    def answers(self, *, after: str, limit: int) -> Sequence[tuple[AnswerRow, FeedbackRow, ReceiptRow]]:
        query = (
            select(AnswerRow, FeedbackRow, ReceiptRow)
            .join(FeedbackRow, col(FeedbackRow.answer_id) == col(AnswerRow.id))
            .join(ReceiptRow, col(ReceiptRow.answer_id) == col(AnswerRow.id))
            .where(
                col(AnswerRow.tenant) == self._tenant,
                col(AnswerRow.id) > after,
                col(AnswerRow.state) == "done",
                col(FeedbackRow.may_train).is_(True),
                col(FeedbackRow.receipt_sha256) == col(ReceiptRow.sha256),
            )
        )
        return self._session.exec(query.order_by(col(AnswerRow.id)).limit(limit)).all()


def abandoned_answers(session: Session, now: datetime | None) -> list[AnswerRow]:
    """Answers that nobody writes any more, of any tenant: those whose lease ended before `now`, or all."""
    query = select(AnswerRow).where(col(AnswerRow.state) == "streaming")
    if now is not None:
        query = query.where(col(AnswerRow.lease_until) < now)
    # Of several who look at the same moment, one closes each.
    return list(session.exec(query.with_for_update(skip_locked=True)))


def events_of(session: Session, answer: AnswerRow) -> list[AnswerEventRow]:
    """The events of an abandoned answer, in order."""
    query = select(AnswerEventRow).where(col(AnswerEventRow.answer_id) == answer.id)
    return list(session.exec(query.order_by(col(AnswerEventRow.n))))
