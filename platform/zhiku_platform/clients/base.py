"""What every typed client shares: the principal's header, the trace, and errors that arrive as errors."""

from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.errors import Problem, RemoteProblemError, ServiceUnavailableError
from zhiku_platform.telemetry import trace_headers

Answer = TypeVar("Answer", bound=BaseModel)


def raise_problem(service: str, response: httpx2.Response) -> None:
    """Turn an error response, already read, into the error that the service meant.

    Raises:
        RemoteProblemError: the service answered with problem+json.
        ServiceUnavailableError: the answer is an error and no problem+json.
    """
    if response.is_success:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError as error:
        raise ServiceUnavailableError(
            f"The {service} service answered with status {response.status_code}.", remedy="Try again in a moment."
        ) from error
    raise RemoteProblemError(problem)


def unreachable(service: str) -> ServiceUnavailableError:
    """The error for a service that could not be reached."""
    return ServiceUnavailableError(f"The {service} service does not answer.", remedy="Try again in a moment.")


class ServiceClient:
    """Calls one service as a principal. Used from threads; streams have async clients of their own."""

    service = "unnamed"

    def __init__(self, http: httpx2.Client, signer: PrincipalSigner) -> None:
        self._http = http
        self._signer = signer

    def _call(
        self, principal: Principal, method: str, path: str, answer: type[Answer], body: BaseModel | None = None
    ) -> Answer:
        return answer.model_validate_json(self._send(principal, method, path, body).content)

    def _send(self, principal: Principal, method: str, path: str, body: BaseModel | None = None) -> httpx2.Response:
        content: dict[str, Any] = {} if body is None else {"content": body.model_dump_json()}
        try:
            response = self._http.request(method, path, headers=headers_for(self._signer, principal), **content)
        except httpx2.TransportError as error:
            raise unreachable(self.service) from error
        raise_problem(self.service, response)
        return response


def headers_for(signer: PrincipalSigner, principal: Principal) -> dict[str, str]:
    """The headers of a call on behalf of `principal`."""
    return {PRINCIPAL_HEADER: signer.sign(principal), "Content-Type": "application/json", **trace_headers()}
