"""Take a model's stream of text apart as it comes: what it thinks aloud goes, what it says is cut into sentences."""

from typing import Final

from zhiku_platform.text.sentences import sentence_extents
from zhiku_services.assistant.answering.markup import leading_markers

_THOUGHT_BEGINS: Final = "<think>"
_THOUGHT_ENDS: Final = "</think>"


class SpokenText:
    """Passes on what a model says without the thought that it may begin with, `<think>…</think>`.

    An endpoint that knows its model's thoughts keeps them apart itself (vLLM's `--reasoning-parser`).
    """

    def __init__(self) -> None:
        self._held = ""
        self._speaks = False

    def feed(self, piece: str) -> str:
        """Add a piece; return what of it, and of what was held back, is said."""
        if self._speaks:
            return piece
        self._held += piece
        start = self._held.lstrip()
        if start.startswith(_THOUGHT_BEGINS):
            _, is_over, said = start.partition(_THOUGHT_ENDS)
            return self._speak(said) if is_over else ""
        return "" if _THOUGHT_BEGINS.startswith(start) else self._speak(self._held)

    def finish(self) -> str:
        """Return what was held back and is no thought; one that never ends says nothing."""
        return "" if self._held.lstrip().startswith(_THOUGHT_BEGINS) else self._speak(self._held)

    def _speak(self, said: str) -> str:
        self._speaks, self._held = True, ""
        return said


class SentenceStream:
    """Takes pieces of text and gives back whole sentences.

    A sentence is whole once something follows it: citation markers behind its end still belong to it.
    """

    def __init__(self) -> None:
        self.unfinished = ""

    def feed(self, piece: str) -> list[str]:
        """Add a piece; return the sentences that it completed."""
        self.unfinished += piece
        done: list[str] = []
        while (end := self._first_end()) is not None:
            if sentence := self.unfinished[:end].strip():
                done.append(sentence)
            self.unfinished = self.unfinished[end:].lstrip()
        return done

    def finish(self) -> list[str]:
        """Return what is left."""
        rest = self.feed("\n\u00b7")[:]
        self.unfinished = ""
        return rest

    def _first_end(self) -> int | None:
        text = self.unfinished
        line = text.find("\n")
        first = next(sentence_extents(text), None)
        if first is None:
            return None
        end = first.end
        if 0 <= line < end:
            return line + 1
        rest = text[end:]
        if not rest.strip():
            return None
        if rest.lstrip()[0] in "[【":
            markers = leading_markers(rest)
            if markers == 0 and not any(char in rest for char in "]】"):
                return None
            if not rest[markers:].strip():
                return None
            end += markers
        return end
