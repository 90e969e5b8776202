"""Times of the log: integers of microseconds since 1970, and the one text form that payloads have."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now_us() -> int:
    """The time now."""
    return time.time_ns() // 1000


def to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def to_text(moment: datetime) -> str:
    """`2026-11-22T21:00:00.000000Z`, always of 27 characters."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def from_text(text: str) -> datetime:
    return datetime.fromisoformat(text)
