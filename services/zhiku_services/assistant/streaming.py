"""Answer events as server-sent events."""

from collections.abc import AsyncIterator

from pydantic import TypeAdapter

from zhiku_platform.contracts.assistant import AnswerEvent

EVENTS: TypeAdapter[AnswerEvent] = TypeAdapter(AnswerEvent)
HEARTBEAT = b": alive\n\n"


def encode(n: int, event: AnswerEvent) -> bytes:
    """Write one event; its JSON has no line breaks."""
    data = event.model_dump_json()
    return f"id: {n}\nevent: {event.type}\ndata: {data}\n\n".encode()


async def encode_all(events: AsyncIterator[tuple[int, AnswerEvent] | None]) -> AsyncIterator[bytes]:
    """Write events as they come; None is a sign of life."""
    async for item in events:
        yield HEARTBEAT if item is None else encode(*item)
