"""`zhiku eval pii` and `zhiku bench privacy`: our recognisers beside stock Presidio, in one run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhiku_services.commands.home import AsJson
from zhiku_services.commands.output import print_json, print_table

if TYPE_CHECKING:
    from zhiku_platform.privacy.evaluation import Item

Data = Annotated[Path | None, typer.Argument(help="A file or a folder of gold spans; without one, the generated set.")]


def eval_pii(path: Data = None, as_json: AsJson = False) -> None:
    """Measure precision, recall, F1 and F2 of finding personal data, by type and language."""
    from zhiku_platform.privacy.evaluation import compare

    result = compare(_items(path))
    if as_json:
        print_json(result)
        return
    baseline = result["baseline"]
    rows = [("overall", result["overall"], baseline["overall"])]
    for group in ("by_language", "by_type"):
        rows += [(name, figures, baseline[group].get(name, {})) for name, figures in result[group].items()]
    print_table(
        ("", "spans", "precision", "recall", "F1", "F2", "Presidio's F2"),
        [
            (
                name,
                own["spans"],
                *(f"{own[key]:.3f}" for key in ("precision", "recall", "f1", "f2")),
                other.get("f2", ""),
            )
            for name, own, other in rows
        ],
        title=f"{result['chars_per_s']} characters/s; stock Presidio {baseline['chars_per_s']}",
    )


def bench_privacy(
    path: Data = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each takes its turn; its best counts.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Measure characters a second of finding personal data, against stock Presidio on the same text."""
    from zhiku_platform.privacy.evaluation import race

    result = race(_items(path), rounds)
    if as_json:
        print_json(result)
        return
    print_table(
        ("finder", "characters/s"),
        [("Zhiku", result["chars_per_s"]), ("stock Presidio", result["baseline"]["chars_per_s"])],
        title=f"{result['chars']} characters; {result['ratio']} times as fast",
    )


def _items(path: Path | None) -> "list[Item]":
    from zhiku_platform.privacy.evaluation import load
    from zhiku_platform.privacy.samples import generated

    return load(path) if path else generated()
