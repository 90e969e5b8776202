"""`zhiku`: the command line.

Exit codes: 0 done · 1 something failed, and was said · 2 the command line was not understood.
"""

import sys

import typer

from zhiku_platform.errors import ZhikuError
from zhiku_services.commands import (
    ask,
    audit,
    bench,
    doctor,
    erasure,
    evaluate,
    finetune,
    ingest,
    keycloak,
    models,
    openapi,
    reindex,
    safety,
    search,
    up,
)
from zhiku_services.commands.output import fail

app = typer.Typer(
    name="zhiku",
    help="Zhiku (知库): an enterprise knowledge platform. `zhiku up` starts all of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(ingest.ingest)
app.command()(ask.ask)
app.command()(search.search)
app.command()(doctor.doctor)
app.command()(reindex.reindex)
app.command()(openapi.openapi)
app.add_typer(evaluate.app, name="eval")
app.add_typer(bench.app, name="bench")
app.add_typer(models.app, name="models")
app.add_typer(audit.app, name="audit")
app.add_typer(safety.app, name="safety")
app.add_typer(erasure.app, name="erasure")
app.add_typer(keycloak.app, name="keycloak")
app.add_typer(finetune.app, name="finetune")


def main() -> None:
    """Run the command line; an error that we foresaw is one sentence with its remedy, not a traceback."""
    try:
        app()
    except ZhikuError as error:
        fail(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
