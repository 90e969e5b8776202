"""Children that hang, crash or eat memory harm nobody else."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zhiku_platform.text.document import document_text
from zhiku_services.ingestion.parsing import errors, wire
from zhiku_services.ingestion.parsing.limits import MIB, ParseLimits
from zhiku_services.ingestion.parsing.pool import ParserPool
from zhiku_services.ingestion.parsing.preflight import Format
from zhiku_services.ingestion.parsing.service import parse

MakeJob = Callable[..., wire.Job]


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("Sound as a bell.")
    return path


@pytest.fixture
def make_job() -> MakeJob:
    def make(path: Path, *, wall_s: float = 60.0, output_bytes: int = 64 * MIB) -> wire.Job:
        limits = ParseLimits(wall_s=wall_s, output_bytes=output_bytes)
        return wire.Job(path, path.name, Format.TEXT, "text/plain", limits)

    return make


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A pipe that nobody writes to: whoever reads it waits for ever."""
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    return path


def _parsers() -> set[int]:
    """The parser processes that this process started."""
    found: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (folder / "cmdline").read_bytes(), (folder / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"parsing.child" in command and f"PPid:\t{os.getpid()}\n" in status:
            found.add(int(folder.name))
    return found


Children = Callable[[], set[int]]


@pytest.fixture
def children() -> Children:
    """The parser processes of the test, without those of pools that stood before."""
    others = _parsers()
    return lambda: _parsers() - others


def test_a_hanging_parser_is_killed_by_the_clock_and_the_next_file_is_read(
    hanging: Path, note: Path, make_job: MakeJob, children: Children
) -> None:
    with ParserPool(1) as pool:
        pool.run(make_job(note))
        before = children()
        started = time.monotonic()
        with pytest.raises(errors.ParseTimeoutError) as caught:
            pool.run(make_job(hanging, wall_s=0.5))
        assert time.monotonic() - started < 5
        assert caught.value.may_pass_later
        assert not before & children()
        assert document_text(pool.run(make_job(note))) == "Sound as a bell."


@pytest.mark.slow
def test_a_hanging_parser_does_not_hold_up_its_neighbour(hanging: Path, note: Path, make_job: MakeJob) -> None:
    with ParserPool(2) as pool, ThreadPoolExecutor(2) as threads:
        stuck = threads.submit(pool.run, make_job(hanging, wall_s=4.0))
        assert document_text(threads.submit(pool.run, make_job(note)).result(timeout=3.5)) == "Sound as a bell."
        assert isinstance(stuck.exception(), errors.ParseTimeoutError)


def test_a_child_that_is_killed_from_outside_is_reported_as_out_of_memory(
    hanging: Path, make_job: MakeJob, children: Children
) -> None:
    with ParserPool(1) as pool:

        def kill() -> None:
            deadline = time.monotonic() + 10
            while not (found := children()) and time.monotonic() < deadline:
                time.sleep(0.05)
            for pid in found:
                os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(errors.ParseOutOfMemoryError):
            pool.run(make_job(hanging, wall_s=20))
        killer.join()


@pytest.mark.slow
def test_a_file_that_needs_too_much_memory_fails_alone(tmp_path: Path, note: Path, make_job: MakeJob) -> None:
    big = tmp_path / "big.txt"
    big.write_text("A line of text that is repeated.\n\n" * 1_200_000)
    with ParserPool(1, limits=ParseLimits(memory_bytes=200 * MIB)) as pool:
        with pytest.raises(errors.ParseOutOfMemoryError):
            pool.run(make_job(big))
        assert document_text(pool.run(make_job(note))) == "Sound as a bell."


def test_an_unforeseen_exception_is_a_crash_with_its_type_but_without_the_text(
    tmp_path: Path, note: Path, make_job: MakeJob
) -> None:
    with ParserPool(1) as pool:
        with pytest.raises(errors.ParserCrashedError) as caught:
            pool.run(make_job(tmp_path / "secret-name.txt"))
        assert "FileNotFoundError" in caught.value.detail
        assert "secret-name" not in str(caught.value)
        assert document_text(pool.run(make_job(note))) == "Sound as a bell."


def test_too_much_text_is_refused(note: Path, make_job: MakeJob) -> None:
    with ParserPool(1) as pool, pytest.raises(errors.OutputTooLargeError):
        pool.run(make_job(note, output_bytes=20))


def test_children_are_reused_and_then_replaced(note: Path, make_job: MakeJob, children: Children) -> None:
    with ParserPool(1, limits=ParseLimits(documents_per_child=2)) as pool:
        pool.run(make_job(note))
        first = children()
        pool.run(make_job(note))
        assert not children()
        pool.run(make_job(note))
        assert children()
        assert not first & children()
    assert not children()


def test_an_exception_out_of_progress_cancels(make_pdf: Callable[..., Path], text_mark: Callable[..., object]) -> None:
    path = make_pdf(*[[text_mark(50, 50, f"Page {n}")] for n in range(30)])
    seen: list[tuple[int, int]] = []

    def cancel_at_five(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 5:
            raise KeyboardInterrupt

    with ParserPool(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            parse(path, file_name="a.pdf", pool=pool, on_progress=cancel_at_five)
        assert seen == [(n, 30) for n in range(1, 6)]
        assert parse(path, file_name="a.pdf", pool=pool).pages == 30


def test_many_threads_share_few_children(note: Path, make_job: MakeJob, children: Children) -> None:
    with ParserPool(2) as pool, ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda _: document_text(pool.run(make_job(note))), range(24)))
        assert results == ["Sound as a bell."] * 24
        assert len(children()) <= 2


def test_the_child_has_no_environment_and_bounded_resources(
    hanging: Path, make_job: MakeJob, children: Children
) -> None:
    found: list[tuple[bytes, str]] = []

    def look() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not found:
            for pid in children():
                limits = Path(f"/proc/{pid}/limits").read_text()
                if "1610612736" in limits:
                    found.append((Path(f"/proc/{pid}/environ").read_bytes(), limits))
            time.sleep(0.05)

    watcher = threading.Thread(target=look)
    watcher.start()
    with ParserPool(1) as pool, pytest.raises(errors.ParseTimeoutError):
        pool.run(make_job(hanging, wall_s=2.0))
    watcher.join()
    environment, limits = found[0]
    assert b"PATH=" not in environment
    assert b"HOME=" not in environment
    table = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert table["Max address space"] == ["1610612736", "1610612736"]
    assert table["Max open files"] == ["64", "64"]
    assert table["Max core file size"] == ["0", "0"]
    assert table["Max processes"] == ["0", "0"]
