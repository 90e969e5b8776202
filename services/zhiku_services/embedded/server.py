"""Serves an embedded platform: the public door on a port, the private one on a socket of the home."""

import asyncio
import socket
import time
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.types import ASGIApp

from zhiku_platform.errors import ConflictError
from zhiku_services.embedded.home import announce, socket_path

if TYPE_CHECKING:
    from zhiku_services.embedded.app import Embedded

_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 10


class PortInUseError(ConflictError):
    """Something else listens where we should."""

    code = "port_in_use"


class Server:
    """Both doors, open while inside the context; `listener` is the public one's, see `listen`."""

    def __init__(self, embedded: "Embedded", listener: socket.socket) -> None:
        self._embedded = embedded
        self._listener = listener
        self._running: list[tuple[uvicorn.Server, Future[None]]] = []

    def __enter__(self) -> Self:
        settings = self._embedded.settings
        self._serve(self._embedded.public, self._listener)
        self._serve(self._embedded.private, _listen_privately(socket_path(settings.home)))
        announce(settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server, _ in self._running:
            server.should_exit = True
        for _, future in self._running:
            future.result(timeout=_STOP_TIMEOUT_S)
        socket_path(self._embedded.settings.home).unlink(missing_ok=True)

    def check(self) -> None:
        """Raise what a server died of, if one has."""
        for _, future in self._running:
            if future.done():
                future.result()

    def _serve(self, app: ASGIApp, listener: socket.socket) -> None:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Longer than a client keeps an idle connection, so that none is closed under its next request.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
            )
        )
        future = asyncio.run_coroutine_threadsafe(server.serve(sockets=[listener]), self._embedded.loop)
        self._running.append((server, future))
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not server.started and not future.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        if future.done():
            future.result()


def listen(host: str, port: int) -> socket.socket:
    """Take the public port; nobody is answered before a `Server` does.

    Raises:
        PortInUseError: it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUseError(f"Port {port} on {host} is taken.", remedy="Choose another with `--port`.") from error
    return listener


def _listen_privately(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener
