"""Ends an event stream when its caller's rights change: a session ended, a key revoked, a group left, a user gone,
a service's token run out.

A request is let in once; an answer that is being written may take a minute. The services ask for grants and ACLs again
before each sentence, but who the caller is, only the gateway knows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.telemetry import get_logger

log = get_logger(__name__)

ASK_EVERY_S = 1.0


class Identified(Protocol):
    """A session, the holder of a key, or a service."""

    @property
    def principal(self) -> Principal: ...


FindAgain = Callable[[], Awaitable[Identified | None]]
"""Looks up the caller again, by the credentials that came with the request."""


class EndWithRights:
    """ASGI middleware: cuts a stream of events once its caller is no more, or is not the same as at its start.

    It goes by `find_again` and `principal` of the request's state, which `Authenticate` puts there. The stream ends
    without its last event, so a client sees that it was cut, and may take it up again with the rights of then.
    """

    def __init__(self, app: ASGIApp, *, ask_every_s: float = ASK_EVERY_S) -> None:
        self._app = app
        self._ask_every_s = ask_every_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.get("state", {})
        find_again: FindAgain | None = state.get("find_again")
        if find_again is None:
            await self._app(scope, receive, send)
            return
        request = asyncio.current_task()
        assert request is not None
        watching: asyncio.Task[None] | None = None

        async def watched(message: Message) -> None:
            nonlocal watching
            if message["type"] == "http.response.start" and _is_event_stream(message):
                watching = asyncio.create_task(self._cancel_on_change(find_again, state["principal"], request))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if watching is None or not watching.done() or request.uncancel():
                raise
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if watching is not None:
                watching.cancel()

    async def _cancel_on_change(
        self, find_again: FindAgain, principal: Principal, request: asyncio.Task[object]
    ) -> None:
        try:
            found: Identified | None
            while True:
                await asyncio.sleep(self._ask_every_s)
                found = await find_again()
                if found is None or found.principal != principal:
                    break
        except Exception as error:  # noqa: BLE001 - whoever cannot be asked for counts as gone
            log.warning("stream_caller_unknown", error=type(error).__name__)
        log.info("stream_cut")
        request.cancel()


def _is_event_stream(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"]
    )
