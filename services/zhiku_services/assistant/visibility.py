"""What of a stored answer may be shown now: rights are checked when it is read, not only when it was written."""

from collections.abc import Iterable, Iterator, Sequence

from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerEvent,
    AnswerMode,
    AnswerProblem,
    AnswerState,
    Citation,
    CitationEvent,
    Feedback,
    ResetEvent,
    Sentence,
    SentenceEvent,
    TextEvent,
)
from zhiku_platform.contracts.identity import Principal
from zhiku_services.assistant.answering.wording import (
    join_sentences,
    nothing_found,
    sources_hidden,
    tongue_of,
)
from zhiku_services.assistant.models import AnswerRow
from zhiku_services.assistant.ports import Knowledge

_BATCH = 500


class Sight:
    """What one caller may see of some answers at this moment."""

    def __init__(self, passage_ids: frozenset[str], knowledge_bases: frozenset[str]) -> None:
        self._passage_ids = passage_ids
        self._knowledge_bases = knowledge_bases

    def citations(self, citations: Sequence[Citation]) -> list[Citation]:
        return [citation for citation in citations if citation.passage_id in self._passage_ids]

    def sentences(self, sentences: Sequence[Sentence], visible: Sequence[Citation]) -> list[Sentence]:
        """The sentences whose sources are all visible."""
        numbers = {citation.n for citation in visible}
        return [sentence for sentence in sentences if numbers.issuperset(sentence.citations)]

    def names(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name in self._knowledge_bases]

    def shows(self, passage_ids: Iterable[str]) -> bool:
        """Whether every one of these passages is visible."""
        return self._passage_ids.issuperset(passage_ids)


NOTHING = Sight(frozenset(), frozenset())


def past_events(
    events: Sequence[tuple[int, AnswerEvent]], sight: Sight, *, may_preview: bool
) -> Iterator[tuple[int, AnswerEvent]]:
    """Numbered events as they may be shown now.

    Previews that a sentence has replaced go; that of the unfinished sentence stays if `may_preview`.
    """
    settled = max((n for n, event in events if isinstance(event, SentenceEvent | ResetEvent)), default=0)
    visible: set[int] = set()
    for n, event in events:
        match event:
            case TextEvent() if n < settled or not may_preview:
                continue
            case CitationEvent():
                if not sight.shows([event.citation.passage_id]):
                    continue
                visible.add(event.citation.n)
            case ResetEvent():
                visible.clear()
            case SentenceEvent() if not visible.issuperset(event.sentence.citations):
                continue
            case _:
                pass
        yield n, event


def look(principal: Principal, passage_ids: Iterable[str], knowledge: Knowledge) -> Sight:
    """Ask the knowledge service what `principal` may read of these passages now."""
    wanted = sorted(set(passage_ids))
    readable: set[str] = set()
    for start in range(0, len(wanted), _BATCH):
        readable |= knowledge.readable_passages(principal, wanted[start : start + _BATCH])
    names = frozenset(base.name for base in knowledge.knowledge_bases(principal))
    return Sight(frozenset(readable), names)


def visible_answer(row: AnswerRow, sight: Sight, feedback: Feedback | None = None) -> Answer:
    """An answer without what its reader may no longer see: a hidden source takes its sentences with it."""
    tongue = tongue_of(row.question)
    searched = sight.names(row.searched)
    citations = sight.citations([Citation.model_validate(item) for item in row.citations])
    stored = [Sentence.model_validate(item) for item in row.sentences]
    sentences = sight.sentences(stored, citations)
    mode = AnswerMode(row.mode) if row.mode else None
    if mode is AnswerMode.NO_EVIDENCE and sentences:
        # The first sentence names what was searched, so it is written anew from what may be named now.
        sentences = [Sentence(text=nothing_found(tongue, searched), citations=[]), *sentences[1:]]
    elif len(sentences) < len(stored) and not any(sentence.citations for sentence in sentences):
        sentences = [Sentence(text=sources_hidden(tongue), citations=[])]
    return Answer(
        id=row.id,
        conversation_id=row.conversation_id,
        question=row.question,
        rewritten_question=row.rewritten_question,
        state=AnswerState(row.state),
        mode=mode,
        text=join_sentences([sentence.text for sentence in sentences]),
        sentences=sentences,
        citations=citations,
        searched=searched,
        timings_ms=row.timings_ms,
        problem=AnswerProblem.model_validate(row.problem) if row.problem else None,
        feedback=feedback,
        created_at=row.created_at,
    )


def passages_of(rows: Iterable[AnswerRow]) -> list[str]:
    """The passages that some answers cite."""
    return [citation["passage_id"] for row in rows for citation in row.citations]
