"""What is done about a finding, by where it was found, what it is and how severe."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from zhiku_platform.contracts.safety import Category, PolicyMark, Severity, Surface, Verdict
from zhiku_services.safety.injection import RULES
from zhiku_services.safety.lexicon import Term

_BY_SEVERITY: Final[Mapping[Surface, Mapping[Severity, Verdict]]] = {
    Surface.QUESTION: {Severity.LOW: Verdict.WARN, Severity.MEDIUM: Verdict.WARN, Severity.HIGH: Verdict.BLOCK},
    Surface.DOCUMENT: {Severity.LOW: Verdict.ALLOW, Severity.MEDIUM: Verdict.WARN, Severity.HIGH: Verdict.WARN},
    Surface.ANSWER: {Severity.LOW: Verdict.WARN, Severity.MEDIUM: Verdict.MASK, Severity.HIGH: Verdict.BLOCK},
}
_SPECIAL: Final[Mapping[tuple[Surface, Category], Mapping[Severity, Verdict]]] = {
    # A passage may well describe an attack: people may read it in quotes, and no model is given it.
    (Surface.DOCUMENT, category): dict.fromkeys(Severity, Verdict.REVIEW)
    for category in (Category.INJECTION, Category.JAILBREAK)
}


@dataclass(frozen=True, slots=True)
class Policy:
    """Verdicts; `special` comes before `by_severity`."""

    version: str
    by_severity: Mapping[Surface, Mapping[Severity, Verdict]]
    special: Mapping[tuple[Surface, Category], Mapping[Severity, Verdict]]

    def verdict(self, surface: Surface, category: Category, severity: Severity) -> Verdict:
        return self.special.get((surface, category), self.by_severity[surface])[severity]

    def mark(self, terms: Iterable[Term]) -> PolicyMark:
        """The policy's version, and a digest that changes with any verdict, rule or term."""
        content = {
            "version": self.version,
            "verdicts": [
                [surface, category, severity, self.verdict(surface, category, severity)]
                for surface in Surface
                for category in Category
                for severity in Severity
            ],
            "rules": [[rule.category, rule.severity, rule.pattern.pattern] for rule in RULES],
            "terms": [term.model_dump(mode="json") for term in terms],
        }
        canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return PolicyMark(version=self.version, digest=sha256(canonical.encode()).hexdigest())


DEFAULT: Final = Policy("1", _BY_SEVERITY, _SPECIAL)
