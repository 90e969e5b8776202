"""How often a caller may call: one token bucket each, in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

from zhiku_platform.errors import TooManyRequestsError

_MAX_CALLERS = 50_000


class RateLimiter:
    """Lets each caller make `burst` requests at once and `per_s` a second after that."""

    def __init__(self, per_s: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one token from the caller's bucket.

        Raises:
            TooManyRequestsError: it is empty.
        """
        now = self._clock()
        tokens, filled_at = self._buckets.pop(caller, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - filled_at) * self._per_s)
        self._buckets[caller] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > _MAX_CALLERS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise TooManyRequestsError(
                "Too many requests in a short time.",
                remedy="Wait a moment, then go on more slowly.",
                retry_after_s=round((1 - tokens) / self._per_s, 2),
            )


class OncePer:
    """Says yes once in `period_s` for each subject, so that a flood writes one line and not a million."""

    def __init__(self, period_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    def is_due(self, subject: str) -> bool:
        now = self._clock()
        if now - self._seen.get(subject, float("-inf")) < self._period_s:
            return False
        self._seen[subject] = now
        self._seen.move_to_end(subject)
        if len(self._seen) > _MAX_CALLERS:
            self._seen.popitem(last=False)
        return True
