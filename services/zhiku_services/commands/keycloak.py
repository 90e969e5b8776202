"""`zhiku keycloak`: the realm, and the directory that is mirrored from it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from zhiku_platform.errors import UnsafeSettingsError
from zhiku_platform.settings import Settings
from zhiku_services.commands.home import AsJson, Home, settings_for
from zhiku_services.commands.output import console, print_json, print_table

app = typer.Typer(help="Keep a Keycloak realm as Zhiku needs it, and mirror its users.", no_args_is_help=True)


@app.command()
def reconcile(
    realm_file: Annotated[Path | None, typer.Option("--file", help="The realm file; Zhiku's own by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make or change what the realm file names, and print what differed; a second run changes nothing.

    What the file does not name is left alone, and nothing is ever deleted.
    """
    from zhiku_services.gateway.keycloak.admin import open_admin_api
    from zhiku_services.gateway.keycloak.realm import REALM_FILE, load_realm
    from zhiku_services.gateway.keycloak.reconcile import Reconciler

    settings = settings_for(home)
    api = open_admin_api(settings)
    changes = Reconciler(api, load_realm(realm_file or REALM_FILE, settings), dry_run=dry_run).run()
    if as_json:
        print_json({"realm": api.realm, "dry_run": dry_run, "changes": [asdict(change) for change in changes]})
        return
    for change in changes:
        console.print(f"[bold]{change.action}[/] {change.kind} {change.name}", highlight=False)
        for field in change.fields:
            console.print(f"  {field.field}: [red]{field.before}[/] → [green]{field.after}[/]", highlight=False)
    verb = "would change" if dry_run else "changed"
    console.print(f"{len(changes)} {verb} in realm {api.realm}." if changes else "Nothing to change.", highlight=False)


@app.command()
def sync(
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Deprovision however many users are gone.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring the mirror of users, groups and roles in step with the directory, now."""
    report = run_sync(settings_for(home), allow_shrink=allow_shrink)
    if as_json:
        print_json(report)
    else:
        print_table(("what", "users"), [(name, n if isinstance(n, int) else len(n)) for name, n in report.items()])


def run_sync(settings: Settings, *, allow_shrink: bool) -> dict[str, Any]:
    """Run one sync on the gateway's database, and return its report.

    Raises:
        UnsafeSettingsError: no directory is connected.
    """
    from zhiku_services.gateway.app import directory_sync, open_database, open_directory

    directory = open_directory(settings)
    if directory is None:
        raise UnsafeSettingsError("No directory is connected.", remedy="Set `ZHIKU_KEYCLOAK_URL`.")
    database = open_database(settings)
    try:
        return asdict(directory_sync(settings, database, directory).run(allow_shrink=allow_shrink))
    finally:
        database.close()
