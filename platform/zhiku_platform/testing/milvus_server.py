"""A real Milvus server for tests, from its package, that only this machine can reach.

The server of `milvus==2.3.5` listens on all interfaces and cannot be told otherwise, so it runs in a
network namespace of its own, which has loopback and nothing else. One socket on 127.0.0.1, opened
outside and handed in, is its only door. Linux only; ends with its parent.
"""

import contextlib
import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_NAMESPACES = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child",
)


def can_isolate() -> bool:
    """Tell whether this machine lets us make the namespaces."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return subprocess.run([*_NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def milvus_server(folder: Path, *, timeout_s: float = 120) -> Generator[str, None, None]:
    """Run a Milvus server with its data in `folder` (some 450 MB) and give its address.

    Raises:
        TimeoutError: it did not start within `timeout_s`.
    """
    with socket.create_server(("127.0.0.1", 0)) as door:
        os.set_inheritable(door.fileno(), True)
        command = [*_NAMESPACES, sys.executable, "-m", __name__, str(folder), str(door.fileno())]
        with subprocess.Popen(command, pass_fds=[door.fileno()], stdout=subprocess.PIPE) as process:
            try:
                _wait_for_start(process, timeout_s)
                yield f"http://127.0.0.1:{door.getsockname()[1]}"
            finally:
                process.kill()  # unshare ignores SIGTERM; its death ends the server (--kill-child)


def _wait_for_start(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], timeout_s)
    if not readable or b"started" not in process.stdout.readline():
        raise TimeoutError(f"the Milvus server did not start within {timeout_s} s")


def _serve_inside(folder: str, door: socket.socket) -> None:
    from milvus import MilvusServer, MilvusServerConfig

    _bring_up_loopback()
    config = MilvusServerConfig(data_dir=folder)
    # A consistent read waits for the next tick; at the default of 200 ms the contract waits for minutes.
    config.set("proxy.timeTickInterval", "20")
    server = MilvusServer(config)
    server.start()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    while True:
        outside, _ = door.accept()
        inside = socket.create_connection(("127.0.0.1", server.listen_port))
        for source, target in ((outside, inside), (inside, outside)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    _serve_inside(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
