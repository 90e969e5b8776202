"""The canonical example: a conversation that ends with the answer to learn, and where it stems from."""

import hashlib
from enum import StrEnum
from typing import Any, Literal

import orjson
from pydantic import Field

from zhiku_platform.contracts.wire import Message

Role = Literal["system", "user", "assistant", "tool"]


class Turn(Message):
    """One message. `extra` is what its source said besides, such as the name that it gives to the role."""

    role: Role
    content: str
    extra: dict[str, Any] = {}


class Origin(StrEnum):
    FILE = "file"
    FEEDBACK = "feedback"
    CORRECTION = "correction"
    TEACHER = "teacher"
    AUGMENTED = "augmented"


class Provenance(Message):
    """Where an example stems from: what may be learnt, and by whose model, depends on it.

    `documents` are those whose text it repeats; the audience of an adapter must lie within the readers of each.
    `answer_id` is the audited answer that feedback speaks of; `parent` the `prompt_digest` of the example that this
    one was made from.
    """

    origin: Origin = Origin.FILE
    source: str = ""
    line: int | None = None
    answer_id: str | None = None
    documents: tuple[str, ...] = ()
    author: str | None = None
    parent: str | None = None
    licence: str | None = None
    has_consent: bool | None = None


class Example(Message):
    """One thing to learn.

    `rejected` is a worse last answer (a preference pair), `is_good` a thumb on the last answer. `extra` is what the
    source's format has a place for and we have not, so that an export to the same format loses nothing.
    """

    messages: tuple[Turn, ...] = Field(min_length=1)
    rejected: Turn | None = None
    is_good: bool | None = None
    provenance: Provenance = Provenance()
    extra: dict[str, Any] = {}

    @property
    def prompt(self) -> str:
        """All that comes before the last answer, as one text; the instructions of the system left out."""
        return "\n".join(turn.content for turn in self.messages[:-1] if turn.role != "system")

    @property
    def prompt_digest(self) -> str:
        """The SHA-256, in hex, of the prompt: what asks the same has the same."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()

    @property
    def answer(self) -> str:
        return self.messages[-1].content

    @property
    def text(self) -> str:
        """Everything that a model would read, as one text."""
        return "\n".join(turn.content for turn in self.messages)

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of what is learnt and where it stems from."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        """The same bytes for the same example, on every machine."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
