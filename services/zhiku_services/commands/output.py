"""How commands speak: tables and colours for people, one JSON object for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zhiku_platform.errors import ZhikuError

console = Console()
errors = Console(stderr=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output, Chinese as it is written."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    table = Table(*columns, title=title, header_style="bold")
    for row in rows:
        # A title is text: what looks like markup in it is part of it.
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def fail(error: ZhikuError) -> None:
    """Say what happened and what to do, on standard error."""
    problem = error.problem()
    detail, remedy = escape(problem.detail), escape(problem.remedy)
    errors.print(f"[bold red]{detail}[/] [dim]({problem.code})[/]\n{remedy}", highlight=False)
