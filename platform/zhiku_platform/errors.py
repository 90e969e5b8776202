"""Typed errors, and how they reach a caller.

    ZhikuError
    ├── NotSignedInError          401  not_signed_in
    ├── ForbiddenError            403  forbidden
    ├── NotFoundError             404  not_found
    ├── RequestTimeoutError       408  request_timeout
    ├── ConflictError             409  conflict
    ├── PayloadTooLargeError      413  payload_too_large
    ├── UnprocessableError        422  invalid_request
    ├── TooManyRequestsError      429  too_many_requests
    ├── UnsafeSettingsError       500  unsafe_settings
    └── ServiceUnavailableError   503  unavailable

Each service derives its own from these. The class carries the HTTP status and a stable code, the
instance what happened and what to do about it; neither may hold a secret or a user's text.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """An error on the wire, RFC 9457 `application/problem+json`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    request_id: str | None = None


class ZhikuError(Exception):
    """Something that a caller can be told about, with a remedy."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, remedy: str, **extra: str | int | float | None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.detail} ({self.code}). {self.remedy}"

    def problem(self, request_id: str | None = None) -> Problem:
        """Render this error for the wire."""
        return Problem.model_validate(
            {
                **self.extra,
                "type": f"urn:zhiku:error:{self.code}",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "code": self.code,
                "remedy": self.remedy,
                "request_id": request_id,
            }
        )


class NotSignedInError(ZhikuError):
    status = 401
    code = "not_signed_in"
    title = "Not signed in"


class ForbiddenError(ZhikuError):
    """The caller lacks a permission of its own; never used for an object it may not see."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFoundError(ZhikuError):
    """Missing, or not visible to the caller: the two must not differ by a byte."""

    status = 404
    code = "not_found"
    title = "Not found"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.", remedy="Check the address, or ask its owner for access.")


class RequestTimeoutError(ZhikuError):
    status = 408
    code = "request_timeout"
    title = "The request took too long to arrive"


class ConflictError(ZhikuError):
    status = 409
    code = "conflict"
    title = "Conflict"


class PayloadTooLargeError(ZhikuError):
    status = 413
    code = "payload_too_large"
    title = "Too large"


class UnprocessableError(ZhikuError):
    status = 422
    code = "invalid_request"
    title = "Invalid request"


class TooManyRequestsError(ZhikuError):
    status = 429
    code = "too_many_requests"
    title = "Too many requests"


class UnsafeSettingsError(ZhikuError):
    code = "unsafe_settings"
    title = "Unsafe settings"


class ServiceUnavailableError(ZhikuError):
    status = 503
    code = "unavailable"
    title = "Not available right now"


class RemoteProblemError(ZhikuError):
    """An error that another Zhiku service rendered; passed on as it came."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, remedy=problem.remedy)
        self.remote = problem

    @property
    def remote_code(self) -> str:
        """The stable code the other service gave."""
        return self.remote.code

    def problem(self, request_id: str | None = None) -> Problem:
        return self.remote.model_copy(update={"request_id": request_id or self.remote.request_id})
