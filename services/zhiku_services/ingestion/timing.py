"""How long things may take, and how often they may fail. We chose the figures, for laptop and pod alike."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds and counts of the state machine.

    A lease is renewed every `renew_s` and lost after `lease_s` of silence. A queued version is enqueued
    again after `requeue_s`, in case the broker has lost its task. Bytes that no version ever referred to are
    removed after `orphan_s`, and looked for as often.
    """

    lease_s: float = 60.0
    renew_s: float = 10.0
    progress_s: float = 1.0
    sweep_s: float = 2.0
    requeue_s: float = 900.0
    repush_s: float = 30.0
    sync_lease_s: float = 300.0
    max_attempts: int = 3
    max_lost: int = 10
    strike_backoff_s: float = 2.0
    defer_first_s: float = 2.0
    defer_longest_s: float = 300.0
    defer_total_s: float = 24 * 3600.0
    idempotency_s: float = 24 * 3600.0
    orphan_s: float = 24 * 3600.0
