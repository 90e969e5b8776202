"""`zhiku eval safety`: what content safety finds, misses, and wrongly finds."""

from pathlib import Path
from typing import Annotated

import typer

from zhiku_services.commands.home import AsJson
from zhiku_services.commands.output import print_json, print_table

Data = Annotated[
    Path | None,
    typer.Argument(help="JSON lines or a known CSV of labelled texts; without one, the shipped terms in disguise."),
]


def eval_safety(path: Data = None, as_json: AsJson = False) -> None:
    """Measure recall by category, false positives, and what a streamed answer pays."""
    from zhiku_services.safety.evaluation import evaluate, load, own_disguises
    from zhiku_services.safety.service import open_safety

    result = evaluate(load(path) if path else own_disguises(), open_safety())
    if as_json:
        print_json(result)
        return
    print_table(
        ("", "texts", "found", "blocked", "share found"),
        [(name, *figures.values()) for name, figures in result["by_category"].items()],
        title=f"recall {result['recall']}, false positives {result['false_positive_rate']}; a streamed piece"
        f" {result['p99_ms']} ms (p99), held back {result['held_p99']} characters (p99), {result['held_max']} at most",
    )
