"""The chat model of the settings, asked one question after the other."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from zhiku_platform.contracts.inference import ChatMessage, ChatRequest
from zhiku_platform.settings import Settings
from zhiku_services.finetune.datasets.examples import Turn
from zhiku_services.inference.chat import ChatEngine
from zhiku_services.inference.service import open_models


@dataclass(frozen=True)
class ChatTeacher:
    """Answers without chance, whole answers alone."""

    engine: ChatEngine
    runner: asyncio.Runner
    max_tokens: int

    @property
    def name(self) -> str:
        return self.engine.describe().id

    def answer(self, turns: Sequence[Turn]) -> str | None:
        """What it answers; None if that has no end within `max_tokens`, or a turn is of a tool."""
        messages = [ChatMessage(role=turn.role, content=turn.content) for turn in turns if turn.role != "tool"]
        if len(messages) < len(turns):
            return None
        return self.runner.run(self._whole(ChatRequest(messages=messages, max_tokens=self.max_tokens)))

    async def _whole(self, request: ChatRequest) -> str | None:
        deltas = [delta async for delta in self.engine.stream(request)]
        text = "".join(delta.text for delta in deltas).strip()
        return text if deltas[-1].finish_reason == "stop" else None


@contextmanager
def open_teacher(settings: Settings, *, max_tokens: int) -> Iterator[ChatTeacher]:
    """Load it, or connect to it; let go of it at the end."""
    models = open_models(settings)
    with asyncio.Runner() as runner:
        try:
            # An endpoint knows the name of its only model once it was asked.
            ChatTeacher(models.chat, runner, 1).answer([Turn(role="user", content="Hi")])
            yield ChatTeacher(models.chat, runner, max_tokens)
        finally:
            runner.run(models.chat.close())
