"""Our recognisers as Presidio's, so that an engine of Presidio can load them: `registry.add_recognizer(...)`."""

from collections.abc import Iterator

from presidio_analyzer import AnalysisExplanation, LocalRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from zhiku_platform.privacy.addresses import find_addresses
from zhiku_platform.privacy.findings import Entity, Finding
from zhiku_platform.privacy.names import find_names
from zhiku_platform.privacy.normalise import normalise
from zhiku_platform.privacy.rules import RULES, Rule


class FormRecognizer(PatternRecognizer):
    """One rule; its words nearby are part of it, so Presidio's own context enhancer has nothing to add."""

    def __init__(self, rule: Rule, language: str) -> None:
        super().__init__(
            supported_entity=rule.type,
            name=rule.name,
            supported_language=language,
            patterns=[Pattern(rule.name, rule.pattern, rule.score)],
        )
        self._rule = rule

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002 - Presidio's signature
        regex_flags: int | None = None,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        """Find the form in the text as it was given."""
        if self._rule.type not in entities:
            return []
        read = normalise(text)
        return [_result(found, *read.span(found.start, found.end)) for found in self._rule.find(read.text)]


class NameRecognizer(LocalRecognizer):
    """Names by the model of the language, and the addresses that stand on them."""

    _TYPES = (Entity.PERSON, Entity.LOCATION, Entity.ORGANIZATION, Entity.ADDRESS)

    def __init__(self, language: str) -> None:
        super().__init__(supported_entities=[*self._TYPES], name="names", supported_language=language)

    def load(self) -> None:
        """Nothing to do: the model loads at the first text that needs it."""

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,  # noqa: ARG002 - Presidio's signature
    ) -> list[RecognizerResult]:
        """Find names and addresses in the text as it was given."""
        read = normalise(text)
        return [
            _result(found, *read.span(found.start, found.end))
            for found in _names(read.text, self.supported_language)
            if found.type in entities
        ]


def _names(text: str, language: str) -> Iterator[Finding]:
    names = find_names([text], language)[0]
    yield from names
    yield from find_addresses(text, names)


def _result(found: Finding, start: int, end: int) -> RecognizerResult:
    return RecognizerResult(
        entity_type=found.type,
        start=start,
        end=end,
        score=found.score,
        analysis_explanation=AnalysisExplanation(recognizer=found.recogniser, original_score=found.score),
        recognition_metadata={RecognizerResult.RECOGNIZER_NAME_KEY: found.recogniser},
    )


def recognizers(language: str) -> list[FormRecognizer | NameRecognizer]:
    """All of ours, for a registry of Presidio."""
    return [*(FormRecognizer(rule, language) for rule in RULES), NameRecognizer(language)]
