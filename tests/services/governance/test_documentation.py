"""The documentation says what the code does."""

from pathlib import Path

from zhiku_platform.contracts.governance import action_table

DOCS = Path(__file__).parents[3] / "docs"


def test_the_table_of_actions_is_that_of_the_code() -> None:
    documented = (DOCS / "governance.md").read_text(encoding="utf-8")
    assert action_table() in documented, "copy what `action_table()` gives into docs/governance.md"
