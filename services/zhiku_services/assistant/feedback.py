"""What users say of their answers: each bound to the receipt of the answer that it speaks of."""

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.assistant import AnswerState, Fault, Feedback, NewFeedback, Rating
from zhiku_platform.db import utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.assistant.errors import AnswerUnfinishedError
from zhiku_services.assistant.models import AUDIT_OUTBOX, FeedbackRow
from zhiku_services.assistant.repository import AssistantRepository


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
