"""The assistant service, typed."""

from collections.abc import AsyncIterator

import httpx2
from pydantic import TypeAdapter

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.clients.base import headers_for, raise_problem, unreachable
from zhiku_platform.contracts.assistant import AnswerEvent, AskRequest
from zhiku_platform.contracts.identity import Principal

_EVENT: TypeAdapter[AnswerEvent] = TypeAdapter(AnswerEvent)


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
