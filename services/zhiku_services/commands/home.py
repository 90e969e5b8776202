"""The options that every command shares, and the services that it then calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import KnowledgeBase, NewKnowledgeBase
from zhiku_platform.errors import NotFoundError
from zhiku_platform.settings import Settings, load_settings
from zhiku_platform.telemetry import configure_logging
from zhiku_services.embedded.clients import Clients, connect
from zhiku_services.embedded.home import as_announced, is_running, prepare_home

Home = Annotated[Path | None, typer.Option("--home", help="Where all state lies; `ZHIKU_HOME`, or ~/.zhiku.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
KnowledgeBaseName = Annotated[str, typer.Option("--kb", help="The knowledge base, by name or id.")]
AsUser = Annotated[str, typer.Option("--as", help="The user for whom to do it.")]

DEFAULT_USER = "zhao"
"""The demo accounts' administrator of knowledge bases."""


def settings_for(home: Path | None, **overrides: Any) -> Settings:
    """The settings of a command that serves nobody: quiet unless something is wrong."""
    settings = load_settings(home=home, log_level="warning", log_format="console", **overrides)
    configure_logging(settings)
    return settings


@contextmanager
def services(settings: Settings) -> Iterator[Clients]:
    """The home's services: those of the process that runs on it, or else started in this one."""
    if is_running(settings.home):
        with connect(as_announced(prepare_home(settings))) as clients:
            yield clients
        return
    from zhiku_services.embedded.app import Embedded

    with Embedded(settings) as embedded:
        yield embedded.clients


def knowledge_base_of(clients: Clients, principal: Principal, name: str, *, create: bool) -> KnowledgeBase:
    """The knowledge base of this name; made if it is missing and may be."""
    try:
        return clients.knowledge_base(principal, name)
    except NotFoundError:
        if not create:
            raise
    return clients.knowledge.create_knowledge_base(principal, NewKnowledgeBase(name=name))
