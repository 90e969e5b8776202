"""`zhiku reindex`: the vector index made anew, with the embedding model of the settings."""

from contextlib import closing

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zhiku_services.commands.home import AsJson, Home, settings_for
from zhiku_services.commands.output import console, errors, print_json
from zhiku_services.embedded.home import hold_home, prepare_home


def reindex(home: Home = None, as_json: AsJson = False) -> None:
    """Write every passage into a vector index of the embedding model that is set now; Zhiku must not run meanwhile."""
    from zhiku_platform.contracts.inference import TextKind
    from zhiku_services.inference.service import load_configured_embedder
    from zhiku_services.knowledge import app as knowledge
    from zhiku_services.knowledge import reindexing

    settings = prepare_home(settings_for(home))
    with hold_home(settings.home), closing(knowledge.open_database(settings)) as database:
        embedder = load_configured_embedder(settings)
        model = reindexing.IndexModel(embedder.model.id, embedder.model.sha256)
        total = reindexing.count_passages(database)
        bars = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with (
            closing(knowledge.open_index(settings, model.id, embedder.dimensions)) as index,
            Progress(*bars, TimeElapsedColumn(), TimeRemainingColumn(), console=errors) as progress,
        ):
            task = progress.add_task("passages", total=total)
            before = reindexing.reindex(
                database,
                index,
                model,
                lambda texts: embedder.embed(texts, TextKind.PASSAGE).vectors.tolist(),
                lambda done: progress.advance(task, done),
            )
        if before is not None and before.id != model.id:
            knowledge.drop_index(settings, before.id)
    if as_json:
        print_json({"model": model.id, "before": before.id if before else None, "passages": total})
    else:
        console.print(f"{total} passages are indexed with `{model.id}`.", highlight=False)
