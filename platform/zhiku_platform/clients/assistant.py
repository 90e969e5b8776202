"""The assistant service, typed."""

from collections.abc import AsyncIterator, Iterator

import httpx2
from pydantic import TypeAdapter

from zhiku_platform.access import PrincipalSigner, service_principal
from zhiku_platform.clients.base import ServiceClient, headers_for, raise_problem, unreachable
from zhiku_platform.contracts.assistant import AnswerEvent, AskRequest, LearnableAnswer
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.retention import DueCount
from zhiku_platform.contracts.wire import Page

_EVENT: TypeAdapter[AnswerEvent] = TypeAdapter(AnswerEvent)


class FeedbackClient(ServiceClient):
    """What users said of answers, for the service that makes datasets of it."""

    service = "assistant"

    def learnable_answers(self, tenant: str) -> Iterator[LearnableAnswer]:
        """Every answer of a tenant of which its user lets a model learn."""
        principal = service_principal("finetune", tenant)
        cursor: str | None = ""
        while cursor is not None:
            path = f"/internal/learnable-answers?cursor={cursor}"
            page = self._call(principal, "GET", path, Page[LearnableAnswer])
            yield from page.items
            cursor = page.next_cursor


class ConversationsClient(ServiceClient):
    """How many conversations a rule would delete, for the service that has the rules."""

    service = "assistant"

    def count_due(self, principal: Principal, days: int) -> int:
        """How many of the principal's tenant were last used more than `days` ago."""
        own = service_principal("governance", principal.tenant)
        return self._call(own, "GET", f"/internal/due-conversations?days={days}", DueCount).due


class AssistantClient:
    """Asks on behalf of a principal; a stream, so it lives on the event loop."""

    service = "assistant"

    def __init__(self, http: httpx2.AsyncClient, signer: PrincipalSigner) -> None:
        self._http = http
        self._signer = signer

    async def ask(self, principal: Principal, request: AskRequest) -> AsyncIterator[AnswerEvent]:
        """Stream the answer to a question, to its `DoneEvent`. Closing the stream stops the answer.

        Raises:
            RemoteProblemError: the assistant refused the question.
            ServiceUnavailableError: it does not answer.
        """
        headers = {**headers_for(self._signer, principal), "Accept": "text/event-stream"}
        try:
            async with self._http.stream(
                "POST", "/internal/ask", headers=headers, content=request.model_dump_json()
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise_problem(self.service, response)
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        yield _EVENT.validate_json(line.removeprefix("data:"))
        except httpx2.TransportError as error:
            raise unreachable(self.service) from error
