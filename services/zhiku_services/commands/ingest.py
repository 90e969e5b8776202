"""`zhiku ingest`: files and folders into a knowledge base."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from zhiku_connectors.base import Entry, Skipped
from zhiku_connectors.files.connector import FilesConnector
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.ingestion import DocumentVersion, Reason, VersionState
from zhiku_platform.errors import NotFoundError, ZhikuError
from zhiku_services.commands.home import (
    DEFAULT_USER,
    AsJson,
    AsUser,
    Home,
    KnowledgeBaseName,
    knowledge_base_of,
    services,
    settings_for,
)
from zhiku_services.commands.output import errors, print_json, print_table
from zhiku_services.embedded.clients import Clients

_POLL_S = 0.2
FINAL = {
    VersionState.INDEXED,
    VersionState.FAILED,
    VersionState.QUARANTINED,
    VersionState.CANCELLED,
    VersionState.SUPERSEDED,
}


@dataclass(frozen=True)
class Input:
    """One file to upload; `readers` None leaves it to the knowledge base's grants."""

    file: Path
    path: str
    readers: list[str] | None = None
    level: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of one input; `code` and `reason` are empty unless it failed."""

    path: str
    status: str
    passages: int | None = None
    code: str = ""
    reason: str = ""

    @property
    def has_failed(self) -> bool:
        return self.status not in {"indexed", "unchanged"}


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; a folder's `.zhiku-acl.toml` is honoured.")],
    kb: KnowledgeBaseName,
    user: AsUser = DEFAULT_USER,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring files and folders into a knowledge base, which is created if it is missing; exit 1 if any failed."""
    started = time.monotonic()
    with services(settings_for(home)) as clients:
        principal = clients.principal(user)
        target = knowledge_base_of(clients, principal, kb, create=True)
        outcomes = bring_in(clients, principal, target.id, paths, show=not as_json)
    seconds = round(time.monotonic() - started, 2)
    if as_json:
        print_json({"documents": [_as_json(outcome) for outcome in outcomes], "seconds": seconds})
    else:
        _print(outcomes, seconds)
    if any(outcome.has_failed for outcome in outcomes):
        raise typer.Exit(1)


def bring_in(
    clients: Clients, principal: Principal, knowledge_base_id: str, paths: list[Path], *, show: bool = False
) -> list[Outcome]:
    """Upload everything below `paths` and wait until each document is indexed or has failed, in their order."""
    outcomes: list[Outcome] = []
    waiting: list[DocumentVersion] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=not show) as progress:
        uploads = progress.add_task("Storing", total=None)
        for item in inputs(paths):
            outcome = item if isinstance(item, Outcome) else _upload(clients, principal, knowledge_base_id, item)
            if isinstance(outcome, Outcome):
                outcomes.append(outcome)
            else:
                waiting.append(outcome)
            progress.advance(uploads)
        progress.remove_task(uploads)
        indexing = progress.add_task("Indexing", total=len(waiting))
        for stored in waiting:
            while (version := clients.ingestion.version(principal, stored.id)).state not in FINAL:
                progress.update(indexing, description=_describe(version))
                time.sleep(_POLL_S)
            outcomes.append(_outcome(version))
            progress.advance(indexing)
    return outcomes


def inputs(paths: list[Path]) -> Iterator[Input | Outcome]:
    """What there is below `paths`; what is left out comes as an outcome with its reason.

    Raises:
        NotFoundError: one of them does not exist.
    """
    for path in paths:
        if path.is_dir():
            yield from _folder(path)
        elif path.is_file():
            yield Input(path, path.name)
        else:
            raise NotFoundError(f"file or folder: {path}")


def _folder(folder: Path) -> Iterator[Input | Outcome]:
    for listed in FilesConnector(folder.resolve()).list(None):
        if isinstance(listed, Entry):
            readers = None if listed.readers is None else list(listed.readers)
            yield Input(folder / listed.path, listed.path, readers, listed.level)
        elif isinstance(listed, Skipped) and listed.code not in {"hidden", "unsupported_type"}:
            yield Outcome(listed.path, "failed", None, listed.code, f"{listed.detail} {listed.remedy}")


def _upload(clients: Clients, principal: Principal, knowledge_base_id: str, item: Input) -> DocumentVersion | Outcome:
    try:
        version = clients.ingestion.upload(
            principal, knowledge_base_id, item.file, path=item.path, readers=item.readers, level=item.level
        )
    except ZhikuError as error:
        problem = error.problem()
        return Outcome(item.path, "failed", None, problem.code, f"{problem.detail} {problem.remedy}")
    if version.unchanged and version.state is VersionState.INDEXED:
        return Outcome(item.path, "unchanged", version.passages)
    return version


def _outcome(version: DocumentVersion) -> Outcome:
    reason = version.reason or Reason(code="", stage="", detail="", remedy="")
    return Outcome(
        version.path, str(version.state), version.passages, reason.code, f"{reason.detail} {reason.remedy}".strip()
    )


def _describe(version: DocumentVersion) -> str:
    progress = version.progress
    units = f" {progress.done}/{progress.total}" if progress.total else ""
    eta = f", about {progress.eta_s:.0f} s left" if progress.eta_s else ""
    return f"{version.path[-40:]}: {version.state}{units}{eta}"


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "path": outcome.path,
        "status": outcome.status,
        "passages": outcome.passages,
        "code": outcome.code or None,
        "reason": outcome.reason or None,
    }


def _print(outcomes: list[Outcome], seconds: float) -> None:
    failed = [outcome for outcome in outcomes if outcome.has_failed]
    if failed:
        print_table(("path", "status", "code", "reason"), [(o.path, o.status, o.code, o.reason) for o in failed])
    count = {status: sum(o.status == status for o in outcomes) for status in sorted({o.status for o in outcomes})}
    summary = ", ".join(f"{n} {status}" for status, n in count.items()) or "nothing to do"
    errors.print(f"{summary} in {seconds} s", highlight=False)
