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
from zhiku_platform.settings import Settings
from zhiku_services.safety.errors import GuardUnavailableError
from zhiku_services.safety.guard import Guard, GuardEndpoint
from zhiku_services.safety.injection import attempts
from zhiku_services.safety.lexicon import Term, own_terms, read_terms
from zhiku_services.safety.matching import Matcher
from zhiku_services.safety.policy import DEFAULT, Policy, read_policy

MASK: Final = "＊"


class Safety:
    """A lexicon, a policy, and a guard model if there is one, ready to screen. Safe to share between threads."""

    def __init__(
        self,
        terms: Sequence[Term],
        policy: Policy = DEFAULT,
        guard: Guard | None = None,
        *,
        matcher: Matcher | None = None,
    ) -> None:
        self._terms = terms
        self._matcher = matcher or Matcher(terms)
        self.policy = policy
        self._guard = guard
        self.mark: PolicyMark = policy.mark(terms, guard.name if guard else None)

    def under(self, policy: Policy) -> "Safety":
        """The same screen under another policy."""
        return Safety(self._terms, policy, self._guard, matcher=self._matcher)

    def screen(self, request: ScreenRequest) -> Screening:
        """Screen whole texts: for terms, all but answers for attempts on the model, and by the guard model.

        Raises:
            GuardUnavailableError: it does not answer, and policy lets nothing pass without it.
        """
        judged = self._judge(request.surface, request.texts)
        results = [
            self._screened(request.surface, text, of_guard)
            for text, of_guard in zip(request.texts, judged, strict=True)
        ]
        return Screening(results=results, policy=self.mark)

    def close(self) -> None:
        """Let go of the guard model."""
        if self._guard is not None:
            self._guard.close()

    def step(self, step: StreamStep) -> StreamStepped:
        """Show what no later piece can make part of a term; before a guard model, what is final.

        Whatever the pieces, the same text comes out with the same findings.

        Raises:
            GuardUnavailableError: the guard model does not answer, and policy lets nothing pass without it.
        """
        text, margin = step.context + step.held + step.piece, len(step.context)
        hits, settled = self._matcher.look(text, is_end=step.is_final)
        settled = max(settled, margin) if step.is_final or not self._guards(Surface.ANSWER) else margin
        matches = self._matcher.matches([hit for hit in hits if hit.end <= settled])
        findings = [
            self._finding(Surface.ANSWER, match.term.category, match.term.severity, match.start, match.end)
            for match in matches
            if match.end > margin
        ]
        if step.is_final and step.question and text[margin:].strip():
            (judged,) = self._judge(Surface.ANSWER, [text], step.question)
            findings += [one.model_copy(update={"start": margin}) for one in judged]
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

    def _guards(self, surface: Surface) -> bool:
        return self._guard is not None and surface in self.policy.guard.surfaces

    def _judge(self, surface: Surface, texts: Sequence[str], question: str = "") -> list[list[Finding]]:
        """What the guard model finds in each text, be it as an answer to a question; its findings are of the whole."""
        if self._guard is None or not self._guards(surface):
            return [[] for _ in texts]
        rules = self.policy.guard
        try:
            judgements = self._guard.judge(texts, question=question)
        except GuardUnavailableError:
            if rules.if_unavailable == "refuse":
                raise
            passed = [
                Finding(
                    category=Category.UNCHECKED, severity=Severity.LOW, verdict=Verdict.WARN, start=0, end=len(text)
                )
                for text in texts
            ]
            return [[one] for one in passed]
        return [
            [
                self._finding(surface, category, rules.severity(judgement.level), 0, len(text))
                for category in judgement.categories
            ]
            for text, judgement in zip(texts, judgements, strict=True)
        ]

    def _screened(self, surface: Surface, text: str, judged: Sequence[Finding]) -> Screened:
        findings = [
            self._finding(surface, match.term.category, match.term.severity, match.start, match.end)
            for match in self._matcher.find(text)
        ]
        if surface is not Surface.ANSWER:
            findings += [
                self._finding(surface, found.category, found.severity, found.start, found.end)
                for found in attempts(text)
            ]
        findings += judged
        return Screened(verdict=severest([finding.verdict for finding in findings]), findings=findings)

    def _finding(self, surface: Surface, category: Category, severity: Severity, start: int, end: int) -> Finding:
        verdict = self.policy.verdict(surface, category, severity)
        return Finding(category=category, severity=severity, verdict=verdict, start=start, end=end)


def open_safety(settings: Settings | None = None) -> Safety:
    """The screen that the settings ask for; without any, with what Zhiku ships.

    Raises:
        LexiconError: the file of terms cannot be used.
        PolicyError: the file of the policy cannot be used.
    """
    if settings is None:
        return Safety(own_terms())
    terms = [*own_terms(), *(read_terms(settings.safety_terms) if settings.safety_terms else [])]
    policy = read_policy(settings.safety_policy) if settings.safety_policy else DEFAULT
    return Safety(terms, policy, _open_guard(settings))


def _open_guard(settings: Settings) -> Guard | None:
    if settings.guard_base_url is None:
        return None
    key = settings.guard_api_key
    return GuardEndpoint(
        settings.guard_base_url,
        model=settings.guard_model,
        api_key=key.get_secret_value() if key else None,
        timeout_s=settings.guard_timeout_s,
    )


def _mask(text: str, findings: Sequence[Finding]) -> str:
    for finding in findings:
        if finding.verdict is Verdict.MASK:
            text = text[: finding.start] + MASK * (finding.end - finding.start) + text[finding.end :]
    return text
