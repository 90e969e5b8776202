"""Conversations, questions, answers and their citations."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from zhiku_platform.contracts.inference import ChatMessage
from zhiku_platform.contracts.knowledge import Region
from zhiku_platform.contracts.wire import Message


class NewConversation(Message):
    knowledge_base_ids: list[str] = Field(default=[], max_length=100)


class Conversation(Message):
    """`title` is the first question, cut; it is shown only to the conversation's owner."""

    id: str
    title: str
    knowledge_base_ids: list[str]
    created_at: datetime
    updated_at: datetime


class ConversationChange(Message):
    title: str = Field(min_length=1, max_length=200)


class NewQuestion(Message):
    text: str = Field(min_length=1, max_length=4000)
    knowledge_base_ids: list[str] | None = Field(default=None, max_length=100)


class AskRequest(Message):
    """One question outside the portal; nobody resumes its stream, and who hangs up stops the answer.

    `history` are the turns before it, oldest first; only what the user said is used. With `persist` the
    question opens a conversation of its own, otherwise only the audit log knows of it.
    """

    question: str = Field(min_length=1, max_length=4000)
    history: list[ChatMessage] = Field(default=[], max_length=200)
    knowledge_base_ids: list[str] = Field(default=[], max_length=100)
    persist: bool = False


class AnswerMode(StrEnum):
    GENERATED = "generated"
    EXTRACTIVE = "extractive"
    NO_EVIDENCE = "no_evidence"


class AnswerState(StrEnum):
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Citation(Message):
    """The passage that a sentence stands on. `quote` is verbatim from the passage's text."""

    n: int = Field(ge=1)
    passage_id: str
    document_id: str
    document: str
    knowledge_base_id: str
    heading_path: list[str]
    page: int | None
    regions: list[Region]
    quote: str
    score: float


class Sentence(Message):
    """One sentence of the answer and the numbers of its citations."""

    text: str
    citations: list[int]


class AnswerProblem(Message):
    code: str
    detail: str
    remedy: str


class Answer(Message):
    """A question and what was said to it. A hidden source takes its sentences with it."""

    id: str
    conversation_id: str
    question: str
    rewritten_question: str | None
    state: AnswerState
    mode: AnswerMode | None
    text: str
    sentences: list[Sentence]
    citations: list[Citation]
    searched: list[str]
    timings_ms: dict[str, float]
    problem: AnswerProblem | None = None
    created_at: datetime


class ConversationDetail(Message):
    conversation: Conversation
    answers: list[Answer]


class PhaseEvent(Message):
    """What the assistant is doing; `passages` is set while reading."""

    type: Literal["phase"] = "phase"
    phase: Literal["rewriting", "searching", "reading", "writing"]
    passages: int | None = None


class StartEvent(Message):
    type: Literal["start"] = "start"
    answer_id: str
    conversation_id: str


class TextEvent(Message):
    """Text to append as a preview; the sentence events that follow are what counts."""

    type: Literal["text"] = "text"
    text: str


class CitationEvent(Message):
    type: Literal["citation"] = "citation"
    citation: Citation


class SentenceEvent(Message):
    """A finished sentence, bound to its citations, replacing the preview text up to here."""

    type: Literal["sentence"] = "sentence"
    index: int
    sentence: Sentence


class ResetEvent(Message):
    """Forget the text shown so far: the model's words were not supported, quotes follow."""

    type: Literal["reset"] = "reset"
    reason: Literal["unsupported", "model_failed", "model_missing"]


class DoneEvent(Message):
    """The whole answer; the stream ends here."""

    type: Literal["done"] = "done"
    answer: Answer


AnswerEvent = Annotated[
    StartEvent | PhaseEvent | TextEvent | CitationEvent | SentenceEvent | ResetEvent | DoneEvent,
    Field(discriminator="type"),
]
"""One server-sent event. Its SSE `id` counts from 1; `Last-Event-ID` resumes after it."""
