"""The options that every command shares, and the services that it then calls."""

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import KnowledgeBase, NewKnowledgeBase
from zhiku_platform.errors import NotFoundError
from zhiku_platform.settings import Settings, load_settings
from zhiku_platform.telemetry import configure_logging
from zhiku_services.embedded.clients import Clients, connect
from zhiku_services.embedded.home import HomeInUseError, as_announced, is_running, prepare_home, socket_path

Home = Annotated[Path | None, typer.Option("--home", help="Where all state lies; `ZHIKU_HOME`, or ~/.zhiku.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
KnowledgeBaseName = Annotated[str, typer.Option("--kb", help="The knowledge base, by name or id.")]
AsUser = Annotated[str, typer.Option("--as", help="The user for whom to do it.")]

DEFAULT_USER = "zhao"
"""The demo accounts' administrator of knowledge bases."""

_START_WAIT_S = 10.0
_POLL_S = 0.1
_NAMED_AT_MOST = 20


class UnknownKnowledgeBaseError(NotFoundError):
    """There is none of this name for this user; `readable` are the names of those that there are."""

    def __init__(self, readable: Sequence[str]) -> None:
        super().__init__("knowledge base")
        self.remedy = _names(readable)


def settings_for(home: Path | None, **overrides: Any) -> Settings:
    """The settings of a command that serves nobody: quiet unless something is wrong."""
    settings = load_settings(home=home, log_level="warning", log_format="console", **overrides)
    configure_logging(settings)
    logging.getLogger("kombu.connection").addFilter(_is_worth_saying)
    return settings


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Leave out what kombu says of a broker in memory, which has no host and needs none."""
    return not record.getMessage().startswith("No hostname was supplied.")


@contextmanager
def services(settings: Settings) -> Iterator[Clients]:
    """The home's services: those of the process that runs on it, or else started in this one.

    Raises:
        HomeInUseError: another process has held the home for 10 s and does not take commands.
    """
    with ExitStack() as stack:
        yield _reach(settings, stack)


def _reach(settings: Settings, stack: ExitStack) -> Clients:
    deadline = time.monotonic() + _START_WAIT_S
    while True:
        if not is_running(settings.home):
            try:
                return _start(settings, stack)
            except HomeInUseError:
                # Another process was faster; it may be about to take commands.
                if time.monotonic() >= deadline:
                    raise
        elif _takes_commands(settings.home):
            return stack.enter_context(connect(as_announced(prepare_home(settings))))
        elif time.monotonic() >= deadline:
            raise HomeInUseError(
                f"Another Zhiku process runs on `{settings.home}` and takes no commands.",
                remedy="Wait until it has ended, or choose another `--home`.",
            )
        time.sleep(_POLL_S)


def _start(settings: Settings, stack: ExitStack) -> Clients:
    from zhiku_services.embedded.app import Embedded

    return stack.enter_context(Embedded(settings)).clients


def _takes_commands(home: Path) -> bool:
    """Whether somebody listens at the home's socket; a process that died leaves its file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(socket_path(home)))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def knowledge_base_of(clients: Clients, principal: Principal, name: str, *, create: bool) -> KnowledgeBase:
    """The knowledge base of this name or id; made if it is missing and may be.

    Raises:
        UnknownKnowledgeBaseError: it is missing and may not be made; the remedy names those that there are.
    """
    try:
        return clients.knowledge_base(principal, name)
    except NotFoundError as error:
        if not create:
            readable = [found.name for found in clients.knowledge.knowledge_bases(principal)]
            raise UnknownKnowledgeBaseError(readable) from error
    return clients.knowledge.create_knowledge_base(principal, NewKnowledgeBase(name=name))


def _names(readable: Sequence[str]) -> str:
    if not readable:
        return "This user may read none; choose another user with `--as`, or ask an owner for access."
    named = ", ".join(f"`{name}`" for name in sorted(readable)[:_NAMED_AT_MOST])
    more = f" and {len(readable) - _NAMED_AT_MOST} more" if len(readable) > _NAMED_AT_MOST else ""
    return f"This user may read {named}{more}; name one of them with `--kb`."
