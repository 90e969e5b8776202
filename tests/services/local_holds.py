"""What governance would say of holds, without governance."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from zhiku_platform.access import Access
from zhiku_platform.contracts.holds import Held
from zhiku_platform.errors import ServiceUnavailableError
from zhiku_platform.holds import HeldError


@dataclass
class LocalHolds:
    """What governance would say; `is_down` is one that does not answer."""

    held: set[str] = field(default_factory=set[str])
    is_down: bool = False

    def check(self, access: Access, things: Sequence[Held]) -> None:
        if self.is_down:
            raise ServiceUnavailableError("The governance service does not answer.", remedy="Try again in a moment.")
        if self.held & {thing.id for thing in things}:
            raise HeldError
