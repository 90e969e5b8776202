"""`zhiku bench`: speed, each figure beside its baseline in the same run."""

import typer

app = typer.Typer(help="Measure speed.", no_args_is_help=True)
