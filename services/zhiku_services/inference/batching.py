"""One embedding model, many callers: texts of concurrent callers run together, and questions run first.

The model runs on a thread of its own, which also loads it, so that neither loading nor encoding holds up an
event loop. Work is cut into slices small enough that a question waits for one slice and not for a whole
document.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import numpy as np

from zhiku_platform.contracts.inference import ModelState, TextKind
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.inference.catalogue import ResolvedModel
from zhiku_services.inference.embedding import Embedded, Embedder
from zhiku_services.inference.errors import ModelUnavailableError, OverloadedError

log = get_logger(__name__)

_ORDER = (TextKind.QUERY, TextKind.PASSAGE)
_LOOK = "Run `zhiku doctor`."


@dataclass
class _Job:
    """One caller's texts. `taken` counts those handed to the model, `parts` are what came back, in order."""

    texts: Sequence[str]
    kind: TextKind
    answer: Future[Embedded] = field(default_factory=Future[Embedded])
    taken: int = 0
    parts: list[Embedded] = field(default_factory=list[Embedded])

    @property
    def left(self) -> int:
        return len(self.texts) - self.taken


@dataclass(frozen=True)
class _Slice:
    """Texts of one kind from one or more jobs: how many of each, in order."""

    kind: TextKind
    shares: list[tuple[_Job, list[str]]]

    @property
    def texts(self) -> list[str]:
        return [text for _, texts in self.shares for text in texts]


class EmbeddingBatcher:
    """Feeds an embedder from a bounded queue.

    `slice_characters` bounds what runs between two looks at the queue; `max_waiting` counts texts.
    """

    def __init__(
        self,
        load: Callable[[], Embedder],
        *,
        max_waiting: int = 4096,
        slice_texts: int = 32,
        slice_characters: int = 2000,
    ) -> None:
        self._load = load
        self._max_waiting = max_waiting
        self._slice_texts = slice_texts
        self._slice_characters = slice_characters
        self._queues: dict[TextKind, deque[_Job]] = {kind: deque() for kind in _ORDER}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._embedder: Embedder | None = None
        self._failure: ZhikuError | None = None
        self._closing = False
        self._seconds_per_text = 0.1

    def start(self) -> None:
        """Begin loading in the background; returns at once, and a second call does nothing."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="embed", daemon=True)
                self._thread.start()

    @property
    def state(self) -> ModelState:
        if self._failure is not None:
            return ModelState.MISSING
        return ModelState.LOADING if self._embedder is None else ModelState.READY

    @property
    def failure(self) -> ZhikuError | None:
        """Why the model could not be loaded."""
        return self._failure

    @property
    def model(self) -> ResolvedModel | None:
        """The model, once it is loaded."""
        return None if self._embedder is None else self._embedder.model

    @property
    def embedder(self) -> Embedder:
        """The loaded model.

        Raises:
            ModelUnavailableError: it is still loading.
        """
        if self._failure is not None:
            raise self._failure
        if self._embedder is None:
            raise ModelUnavailableError("The embedding model is loading.", remedy="Try again in a few seconds.")
        return self._embedder

    @property
    def waiting(self) -> int:
        """How many texts have not been handed to the model."""
        with self._changed:
            return self._count_waiting()

    async def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """Encode texts, waiting without holding up the event loop. Cancelling drops what has not begun.

        Raises:
            OverloadedError: too many texts are waiting already.
            ModelMissingError: the model is not installed.
            ModelUnavailableError: the service is stopping.
        """
        return await asyncio.wrap_future(self.submit(texts, kind))

    def submit(self, texts: Sequence[str], kind: TextKind) -> Future[Embedded]:
        """The same for threads: a future to wait for or to cancel."""
        self.start()
        job = _Job(texts, kind)
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._closing:
                raise _stopping()
            waiting = self._count_waiting()
            # A job alone is always let in: it was bounded when it was read.
            if waiting and waiting + len(texts) > self._max_waiting:
                seconds = min(60, max(1, math.ceil(waiting * self._seconds_per_text)))
                raise OverloadedError("Too many texts are waiting to be embedded.", retry_after_s=seconds)
            self._queues[kind].append(job)
            self._changed.notify()
        return job.answer

    def close(self) -> None:
        """Stop after the slice that runs; what waits gets a `ModelUnavailableError`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._embedder = self._load()
        except ZhikuError as error:
            log.warning("embedding_model_not_loaded", code=error.code)
            self._give_up(error)
            return
        except Exception as error:
            # The thread's outermost frame: whoever waits must be told.
            log.exception("embedding_model_not_loaded", error=type(error).__name__)
            self._give_up(ModelUnavailableError("The embedding model could not be loaded.", remedy=_LOOK))
            return
        log.info("embedding_model_loaded", model=self._embedder.model.id)
        while (work := self._next_slice()) is not None:
            try:
                self._encode(work, self._embedder)
            except Exception as error:  # noqa: BLE001 - the thread's outermost loop
                # An engine's own failure, such as no memory, has any type: this slice's callers
                # are told, the thread lives on. Without the traceback, which may quote a text.
                log.error("embedding_failed", error=type(error).__name__, texts=len(work.texts))
                self._fail(work, ModelUnavailableError("The embedding model failed.", remedy="Try again."))
        self._refuse_all(_stopping())

    def _next_slice(self) -> _Slice | None:
        """Wait for work; None once the batcher closes."""
        with self._changed:
            while not self._closing:
                for kind in _ORDER:
                    shares = list(self._take(self._queues[kind]))
                    if shares:
                        return _Slice(kind, shares)
                self._changed.wait()
        return None

    def _take(self, queue: deque[_Job]) -> Iterator[tuple[_Job, list[str]]]:
        """Take texts off the front of a queue up to one slice; jobs whose caller left are dropped."""
        texts_left, characters_left = self._slice_texts, self._slice_characters
        while queue and texts_left > 0 and characters_left > 0:
            job = queue[0]
            if job.answer.cancelled():
                queue.popleft()
                continue
            share: list[str] = []
            while job.left > 0 and texts_left > 0 and characters_left > 0:
                text = job.texts[job.taken]
                share.append(text)
                job.taken += 1
                texts_left -= 1
                characters_left -= len(text)
            if job.left == 0:
                queue.popleft()
            yield job, share

    def _encode(self, work: _Slice, embedder: Embedder) -> None:
        began = time.perf_counter()
        texts = work.texts
        done = embedder.embed(texts, work.kind)
        self._seconds_per_text = (time.perf_counter() - began) / len(texts)
        first = 0
        for job, share in work.shares:
            job.parts.append(
                Embedded(done.vectors[first : first + len(share)], done.tokens[first : first + len(share)])
            )
            first += len(share)
            if job.left == 0:
                _settle(job.answer, _joined(job.parts))

    def _fail(self, work: _Slice, error: ZhikuError) -> None:
        with self._changed:
            for job, _ in work.shares:
                if job in self._queues[work.kind]:
                    self._queues[work.kind].remove(job)
        for job, _ in work.shares:
            _settle(job.answer, error)

    def _give_up(self, failure: ZhikuError) -> None:
        self._failure = failure
        self._refuse_all(failure)

    def _refuse_all(self, error: ZhikuError) -> None:
        with self._changed:
            jobs = [job for kind in _ORDER for job in self._queues[kind]]
            for kind in _ORDER:
                self._queues[kind].clear()
        for job in jobs:
            _settle(job.answer, error)

    def _count_waiting(self) -> int:
        return sum(job.left for queue in self._queues.values() for job in queue if not job.answer.cancelled())


def _settle(answer: Future[Embedded], result: Embedded | ZhikuError) -> None:
    """Give a caller its result; one that left in the meantime gets nothing."""
    try:
        if isinstance(result, Embedded):
            answer.set_result(result)
        else:
            answer.set_exception(result)
    except InvalidStateError:
        log.debug("embedding_caller_left")


def _joined(parts: Sequence[Embedded]) -> Embedded:
    return Embedded(np.concatenate([part.vectors for part in parts]), [n for part in parts for n in part.tokens])


def _stopping() -> ModelUnavailableError:
    return ModelUnavailableError("The inference service is stopping.", remedy="Try again in a moment.")
