"""Judge whether what was found answers a question, before anything is written."""

from collections.abc import Sequence
from typing import Final

from zhiku_platform.contracts.knowledge import SearchResult
from zhiku_services.assistant.answering.extraction import ScoredUnit

_LEAST: Final = 0.5


def is_answerable(question: str, found: SearchResult, scored: Sequence[ScoredUnit]) -> bool:
    """Whether the passages probably answer the question."""
    return answer_probability(question, found, scored) >= _LEAST


def answer_probability(question: str, found: SearchResult, scored: Sequence[ScoredUnit]) -> float:
    """The probability, 0..1, that the passages answer the question."""
    del question
    if not scored:
        return 0.0
    return max(found.relevance, max(item.coverage for item in scored) * 0.5)
