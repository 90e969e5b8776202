"""`zhiku ingest`: files and folders into a knowledge base."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from zhiku_connectors.base import Entry, Skipped
from zhiku_connectors.files.acl import ACL_FILE, UnknownAcl, acl_from_root
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
_NO_REASON = Reason(code="", stage="", detail="", remedy="")
_SUPERSEDED = Reason(
    code="superseded",
    stage="",
    detail="Another upload to the same path took its place while it was waiting.",
    remedy="Ingest it again if this one is to stand.",
)


@dataclass(frozen=True)
class Input:
    """One file to upload; with neither readers nor level, a document keeps the ACL that it has.

    `readers` None beside a level leaves it to the knowledge base's grants.
    """

    file: Path
    path: str
    readers: list[str] | None = None
    level: int | None = None


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
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; `.zhiku-acl.toml` there or above counts.")],
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
            outcomes.append(outcome_of(version))
            progress.advance(indexing)
    return outcomes


def inputs(paths: list[Path]) -> Iterator[Input | Outcome]:
    """What there is below `paths`; what is left out comes as an outcome with its reason.

    A document stands at its path below the folder; of several folders, with the folder's name before it. A file
    stands at its name. The second that would stand at one path is left out.

    Raises:
        NotFoundError: one of them does not exist.
    """
    if missing := [path for path in paths if not (path.is_dir() or path.is_file())]:
        raise NotFoundError(f"file or folder: {missing[0]}")
    taken: set[str] = set()
    for found in _everything(paths):
        if isinstance(found, Outcome):
            yield found
        elif found.path in taken:
            yield _duplicate(found.path)
        else:
            taken.add(found.path)
            yield found


def _everything(paths: list[Path]) -> Iterator[Input | Outcome]:
    for path in paths:
        if not path.is_dir():
            yield _lone_file(path)
            continue
        # Resolved only where the argument has no name of its own: a link keeps the name that was given.
        name = path.resolve().name if path.name in {"", ".."} else path.name
        prefix = name if len(paths) > 1 else ""
        for found in _folder(path):
            yield replace(found, path=f"{prefix}/{found.path}" if prefix else found.path)


def _lone_file(file: Path) -> Input | Outcome:
    acl = acl_from_root(file.resolve().parent)
    if isinstance(acl, UnknownAcl):
        reason = f"Its readers are not known: {acl.detail} Correct `{ACL_FILE}` there or above."
        return Outcome(file.name, "failed", None, "acl_malformed", reason)
    return _input(file, file.name, acl.readers, acl.level) if acl.is_stated else Input(file, file.name)


def _folder(folder: Path) -> Iterator[Input | Outcome]:
    for listed in FilesConnector(folder.resolve()).list(None):
        if isinstance(listed, Entry):
            file = folder / listed.path
            stated = listed.has_acl
            yield _input(file, listed.path, listed.readers, listed.level) if stated else Input(file, listed.path)
        elif isinstance(listed, Skipped) and listed.code not in {"hidden", "unsupported_type"}:
            yield Outcome(listed.path, "failed", None, listed.code, f"{listed.detail} {listed.remedy}")


def _input(file: Path, path: str, readers: tuple[str, ...] | None, level: int) -> Input:
    return Input(file, path, None if readers is None else list(readers), level)


def _duplicate(path: str) -> Outcome:
    reason = "Another file of this run stands at this path. Rename one of the two, or name the folder above both."
    return Outcome(path, "failed", None, "duplicate_path", reason)


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


def outcome_of(version: DocumentVersion) -> Outcome:
    """What became of a version that has ended."""
    reason = version.reason or (_SUPERSEDED if version.state is VersionState.SUPERSEDED else _NO_REASON)
    return Outcome(
        version.path, str(version.state), version.passages, reason.code, f"{reason.detail} {reason.remedy}".strip()
    )


def _describe(version: DocumentVersion) -> str:
    progress = version.progress
    units = f" {progress.done}/{progress.total}" if progress.total else ""
    eta = f", about {progress.eta_s:.0f} s left" if progress.eta_s else ""
    return f"{escape(version.path[-40:])}: {version.state}{units}{eta}"


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
