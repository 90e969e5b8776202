"""The safety service, typed."""

from collections.abc import Sequence

from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.safety import Screening, ScreenRequest, StreamStep, StreamStepped, Surface


class SafetyClient(ServiceClient):
    """Screens texts and streams. Who cannot reach it must not go on as if nothing had been found."""

    service = "safety"

    def screen(self, principal: Principal, surface: Surface, texts: Sequence[str]) -> Screening:
        """Screen up to 64 whole texts."""
        request = ScreenRequest(surface=surface, texts=list(texts))
        return self._call(principal, "POST", "/internal/screen", Screening, request)

    def step(self, principal: Principal, step: StreamStep) -> StreamStepped:
        """Take one step in the stream of an answer."""
        return self._call(principal, "POST", "/internal/stream-step", StreamStepped, step)
