"""What can go wrong with a model.

ServiceUnavailableError
├── ModelMissingError         503  model_missing       nothing on disk; the remedy is a command
├── ModelCorruptError         503  model_corrupt       what is on disk is not what was pinned
├── ModelUnavailableError     503  model_unavailable   loading, stopped, or the endpoint does not answer
└── OverloadedError           503  overloaded          the queue is full; carries `retry_after_s`
UnprocessableError
├── ContextTooLongError       422  context_too_long    the prompt and the answer do not fit the model
└── UnknownModelError         422  unknown_model       no model of that name is served
"""

from zhiku_platform.errors import ServiceUnavailableError, UnprocessableError


class ModelMissingError(ServiceUnavailableError):
    code = "model_missing"
    title = "The model is not installed"


class ModelCorruptError(ServiceUnavailableError):
    code = "model_corrupt"
    title = "The model's files are not the ones we pinned"


class ModelUnavailableError(ServiceUnavailableError):
    code = "model_unavailable"
    title = "The model does not answer"


class OverloadedError(ServiceUnavailableError):
    """Too much is waiting. `retry_after_s` is also what the `Retry-After` header says."""

    code = "overloaded"
    title = "Too many requests are waiting"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(
            detail, remedy=f"Ask again in {retry_after_s} s, or add replicas.", retry_after_s=retry_after_s
        )
        self.retry_after_s = retry_after_s


class ContextTooLongError(UnprocessableError):
    code = "context_too_long"
    title = "Too long for the model"


class UnknownModelError(UnprocessableError):
    code = "unknown_model"
    title = "No such model"
