"""`zhiku finetune`: what to train, on what, and what a trainer would see of it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from zhiku_platform.settings import Settings
from zhiku_services.commands.home import AsJson, settings_for
from zhiku_services.commands.output import console, errors, print_json, print_table

if TYPE_CHECKING:
    from zhiku_services.finetune.advisor import Advice
    from zhiku_services.finetune.datasets.files import Loaded
    from zhiku_services.finetune.runs import Run

app = typer.Typer(help="Prepare data for fine-tuning, and say how to go about it.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Alpaca, ShareGPT, Q&A or OpenAI chat.")]
_SHOWN = 20


@app.command()
def plan(
    goal: Annotated[
        str, typer.Option(help="facts, style, task, classify, domain, smaller, edge or research.")
    ] = "style",
    model: Annotated[str, typer.Option(help="The base model's size, such as `qwen2.5-7b`.")] = "qwen2.5-7b",
    memory_gb: Annotated[float, typer.Option(min=1, help="Memory of one device.")] = 24,
    devices: Annotated[int, typer.Option(min=1)] = 1,
    examples: Annotated[int, typer.Option(min=0, help="Good examples at hand.")] = 0,
    corrections: Annotated[int, typer.Option(min=0, help="Pairs of a better and a worse answer.")] = 0,
    thumbs: Annotated[int, typer.Option(min=0)] = 0,
    raw_tokens: Annotated[float, typer.Option(min=0, help="Tokens of raw text of the domain.")] = 0,
    context: Annotated[int, typer.Option(min=128, help="The longest example, in tokens.")] = 2048,
    branches: Annotated[int, typer.Option(min=1, help="Places that the data may not leave.")] = 1,
    far: Annotated[bool, typer.Option(help="The domain is far from what the base model knows.")] = False,
    verifiable: Annotated[bool, typer.Option(help="A program can say whether an answer is right.")] = False,
    wider: Annotated[bool, typer.Option(help="Some who would be answered may not read the sources.")] = False,
    private: Annotated[bool, typer.Option(help="Formal privacy is demanded.")] = False,
    as_json: AsJson = False,
) -> None:
    """Advise a method, with its memory and time, where it can be served, and why not otherwise."""
    from zhiku_services.finetune.advisor import Goal, Situation, advise
    from zhiku_services.finetune.estimator import ARCHITECTURES, GB

    if goal not in {*Goal}:
        raise typer.BadParameter(f"one of {', '.join(Goal)}", param_hint="--goal")
    if model not in ARCHITECTURES:
        raise typer.BadParameter(f"one of {', '.join(ARCHITECTURES)}", param_hint="--model")
    advice = advise(
        Situation(
            goal=Goal(goal),
            model=ARCHITECTURES[model],
            memory=memory_gb * GB,
            examples=examples,
            devices=devices,
            raw_tokens=raw_tokens,
            thumbs=thumbs,
            corrections=corrections,
            is_far_from_base=far,
            has_verifiable_reward=verifiable,
            is_wider_than_sources=wider,
            branches=branches,
            needs_formal_privacy=private,
            context=context,
        )
    )
    if as_json:
        print_json(_as_json(advice))
        return
    _say(advice)


@app.command()
def check(
    files: Files,
    evaluation: Annotated[
        list[Path] | None, typer.Option(exists=True, help="Examples that a model is measured with, and must not learn.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The licence of what the files hold.")] = None,
    secrets: Annotated[bool, typer.Option(help="Look for keys, tokens and passwords.")] = True,
    variants: Annotated[
        int, typer.Option(min=0, max=5, help="Ask each question in up to so many other wordings besides.")
    ] = 0,
    freeze_to: Annotated[
        Path | None, typer.Option(file_okay=False, help="Freeze what is left in a folder below this one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read files, leave out what must not be learnt, and say of each example why."""
    from zhiku_services.finetune.datasets.augmentation import augment
    from zhiku_services.finetune.datasets.cleaning import clean
    from zhiku_services.finetune.datasets.files import load
    from zhiku_services.finetune.datasets.freezing import freeze, quality_card
    from zhiku_services.finetune.datasets.leaks import Detectors

    loaded = [load(path, licence=licence) for path in files]
    given = [example for each in loaded for example in each.examples]
    measured = [
        (f"{path.name}:{example.provenance.line}", text)
        for path in evaluation or []
        for example in load(path).examples
        for text in (example.prompt, example.answer)
    ]
    cleaned = clean(given, evaluation=measured, holds_secret=Detectors().hold_secrets if secrets else None)
    made = augment(cleaned.kept, most=variants, evaluation=measured)
    cleaned.kept += made.examples
    card = quality_card(cleaned)
    frozen = None if freeze_to is None else freeze(cleaned, freeze_to)
    refused = [asdict(each) for file in loaded for each in file.refused]
    left_out = [
        {
            "source": given[each.place].provenance.source,
            "line": given[each.place].provenance.line,
            "reason": str(each.reason),
            "detail": each.detail,
            "other_line": None if each.other is None else given[each.other].provenance.line,
        }
        for each in cleaned.left_out
    ]
    if as_json:
        print_json(
            {
                "card": card,
                "refused": refused,
                "left_out": left_out,
                "variants": {"made": len(made.examples), "refused": made.refused},
                "root": None if frozen is None else frozen.root,
            }
        )
    else:
        _say_checked(loaded, card, refused, left_out)
        if variants:
            why = ", ".join(f"{count} {reason}" for reason, count in sorted(made.refused.items()))
            console.print(f"{len(made.examples)} variants made; refused: {why or 'none'}", highlight=False)
        if frozen is not None:
            console.print(f"Frozen as {frozen.root}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if cleaned.kept else 1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    target: Annotated[Path, typer.Argument(dir_okay=False)],
    to: Annotated[str, typer.Option(help="alpaca, sharegpt, qa or openai.")] = "openai",
    as_json: AsJson = False,
) -> None:
    """Write examples in another format, as JSON lines. Lines that cannot be read are told, and left out."""
    from zhiku_services.finetune.datasets.files import load, save
    from zhiku_services.finetune.datasets.formats import Format

    if to not in {*Format}:
        raise typer.BadParameter(f"one of {', '.join(Format)}", param_hint="--to")
    loaded = load(source)
    written = save(loaded.examples, target, Format(to))
    refused = [asdict(each) for each in loaded.refused]
    if as_json:
        print_json({"from": str(loaded.format), "to": to, "examples": written, "refused": refused})
    else:
        console.print(f"{written} examples, from {loaded.format} to {to}, in {target}", highlight=False)
        _say_refused(refused)
    raise typer.Exit(1 if refused else 0)


@app.command()
def lint(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    tokenizer: Annotated[Path, typer.Option(exists=True, file_okay=False, help="The base model's folder.")],
    max_tokens: Annotated[int, typer.Option(min=16, help="What a trainer takes of one example.")] = 2048,
    show: Annotated[int | None, typer.Option(min=1, help="Show this line's example token by token.")] = None,
    as_json: AsJson = False,
) -> None:
    """Encode examples as the trainer will: what is learnt, whether a turn ends, what is cut off. Exit 1 if unsound."""
    from zhiku_services.finetune.datasets.files import load
    from zhiku_services.finetune.encoding import Encoder
    from zhiku_services.finetune.encoding import lint as lint_examples

    encoder = Encoder.at(tokenizer, max_tokens=max_tokens)
    examples = load(file).examples
    found = lint_examples(examples, encoder)
    lines = [example.provenance.line for example in examples]
    result: dict[str, Any] = {
        "examples": found.examples,
        "tokens": found.tokens,
        "share_learnt": round(found.share_learnt, 4),
        "longest": found.longest,
        "problems": {str(name): count for name, count in found.problems.items()},
        "lines": {str(name): [lines[place] for place in places] for name, places in found.places.items()},
        "notes": found.notes,
    }
    shown = next((example for example in examples if example.provenance.line == show), None)
    if as_json:
        tokens = None if shown is None else [[text, is_one] for text, is_one in encoder.shown(encoder.encode(shown))]
        print_json(result if tokens is None else {**result, "tokens_of_line": tokens})
    else:
        print_table(("", ""), [(name, value) for name, value in result.items() if value])
        if shown is not None:
            console.print(_coloured(encoder.shown(encoder.encode(shown))))
    raise typer.Exit(0 if found.is_sound else 1)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A recipe as JSON.")],
    folder: Annotated[Path, typer.Argument(file_okay=False, help="The run's folder; one that was begun goes on.")],
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the processor; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train as a recipe says. Ctrl-C ends it after the present step; the same command goes on from there."""
    from zhiku_services.finetune.recipe import BUNDLED, served_on
    from zhiku_services.finetune.runs import Run, read_recipe
    from zhiku_services.inference.bundles.chat_folder import chat_folder

    wanted = read_recipe(recipe)
    if not as_json:
        console.print(f"{wanted.method}: can be served on {', '.join(served_on(wanted.method))}", highlight=False)
    base = chat_folder(Settings().models_folder) if wanted.base == BUNDLED else Path(wanted.base)
    run = Run.start(wanted, folder, base=base, threads=threads)
    try:
        _follow(run, as_json=as_json)
    except KeyboardInterrupt:
        run.cancel()
        _follow(run, as_json=as_json)
    result = run.wait()
    if result is None:
        console.print(f"Ended early; `zhiku finetune train {recipe} {folder}` goes on.", highlight=False)
        raise typer.Exit(3)
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    rows = [(name, value if not isinstance(value, list) else ", ".join(value)) for name, value in result]
    print_table(("", ""), rows)


@app.command()
def base(as_json: AsJson = False) -> None:
    """Write the bundled chat model as a folder that trainers load, and say where it is."""
    from zhiku_services.inference.bundles.chat_folder import chat_folder

    folder = chat_folder(Settings().models_folder)
    if as_json:
        print_json({"folder": str(folder)})
    else:
        console.print(str(folder), highlight=False, soft_wrap=True)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder of a run that has ended.")],
    form: Annotated[str, typer.Option("--format", help="adapter, merged or gguf.")] = "adapter",
    dtype: Annotated[str, typer.Option(help="Of a GGUF file: float32, float16 or q8_0.")] = "q8_0",
    to: Annotated[
        Path | None, typer.Option(file_okay=False, help="By default where the embedded engine looks.")
    ] = None,
    engine_base: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The base as GGUF, if it is not the bundled one.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="That of the base, if it is not the bundled one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of what a run learnt, named by its content: an adapter, a whole model, or one file."""
    from zhiku_platform.bundles import BundleForm
    from zhiku_services.finetune.exporting import export as export_run
    from zhiku_services.finetune.gguf_files import DTYPES
    from zhiku_services.finetune.recipe import BUNDLED, RECIPE
    from zhiku_services.inference.bundles.chat_folder import chat_folder
    from zhiku_services.inference.catalogue import CHAT, resolve_bundle

    if form not in {*BundleForm}:
        raise typer.BadParameter(f"one of {', '.join(BundleForm)}", param_hint="--format")
    if dtype not in DTYPES:
        raise typer.BadParameter(f"one of {', '.join(DTYPES)}", param_hint="--dtype")
    settings = Settings()
    recipe = RECIPE.validate_json((run / "recipe.json").read_bytes())
    is_ours = recipe.base == BUNDLED
    if not is_ours and licence is None:
        raise typer.BadParameter("needed for a base of your own", param_hint="--licence")
    if is_ours and engine_base is None:
        engine_base = resolve_bundle(CHAT, settings.models_folder).folder / "model.gguf"
    bundle = export_run(
        run,
        to or settings.bundles_folder,
        base=chat_folder(settings.models_folder) if is_ours else Path(recipe.base),
        engine_base=engine_base,
        form=BundleForm(form),
        dtype=DTYPES[dtype],
        licence=licence or CHAT.licence,
    )
    if as_json:
        said = bundle.manifest.model_dump(mode="json")
        print_json({"name": bundle.name, "digest": bundle.digest, "folder": str(bundle.folder), **said})
    else:
        console.print(f"{bundle.name} in {bundle.folder}", highlight=False, soft_wrap=True)


@app.command()
def track(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder of a run that has ended.")],
    as_json: AsJson = False,
) -> None:
    """Copy a run's recipe, losses and scores to the MLflow server of the settings; what is there is left."""
    from zhiku_services.finetune.runs import RunFolder
    from zhiku_services.finetune.tracking import open_mlflow

    settings = Settings()
    if settings.mlflow_url is None:
        raise typer.BadParameter("set `ZHIKU_MLFLOW_URL` first")
    token = settings.mlflow_token
    mlflow = open_mlflow(settings.mlflow_url, None if token is None else token.get_secret_value())
    run_id = mlflow.copy(RunFolder(run))
    if as_json:
        print_json({"mlflow_run": run_id})
    else:
        console.print(f"MLflow run {run_id}", highlight=False)


@app.command()
def teach(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Questions; their answers are not read.")],
    folder: Annotated[Path, typer.Argument(file_okay=False, help="The dataset is frozen below this one.")],
    licence: Annotated[str, typer.Option(help="What the teacher's terms let be done with its answers.")],
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many questions.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, max=8192, help="An answer longer than this is left out.")] = 512,
    as_json: AsJson = False,
) -> None:
    """Freeze a dataset of what the chat model of the settings answers: a teacher for a smaller one."""
    from zhiku_services.commands.teacher import open_teacher
    from zhiku_services.finetune.datasets.cleaning import clean
    from zhiku_services.finetune.datasets.files import load
    from zhiku_services.finetune.datasets.freezing import freeze
    from zhiku_services.finetune.datasets.leaks import Detectors
    from zhiku_services.finetune.teaching import taught

    asked = load(file).examples[:limit]
    with open_teacher(settings_for(None), max_tokens=max_tokens) as teacher, Progress(console=errors) as progress:
        lessons = taught(asked, teacher.answer, teacher=teacher.name, licence=licence)
        made = list(progress.track(lessons, total=len(asked), description="asking"))
    examples = [each for each in made if each is not None]
    frozen = freeze(clean(examples, holds_secret=Detectors().hold_secrets), folder)
    said = {"root": frozen.root, "teacher": teacher.name, "without_answer": len(made) - len(examples), **frozen.card}
    if as_json:
        print_json(said)
    else:
        print_table(("", ""), list(said.items()))


def _follow(run: "Run", *, as_json: bool) -> None:
    """Show what a run tells: as a bar, or one object a line on the error stream."""
    if as_json:
        for event in run.follow():
            typer.echo(event.model_dump_json(exclude_none=True), err=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("loading", total=None)
        for event in run.follow():
            said = event.kind if event.loss is None else f"loss {event.loss:.3f}"
            progress.update(bar, description=said, completed=event.step, total=event.of)


def _coloured(tokens: list[tuple[str, bool]]) -> Text:
    """What is learnt in green, all else dim, each token apart from the next."""
    text = Text()
    for piece, is_learnt in tokens:
        text.append(piece.replace("\n", "⏎\n"), style="green" if is_learnt else "dim")
        text.append("·", style="blue")
    return text


def _as_json(advice: "Advice") -> dict[str, Any]:
    memory = None
    if advice.memory is not None:
        parts = {f"{name}_gb": round(value / 1e9, 2) for name, value in asdict(advice.memory).items()}
        memory = {**parts, "total_gb": round(advice.memory.total / 1e9, 2)}
    return {
        "option": str(advice.option),
        "reasons": list(advice.reasons),
        "parameters": dict(advice.parameters),
        "serve_on": list(advice.serve_on),
        "memory": memory,
        "hours_on_a100": None if advice.hours is None else round(advice.hours, 2),
        "tokens_in_flight": None if advice.serving is None else advice.serving.tokens,
        "warnings": list(advice.warnings),
        "rejected": {str(option): why for option, why in advice.rejected.items()},
    }


def _say(advice: "Advice") -> None:
    console.print(f"[bold]{advice.option}[/]", highlight=False)
    for reason in advice.reasons:
        console.print(reason, highlight=False)
    for warning in advice.warnings:
        console.print(f"[yellow]{warning}[/]", highlight=False)
    told = _as_json(advice)
    rows = [*advice.parameters.items(), ("served on", ", ".join(advice.serve_on))]
    if told["memory"] is not None:
        rows += [("memory, GB", told["memory"]["total_gb"]), ("hours on an A100", told["hours_on_a100"])]
    print_table(("", ""), rows)
    print_table(("not", "because"), list(advice.rejected.items()))


def _say_checked(
    loaded: "list[Loaded]", card: dict[str, Any], refused: list[dict[str, Any]], left_out: list[dict[str, Any]]
) -> None:
    encodings = sorted({encoding for each in loaded for encoding in each.encodings})
    print_table(("", ""), [("encodings", ", ".join(encodings)), *card.items()])
    _say_refused(refused)
    rows = [(row["source"], row["line"], row["reason"], row["detail"]) for row in left_out[:_SHOWN]]
    if rows:
        print_table(("file", "line", "left out", "because"), rows, title=f"{len(left_out)} left out; --json has all")


def _say_refused(refused: list[dict[str, Any]]) -> None:
    rows = [(row["source"], row["line"], row["code"], row["problem"]) for row in refused[:_SHOWN]]
    if rows:
        print_table(("file", "line", "not read", "because"), rows, title=f"{len(refused)} not read")
