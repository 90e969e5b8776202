"""A guard model behind an OpenAI-compatible endpoint: what it says of a text, or that it said nothing.

Qwen3Guard-Gen answers a chat with two lines, three where it judged an answer (github.com/QwenLM/Qwen3Guard):

    Safety: Safe | Controversial | Unsafe
    Categories: None, or names with commas between
    Refusal: Yes | No

Whatever else comes is no judgement.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

import openai
from openai.types.chat import ChatCompletionMessageParam

from zhiku_platform.contracts.safety import Category
from zhiku_services.safety.errors import GuardUnavailableError

_SHAPE: Final = re.compile(
    r"\s*Safety: (Safe|Controversial|Unsafe)[ \t]*\n+Categories: ([^\n]+?)[ \t]*(?:\n+Refusal: (?:Yes|No)[ \t]*)?\s*"
)
_CATEGORIES: Final = MappingProxyType(
    {
        "Violent": Category.VIOLENCE,
        "Non-violent Illegal Acts": Category.ILLEGAL,
        "Sexual Content or Sexual Acts": Category.SEXUAL,
        "PII": Category.PERSONAL_DATA,
        "Personally Identifiable Information": Category.PERSONAL_DATA,
        "Suicide & Self-Harm": Category.SELF_HARM,
        "Unethical Acts": Category.UNETHICAL,
        "Politically Sensitive Topics": Category.POLITICAL,
        "Copyright Violation": Category.COPYRIGHT,
        "Jailbreak": Category.JAILBREAK,
    }
)
_ANSWER_TOKENS: Final = 128
_AT_ONCE: Final = 8


class Level(StrEnum):
    SAFE = "Safe"
    CONTROVERSIAL = "Controversial"
    UNSAFE = "Unsafe"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a guard says of a text; it names no place in it, and no category for what is safe."""

    level: Level
    categories: tuple[Category, ...] = ()


class Guard(Protocol):
    """Called from worker threads."""

    @property
    def name(self) -> str:
        """The model, as it stands in the policy's digest."""
        ...

    def judge(self, texts: Sequence[str], *, question: str = "") -> list[Judgement]:
        """Judge each text: as what a user says, or as an answer to `question` if there is one.

        Raises:
            GuardUnavailableError: it did not answer in time, or not in its own form.
        """
        ...

    def close(self) -> None: ...


class GuardEndpoint:
    """A `Guard` served by vLLM, SGLang or llama.cpp; `timeout_s` is how long it may be silent."""

    def __init__(self, base_url: str, *, model: str, api_key: str | None = None, timeout_s: float = 5) -> None:
        self._model = model
        self._client = openai.OpenAI(base_url=base_url, api_key=api_key or "none", timeout=timeout_s, max_retries=0)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guard")

    @property
    def name(self) -> str:
        return self._model

    def judge(self, texts: Sequence[str], *, question: str = "") -> list[Judgement]:
        return list(self._threads.map(lambda text: self._judge(text, question), texts))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    def _judge(self, text: str, question: str) -> Judgement:
        said: list[ChatCompletionMessageParam] = [{"role": "user", "content": question or text}]
        if question:
            said.append({"role": "assistant", "content": text})
        try:
            completion = self._client.chat.completions.create(
                model=self._model, messages=said, temperature=0, max_tokens=_ANSWER_TOKENS
            )
        except openai.APIError as error:
            raise GuardUnavailableError(f"The guard model failed ({type(error).__name__}).") from error
        return read_judgement(next((choice.message.content for choice in completion.choices), None) or "")


def read_judgement(written: str) -> Judgement:
    """Read what a Qwen3Guard-Gen wrote.

    Raises:
        GuardUnavailableError: it has not the form that the model was trained to give.
    """
    match = _SHAPE.fullmatch(written)
    if match is None:
        raise GuardUnavailableError("The guard model did not answer in its own form.")
    level = Level(match[1])
    if level is Level.SAFE:
        return Judgement(level)
    named = [_CATEGORIES.get(name.strip(), Category.OTHER) for name in match[2].split(",")]
    return Judgement(level, tuple(dict.fromkeys(named)))
