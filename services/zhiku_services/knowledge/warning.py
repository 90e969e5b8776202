"""What the safety policy warns of in passages, for people who read them as they stand.

Whoever may read a document may read all of it, so nothing is hidden here; but nothing is shown silently either.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from zhiku_platform.access import Access
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.knowledge import Passage, SearchResult
from zhiku_platform.contracts.safety import Screening, Surface, Verdict

_AT_ONCE: Final = 64


class Safety(Protocol):
    """Called from worker threads; `SafetyClient` is one."""

    def screen(self, principal: Principal, surface: Surface, texts: Sequence[str]) -> Screening: ...


def warn(access: Access, passages: Sequence[Passage], safety: Safety | None) -> list[Passage]:
    """The passages with what is warned of in each; without a safety service, as they are.

    Raises:
        ZhikuError: the safety service did not answer, so nothing is shown.
    """
    if safety is None:
        return list(passages)
    warned: list[Passage] = []
    for start in range(0, len(passages), _AT_ONCE):
        some = passages[start : start + _AT_ONCE]
        texts = ["\n".join([one.document_title, *one.heading_path, one.text]) for one in some]
        screening = safety.screen(access.principal, Surface.DOCUMENT, texts)
        for passage, screened in zip(some, screening.results, strict=True):
            found = {finding.category for finding in screened.findings if finding.verdict is not Verdict.ALLOW}
            warned.append(passage.model_copy(update={"warnings": sorted(found)}))
    return warned


def warn_of_found(access: Access, result: SearchResult, safety: Safety | None) -> SearchResult:
    """A search's result, its passages with what is warned of in each."""
    warned = warn(access, [found.passage for found in result.passages], safety)
    found = [one.model_copy(update={"passage": passage}) for one, passage in zip(result.passages, warned, strict=True)]
    return result.model_copy(update={"passages": found})
