"""Finds what no model may learn, in whatever language stands around it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from zhiku_platform.privacy import Analyzer
from zhiku_platform.privacy.findings import Entity
from zhiku_platform.text.language import detect_language

_PUBLIC = {Entity.CN_USCC, Entity.LOCATION, Entity.ORGANIZATION, Entity.SECRET}


class Leaks(Protocol):
    """What looks through texts for a dataset."""

    def hold_secrets(self, texts: Sequence[str]) -> list[bool]:
        """Which texts hold a key, a token or a password."""
        ...

    def hold_personal(self, texts: Sequence[str]) -> list[bool]:
        """Which texts name or reach a person."""
        ...


class Detectors:
    """The platform's own recognisers; what names a person needs its models of Chinese and English."""

    def hold_secrets(self, texts: Sequence[str]) -> list[bool]:
        return _hold(texts, {Entity.SECRET})

    def hold_personal(self, texts: Sequence[str]) -> list[bool]:
        return _hold(texts, {*Entity} - _PUBLIC)


def _hold(texts: Sequence[str], entities: Collection[Entity]) -> list[bool]:
    analyzer = Analyzer(entities=set(entities))
    holds = [False] * len(texts)
    for language in ("zh", "en"):
        places = [place for place, text in enumerate(texts) if (detect_language(text) == "zh") == (language == "zh")]
        for place, found in zip(places, analyzer.find_all([texts[n] for n in places], language), strict=True):
            holds[place] = bool(found)
    return holds
