"""Answer one question: rewrite, search, judge, write, bind — or quote, or say that nothing was found."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Protocol

from zhiku_platform.contracts.assistant import (
    AnswerEvent,
    AnswerMode,
    Citation,
    CitationEvent,
    PhaseEvent,
    ResetEvent,
    Sentence,
    SentenceEvent,
    TextEvent,
)
from zhiku_platform.contracts.inference import ChatDelta, ChatMessage, ChatRequest
from zhiku_platform.contracts.knowledge import FoundPassage, Passage, SearchResult
from zhiku_platform.contracts.safety import Screening, StreamStep, StreamStepped, Surface, Verdict
from zhiku_platform.errors import ZhikuError
from zhiku_services.assistant.answering.binding import Binder, speaks_other_language
from zhiku_services.assistant.answering.draft import Draft, ModelUse
from zhiku_services.assistant.answering.evidence import (
    answer_probability,
    is_answerable,
    speaks_of,
    weigh_evidence,
)
from zhiku_services.assistant.answering.extraction import ScoredUnit, choose_quotes, score_units
from zhiku_services.assistant.answering.followups import Rewrite, accept_model_rewrite, rewrite_by_rules
from zhiku_services.assistant.answering.markup import neutralise, showable_prefix, take_markers, visible
from zhiku_services.assistant.answering.profile import ModelProfile
from zhiku_services.assistant.answering.prompting import NO_ANSWER, PROMPT_VERSION, Prompt, build_prompt
from zhiku_services.assistant.answering.segments import SentenceStream, SpokenText
from zhiku_services.assistant.answering.translation import translate_keywords
from zhiku_services.assistant.answering.units import Unit
from zhiku_services.assistant.answering.wording import (
    Tongue,
    lead_in,
    nearest_document,
    nothing_found,
    tongue_of,
)
from zhiku_services.assistant.answering.words import terms
from zhiku_services.assistant.errors import UnsafeQuestionError

SEARCH_LIMIT: Final = 8
_NEAREST: Final = 2
_RECHECK_EVERY_S: Final = 1.0
# Above this probability the question's own language is searched alone; chosen by us.
_SURE: Final = 0.75
_COVERED: Final = 0.95
_MARGIN: Final = 0.15
_REWRITE_TIMEOUT_S: Final = 8.0
_CHOICES: Final = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; `earlier` are the user's questions before it in the conversation, oldest first."""

    text: str
    earlier: tuple[str, ...] = ()
    knowledge_base_ids: tuple[str, ...] = ()


class Tools(Protocol):
    """The other services, on behalf of who asks."""

    async def search(self, query: str, knowledge_base_ids: Sequence[str], limit: int) -> SearchResult: ...

    async def readable(self, passage_ids: Sequence[str]) -> set[str]: ...

    async def screen(self, surface: Surface, texts: Sequence[str]) -> Screening: ...

    async def step(self, step: StreamStep) -> StreamStepped: ...

    async def model(self) -> ModelProfile | None: ...

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatDelta]: ...


class _NotSupportedError(Exception):
    """The model's words are not what the passages say."""


class _NoAnswerError(Exception):
    """The model says that the passages do not answer."""


class _ModelFailedError(Exception):
    """The model broke off, or was too slow."""


class _SourceGoneError(Exception):
    """A passage that the model was given may no longer be read."""


async def answer(question: Question, draft: Draft, tools: Tools) -> AsyncGenerator[AnswerEvent]:
    """Write the answer to a question into `draft`, event by event.

    The caller applies the events to `draft`; everything else in it is set here.

    Raises:
        UnsafeQuestionError: policy does not allow the question; nothing was searched.
        ZhikuError: the search or the safety service failed. A failing model is no error: the answer then quotes.
    """
    clock = _Clock(draft)
    question = await _screened_question(question, draft, tools)
    clock.lap("screening")
    tongue = tongue_of(question.text)
    profile = await tools.model()
    rewrite: Rewrite | None = None
    if question.earlier:
        yield PhaseEvent(phase="rewriting")
        rewrite = await _rewrite(question, profile, tools)
        draft.rewritten_question = rewrite.text if rewrite else None
        clock.lap("rewriting")
    yield PhaseEvent(phase="searching")
    rewrite = rewrite or Rewrite(question.text, frozenset())
    attempt = await _search(rewrite, question.knowledge_base_ids, tools)
    draft.searched = list(attempt.found.searched)
    draft.knowledge_base_ids = list(question.knowledge_base_ids)
    draft.releases = dict(attempt.found.releases)
    draft.query, draft.read = attempt.query, list(attempt.found.passages)
    clock.lap("searching")
    attempt, quote_only = await _screened_passages(attempt, rewrite, draft, tools)
    yield PhaseEvent(phase="reading", passages=len(attempt.found.passages))
    job = _Job(attempt.query, attempt.found, attempt.scored, draft, tools, tongue, quote_only)
    is_worth_it = attempt.is_on_topic and is_answerable(attempt.query, attempt.found, attempt.scored)
    clock.lap("reading")
    if not is_worth_it:
        async for event in _say_nothing_found(job):
            yield event
        return
    yield PhaseEvent(phase="writing")
    async for event in _write(job, profile):
        yield event
    clock.lap("writing")


async def _screened_question(question: Question, draft: Draft, tools: Tools) -> Question:
    """The question, with those before it that policy allows."""
    screening = await tools.screen(Surface.QUESTION, [question.text, *question.earlier])
    now, *before = screening.results
    draft.decide(Surface.QUESTION, now.findings, screening.policy)
    if now.verdict is Verdict.BLOCK:
        raise UnsafeQuestionError(one.category for one in now.findings if one.verdict is Verdict.BLOCK)
    allowed = [
        text for text, screened in zip(question.earlier, before, strict=True) if screened.verdict is not Verdict.BLOCK
    ]
    return replace(question, earlier=tuple(allowed))


async def _screened_passages(
    attempt: "_Attempt", asked: Rewrite, draft: Draft, tools: Tools
) -> tuple["_Attempt", frozenset[str]]:
    """What was found without the passages that policy leaves out, and which of the rest no model is given."""
    if not attempt.found.passages:
        return attempt, frozenset()
    read = [found.passage for found in attempt.found.passages]
    texts = ["\n".join([passage.document_title, *passage.heading_path, passage.text]) for passage in read]
    screening = await tools.screen(Surface.DOCUMENT, texts)
    blocked: set[str] = set()
    quote_only: set[str] = set()
    for found, screened in zip(attempt.found.passages, screening.results, strict=True):
        draft.decide(Surface.DOCUMENT, screened.findings, screening.policy)
        if screened.verdict is Verdict.BLOCK:
            blocked.add(found.passage.id)
        elif screened.verdict in {Verdict.REVIEW, Verdict.MASK}:
            quote_only.add(found.passage.id)
    if not blocked:
        return attempt, frozenset(quote_only)
    kept = [found for found in attempt.found.passages if found.passage.id not in blocked]
    draft.read = list(kept)
    left = attempt.found.model_copy(update={"passages": kept})
    return _attempt(attempt.query, left, asked), frozenset(quote_only)


@dataclass(frozen=True, slots=True)
class _Job:
    """What there is to write from, and where it goes; the passages in `quote_only` are given to no model."""

    query: str
    found: SearchResult
    scored: Sequence[ScoredUnit]
    draft: Draft
    tools: Tools
    tongue: Tongue
    quote_only: frozenset[str]

    @property
    def passages(self) -> Sequence[FoundPassage]:
        return self.found.passages


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A query, what it found, and how sure we are, 0..1, that it answers.

    `is_covered` tells that one place holds all content words of the query, `is_on_topic` that a follow-up about another
    thing found that thing.
    """

    query: str
    found: SearchResult
    scored: Sequence[ScoredUnit]
    probability: float
    is_covered: bool
    is_on_topic: bool


async def _search(asked: Rewrite, knowledge_base_ids: Sequence[str], tools: Tools) -> _Attempt:
    """Search; where that does not surely answer, search documents in the other language with translated keywords."""
    found = await tools.search(asked.text, knowledge_base_ids, SEARCH_LIMIT)
    own = _attempt(asked.text, found, asked)
    translated = translate_keywords(asked.text)
    if (own.is_on_topic and (own.probability >= _SURE or own.is_covered)) or translated is None:
        return own
    foreign = await tools.search(translated, knowledge_base_ids, SEARCH_LIMIT)
    language = "en" if tongue_of(asked.text) == "zh" else "zh"
    passages = [item for item in foreign.passages if item.passage.language in {language, "other"}]
    other = _attempt(translated, foreign.model_copy(update={"passages": passages}), asked)
    if own.is_on_topic is not other.is_on_topic:
        return own if own.is_on_topic else other
    return other if other.probability > own.probability + _MARGIN else own


def _attempt(query: str, found: SearchResult, asked: Rewrite) -> _Attempt:
    """What `query`, the question or its translation, found."""
    emphasised = asked.emphasised if query == asked.text else frozenset[str]()
    scored = score_units(query, found.passages, emphasised=emphasised)
    evidence = weigh_evidence(query, found, scored)
    is_covered = evidence is not None and evidence.around > _COVERED and evidence.fits > 0
    probability = answer_probability(query, found, scored)
    return _Attempt(query, found, scored, probability, is_covered, speaks_of(asked.new, found, scored))


async def _rewrite(question: Question, profile: ModelProfile | None, tools: Tools) -> Rewrite | None:
    """Rewrite by rules; where they see no follow-up, a capable model may see one."""
    rewrite = rewrite_by_rules(question.text, question.earlier)
    if rewrite is not None or profile is None or not profile.follows_instructions:
        return rewrite
    request = ChatRequest(
        messages=[
            ChatMessage(
                role="system",
                content="Rewrite the last question so that it can be understood without the ones before it. Use only"
                " words of these questions. If it can be understood already, repeat it. Write the question only.",
            ),
            ChatMessage(role="user", content="\n".join([*question.earlier[-4:], question.text])),
        ],
        model=profile.model,
        max_tokens=128,
    )
    try:
        async with asyncio.timeout(_REWRITE_TIMEOUT_S):
            written = "".join([delta.text async for delta in tools.stream(request)])
    except (ZhikuError, TimeoutError):
        return None
    accepted = accept_model_rewrite(written, question.text, question.earlier)
    return None if accepted in {None, question.text} else Rewrite(str(accepted), terms(question.text))


async def _write(job: _Job, profile: ModelProfile | None) -> AsyncIterator[AnswerEvent]:
    """Let the model write if it can, else quote."""
    if profile is None:
        yield ResetEvent(reason="model_missing")
    elif _can_write(profile, job):
        try:
            async for event in _generate(job, profile):
                yield event
        except _NoAnswerError:
            job.draft.forget_unfinished()
            async for event in _say_nothing_found(job):
                yield event
            return
        except _ModelFailedError:
            yield ResetEvent(reason="model_failed")
        except (_NotSupportedError, _SourceGoneError):
            yield ResetEvent(reason="unsupported")
        else:
            job.draft.forget_unfinished()
            return
    job.draft.forget_unfinished()
    async for event in _quote(job):
        yield event


def _can_write(profile: ModelProfile, job: _Job) -> bool:
    """Whether the model speaks the language of the question and of the best passage that it may be given."""
    chosen = _passages_to_show(job, profile)
    if not chosen:
        return False
    language = chosen[0].passage.language
    return profile.speaks(job.tongue) and (language == "other" or profile.speaks(language))


async def bind_unfinished(draft: Draft, tools: Tools) -> AsyncGenerator[AnswerEvent]:
    """Bind the start of a sentence at which an answer was stopped, so that what was shown can stay.

    Nothing comes if there is none, or nothing supports it.
    """
    if draft.binder is None:
        return
    words, named = take_markers(draft.unfinished)
    words = neutralise(words)
    if len(terms(words)) < 2:
        return
    try:
        bound = await bind_sentence(words, named, draft.binder, draft, tools)
    except ZhikuError:
        # Rights cannot be checked now, and what cannot be checked is not shown.
        return
    for event in bound:
        yield event


# Generated answers


async def _generate(job: _Job, profile: ModelProfile) -> AsyncIterator[AnswerEvent]:
    chosen = _passages_to_show(job, profile)
    prompt = build_prompt(job.query, chosen, profile=profile, tongue=job.tongue, fence=secrets.token_hex(8))
    writer = _Writer(prompt, job, profile)
    draft = job.draft
    draft.source_hashes.update({found.passage.id: found.passage.content_hash for found in prompt.passages})
    draft.model_use = ModelUse(
        model=profile.model,
        sha256=profile.sha256,
        prompt_version=PROMPT_VERSION,
        prompt_sha256=sha256(prompt.request.model_dump_json().encode()).hexdigest(),
    )
    draft.mode, draft.binder = AnswerMode.GENERATED, writer.binder
    async with aclosing(_model_text(job.tools.stream(prompt.request), profile, draft)) as pieces:
        async for piece in pieces:
            async for event in writer.take(piece):
                yield event
    async for event in writer.finish():
        yield event


def _passages_to_show(job: _Job, profile: ModelProfile) -> list[FoundPassage]:
    """The passages for the prompt: all in order for a capable model, for a small one that of the best sentence."""
    if profile.follows_instructions:
        return [found for found in job.passages if found.passage.id not in job.quote_only]
    best = job.passages[max(job.scored, key=lambda item: item.score).unit.passage]
    return [] if best.passage.id in job.quote_only else [best]


async def _model_text(stream: AsyncIterator[ChatDelta], profile: ModelProfile, draft: Draft) -> AsyncGenerator[str]:
    """Pass on what the model says, and note in `draft` the tokens that it says it took.

    Raises:
        _ModelFailedError: it failed, or did not begin or end in time.
    """
    ends_at = time.monotonic() + profile.total_timeout_s
    wait_s = profile.first_token_timeout_s
    spoken = SpokenText()
    try:
        while True:
            async with asyncio.timeout(max(0.01, min(wait_s, ends_at - time.monotonic()))):
                delta = await anext(stream, None)
            if delta is None:
                break
            if delta.finish_reason is not None and draft.model_use is not None:
                draft.model_use = replace(
                    draft.model_use, prompt_tokens=delta.prompt_tokens, completion_tokens=delta.completion_tokens
                )
            if delta.text:
                wait_s = profile.total_timeout_s
                if said := spoken.feed(delta.text):
                    yield said
        if said := spoken.finish():
            yield said
    except (ZhikuError, TimeoutError) as error:
        raise _ModelFailedError from error
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


class _Writer:
    """Turns the model's text into previews, and into sentences bound to their sources."""

    def __init__(self, prompt: Prompt, job: _Job, profile: ModelProfile) -> None:
        self.binder = Binder(prompt.passages)
        self._draft = job.draft
        self._tools = job.tools
        self._profile = profile
        self._expected = _expected_quotes(job.scored)
        self._sentences = SentenceStream()
        self._shown = 0
        self._dropped = 0
        self._checked_at = 0.0

    async def take(self, piece: str) -> AsyncIterator[AnswerEvent]:
        for sentence in self._sentences.feed(piece):
            async for event in self._settle(sentence):
                yield event
        self._draft.unfinished = self._sentences.unfinished
        if self._profile.follows_instructions:
            async for event in self._preview():
                yield event

    async def finish(self) -> AsyncIterator[AnswerEvent]:
        for sentence in self._sentences.finish():
            async for event in self._settle(sentence):
                yield event
        kept = len(self._draft.sentences)
        if kept == 0 or self._dropped > kept:
            raise _NotSupportedError
        if not self._profile.follows_instructions and not self._says_what_is_expected():
            raise _NotSupportedError

    def _says_what_is_expected(self) -> bool:
        """A small model may say something true and beside the point; it has to say what we would quote."""
        return any(citation.quote in self._expected for citation in self._draft.citations)

    async def _settle(self, sentence: str) -> AsyncIterator[AnswerEvent]:
        """Bind a whole sentence; drop it if nothing supports it.

        A model that gives up after it has said something answered a part: that stays.

        Raises:
            _NoAnswerError: the model gives up, and has said nothing.
            _NotSupportedError: too much of what it says is not in the passages.
        """
        self._shown = 0
        if NO_ANSWER in sentence:
            if not self._draft.sentences:
                raise _NoAnswerError
            return
        words, named = take_markers(sentence)
        words = neutralise(words)
        if not terms(words) or any(words == said.text for said in self._draft.sentences):
            return
        bound = await bind_sentence(words, named, self.binder, self._draft, self._tools)
        if not bound:
            self._dropped += 1
            if not self._profile.follows_instructions or self._dropped > len(self._draft.sentences) + 1:
                raise _NotSupportedError
            return
        for event in bound:
            yield event

    async def _preview(self) -> AsyncIterator[AnswerEvent]:
        """Show the start of a sentence while it grows, as long as every passage behind it may be read."""
        shown = showable_prefix(visible(self._sentences.unfinished))
        if len(shown) <= self._shown or NO_ANSWER.startswith(shown.strip()) or NO_ANSWER in shown:
            return
        if time.monotonic() - self._checked_at > _RECHECK_EVERY_S:
            ids = [found.passage.id for found in self.binder.passages]
            if await self._tools.readable(ids) != set(ids):
                raise _SourceGoneError
            self._checked_at = time.monotonic()
        yield TextEvent(text=shown[self._shown :])
        self._shown = len(shown)


def _expected_quotes(scored: Sequence[ScoredUnit]) -> frozenset[str]:
    """What would be quoted first."""
    return frozenset(item.unit.quote for item in choose_quotes(scored)[:1])


async def bind_sentence(
    words: str,
    named: Sequence[int],
    binder: Binder,
    draft: Draft,
    tools: Tools,
) -> list[AnswerEvent]:
    """Bind one sentence to sources that may be read at this moment; empty if there are none."""
    passages = binder.passages
    supports = [(passages[support.unit.passage], support.unit) for support in binder.bind(words, named=named)]
    if not supports and speaks_other_language(words, passages):
        supports = _named_sources(words, named, passages)
    return await cite(words, supports, draft, tools)


def _named_sources(
    words: str, named: Sequence[int], passages: Sequence[FoundPassage]
) -> list[tuple[FoundPassage, Unit]]:
    """Across languages words cannot be compared: take the passage that the model named, if the numbers agree."""
    sources: list[tuple[FoundPassage, Unit]] = []
    for number in named:
        if 1 <= number <= len(passages):
            unit = Binder([passages[number - 1]]).across_languages(words)
            if unit is not None:
                sources.append((passages[number - 1], unit))
    return sources[:2]


async def cite(
    text: str, sources: Sequence[tuple[FoundPassage, Unit]], draft: Draft, tools: Tools
) -> list[AnswerEvent]:
    """Write a sentence with its citations, unless one of its sources may not be read at this moment."""
    if not sources:
        return []
    ids = {found.passage.id for found, _ in sources}
    if await tools.readable(sorted(ids)) != ids:
        return []
    events: list[AnswerEvent] = []
    numbers: list[int] = []
    known = {(citation.passage_id, citation.quote): citation.n for citation in draft.citations}
    for found, unit in sources:
        key = (found.passage.id, unit.quote)
        if key not in known:
            known[key] = len(known) + 1
            events.append(CitationEvent(citation=_citation(known[key], found, unit.quote)))
            draft.source_hashes[found.passage.id] = found.passage.content_hash
        if known[key] not in numbers:
            numbers.append(known[key])
    index = len(draft.sentences)
    return [*events, SentenceEvent(index=index, sentence=Sentence(text=text, citations=numbers))]


def _citation(n: int, found: FoundPassage, quote: str) -> Citation:
    passage: Passage = found.passage
    if quote not in passage.text:
        raise AssertionError("a quote must be verbatim")
    return Citation(
        n=n,
        passage_id=passage.id,
        document_id=passage.document_id,
        document=passage.document_title,
        knowledge_base_id=passage.knowledge_base_id,
        heading_path=passage.heading_path,
        page=passage.page,
        regions=passage.regions,
        quote=quote,
        score=found.score,
    )


# Quotes


async def _quote(job: _Job) -> AsyncIterator[AnswerEvent]:
    """Quote the best sentences; what may not be read at this moment is passed over for the next best."""
    readable = await job.tools.readable([found.passage.id for found in job.passages])
    visible = [item for item in job.scored if job.passages[item.unit.passage].passage.id in readable]
    chosen = await _choose_shown(visible, job)
    if not chosen:
        async for event in _say_nothing_found(job):
            yield event
        return
    job.draft.mode = AnswerMode.EXTRACTIVE
    yield SentenceEvent(index=0, sentence=Sentence(text=lead_in(job.tongue), citations=[]))
    for item in chosen:
        sources = [(job.passages[item.unit.passage], item.unit)]
        for event in await cite(neutralise(item.unit.text), sources, job.draft, job.tools):
            yield event


async def _choose_shown(visible: Sequence[ScoredUnit], job: _Job) -> list[ScoredUnit]:
    """The best sentences to quote that policy lets anybody read; where it hides the best, the next best."""
    for _ in range(_CHOICES):
        if len(visible) < len(job.scored) and not is_answerable(job.query, job.found, visible):
            return []
        chosen = list(choose_quotes(visible, job.query))
        if not chosen:
            return []
        screening = await job.tools.screen(Surface.ANSWER, [item.unit.quote for item in chosen])
        shown: list[ScoredUnit] = []
        for item, screened in zip(chosen, screening.results, strict=True):
            if screened.verdict in {Verdict.MASK, Verdict.BLOCK}:
                job.draft.decide(Surface.ANSWER, screened.findings, screening.policy)
            else:
                shown.append(item)
        if shown:
            return shown
        visible = [item for item in visible if item not in chosen]
    return []


async def _say_nothing_found(job: _Job) -> AsyncIterator[AnswerEvent]:
    """Say that nothing answers, what was searched, and which documents come nearest."""
    job.draft.mode = AnswerMode.NO_EVIDENCE
    text = nothing_found(job.tongue, job.found.searched)
    yield SentenceEvent(index=len(job.draft.sentences), sentence=Sentence(text=text, citations=[]))
    seen: set[str] = set()
    for near in job.passages:
        if near.passage.document_id in seen or len(seen) == _NEAREST:
            continue
        seen.add(near.passage.document_id)
        unit = Unit(0, 0, 0, 0, _opening(near.passage.text), "", "", "sentence")
        words = nearest_document(job.tongue, near.passage.document_title)
        for event in await cite(words, [(near, unit)], job.draft, job.tools):
            yield event


def _opening(text: str) -> str:
    return text[:120].split("\n", maxsplit=1)[0] or text[:120]


class _Clock:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._draft.timings_ms[name] = round(1000 * (now - self._last), 1)
        self._last = now
