"""A test double for the embedding model: words hashed into a vector, so that shared words mean nearness."""

import hashlib
import math
import re
from collections.abc import Sequence

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import EmbedResponse, TextKind

HASHED_DIMENSIONS = 64
_WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]")


def hashed_vector(text: str) -> list[float]:
    """A unit vector of `HASHED_DIMENSIONS` floats that depends on the text's words alone."""
    vector = [0.0] * HASHED_DIMENSIONS
    for word in _WORD.findall(text.lower()) or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % HASHED_DIMENSIONS] += 1.0 if digest[1] % 2 else -1.0
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector] if norm else [1.0] + [0.0] * (HASHED_DIMENSIONS - 1)


class HashedEmbedder:
    """Stands where `InferenceClient` stands, for its `embed` alone."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, principal: Principal, texts: Sequence[str], kind: TextKind) -> EmbedResponse:
        """Embed texts by their words; remembers them in `texts`."""
        self.texts.extend(texts)
        return EmbedResponse(
            model="hashed-words",
            dimensions=HASHED_DIMENSIONS,
            vectors=[hashed_vector(text) for text in texts],
            tokens=sum(len(text) for text in texts),
        )
