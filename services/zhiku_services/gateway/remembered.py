"""Documents of the identity provider that are read seldom and must not be lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from zhiku_services.gateway.errors import ProviderUnavailableError

T = TypeVar("T")

_TTL_S = 600
_PAUSE_S = 30
_FIRST_PAUSE_S = 1
_PATIENCE_S = 2
_LONGEST_S = 24 * 3600


class Remembered(Generic[T]):
    """What `fetch` gave, for ten minutes; the last good copy serves for a day while `fetch` fails.

    However many ask, one fetch is under way at a time, and they share what it gives. However often it is asked,
    it fetches at most once in 30 s (once a second before the first success): a flood of unknown key ids at our
    door must not become one at the identity provider's. Whoever has a copy waits 2 s for a newer one at most.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._flight: asyncio.Task[None] | None = None
        self._value: T | None = None
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")

    async def get(self, *, again: bool = False) -> T:
        """The remembered value; with `again`, a newer one if the last try is not too recent.

        Raises:
            ProviderUnavailableError: it could not be fetched, or not for a day.
        """
        now = self._clock()
        age_s = now - self._fetched_at
        if again or age_s >= _TTL_S:
            await self._refresh(now, patience_s=_PATIENCE_S if age_s < _LONGEST_S else None)
        if self._value is None or self._clock() - self._fetched_at >= _LONGEST_S:
            raise ProviderUnavailableError("configuration")
        return self._value

    async def _refresh(self, now: float, *, patience_s: float | None) -> None:
        """Join the fetch under way, or start one if it is time to."""
        if self._flight is None or self._flight.done():
            pause_s = _FIRST_PAUSE_S if self._value is None else _PAUSE_S
            if now - self._tried_at < pause_s:
                return
            self._tried_at = now
            self._flight = asyncio.create_task(self._try_to_fetch(now))
        # Not awaited itself: a caller who leaves must not take the others' fetch along.
        await asyncio.wait({self._flight}, timeout=patience_s)

    async def _try_to_fetch(self, now: float) -> None:
        try:
            self._value = await self._fetch()
        except ProviderUnavailableError:
            return
        self._fetched_at = now
