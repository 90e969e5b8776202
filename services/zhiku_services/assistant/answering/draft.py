"""An answer while it is being written: what its events add up to."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from zhiku_platform.contracts.assistant import (
    AnswerEvent,
    AnswerMode,
    AnswerProblem,
    Citation,
    CitationEvent,
    DoneEvent,
    ResetEvent,
    Sentence,
    SentenceEvent,
    TextEvent,
)
from zhiku_platform.contracts.knowledge import FoundPassage
from zhiku_platform.contracts.safety import Category, Finding, PolicyMark, Severity, Surface, Verdict
from zhiku_services.assistant.answering.binding import Binder


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a model was given and how much it wrote; token counts are None until it says them.

    `prompt_sha256` is of the chat request as JSON, `sha256` of the model's weights where they are known.
    """

    model: str
    sha256: str | None
    prompt_version: str
    prompt_sha256: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Decision:
    """What policy decided about something that was found, without the words."""

    surface: Surface
    category: Category
    severity: Severity
    verdict: Verdict


@dataclass(slots=True)
class Draft:
    """The state of one answer; `apply` is the reducer that every reader of the stream uses.

    `query` is what was searched in the end, `read` what that found,
    and `releases` maps each knowledge base searched to the release that was. `source_hashes` maps the passages used
    to the hashes of their content. `model_use` stands whatever became of the model's words. `unfinished` is the
    start of a sentence, with what can bind it should the answer be stopped here. `decisions` are those of `policy`,
    each once.
    """

    question: str
    rewritten_question: str | None = None
    mode: AnswerMode | None = None
    sentences: list[Sentence] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    preview: str = ""
    searched: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)
    problem: AnswerProblem | None = None
    query: str | None = None
    knowledge_base_ids: list[str] = field(default_factory=list)
    read: list[FoundPassage] = field(default_factory=list)
    releases: dict[str, int] = field(default_factory=dict)
    source_hashes: dict[str, str] = field(default_factory=dict)
    model_use: ModelUse | None = None
    unfinished: str = ""
    binder: Binder | None = None
    policy: PolicyMark | None = None
    decisions: set[Decision] = field(default_factory=set)

    def apply(self, event: AnswerEvent) -> None:
        """Take in one event."""
        match event:
            case TextEvent():
                self.preview += event.text
            case CitationEvent():
                self.citations.append(event.citation)
            case SentenceEvent():
                self.sentences.append(event.sentence)
                self.preview = ""
            case ResetEvent():
                self.sentences, self.citations, self.preview = [], [], ""
            case DoneEvent():
                self.sentences, self.citations = list(event.answer.sentences), list(event.answer.citations)
                self.preview = ""
            case _:
                pass

    def decide(self, surface: Surface, findings: Iterable[Finding], policy: PolicyMark) -> None:
        """Note what was found and what policy says to it."""
        self.policy = policy
        self.decisions.update(Decision(surface, one.category, one.severity, one.verdict) for one in findings)

    def forget_unfinished(self) -> None:
        """Let go of the sentence that was begun: the model writes no more."""
        self.binder, self.unfinished = None, ""


def replay(question: str, events: Iterable[AnswerEvent]) -> Draft:
    """Rebuild a draft from its events."""
    draft = Draft(question)
    for event in events:
        draft.apply(event)
    return draft
