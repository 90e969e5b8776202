"""`zhiku bench`: speed, each figure beside its baseline in the same run."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from zhiku_platform.contracts.knowledge import NewKnowledgeBase
from zhiku_services.commands import audit, privacy
from zhiku_services.commands.home import DEFAULT_USER, AsJson, settings_for
from zhiku_services.commands.output import errors, print_json, print_table

app = typer.Typer(help="Measure speed.", no_args_is_help=True)


app.command("audit")(audit.bench_audit)
app.command("privacy")(privacy.bench_privacy)


@app.command()
def search(
    passages: Annotated[int, typer.Option(help="How many passages to search.")] = 100_000,
    pairs: Annotated[int, typer.Option(help="How many random (user, query) pairs to check.")] = 10_000,
    seed: Annotated[int, typer.Option(help="What the world is generated from.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Time search under rights beside search without, and look for passages that should not have been found."""
    from zhiku_services.knowledge.bench import bench_search

    with tempfile.TemporaryDirectory(prefix="zhiku-bench-") as scratch:
        result = bench_search(Path(scratch), passages=passages, pairs=pairs, seed=seed, report=_say)
    _show(result, as_json)


@app.command()
def ingest(
    documents: Annotated[int, typer.Option(help="How many generated documents.")] = 10_000,
    seed: Annotated[int, typer.Option(help="What they are generated from.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Ingest generated documents; show memory over time and the share of time in Zhiku's own code."""
    from zhiku_services.embedded.app import Embedded
    from zhiku_services.ingestion.app import open_database
    from zhiku_services.ingestion.bench import bench_ingest

    with (
        tempfile.TemporaryDirectory(prefix="zhiku-bench-") as scratch,
        Embedded(settings_for(Path(scratch))) as running,
    ):
        clients = running.clients
        user = clients.principal(DEFAULT_USER)
        target = clients.knowledge.create_knowledge_base(user, NewKnowledgeBase(name="bench"))
        result = bench_ingest(
            client=clients.ingestion,
            principal=user,
            knowledge_base_id=target.id,
            database=open_database(running.settings),
            documents=documents,
            seed=seed,
            on_sample=lambda sample: _say(
                f"{sample.documents} documents, {sample.seconds:.0f} s, {sample.rss_bytes / 1e6:.0f} MB, "
                f"own share {sample.own_share:.1%}"
            ),
        )
    _show(result.as_json(), as_json)


@app.command()
def start(as_json: AsJson = False) -> None:
    """Start the platform in a new home with the demo handbook; time the first answer, and watch its memory."""
    from zhiku_services.commands.ask import ask_and_wait
    from zhiku_services.embedded.bench import bench_start

    with tempfile.TemporaryDirectory(prefix="zhiku-bench-") as scratch:
        result = bench_start(
            Path(scratch),
            ask=lambda clients, request: ask_and_wait(clients, clients.principal(DEFAULT_USER), request),
        )
    _show(result.as_json(), as_json)


@app.command()
def embedding(
    data: Annotated[Path, typer.Argument(help="A folder of evaluation sets, with `retrieval/` in it.")],
    documents: Annotated[int | None, typer.Option(help="Only the first so many documents of each set.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the embedding model on each engine: nDCG@10 and passages per second, as a Markdown table."""
    from zhiku_services.inference.bench import as_markdown, bench_embedding
    from zhiku_services.inference.catalogue import resolve_embedding

    results = bench_embedding(resolve_embedding(settings_for(None)), data, documents=documents, report=_say)
    if as_json:
        print_json({"engines": [asdict(result) for result in results]})
    else:
        typer.echo(as_markdown(results))


@app.command()
def parsing(
    folders: Annotated[list[Path], typer.Argument(help="Folders of documents; `groundtruth` below holds references.")],
    as_json: AsJson = False,
) -> None:
    """Read every file as ingestion does, storing nothing; show by format what is read, what is not and why."""
    from zhiku_platform.text.tokens import TokenCounter
    from zhiku_services.inference.catalogue import resolve_embedding
    from zhiku_services.ingestion.parsing.bench import FileResult, as_markdown, bench_parsing

    def say(result: FileResult) -> None:
        found = "" if result.found is None else f", {result.found:.3f} of the words"
        _say(f"{result.path}: {result.code or f'{result.passages} passages'}{found}, {result.seconds:.1f} s")

    counter = TokenCounter(resolve_embedding(settings_for(None)).folder)
    formats = bench_parsing(folders, count_tokens=counter.count, report=say)
    if as_json:
        print_json({"formats": {extension: asdict(one) for extension, one in formats.items()}})
    else:
        typer.echo(as_markdown(formats))


@app.command()
def finetune(
    data: Annotated[Path, typer.Argument(exists=True, help="A folder with `banking77/train.csv` in it.")],
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the runs stay; those that are there go on.")],
    only: Annotated[list[str] | None, typer.Option(help="A method; all by default.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    as_json: AsJson = False,
) -> None:
    """Train the bundled chat model by every method, small; show time, memory and scores, as a Markdown table."""
    from zhiku_services.finetune.bench import METHODS, as_markdown, bench
    from zhiku_services.inference.bundles.chat_folder import chat_folder

    if unknown := {*(only or METHODS)} - {*METHODS}:
        raise typer.BadParameter(f"no method is called {', '.join(sorted(unknown))}", param_hint="--only")
    base = chat_folder(settings_for(None).models_folder)
    folder.mkdir(parents=True, exist_ok=True)
    trained = list(bench(data, folder.resolve(), base=base, methods=only or METHODS, threads=threads, report=_say))
    if as_json:
        print_json({"runs": [each.result.model_dump(mode="json") for each in trained]})
    else:
        typer.echo(as_markdown(trained))


@app.command()
def bundles(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A run of `lora` on the bundled base.")],
    data: Annotated[Path, typer.Argument(exists=True, help="A folder with `banking77/train.csv` in it.")],
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the bundles stay.")],
    questions: Annotated[int, typer.Option(min=1)] = 200,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    as_json: AsJson = False,
) -> None:
    """Export a run in every form; show the size, speed and answers of each, held against Transformers."""
    from zhiku_services.commands.bench_bundles import as_markdown, bench_bundles, intents
    from zhiku_services.inference.bundles.chat_folder import chat_folder
    from zhiku_services.inference.catalogue import CHAT, resolve_bundle

    models = settings_for(None).models_folder
    forms = list(
        bench_bundles(
            run,
            folder,
            intents(data, run, questions),
            base=chat_folder(models),
            engine_base=resolve_bundle(CHAT, models).folder / "model.gguf",
            licence=CHAT.licence,
            threads=threads,
            report=_say,
        )
    )
    if as_json:
        print_json({"questions": questions, "forms": [asdict(form) for form in forms]})
    else:
        typer.echo(as_markdown(forms, questions))


def _say(line: str) -> None:
    errors.print(f"[dim]{line}[/]", highlight=False)


def _show(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        print_table(("figure", "value"), [(name, value) for name, value in result.items() if name != "samples"])
