"""Documents of the identity provider that are read seldom and must not be lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from zhiku_services.gateway.errors import ProviderUnavailableError

T = TypeVar("T")

_TTL_S = 600
_PAUSE_S = 30


class Remembered(Generic[T]):
    """What `fetch` gave, for ten minutes; the last good copy stays while `fetch` fails.

    However often it is asked, it fetches at most once in 30 s: a flood of unknown key ids at our door must
    not become one at the identity provider's.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")

    async def get(self, *, again: bool = False) -> T:
        """The remembered value; with `again`, a newer one if the last try is not too recent.

        Raises:
            ProviderUnavailableError: it could not be fetched, and never was.
        """
        async with self._lock:
            now = self._clock()
            is_old = now - self._fetched_at >= _TTL_S
            if (again or is_old or self._value is None) and now - self._tried_at >= _PAUSE_S:
                self._tried_at = now
                await self._try_to_fetch(now)
            if self._value is None:
                raise ProviderUnavailableError("configuration")
            return self._value

    async def _try_to_fetch(self, now: float) -> None:
        try:
            self._value = await self._fetch()
        except ProviderUnavailableError:
            if self._value is None:
                # Nobody can sign in without it, so the next one may try at once.
                self._tried_at = float("-inf")
                raise
        else:
            self._fetched_at = now
