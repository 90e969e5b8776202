"""`zhiku ask`: a cited answer."""

import asyncio
from typing import Annotated, Any

import typer

from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerState,
    AskRequest,
    DoneEvent,
    PhaseEvent,
    ResetEvent,
    TextEvent,
)
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.errors import ServiceUnavailableError
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
from zhiku_services.commands.output import console, errors, print_json
from zhiku_services.embedded.clients import Clients


def ask(
    question: Annotated[str, typer.Argument(help="The question, in Chinese or English.")],
    kb: KnowledgeBaseName,
    user: AsUser = DEFAULT_USER,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question with citations, from what the user may read."""
    with services(settings_for(home)) as clients:
        principal = clients.principal(user)
        scope = knowledge_base_of(clients, principal, kb, create=False)
        request = AskRequest(question=question, knowledge_base_ids=[scope.id])
        answer = ask_and_wait(clients, principal, request, show=not as_json)
    if as_json:
        print_json(answer_json(answer))
    else:
        _print_answer(answer)
    if answer.state is AnswerState.FAILED:
        raise typer.Exit(1)


def ask_and_wait(clients: Clients, principal: Principal, request: AskRequest, *, show: bool = False) -> Answer:
    """Ask, and wait for the whole answer.

    Raises:
        ServiceUnavailableError: the stream ended before the answer did.
    """

    async def run() -> Answer:
        async for event in clients.assistant.ask(principal, request):
            if isinstance(event, DoneEvent):
                return event.answer
            if show and isinstance(event, PhaseEvent):
                errors.print(f"[dim]{event.phase}{f' {event.passages} passages' if event.passages else ''} …[/]")
            if show and isinstance(event, TextEvent):
                errors.print(event.text, end="", markup=False, highlight=False, style="dim")
            if show and isinstance(event, ResetEvent):
                errors.print()
        raise ServiceUnavailableError("The answer was cut off.", remedy="Ask again.")

    return asyncio.run_coroutine_threadsafe(run(), clients.loop).result()


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer with the keys that `--json` promises."""
    return {
        "answer": answer.text,
        "mode": answer.mode,
        "sentences": [sentence.model_dump() for sentence in answer.sentences],
        "citations": [
            {
                "n": citation.n,
                "document": citation.document,
                "passage_id": citation.passage_id,
                "page": citation.page,
                "quote": citation.quote,
                "score": citation.score,
            }
            for citation in answer.citations
        ],
        "receipt": answer.id,
        "timings_ms": answer.timings_ms,
    }


def _print_answer(answer: Answer) -> None:
    console.print()
    for sentence in answer.sentences:
        marks = "".join(f"[{n}]" for n in sentence.citations)
        console.print(f"{sentence.text} {marks}", markup=False, highlight=False)
    if not answer.sentences:
        console.print(answer.text, markup=False, highlight=False)
    console.print()
    for citation in answer.citations:
        page = f", page {citation.page}" if citation.page else ""
        console.print(f"[{citation.n}] {citation.document}{page}", markup=False, highlight=False, style="bold")
        console.print(f"    “{citation.quote}”", markup=False, highlight=False, style="dim")
    if answer.problem is not None:
        errors.print(f"{answer.problem.detail} {answer.problem.remedy}", style="red")
