"""What users say of their answers: each bound to the receipt of the answer that it speaks of."""

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.assistant import (
    AnswerState,
    Fault,
    Feedback,
    LearnableAnswer,
    NewFeedback,
    Rating,
    Receipt,
)
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.assistant.answering.wording import join_sentences
from zhiku_services.assistant.errors import AnswerUnfinishedError
from zhiku_services.assistant.models import AUDIT_OUTBOX, AnswerRow, FeedbackRow, ReceiptRow
from zhiku_services.assistant.repository import AssistantRepository, Learnable


def give(access: Access, answer_id: str, new: NewFeedback, session: Session) -> Feedback:
    """Say something of one of the caller's answers, in place of what was said before.

    Raises:
        NotFoundError: the answer is missing, or another user's.
        AnswerUnfinishedError: it is still being written.
    """
    repository = AssistantRepository(session, access)
    answer = repository.answer(answer_id)
    if answer is None:
        raise NotFoundError("answer")
    receipt = repository.receipt(answer_id)
    if answer.state == AnswerState.STREAMING or receipt is None:
        raise AnswerUnfinishedError
    row = repository.feedback([answer_id]).get(answer_id) or FeedbackRow(
        answer_id=answer_id,
        tenant=access.tenant,
        owner=access.principal.sub,
        rating=new.rating,
        faults=[],
        comment="",
        correction="",
        may_train=False,
        receipt_sha256=receipt.sha256,
        given_at=utc_now(),
    )
    row.rating, row.faults = new.rating, sorted(set(new.faults))
    row.comment, row.correction = new.comment.strip(), new.correction.strip()
    row.may_train, row.given_at = new.may_train, utc_now()
    repository.add(row)
    event = event_of(
        access,
        "answer.rated",
        answer_id,
        rating=row.rating,
        faults=row.faults,
        is_corrected=bool(row.correction),
        may_train=row.may_train,
        receipt=row.receipt_sha256,
    )
    sealed = {"comment": row.comment, "correction": row.correction}
    record(
        session,
        AUDIT_OUTBOX,
        event.model_copy(update={"sealed": sealed, "group": answer.conversation_id}),
    )
    return feedback_of(row)


def withdraw(access: Access, answer_id: str, session: Session) -> None:
    """Take back what the caller said of an answer.

    Raises:
        NotFoundError: the caller said nothing of it.
    """
    repository = AssistantRepository(session, access)
    row = repository.feedback([answer_id]).get(answer_id)
    if row is None:
        raise NotFoundError("feedback")
    repository.withdraw_feedback(row)
    record(session, AUDIT_OUTBOX, event_of(access, "answer.rating_withdrawn", answer_id))


def learnable(access: Access, session: Session, *, cursor: str, limit: int) -> Page[LearnableAnswer]:
    """List the answers of the tenant of which their users let a model learn, by id.

    One that policy withheld something of, or that was not written to its end, is not among them; neither is one whose
    receipt is another than that which was rated.
    """
    rows = Learnable(session, access).answers(after=cursor, limit=limit + 1)
    # Not asked of the database: what is missing may stand there as JSON's null.
    items = [_learnable(*row) for row in rows[:limit] if row[0].problem is None]
    return Page(items=items, next_cursor=rows[limit - 1][0].id if len(rows) > limit else None)


def _learnable(answer: AnswerRow, row: FeedbackRow, receipt: ReceiptRow) -> LearnableAnswer:
    read = Receipt.model_validate_json(receipt.body).passages
    return LearnableAnswer(
        answer_id=answer.id,
        asked_by=answer.owner,
        question=answer.rewritten_question or answer.question,
        answer=join_sentences([sentence["text"] for sentence in answer.sentences]),
        rating=Rating(row.rating),
        correction=row.correction,
        document_ids=sorted({passage.document_id for passage in read}),
        receipt_sha256=receipt.sha256,
    )


def feedback_of(row: FeedbackRow) -> Feedback:
    return Feedback(
        rating=Rating(row.rating),
        faults=[Fault(fault) for fault in row.faults],
        comment=row.comment,
        correction=row.correction,
        may_train=row.may_train,
        receipt_sha256=row.receipt_sha256,
        given_at=row.given_at,
    )
