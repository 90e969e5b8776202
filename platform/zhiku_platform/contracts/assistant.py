"""Conversations, questions, answers and their citations."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator

from zhiku_platform.contracts.inference import ChatMessage
from zhiku_platform.contracts.knowledge import Region
from zhiku_platform.contracts.safety import Category
from zhiku_platform.contracts.wire import Message, PlainText


class NewConversation(Message):
    knowledge_base_ids: list[PlainText] = Field(default=[], max_length=100)


class Conversation(Message):
    """`title` is the first question, cut; it is shown only to the conversation's owner."""

    id: str
    title: str
    knowledge_base_ids: list[str]
    created_at: datetime
    updated_at: datetime


class ConversationChange(Message):
    title: PlainText = Field(min_length=1, max_length=200)


class NewQuestion(Message):
    text: PlainText = Field(min_length=1, max_length=4000)
    knowledge_base_ids: list[PlainText] | None = Field(default=None, max_length=100)


class AskRequest(Message):
    """One question outside the portal; nobody resumes its stream, and who hangs up stops the answer.

    `history` are the turns before it, oldest first; only what the user said is used. With `persist` the
    question opens a conversation of its own, otherwise only the audit log knows of it.
    """

    question: PlainText = Field(min_length=1, max_length=4000)
    history: list[ChatMessage] = Field(default=[], max_length=200)
    knowledge_base_ids: list[str] = Field(default=[], max_length=100)
    persist: StrictBool = False


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
    """What went wrong with an answer; `categories` are those for which policy withheld it."""

    code: str
    detail: str
    remedy: str
    categories: list[Category] = []


class Rating(StrEnum):
    UP = "up"
    DOWN = "down"


class Fault(StrEnum):
    """What was wrong with an answer."""

    WRONG = "wrong"
    INCOMPLETE = "incomplete"
    OUTDATED = "outdated"
    WRONG_SOURCE = "wrong_source"
    NOT_FOUND = "not_found"
    HARD_TO_READ = "hard_to_read"
    OTHER = "other"


class NewFeedback(Message):
    """What the user says of an answer; `correction` is what it should have been.

    With `may_train` the user lets a model learn from question, answer and correction; without it nothing does.
    """

    rating: Rating
    faults: list[Fault] = Field(default=[], max_length=len(Fault))
    comment: PlainText = Field(default="", max_length=2000)
    correction: PlainText = Field(default="", max_length=8000)
    may_train: StrictBool = False

    @model_validator(mode="after")
    def _praise_names_no_fault(self) -> Self:
        if self.rating is Rating.UP and (self.faults or self.correction):
            raise ValueError("faults and a correction go with the rating `down`")
        return self


class Feedback(NewFeedback):
    """Feedback as it stands; `receipt_sha256` binds it to the answer that the audit log holds."""

    receipt_sha256: str
    given_at: datetime


class LearnableAnswer(Message):
    """An answer of which its user lets a model learn, as it was given, and what was said of it.

    `question` stands by itself; `document_ids` are those that the assistant read for it, cited or not.
    """

    answer_id: str
    asked_by: str
    question: str
    answer: str
    rating: Rating
    correction: str
    document_ids: list[str]
    receipt_sha256: str


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
    feedback: Feedback | None = None
    created_at: datetime


class ReceiptRights(Message):
    """The rights under which a question was answered; `fingerprint` is the SHA-256 of all of them together."""

    groups: list[str]
    roles: list[str]
    scopes: list[str] | None
    clearance: int
    fingerprint: str


class ReceiptPassage(Message):
    """A passage that the search gave the assistant, best first; `content_hash` says what it read then."""

    passage_id: str
    document_id: str
    knowledge_base_id: str
    content_hash: str
    score: float
    is_cited: bool


class ReceiptModel(Message):
    """The model that was asked, whatever became of its words, and the digest of what it was given."""

    id: str
    sha256: str | None
    prompt_version: str
    prompt_sha256: str
    prompt_tokens: int | None
    completion_tokens: int | None


class ReceiptSentence(Message):
    sha256: str
    citations: list[str]


class Receipt(Message):
    """What one answer stands on.

    `knowledge_base_ids` is where the question was put, empty for everywhere; `searched` names what that came to.
    `sentences` are digests of the text as it was written, with the passages that each cites.
    """

    version: Literal[1] = 1
    answer_id: str
    conversation_id: str | None
    tenant: str
    asked_by: str
    asked_at: datetime
    answered_at: datetime
    question: str
    rewritten_question: str | None
    query: str | None
    knowledge_base_ids: list[str]
    rights: ReceiptRights
    searched: list[str]
    releases: dict[str, int]
    passages: list[ReceiptPassage]
    model: ReceiptModel | None
    policy_decisions: list[str]
    state: AnswerState
    mode: AnswerMode | None
    sentences: list[ReceiptSentence]
    timings_ms: dict[str, float]
    problem: str | None


class SealedReceipt(Message):
    """A receipt, the text that was sealed, and the SHA-256 of that text in UTF-8.

    The audit event `answer.given` carries the digest. Check `canonical` as it is, never written anew.
    """

    receipt: Receipt
    canonical: str
    sha256: str


class Integrity(StrEnum):
    """Whether a stored receipt is the one whose digest the audit log holds under a signed checkpoint."""

    INTACT = "intact"
    TOUCHED = "touched"
    UNPROVEN = "unproven"
    """The log does not have it: for the first seconds it waits for its place there."""


class Reconstruction(Message):
    """An answer's receipt as a reviewer sees it.

    Who asked, their groups and what they wrote are masked unless they were revealed; its `searched` names what the
    reviewer may view. `sha256` is the digest of the receipt as it is stored.
    `answer` shows what the reviewer may read now, and is None once its owner has deleted it; `readable` are the
    passages of the receipt that the reviewer may read now.
    """

    receipt: Receipt
    sha256: str
    integrity: Integrity
    answer: Answer | None
    readable: list[str]


class NewAppeal(Message):
    """Why policy was wrong to withhold an answer."""

    reason: PlainText = Field(min_length=10, max_length=500)


class RevealRequest(Message):
    reason: PlainText = Field(min_length=10, max_length=500)


class ReplayedPassage(Message):
    """Where a passage stood in the answer's search and where it stands now, counted from 1; None if nowhere."""

    passage_id: str
    rank_then: int | None
    rank_now: int | None
    is_unchanged: bool | None


class Replay(Message):
    """The search of an answer, run again under the rights of then at the releases of then.

    A passage whose document has since been deleted, or closed to who asked, does not come back.
    """

    answer_id: str
    is_same: bool
    passages: list[ReplayedPassage]


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
    """Forget the text shown so far: quotes follow, or nothing does if it was `unsafe`."""

    type: Literal["reset"] = "reset"
    reason: Literal["unsupported", "model_failed", "model_missing", "unsafe"]


class DoneEvent(Message):
    """The whole answer; the stream ends here."""

    type: Literal["done"] = "done"
    answer: Answer


AnswerEvent = Annotated[
    StartEvent | PhaseEvent | TextEvent | CitationEvent | SentenceEvent | ResetEvent | DoneEvent,
    Field(discriminator="type"),
]
"""One server-sent event. Its SSE `id` counts from 1; `Last-Event-ID` resumes after it."""
