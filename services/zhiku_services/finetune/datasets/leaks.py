"""Finds what no model may learn, in whatever language stands around it."""

from collections.abc import Sequence

from zhiku_platform.privacy import Analyzer
from zhiku_platform.privacy.findings import Entity


def hold_secrets(texts: Sequence[str]) -> list[bool]:
    """Which texts hold a key, a token or a password."""
    analyzer = Analyzer(entities={Entity.SECRET})
    return [bool(found) for found in analyzer.find_all(list(texts), "en")]
