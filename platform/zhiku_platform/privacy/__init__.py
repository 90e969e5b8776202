"""Personal data in Chinese and English text: what it is, where it stands, and how sensitive it is.

`Analyzer` finds; `Finding` is what it found. Models load at the first text that needs them.
"""

from zhiku_platform.privacy.analyzer import Analyzer
from zhiku_platform.privacy.findings import Entity, Finding, Sensitivity, is_a

__all__ = ["Analyzer", "Entity", "Finding", "Sensitivity", "is_a"]
