"""The demo company: its handbook, and questions with known answers."""

from pathlib import Path

HANDBOOK = Path(__file__).parent / "handbook"
"""The folder a `files` source reads. Folders that only one department may read hold an ACL file."""

QUESTIONS = Path(__file__).parent / "questions.jsonl"
"""One JSON object a line; `tests/services/embedded/test_demo.py` says what each field means."""
