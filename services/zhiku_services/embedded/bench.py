"""How soon a new user has an answer, and what memory that takes: the platform is started as a user starts it.

A fresh home with the demo company's handbook; the clock runs from the start of the process to the first answer
that cites a document. Memory is the highest sum of resident memory over the process and its children, read a few
times a second, so shared pages count more than once.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from zhiku_platform.contracts.assistant import Answer, AskRequest
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.settings import load_settings
from zhiku_services.embedded.clients import Clients, connect
from zhiku_services.embedded.home import prepare_home

QUESTION = "How many days a month may I work remotely?"
_WAIT_S = 300.0
_POLL_S = 0.1

Ask = Callable[[Clients, AskRequest], Answer]


@dataclass(frozen=True, slots=True)
class StartBench:
    """Seconds from the start of the process; `peak_rss_bytes` up to the first answer."""

    ready_s: float
    first_answer_s: float
    answer_took_s: float
    peak_rss_bytes: int

    def as_json(self) -> dict[str, float | int]:
        return asdict(self)


def bench_start(home: Path, *, ask: Ask) -> StartBench:
    """Start the platform on `home`, which must be new, and ask until an answer cites something.

    Raises:
        ServiceUnavailableError: it does not start, or does not answer, in five minutes.
    """
    port = _free_port()
    command = [sys.executable, "-m", "zhiku_services", "up", "--demo", "--home", str(home), "--port", str(port)]
    started = time.monotonic()
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        with _watch_memory(process.pid) as peak:
            _wait_until_ready(port, process)
            ready_s = time.monotonic() - started
            settings = prepare_home(load_settings(home=home)).model_copy(update={"port": port})
            with connect(settings) as clients:
                took_s = _first_answer(clients, ask)
            return StartBench(round(ready_s, 2), round(time.monotonic() - started, 2), round(took_s, 2), peak())
    finally:
        process.terminate()
        process.wait(timeout=30)


def _first_answer(clients: Clients, ask: Ask) -> float:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        asked = time.monotonic()
        if ask(clients, AskRequest(question=QUESTION)).citations:
            return time.monotonic() - asked
        time.sleep(_POLL_S)
    raise ServiceUnavailableError("No answer cited a document in time.", remedy="Look into the log of the home.")


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz").is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(_POLL_S)
    raise ServiceUnavailableError("The platform did not start.", remedy="Run `zhiku doctor`.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _watch_memory(pid: int) -> Iterator[Callable[[], int]]:
    """Give a function that tells the highest memory seen so far, in bytes; 0 where there is no `/proc`."""
    highest = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            highest[0] = max(highest[0], sum(_resident(one) for one in _family(pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: highest[0]
    finally:
        done.set()
        watcher.join()


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in _read(children).split()]
    return found


def _resident(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        # A process may end while we look.
        return ""
