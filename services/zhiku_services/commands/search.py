"""`zhiku search`: passages without an answer."""

from typing import Annotated

import typer
from rich.markup import escape

from zhiku_platform.contracts.knowledge import SearchMode, SearchRequest
from zhiku_services.commands.home import (
    DEFAULT_USER,
    AsJson,
    AsUser,
    Home,
    KnowledgeBaseName,
    knowledge_base_of,
    services,
    settings_for,
)
from zhiku_services.commands.output import console, print_json


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    kb: KnowledgeBaseName,
    user: AsUser = DEFAULT_USER,
    limit: Annotated[int, typer.Option(help="How many passages.", min=1, max=50)] = 10,
    mode: Annotated[SearchMode, typer.Option(help="Which ranking.")] = SearchMode.HYBRID,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find passages that the user may read."""
    with services(settings_for(home)) as clients:
        principal = clients.principal(user)
        scope = knowledge_base_of(clients, principal, kb, create=False)
        result = clients.knowledge.search(
            principal, SearchRequest(query=query, knowledge_base_ids=[scope.id], limit=limit, mode=mode)
        )
    if as_json:
        passages = [
            {
                "passage_id": found.passage.id,
                "document": found.passage.document_title,
                "page": found.passage.page,
                "text": found.passage.text,
                "score": round(found.score, 4),
            }
            for found in result.passages
        ]
        print_json({"passages": passages, "timings_ms": result.timings_ms})
        return
    for n, found in enumerate(result.passages, start=1):
        page = f", page {found.passage.page}" if found.passage.page else ""
        title = escape(found.passage.document_title)
        console.print(f"[bold]{n}. {title}[/]{page} [dim]{found.score:.3f}[/]", highlight=False)
        console.print(found.passage.text, markup=False, highlight=False)
        console.print()
    if not result.passages:
        console.print(f"Nothing found in {', '.join(result.searched)}.", markup=False, highlight=False)
