"""`zhiku eval safety` and `zhiku safety import`: what content safety finds and misses, and words for it."""

from pathlib import Path
from typing import Annotated

import typer

from zhiku_platform.contracts.safety import Category, Severity
from zhiku_services.commands.home import AsJson, settings_for
from zhiku_services.commands.output import print_json, print_table

app = typer.Typer(help="Look after content safety.", no_args_is_help=True)

Data = Annotated[
    Path | None,
    typer.Argument(help="JSON lines or a known CSV of labelled texts; without one, the shipped terms in disguise."),
]
_SHOWN = 30


@app.callback()
def _group() -> None:
    """Keep `import` a name of its own while it is the only command."""


def eval_safety(path: Data = None, as_json: AsJson = False) -> None:
    """Measure recall by category, false positives, and what a streamed answer pays."""
    from zhiku_services.safety.evaluation import compare, evaluate, load, own_disguises, rivals
    from zhiku_services.safety.service import open_safety

    items = load(path) if path else own_disguises()
    others = compare(items, rivals())
    result = {**evaluate(items, open_safety(settings_for(None))), "beside": others}
    if as_json:
        print_json(result)
        return
    print_table(
        ("", "texts", "found", "blocked", "share found"),
        [(name, *figures.values()) for name, figures in result["by_category"].items()],
        title=f"recall {result['recall']}, false positives {result['false_positive_rate']}; a streamed piece"
        f" {result['p99_ms']} ms (p99), held back {result['held_p99']} characters (p99), {result['held_max']} at most",
    )
    if others:
        print_table(
            ("beside it", "share found", "a text, p99 ms"),
            [(name, figures["found"], figures["p99_ms"]) for name, figures in others.items()],
        )


@app.command("import")
def import_list(
    words: Annotated[Path, typer.Argument(help="A list of words, one a line, in UTF-8 or GB 18030.")],
    category: Annotated[Category, typer.Option(help="What the words are about.")],
    out: Annotated[Path, typer.Option(help="The file of terms to write, for `ZHIKU_SAFETY_TERMS`.")],
    severity: Annotated[int, typer.Option(min=1, max=3, help="1 low, 2 medium, 3 high.")] = 2,
    ordinary: Annotated[
        Path | None, typer.Option(help="Ordinary sentences of your own, one a line, beside the shipped ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a list of words into terms, leave out what fires on ordinary sentences, and say what that is."""
    from zhiku_services.safety.importing import import_words, ordinary_sentences, read_words, write_terms

    sentences = [*ordinary_sentences(), *(read_words(ordinary) if ordinary else [])]
    result = import_words(read_words(words), category, Severity(severity), sentences)
    write_terms(result.terms, out)
    if as_json:
        print_json({**result.as_json(), "ordinary": len(sentences)})
        return
    print_table(
        ("left out", "times", "in"),
        [(one.word, one.times, one.example) for one in result.fired[:_SHOWN]],
        title=f"{len(result.terms)} terms written to {out}; left out: {len(result.fired)} that fire on"
        f" {len(sentences)} ordinary sentences, {len(result.too_short)} too short or too long,"
        f" {len(result.several)} of several words",
    )
