"""The errors of the assistant service."""

from collections.abc import Iterable

from zhiku_platform.contracts.safety import Category
from zhiku_platform.errors import (
    ConflictError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnprocessableError,
)


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


class AnswerUnfinishedError(ConflictError):
    code = "answer_unfinished"
    title = "The answer is not finished"

    def __init__(self) -> None:
        super().__init__("This answer is still being written.", remedy="Wait until it is finished, or stop it.")


class ReceiptTouchedError(ConflictError):
    code = "receipt_touched"
    title = "The receipt was changed"

    def __init__(self) -> None:
        super().__init__(
            "The stored receipt is not the one whose digest the audit log holds, so nothing is replayed from it.",
            remedy="Keep the database as it is, and call who answers for the audit.",
        )


class NothingToAppealError(ConflictError):
    code = "nothing_to_appeal"
    title = "Nothing was withheld"

    def __init__(self) -> None:
        super().__init__("Policy withheld nothing here.", remedy="Ask again, or tell your administrator what is wrong.")


class TooManyAnswersError(TooManyRequestsError):
    code = "too_many_answers"
    title = "Too many answers at once"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} answers are being written at this moment.", remedy="Try again in a few seconds.")


class WithheldError(UnprocessableError):
    """Something that policy lets nobody ask or read, and the categories for which."""

    def __init__(self, categories: Iterable[Category], *, what: str, instead: str) -> None:
        self.categories = sorted(set(categories))
        super().__init__(
            f"Policy does not allow this {what} ({', '.join(self.categories)}), so {instead}.",
            remedy="Ask in other words. If this is a mistake, appeal, or tell your administrator this answer's number.",
        )


class UnsafeQuestionError(WithheldError):
    """A question that policy does not let anybody ask; nothing was searched for it."""

    code = "question_blocked"
    title = "The question is not answered"

    def __init__(self, categories: Iterable[Category]) -> None:
        super().__init__(categories, what="question", instead="nothing was searched")


class UnsafeAnswerError(WithheldError):
    """An answer that policy does not let anybody read."""

    code = "answer_withheld"
    title = "The answer is withheld"

    def __init__(self, categories: Iterable[Category]) -> None:
        super().__init__(categories, what="answer", instead="it is withheld")
