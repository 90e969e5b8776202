"""Cut a stream of text into sentences as it comes."""

from zhiku_platform.text.sentences import sentence_extents
from zhiku_services.assistant.answering.markup import leading_markers


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
