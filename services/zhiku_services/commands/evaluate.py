"""`zhiku eval`: quality, measured through the product's own path."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from zhiku_platform.access import service_principal
from zhiku_platform.contracts.assistant import Answer, AskRequest
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import TextKind
from zhiku_platform.contracts.knowledge import (
    DocumentTarget,
    NewKnowledgeBase,
    PassageDraft,
    PublishedPassage,
    PublishRequest,
    SearchMode,
    SearchRequest,
)
from zhiku_platform.db import new_id
from zhiku_platform.text.document import Paragraph, ParsedDocument
from zhiku_platform.text.passages import index_text, passages
from zhiku_platform.text.tokens import TokenCounter
from zhiku_services.commands import privacy, safety
from zhiku_services.commands.ask import ask_and_wait
from zhiku_services.commands.home import DEFAULT_USER, AsJson, Home, settings_for
from zhiku_services.commands.output import errors, print_json, print_table
from zhiku_services.embedded.clients import Clients

if TYPE_CHECKING:
    from zhiku_services.knowledge.evaluation import EvaluationSet, RetrievalReport

app = typer.Typer(help="Measure quality.", no_args_is_help=True)
app.command("pii")(privacy.eval_pii)
app.command("safety")(safety.eval_safety)

_EMBED_AT_ONCE = 64


class Corpus:
    """Writes documents of an evaluation set into a knowledge base, as ingestion would after parsing them."""

    def __init__(self, clients: Clients, tokenizer_folder: Path) -> None:
        self.clients = clients
        self.owner = clients.principal(DEFAULT_USER)
        self._ingestion = service_principal("ingestion", self.owner.tenant)
        self._count = TokenCounter(tokenizer_folder).count

    def create(self, name: str) -> str:
        """A new knowledge base that the evaluation's user owns."""
        return self.clients.knowledge.create_knowledge_base(self.owner, NewKnowledgeBase(name=name)).id

    def add(self, knowledge_base_id: str, document_id: str, title: str, text: str) -> str:
        """Cut, embed and publish one document; return the id that it got."""
        blocks = tuple(Paragraph(part) for line in text.splitlines() if (part := line.strip()))
        drafts = passages(ParsedDocument("text/plain", blocks), count_tokens=self._count, title=title)
        found_as = new_id("doc")
        if drafts:  # some sets hold documents without text, which nobody can find
            self._publish(knowledge_base_id, found_as, title or document_id, drafts)
        return found_as

    def _publish(self, knowledge_base_id: str, found_as: str, title: str, drafts: Sequence[PassageDraft]) -> None:
        target = DocumentTarget(
            document_id=found_as,
            knowledge_base_id=knowledge_base_id,
            path=found_as,
            title=title[:500],
            media_type="text/plain",
            blob="0" * 64,
            size_bytes=0,
            content_hash="0" * 64,
        )
        starts = range(0, len(drafts), _EMBED_AT_ONCE)
        for part, start in enumerate(starts):
            cut = drafts[start : start + _EMBED_AT_ONCE]
            embedded = self.clients.inference.embed(
                self._ingestion, [index_text(title, draft.heading_path, draft.text) for draft in cut], TextKind.PASSAGE
            )
            self.clients.knowledge.publish(
                self._ingestion,
                PublishRequest(
                    target=target,
                    version_id=f"{found_as}-1",
                    fence=1,
                    part=part,
                    final=part == len(starts) - 1,
                    embedding_model=embedded.model,
                    passages=[
                        PublishedPassage(draft=draft, vector=vector)
                        for draft, vector in zip(cut, embedded.vectors, strict=True)
                    ],
                ),
            )


@contextmanager
def corpus(home: Path | None) -> Iterator[Corpus]:
    """A corpus in a home of its own, which goes away afterwards unless one is named."""
    from zhiku_services.embedded.app import Embedded
    from zhiku_services.inference.catalogue import resolve_embedding

    with tempfile.TemporaryDirectory(prefix="zhiku-eval-") as scratch:
        settings = settings_for(home or Path(scratch))
        with Embedded(settings) as embedded:
            yield Corpus(embedded.clients, resolve_embedding(settings).folder)


@app.command()
def retrieval(
    folder: Annotated[Path, typer.Argument(help="A BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure hybrid search beside dense and BM25 alone, in one run, on a BEIR set."""
    from zhiku_services.knowledge.evaluation import load_beir

    data = load_beir(folder)
    with corpus(home) as target:
        report = evaluate_retrieval(target, data, quiet=as_json)
    result = report.as_json()
    if as_json:
        print_json(result)
        return
    print_table(
        ("run", *next(iter(result["runs"].values()))),
        [(run, *(f"{value:.3f}" for value in figures.values())) for run, figures in result["runs"].items()],
        title=f"{folder.name}: {result['documents']} documents, {result['queries']} queries",
    )


def evaluate_retrieval(target: Corpus, data: "EvaluationSet", *, quiet: bool = False) -> "RetrievalReport":
    """Index a set into a new knowledge base, and ask its questions in every mode."""
    from zhiku_services.knowledge.evaluation import evaluate

    knowledge_base_id = target.create(f"{data.name} {new_id('run')}")
    names = {
        target.add(knowledge_base_id, document.id, document.title, document.text): document.id
        for document in track(data.documents, "Indexing", console=errors, disable=quiet)
    }
    return evaluate(data, search=_searcher(target, knowledge_base_id, names))


def _searcher(
    target: Corpus, knowledge_base_id: str, names: dict[str, str]
) -> Callable[[str, SearchMode, int], list[tuple[str, float]]]:
    def search(query: str, mode: SearchMode, depth: int) -> list[tuple[str, float]]:
        request = SearchRequest(
            query=query[:4000], knowledge_base_ids=[knowledge_base_id], limit=min(depth, 50), mode=mode
        )
        result = target.clients.knowledge.search(target.owner, request)
        return [(names[found.passage.document_id], found.score) for found in result.passages]

    return search


@app.command()
def answers(
    file: Annotated[Path, typer.Argument(help="JSON lines: id, question, answers, answerable, documents.")],
    limit: Annotated[int | None, typer.Option(help="Only the first so many questions.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure answers, refusals and citations; each question is asked against its own documents."""
    from zhiku_services.assistant.evaluation import EvaluationItem, evaluate, load_items

    items = load_items(file)[:limit]
    with corpus(home) as target:

        def ask(item: EvaluationItem) -> Answer:
            knowledge_base_id = target.create(f"{item.id[:60]} {new_id('run')}")
            for n, document in enumerate(item.documents):
                target.add(knowledge_base_id, f"{item.id}-{n}", document.title, document.text)
            return _ask(target.clients, target.owner, item.question, knowledge_base_id)

        report = evaluate(track(items, "Asking", console=errors, disable=as_json), ask)
    result = report.as_json()
    if as_json:
        print_json(result)
        return
    print_table(
        ("measure", "value"),
        [(name, value) for name, value in result.items() if name != "per_item"],
        title=f"{file.name}: {len(items)} questions",
    )


def _ask(clients: Clients, user: Principal, question: str, knowledge_base_id: str) -> Answer:
    return ask_and_wait(clients, user, AskRequest(question=question, knowledge_base_ids=[knowledge_base_id]))
