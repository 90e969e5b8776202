"""What is done about a finding, by where it was found, what it is and how severe."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PlainSerializer, ValidationError, model_validator

from zhiku_platform.contracts.safety import Category, PolicyMark, Severity, Surface, Verdict
from zhiku_platform.contracts.wire import Message
from zhiku_services.safety.errors import PolicyError
from zhiku_services.safety.guard import Level
from zhiku_services.safety.injection import RULES
from zhiku_services.safety.lexicon import Term

SeverityName = Literal["low", "medium", "high"]
VerdictName = Literal["allow", "warn", "review", "mask", "block"]


class SpecialVerdicts(Message):
    """Verdicts for one category on one surface, which come before those by severity."""

    surface: Surface
    category: Category
    verdicts: Mapping[SeverityName, VerdictName]


class GuardRules(Message):
    """Which texts a guard model is asked about, how severe its words are, and what if it says nothing.

    `refuse` ends the question or the answer with an error; `warn` lets it pass with a finding `unchecked`.
    """

    # Sorted where it is written, so that the same policy is the same JSON in every process.
    surfaces: Annotated[frozenset[Surface], PlainSerializer(sorted, when_used="json")] = frozenset(
        {Surface.QUESTION, Surface.ANSWER}
    )
    controversial: SeverityName = "medium"
    unsafe: SeverityName = "high"
    if_unavailable: Literal["refuse", "warn"] = "refuse"

    def severity(self, level: Level) -> Severity:
        return _severity(self.unsafe if level is Level.UNSAFE else self.controversial)


class Policy(Message):
    """Verdicts; `special` comes before `verdicts`."""

    version: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w .-]+$")]
    verdicts: Mapping[Surface, Mapping[SeverityName, VerdictName]]
    special: Annotated[tuple[SpecialVerdicts, ...], Field(max_length=len(Surface) * len(Category))] = ()
    guard: GuardRules = GuardRules()

    @model_validator(mode="after")
    def _leave_nothing_open(self) -> Self:
        tables = [self.verdicts.get(surface, {}) for surface in Surface] + [rule.verdicts for rule in self.special]
        if any(len(table) < len(Severity) for table in tables):
            raise ValueError("every surface and every special rule names a verdict for low, medium and high")
        return self

    def verdict(self, surface: Surface, category: Category, severity: Severity) -> Verdict:
        name = _name(severity)
        for rule in self.special:
            if (rule.surface, rule.category) == (surface, category):
                return Verdict(rule.verdicts[name])
        return Verdict(self.verdicts[surface][name])

    def as_lines(self) -> dict[str, str]:
        """Each rule under a name of its own, for people to compare."""
        lines = {
            f"{surface.value}.{name}": verdict
            for surface, table in self.verdicts.items()
            for name, verdict in table.items()
        }
        for rule in self.special:
            for name, verdict in rule.verdicts.items():
                lines.setdefault(f"{rule.surface.value}.{rule.category.value}.{name}", verdict)
        guard = {name: str(value) for name, value in self.guard.model_dump(exclude={"surfaces"}).items()}
        guard["surfaces"] = ", ".join(sorted(self.guard.surfaces))
        return {"version": self.version, **lines, **{f"guard.{name}": value for name, value in guard.items()}}

    def mark(self, terms: Iterable[Term], guard: str | None = None) -> PolicyMark:
        """The policy's version, and a digest that changes with any verdict, rule or term, and with the guard model."""
        content = {
            "version": self.version,
            "verdicts": [
                [surface, category, severity, self.verdict(surface, category, severity)]
                for surface in Surface
                for category in Category
                for severity in Severity
            ],
            "guard": [guard, sorted(self.guard.surfaces), *self.guard.model_dump(exclude={"surfaces"}).values()],
            "rules": [[rule.category, rule.severity, rule.pattern.pattern] for rule in RULES],
            "terms": [term.model_dump(mode="json") for term in terms],
        }
        canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return PolicyMark(version=self.version, digest=sha256(canonical.encode()).hexdigest())


def read_policy(path: Path) -> Policy:
    """Read a policy from a file of JSON.

    Raises:
        PolicyError: it is none; the message says what is wrong with it, or that there is no file.
    """
    try:
        return Policy.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"{path} cannot be read.", remedy="Correct `ZHIKU_SAFETY_POLICY`.") from error
    except (ValidationError, UnicodeDecodeError) as error:
        reason = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else {"msg": "no UTF-8"}
        place = ".".join(str(part) for part in reason.get("loc", ()))
        raise PolicyError(
            f"{path} is no safety policy: {place or 'the whole'}: {reason['msg']}.", remedy="See docs/safety.md."
        ) from error


def _name(severity: Severity) -> SeverityName:
    names: Final[Mapping[Severity, SeverityName]] = {
        Severity.LOW: "low",
        Severity.MEDIUM: "medium",
        Severity.HIGH: "high",
    }
    return names[severity]


def _severity(name: SeverityName) -> Severity:
    return Severity[name.upper()]


DEFAULT: Final = read_policy(Path(__file__).parent / "policy.json")
"""The policy that Zhiku ships."""
