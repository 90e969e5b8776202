"""Lets nothing out of an answer that policy does not let anybody read, however the model's words are cut."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

from zhiku_platform.contracts.assistant import (
    AnswerEvent,
    Citation,
    CitationEvent,
    ResetEvent,
    SentenceEvent,
    TextEvent,
)
from zhiku_platform.contracts.safety import CONTEXT_CHARS, StreamStep, StreamStepped, Surface, Verdict
from zhiku_services.assistant.answering.draft import Draft
from zhiku_services.assistant.errors import UnsafeAnswerError

_HIDDEN: Final = frozenset({Verdict.MASK, Verdict.BLOCK})


class Screen(Protocol):
    """The safety service, on behalf of who asks."""

    async def step(self, step: StreamStep) -> StreamStepped: ...


class Safeguard:
    """Stands between what writes an answer and everybody who reads it, its records included.

    Previews wait until no further word can make them part of a term. A sentence is looked at whole, after what stood
    before it, and so are the quotes that it cites; one whose quotes may not be shown is left out with them.
    """

    def __init__(self, draft: Draft, screen: Screen) -> None:
        self._draft = draft
        self._screen = screen
        self._said = ""
        self._preview = StreamStep()
        self._citations: list[CitationEvent] = []

    async def watch(self, events: AsyncGenerator[AnswerEvent]) -> AsyncGenerator[AnswerEvent]:
        """Pass on the events of an answer as policy lets them out.

        Raises:
            UnsafeAnswerError: policy blocks the answer; what was shown of it is taken back first.
            ZhikuError: the safety service did not answer, so nothing more may go out.
        """
        async with aclosing(events) as source:
            async for event in source:
                try:
                    allowed = [one async for one in self._allowed(event)]
                except UnsafeAnswerError:
                    yield ResetEvent(reason="unsafe")
                    raise
                for one in allowed:
                    yield one

    async def _allowed(self, event: AnswerEvent) -> AsyncIterator[AnswerEvent]:
        match event:
            case TextEvent():
                if released := await self._show(event.text):
                    yield TextEvent(text=released)
            case CitationEvent():
                self._citations.append(event)
            case SentenceEvent():
                for settled in await self._settle(event):
                    yield settled
            case ResetEvent():
                self._said, self._preview, self._citations = "", StreamStep(), []
                yield event
            case _:
                yield event

    async def _show(self, text: str) -> str:
        done = await self._take(self._preview.model_copy(update={"piece": text}))
        self._preview = StreamStep(context=done.context, held=done.held)
        return done.released

    async def _settle(self, event: SentenceEvent) -> list[AnswerEvent]:
        offered, self._citations = self._citations, []
        citations: list[CitationEvent] = []
        for citation in offered:
            if (allowed := await self._quotable(citation.citation)) is None:
                self._preview = StreamStep(context=self._said)
                return []
            citations.append(CitationEvent(citation=allowed))
        asked = self._draft.question
        done = await self._take(
            StreamStep(context=self._said, piece=event.sentence.text, is_final=True, question=asked)
        )
        self._said = f"{done.context} "[-CONTEXT_CHARS:]
        self._preview = StreamStep(context=self._said)
        sentence = event.sentence.model_copy(update={"text": done.released})
        return [*citations, event.model_copy(update={"sentence": sentence})]

    async def _quotable(self, citation: Citation) -> Citation | None:
        """A citation, its titles masked as policy wants; None if policy hides the quote, or blocks a title."""
        if (await self._look(citation.quote)).verdict in _HIDDEN:
            return None
        titles = [await self._look(title) for title in (citation.document, *citation.heading_path)]
        if any(title.verdict is Verdict.BLOCK for title in titles):
            return None
        document, *headings = [title.released for title in titles]
        return citation.model_copy(update={"document": document, "heading_path": headings})

    async def _look(self, text: str) -> StreamStepped:
        done = await self._screen.step(StreamStep(piece=text, is_final=True))
        self._draft.decide(Surface.ANSWER, done.findings, done.policy)
        return done

    async def _take(self, step: StreamStep) -> StreamStepped:
        done = await self._screen.step(step)
        self._draft.decide(Surface.ANSWER, done.findings, done.policy)
        if done.verdict is Verdict.BLOCK:
            raise UnsafeAnswerError(one.category for one in done.findings if one.verdict is Verdict.BLOCK)
        return done
