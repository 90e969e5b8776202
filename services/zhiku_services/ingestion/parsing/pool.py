"""Warm child processes that parse, kept apart from this process and from each other."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from zhiku_platform.text.document import ParsedDocument
from zhiku_services.ingestion.parsing import errors, wire
from zhiku_services.ingestion.parsing.limits import ParseLimits

_READ_BYTES = 1 << 16
_CHILD = "zhiku_services.ingestion.parsing.child"
OnProgress = Callable[[int, int], None]


class ParserPool:
    """At most `size` children, each ended after `limits.documents_per_child` files, or at any failure.

    Thread safe; a thread that finds no free child waits. Use it as a context manager, or call `close`.
    """

    def __init__(self, size: int = 1, *, limits: ParseLimits | None = None) -> None:
        self._limits = limits or ParseLimits()
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the idle children; busy ones end when their file does."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()

    def run(self, job: wire.Job, on_progress: OnProgress | None = None) -> ParsedDocument:
        """Parse one file in a child.

        An exception out of `on_progress` ends the child and is passed on: that is how a caller cancels.

        Raises:
            ParsingError: what the child reported, or how it ended.
        """
        with self._slots, self._child() as child:
            return child.run(job, on_progress)

    @contextmanager
    def _child(self) -> "Generator[_Child]":
        child = self._take()
        try:
            yield child
        finally:
            self._give_back(child)

    def _take(self) -> "_Child":
        with self._lock:
            if self._closed:
                raise RuntimeError("the parser pool is closed")
            while self._idle:
                child = self._idle.pop()
                if child.is_alive():
                    return child
                child.kill()
        return _Child(self._limits)

    def _give_back(self, child: "_Child") -> None:
        worn = child.served >= self._limits.documents_per_child
        with self._lock:
            if child.is_clean and not worn and not self._closed:
                self._idle.append(child)
                return
        child.kill()


class _Child:
    def __init__(self, limits: ParseLimits) -> None:
        self.served = 0
        self.is_clean = True
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `kill`
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", _CHILD, str(limits.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={},
            start_new_session=True,
        )
        self._buffer = bytearray()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End the child and every process it may have started."""
        self.is_clean = False
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            self._process.communicate()
        self._stderr.close()

    def run(self, job: wire.Job, on_progress: OnProgress | None) -> ParsedDocument:
        """Send a job and wait for its end, at most `job.limits.wall_s` seconds."""
        self.served += 1
        # Only a whole answer makes the child fit for the next job.
        self.is_clean = False
        deadline = time.monotonic() + job.limits.wall_s
        self._send(job)
        while True:
            kind, payload = self._frame(deadline, job.limits)
            if kind == b"P":
                progress = wire.PROGRESS.validate_json(payload)
                if on_progress is not None:
                    on_progress(progress.done, progress.total)
                continue
            try:
                if kind == b"R":
                    document = wire.DOCUMENT.validate_json(payload)
                    self.is_clean = True
                    return document
                failure = wire.FAILURE.validate_json(payload)
            except ValidationError as error:
                raise errors.ParserCrashedError("The parser's answer could not be understood.") from error
            raised = errors.BY_CODE.get(failure.code, errors.ParserCrashedError)
            self.is_clean = not raised.may_pass_later
            raise raised(failure.detail, remedy=failure.remedy)

    def _send(self, job: wire.Job) -> None:
        assert self._process.stdin is not None
        try:
            wire.write_frame(self._process.stdin, b"J", wire.JOB.dump_json(job))  # type: ignore[arg-type]
        except BrokenPipeError as error:
            raise self._died() from error

    def _frame(self, deadline: float, limits: ParseLimits) -> tuple[bytes, bytes]:
        while len(self._buffer) < wire.HEADER.size:
            self._receive(deadline, limits)
        kind, length = wire.HEADER.unpack_from(self._buffer)
        if length > limits.output_bytes:
            raise errors.OutputTooLargeError("The file holds more text than is allowed.")
        end = wire.HEADER.size + length
        while len(self._buffer) < end:
            self._receive(deadline, limits)
        payload = bytes(self._buffer[wire.HEADER.size : end])
        del self._buffer[:end]
        return kind, payload

    def _receive(self, deadline: float, limits: ParseLimits) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if left <= 0 or not poll.poll(left * 1000):
            raise errors.ParseTimeoutError(f"Parsing did not end within {limits.wall_s:.0f} seconds.")
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            raise self._died()
        self._buffer += data

    def _died(self) -> errors.ParsingError:
        """Name why the child ended by itself."""
        status = self._process.wait()
        if status == -signal.SIGXCPU:
            return errors.ParseTimeoutError("Parsing took more processor time than is allowed.")
        if status == -signal.SIGALRM:
            return errors.ParseTimeoutError("Parsing did not end in time.")
        if status == -signal.SIGKILL or b"MemoryError" in self._last_words():
            return errors.ParseOutOfMemoryError("Parsing this file needs more memory than is allowed.")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return errors.ParserCrashedError(f"The parser ended by itself ({how}{self._last_exception()}).")

    def _last_words(self) -> bytes:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - 4096))
        return self._stderr.read()

    def _last_exception(self) -> str:
        """The type of the last exception on stderr, without its message: that may hold a user's text."""
        lines = self._last_words().decode(errors="replace").strip().splitlines()
        name = lines[-1].partition(":")[0] if lines else ""
        return f", {name}" if name.replace(".", "").isidentifier() else ""
