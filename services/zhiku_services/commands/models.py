"""`zhiku models`: what the catalogue holds, and how it gets here."""

import typer

from zhiku_services.commands.home import AsJson, Home, services, settings_for
from zhiku_services.commands.output import console, errors, print_json, print_table

app = typer.Typer(help="The models of this machine.", no_args_is_help=True)


@app.command()
def fetch(home: Home = None, as_json: AsJson = False) -> None:
    """Fetch the bundled models and check them against their pinned digests."""
    from zhiku_services.inference.catalogue import BUNDLED
    from zhiku_services.inference.fetch import fetch as fetch_models

    folder = settings_for(home).models_folder
    fetch_models(folder, report=(errors if as_json else console).print)
    if as_json:
        print_json({"models": [{"id": spec.id, "folder": str(spec.folder(folder))} for spec in BUNDLED]})


@app.command("list")
def list_models(home: Home = None, as_json: AsJson = False) -> None:
    """List the models, where they come from, and what is missing."""
    from zhiku_platform.access import service_principal

    settings = settings_for(home)
    with services(settings) as clients:
        found = clients.inference.models(service_principal("cli", settings.tenant)).models
    if as_json:
        print_json({"models": [model.model_dump(mode="json") for model in found]})
        return
    print_table(
        ("model", "role", "state", "languages", "origin", "problem"),
        [(m.id, m.role, m.state, " ".join(m.languages), m.origin, m.problem or "") for m in found],
    )
