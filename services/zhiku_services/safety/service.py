"""Screens texts and streams: what was found, and what policy does about it."""

from collections.abc import Sequence
from typing import Final

from zhiku_platform.contracts.safety import (
    CONTEXT_CHARS,
    Category,
    Finding,
    PolicyMark,
    Screened,
    Screening,
    ScreenRequest,
    Severity,
    StreamStep,
    StreamStepped,
    Surface,
    Verdict,
    severest,
)
from zhiku_services.safety.injection import attempts
from zhiku_services.safety.lexicon import Term, own_terms
from zhiku_services.safety.matching import Matcher
from zhiku_services.safety.policy import DEFAULT, Policy

MASK: Final = "＊"


class Safety:
    """A lexicon and a policy, ready to screen. Safe to share between threads."""

    def __init__(self, terms: Sequence[Term], policy: Policy = DEFAULT) -> None:
        self._matcher = Matcher(terms)
        self._policy = policy
        self.mark: PolicyMark = policy.mark(terms)

    def screen(self, request: ScreenRequest) -> Screening:
        """Screen whole texts: for terms, and all but answers for attempts on the model too."""
        return Screening(results=[self._screened(request.surface, text) for text in request.texts], policy=self.mark)

    def step(self, step: StreamStep) -> StreamStepped:
        """Show what no later piece can make part of a term.

        Whatever the pieces, the same text comes out with the same findings.
        """
        text, margin = step.context + step.held + step.piece, len(step.context)
        hits, settled = self._matcher.look(text, is_end=step.is_final)
        settled = max(settled, margin)
        matches = self._matcher.matches([hit for hit in hits if hit.end <= settled])
        findings = [
            self._finding(Surface.ANSWER, match.term.category, match.term.severity, match.start, match.end)
            for match in matches
            if match.end > margin
        ]
        verdict = severest([finding.verdict for finding in findings])
        is_blocked = verdict is Verdict.BLOCK
        return StreamStepped(
            released="" if is_blocked else _mask(text, findings)[margin:settled],
            context="" if is_blocked else text[max(0, settled - CONTEXT_CHARS) : settled],
            held="" if is_blocked else text[settled:],
            verdict=verdict,
            findings=findings,
            policy=self.mark,
        )

    def _screened(self, surface: Surface, text: str) -> Screened:
        findings = [
            self._finding(surface, match.term.category, match.term.severity, match.start, match.end)
            for match in self._matcher.find(text)
        ]
        if surface is not Surface.ANSWER:
            findings += [
                self._finding(surface, found.category, found.severity, found.start, found.end)
                for found in attempts(text)
            ]
        return Screened(verdict=severest([finding.verdict for finding in findings]), findings=findings)

    def _finding(self, surface: Surface, category: Category, severity: Severity, start: int, end: int) -> Finding:
        verdict = self._policy.verdict(surface, category, severity)
        return Finding(category=category, severity=severity, verdict=verdict, start=start, end=end)


def open_safety() -> Safety:
    """The screen with the terms that Zhiku ships."""
    return Safety(own_terms())


def _mask(text: str, findings: Sequence[Finding]) -> str:
    for finding in findings:
        if finding.verdict is Verdict.MASK:
            text = text[: finding.start] + MASK * (finding.end - finding.start) + text[finding.end :]
    return text
