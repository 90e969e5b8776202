"""`zhiku up`: the whole platform, embedded."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from zhiku_platform.settings import load_settings, misspelt_settings
from zhiku_platform.telemetry import configure_logging, configure_tracing
from zhiku_services.commands.home import Home
from zhiku_services.commands.output import console


def up(
    host: Annotated[str | None, typer.Option(help="The address to serve; others than loopback need settings.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to serve.", min=1, max=65535)] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Fill in the demo company's handbook.")] = False,
    home: Home = None,
) -> None:
    """Start the whole platform in this process; Ctrl+C stops it."""
    started = time.monotonic()
    from zhiku_services.embedded.server import Server, listen

    for given, meant in misspelt_settings().items():
        console.print(f"`{given}` is no setting and is not read. Did you mean `{meant}`?", style="yellow")
    settings = load_settings(home=home, host=host, port=port)
    # Before all that takes long: a taken port is told at once.
    with listen(settings.host, settings.port) as listener:
        from zhiku_services.embedded.app import Embedded
        from zhiku_services.embedded.demo import HANDBOOK
        from zhiku_services.embedded.demo.seed import seed

        roots: tuple[Path, ...] = (*settings.files_roots, HANDBOOK) if demo else settings.files_roots
        settings = settings.model_copy(update={"files_roots": roots})
        configure_logging(settings)
        configure_tracing(settings, "embedded")
        stop = threading.Event()
        _on_signal(stop)
        with Embedded(settings) as embedded, Server(embedded, listener) as server:
            if demo:
                seed(embedded.clients)
            console.print(
                f"Zhiku runs at [bold]{settings.base_url}[/] (process {os.getpid()}, home {embedded.settings.home}, "
                f"started in {time.monotonic() - started:.1f} s). Ctrl+C stops it.",
                highlight=False,
            )
            while not stop.wait(0.5):
                server.check()


def _on_signal(stop: threading.Event) -> None:
    """Stop in order at the first signal, at once at the second: the next start takes up what was accepted."""

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
