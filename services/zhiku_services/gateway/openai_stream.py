"""An answer as OpenAI sends it: whole, or in chunks."""

import json
from collections.abc import AsyncIterator
from typing import Any

from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerEvent,
    AnswerState,
    AskRequest,
    DoneEvent,
    PhaseEvent,
    ResetEvent,
    SentenceEvent,
    StartEvent,
    TextEvent,
)
from zhiku_platform.errors import ServiceUnavailableError, ZhikuError
from zhiku_services.gateway.openai_messages import ChatCompletionRequest, source_of, usage_of
from zhiku_services.gateway.rendering import openai_error

_WITHDRAWN = "\n\n[以上内容未获文档支持，已撤回。The text above is withdrawn: the documents do not support it.]\n\n"


class AnswerFailedError(ServiceUnavailableError):
    """The assistant could not finish the answer; its own reason is in the detail."""

    code = "answer_failed"


def completion(chat: ChatCompletionRequest, asked: AskRequest, answer: Answer, created: int) -> dict[str, Any]:
    """A whole chat completion, its citations in `choices[0].message.zhiku`.

    Raises:
        AnswerFailedError: the answer ended as failed.
    """
    refuse_failed(answer)
    message = {"role": "assistant", "content": answer.text, "refusal": None, "zhiku": source_of(answer)}
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion",
        "created": created,
        "model": chat.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage_of(asked, answer.text),
    }


def refuse_failed(answer: Answer) -> None:
    """Raise what went wrong with an answer, if something did, with the number that an appeal names."""
    if answer.state is AnswerState.FAILED:
        problem = answer.problem
        remedy = problem.remedy if problem else "Ask again."
        raise AnswerFailedError(
            problem.detail if problem else "The answer could not be written.", remedy=f"{remedy} [{answer.id}]"
        )


async def chunks(
    chat: ChatCompletionRequest, asked: AskRequest, events: AsyncIterator[AnswerEvent], created: int
) -> AsyncIterator[bytes]:
    """A chat completion as server-sent chunks; the last one with a choice holds the citations in `zhiku`.

    Whole sentences are sent, each already bound to its sources, for what OpenAI's protocol has sent it cannot
    take back. Phases go out as comments, which keep the connection alive.
    """
    writer = _ChunkWriter(chat, created)
    try:
        async for event in events:
            if isinstance(event, StartEvent):
                writer.start(event.answer_id)
                yield writer.delta({"role": "assistant", "content": ""})
            if isinstance(event, PhaseEvent):
                yield f": {event.phase}\n\n".encode()
            for text in writer.take(event):
                yield writer.delta({"content": text})
            if isinstance(event, DoneEvent):
                refuse_failed(event.answer)
                yield writer.last(event.answer)
                if chat.reports_usage:
                    yield writer.usage(usage_of(asked, event.answer.text))
    except ZhikuError as error:
        yield _encode(openai_error(error.problem()))
    yield b"data: [DONE]\n\n"


class _ChunkWriter:
    """Decides when a sentence can no longer be withdrawn, and writes it.

    A model whose words are previewed is checked sentence by sentence, so its sentences go out at once. One
    without previews is checked at its end, so its sentences wait; quotes after a reset never change.
    """

    def __init__(self, chat: ChatCompletionRequest, created: int) -> None:
        self._frame: dict[str, Any] = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": created,
            "model": chat.model,
        }
        self._reports_usage = chat.reports_usage
        self._held: list[str] = []
        self._sent = ""
        self._is_settled = False

    def take(self, event: AnswerEvent) -> list[str]:
        """The pieces of text that can go out after `event`."""
        match event:
            case TextEvent():
                self._is_settled = True
            case SentenceEvent():
                self._held.append(event.sentence.text)
            case ResetEvent():
                self._held = []
                self._is_settled = True
                return self._withdraw()
            case DoneEvent():
                self._is_settled = True
            case _:
                pass
        return self._release() if self._is_settled else []

    def delta(self, delta: dict[str, Any]) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}])

    def last(self, answer: Answer) -> bytes:
        choice = {"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None}
        return self._chunk([choice], zhiku=source_of(answer))

    def usage(self, usage: dict[str, int]) -> bytes:
        return self._chunk([], usage=usage)

    def start(self, answer_id: str) -> None:
        self._frame["id"] = f"chatcmpl-{answer_id}"

    def _release(self) -> list[str]:
        pieces: list[str] = []
        for sentence in self._held:
            pieces.append(_space_between(self._sent, sentence) + sentence)
            self._sent = sentence
        self._held = []
        return pieces

    def _withdraw(self) -> list[str]:
        if not self._sent:
            return []
        self._sent = ""
        return [_WITHDRAWN]

    def _chunk(self, choices: list[dict[str, Any]], **extra: object) -> bytes:
        usage = {"usage": None} if self._reports_usage else {}
        return _encode({**self._frame, "choices": choices, **usage, **extra})


def _space_between(before: str, after: str) -> str:
    """A space between sentences of letters, none beside Chinese ones."""
    return " " if before and before[-1].isascii() and after[:1].isascii() else ""


def _encode(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
