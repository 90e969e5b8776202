"""What the child does once it is bounded: answer jobs with frames."""

import os
import resource
import signal
from typing import BinaryIO

from zhiku_services.ingestion.parsing import errors, wire
from zhiku_services.ingestion.parsing.formats import parse_file

# A parent that died cannot kill by the clock; the kernel's timer does so this much later.
_GRACE_S = 10.0


def serve(jobs: BinaryIO, frames: BinaryIO) -> None:
    """Answer jobs until there are no more."""
    while (frame := wire.read_frame(jobs)) is not None:
        job = wire.JOB.validate_json(frame[1])
        start_clocks(job.limits.wall_s, job.limits.cpu_s)
        answer(job, frames)
        signal.setitimer(signal.ITIMER_REAL, 0)


def answer(job: wire.Job, frames: BinaryIO) -> None:
    """Parse one file and write its frames.

    A MemoryError ends the process after it is reported: what the parser left behind is unknown.
    """

    def report(done: int, total: int) -> None:
        wire.write_frame(frames, b"P", wire.PROGRESS.dump_json(wire.Progress(done, total)))

    try:
        result = wire.DOCUMENT.dump_json(parse_file(job, report))
    except errors.ParsingError as error:
        fail(frames, error)
        return
    except MemoryError:
        fail(frames, errors.ParseOutOfMemoryError("Parsing this file needs more memory than is allowed."))
        os._exit(1)
    except RecursionError:
        fail(frames, errors.CorruptFileError("The document is nested too deeply."))
        return
    if len(result) > job.limits.output_bytes:
        fail(frames, errors.OutputTooLargeError(f"The file holds {len(result) // 1_000_000} MB of text."))
        return
    wire.write_frame(frames, b"R", result)


def fail(frames: BinaryIO, error: errors.ParsingError) -> None:

    failure = wire.Failure(error.code, error.detail, error.remedy)
    wire.write_frame(frames, b"E", wire.FAILURE.dump_json(failure))


def start_clocks(wall_s: float, cpu_s: int) -> None:
    """Let the kernel end this process `_GRACE_S` after the parent should have, or when its CPU time is up."""
    signal.setitimer(signal.ITIMER_REAL, wall_s + _GRACE_S)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + cpu_s + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
