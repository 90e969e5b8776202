"""Order passages: what a question's words are, how two searches are fused, how sure the result is.

Pure functions; the index and the database are not known here.
"""

from collections.abc import Sequence
from typing import Final

from zhiku_services.knowledge.ranking.fusion import Candidate, Ranked, rank

__all__ = ["POOL", "Candidate", "Ranked", "rank", "words_of_passage"]

POOL: Final = 100
"""Hits to take from each search before fusing them."""


def words_of_passage(title: str, heading_path: Sequence[str], text: str) -> str:
    """Join what word search sees of a passage: a table is found by the headings it stands under."""
    return "\n".join(part for part in (title, " > ".join(heading_path), text) if part)
