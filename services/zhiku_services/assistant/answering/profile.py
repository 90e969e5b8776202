"""What a chat model can do, as far as it changes how we ask it."""

from dataclasses import dataclass

from zhiku_platform.contracts.inference import ModelInfo, ModelState
from zhiku_services.assistant.answering.wording import Tongue

# Waiting longer than this for a first word is worse than quoting; chosen by us.
SMALL_FIRST_TOKEN_TIMEOUT_S = 6.0
LARGE_FIRST_TOKEN_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """`languages` empty means that the model speaks any; times in seconds."""

    model: str
    context_tokens: int
    languages: frozenset[str]
    follows_instructions: bool
    answer_tokens: int
    max_passages: int
    first_token_timeout_s: float
    total_timeout_s: float
    sha256: str | None = None

    @property
    def passage_tokens(self) -> int:
        """The room for passages in the prompt."""
        room = self.context_tokens - self.answer_tokens - 400
        return room if self.follows_instructions else min(room, 420)

    def speaks(self, tongue: Tongue) -> bool:
        return not self.languages or tongue in self.languages


def profile_of(info: ModelInfo) -> ModelProfile | None:
    """Describe a chat model of the catalogue; None if it cannot be used now.

    The bundled model is the small one: it gets a short prompt, one passage, and strict checks.
    """
    if info.role != "chat" or info.state is not ModelState.READY:
        return None
    # Not merely somewhere inside: the origin of an endpoint holds its URL, which may have any words.
    is_small = info.origin.startswith("bundle ")
    return ModelProfile(
        model=info.id,
        context_tokens=info.context_tokens,
        languages=frozenset(info.languages),
        follows_instructions=not is_small,
        answer_tokens=96 if is_small else 700,
        max_passages=1 if is_small else 8,
        first_token_timeout_s=SMALL_FIRST_TOKEN_TIMEOUT_S if is_small else LARGE_FIRST_TOKEN_TIMEOUT_S,
        total_timeout_s=10.0 if is_small else 120.0,
        sha256=info.sha256,
    )
