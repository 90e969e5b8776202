"""The state machine of a document version, as a table.

queued → preflight → parsing → embedding → publishing → indexed
   ↑________________________________________|             |
any of these → failed | quarantined | cancelled | superseded
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from zhiku_platform.contracts.ingestion import VersionState

WORKING = frozenset({VersionState.PREFLIGHT, VersionState.PARSING, VersionState.EMBEDDING, VersionState.PUBLISHING})
"""The states in which a worker holds a lease."""

UNFINISHED = WORKING | {VersionState.QUEUED}
STOPPED = frozenset({VersionState.FAILED, VersionState.QUARANTINED, VersionState.CANCELLED})
"""The states that `retry` leaves."""

_ENDS = STOPPED | {VersionState.SUPERSEDED}

TRANSITIONS: Mapping[VersionState, frozenset[VersionState]] = MappingProxyType(
    {
        VersionState.QUEUED: _ENDS | {VersionState.PREFLIGHT},
        # A stage that ends before the next heartbeat is never written, so what is written may skip some.
        VersionState.PREFLIGHT: _ENDS | WORKING | {VersionState.QUEUED},
        VersionState.PARSING: _ENDS | {VersionState.QUEUED, VersionState.EMBEDDING, VersionState.PUBLISHING},
        VersionState.EMBEDDING: _ENDS | {VersionState.QUEUED, VersionState.PUBLISHING},
        VersionState.PUBLISHING: _ENDS | {VersionState.QUEUED, VersionState.INDEXED},
        # Back to the queue when a cancelled newer version may have taken its place in the index.
        VersionState.INDEXED: frozenset({VersionState.SUPERSEDED, VersionState.QUEUED}),
        VersionState.FAILED: frozenset({VersionState.QUEUED, VersionState.SUPERSEDED}),
        VersionState.QUARANTINED: frozenset({VersionState.QUEUED, VersionState.SUPERSEDED}),
        VersionState.CANCELLED: frozenset({VersionState.QUEUED, VersionState.SUPERSEDED}),
        VersionState.SUPERSEDED: frozenset(),
    }
)


class Trace(StrEnum):
    """What the index may hold of a version that is not yet indexed."""

    NONE = "none"
    PARTS = "parts"
    """Parts that nobody can see."""
    FLIP = "flip"
    """The final part was sent, so the version may be visible."""


class Pending(StrEnum):
    """What the knowledge service has still to be told about a document."""

    NOTHING = ""
    ACL = "acl"
    RETIRE = "retire"
    DISCARD = "discard"
    """That parts which nobody sees are to go; the ACL is told with it."""


class WrongTransitionError(AssertionError):
    """The code asked for a transition that the table does not have."""


def check_transition(old: VersionState, new: VersionState) -> None:
    """Refuse what the table does not allow."""
    if new not in TRANSITIONS[old]:
        raise WrongTransitionError(f"{old} → {new}")


def eta_s(done: int, total: int | None, started_at: datetime | None, heartbeat_at: datetime | None) -> float | None:
    """Seconds until the stage ends at the pace measured since it began; None while there is no pace."""
    if total is None or done <= 0 or started_at is None or heartbeat_at is None or heartbeat_at <= started_at:
        return None
    return max(0.0, (total - done) * (heartbeat_at - started_at).total_seconds() / done)


def backoff_s(tries: int, *, first_s: float, longest_s: float) -> float:
    """Seconds to wait after the `tries`-th failure in a row, doubling from `first_s`."""
    return min(longest_s, first_s * 2.0 ** min(tries - 1, 30))
