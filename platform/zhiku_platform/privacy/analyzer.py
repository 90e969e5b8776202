"""All recognisers behind one door."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from zhiku_platform.privacy.addresses import find_addresses
from zhiku_platform.privacy.findings import Entity, Finding, resolve
from zhiku_platform.privacy.names import find_names
from zhiku_platform.privacy.normalise import Normalised, normalise
from zhiku_platform.privacy.rules import find_all_forms

_NAMED = frozenset({Entity.PERSON, Entity.LOCATION, Entity.ORGANIZATION, Entity.ADDRESS})


class Analyzer:
    """Finds personal data. Holds no text; the models are the process's."""

    def __init__(self, entities: Collection[Entity] = tuple(Entity)) -> None:
        """Find only the given types; without names and addresses no model is loaded."""
        self._entities = frozenset(entities)

    def find(self, text: str, language: str) -> list[Finding]:
        """Find in one text; `language` is `zh` or `en`."""
        return self.find_all([text], language)[0]

    def find_all(self, texts: Sequence[str], language: str) -> list[list[Finding]]:
        """Find in many texts, the models in batches; each gets what `find` gives it."""
        read = [normalise(text) for text in texts]
        names: list[list[Finding]] = [[] for _ in read]
        if self._entities & _NAMED:
            names = find_names([one.text for one in read], language)
        return [self._combine(one, named, find_all_forms) for one, named in zip(read, names, strict=True)]

    def _combine(self, read: Normalised, names: list[Finding], forms: Callable[[str], list[Finding]]) -> list[Finding]:
        found = [*forms(read.text), *names]
        if Entity.ADDRESS in self._entities:
            found.extend(find_addresses(read.text, names))
        kept = resolve((f for f in found if f.type in self._entities), read.text)
        return [replace(f, start=s, end=e) for f in kept for s, e in [read.span(f.start, f.end)]]
