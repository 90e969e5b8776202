"""`zhiku openapi`: the public API's description, without a running server."""

from pathlib import Path
from typing import Annotated

import typer


def openapi(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; standard output without it.")] = None,
) -> None:
    """Print the OpenAPI document of the public API."""
    from zhiku_services.embedded.openapi import render

    if output is None:
        typer.echo(render())
    else:
        output.write_text(render() + "\n", encoding="utf-8")
