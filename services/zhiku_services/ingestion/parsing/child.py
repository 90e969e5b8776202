"""The process that parses: `python -I -m zhiku_services.ingestion.parsing.child MEMORY_BYTES`.

It bounds itself before it loads a parser, reads jobs from stdin and writes frames to stdout until stdin
ends. Whatever a file does to it, it can harm only itself: the parent kills it by the clock, and it has
no environment, no network where the kernel allows to give that up, and nothing to write to.
"""

import ctypes
import os
import resource
import sys
from importlib import import_module
from typing import BinaryIO

_STDERR_BYTES = 1024 * 1024
_OPEN_FILES = 64
_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
# Optional imports of libraries in use that cost memory and start-up time and bring nothing here.
_UNWANTED_MODULES = ("numpy", "pandas", "torch", "matplotlib")


def bound_self(memory_bytes: int) -> None:
    """Lower this process's limits, for good."""
    if sys.platform != "darwin":  # macOS refuses this limit; there the clock alone bounds a file
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_STDERR_BYTES, _STDERR_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    leave_network()
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    for name in _UNWANTED_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # None makes the import fail, as documented


def leave_network() -> bool:
    """Move into a network namespace without interfaces; tell whether the kernel allowed it."""
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)  # Linux has it
    return unshare is not None and any(unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def take_stdout() -> BinaryIO:
    """Keep stdout for frames alone: what a library prints goes to stderr."""
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return frames


def main() -> None:
    bound_self(int(sys.argv[1]))
    frames = take_stdout()
    with os.fdopen(0, "rb") as jobs:
        import_module("zhiku_services.ingestion.parsing.worker").serve(jobs, frames)


if __name__ == "__main__":
    main()
