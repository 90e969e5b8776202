"""The errors of the assistant service."""

from zhiku_platform.errors import ConflictError, ServiceUnavailableError, TooManyRequestsError


class NotRecordedError(ServiceUnavailableError):
    """A question that the audit log cannot hold is not answered."""

    code = "not_recorded"
    title = "The question could not be recorded"

    def __init__(self) -> None:
        super().__init__("The question could not be recorded, so it is not answered.", remedy="Try again in a moment.")


class AnswerFinishedError(ConflictError):
    code = "answer_finished"
    title = "The answer is finished"

    def __init__(self) -> None:
        super().__init__("This answer is already finished.", remedy="Read it, or ask again.")


class ReceiptTouchedError(ConflictError):
    code = "receipt_touched"
    title = "The receipt was changed"

    def __init__(self) -> None:
        super().__init__(
            "The stored receipt is not the one whose digest the audit log holds, so nothing is replayed from it.",
            remedy="Keep the database as it is, and call who answers for the audit.",
        )


class TooManyAnswersError(TooManyRequestsError):
    code = "too_many_answers"
    title = "Too many answers at once"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} answers are being written at this moment.", remedy="Try again in a few seconds.")
