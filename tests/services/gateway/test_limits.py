"""Callers have their own buckets."""

import pytest

from zhiku_platform.errors import TooManyRequestsError
from zhiku_services.gateway.limits import OncePer, RateLimiter

from .conftest import Clock, Gateway


def _seconds(clock: Clock) -> float:
    return clock().timestamp()


def test_a_burst_passes_and_then_the_rate_rules() -> None:
    clock = Clock()
    limiter = RateLimiter(2, 3, clock=lambda: _seconds(clock))
    for _ in range(3):
        limiter.take("lin")
    with pytest.raises(TooManyRequestsError) as refused:
        limiter.take("lin")
    assert refused.value.extra["retry_after_s"] == 0.5
    clock.pass_time(seconds=0.5)
    limiter.take("lin")
    with pytest.raises(TooManyRequestsError):
        limiter.take("lin")


def test_one_caller_does_not_slow_another() -> None:
    limiter = RateLimiter(1, 1)
    limiter.take("lin")
    limiter.take("zhao")


def test_a_long_pause_fills_no_more_than_the_burst() -> None:
    clock = Clock()
    limiter = RateLimiter(1, 2, clock=lambda: _seconds(clock))
    limiter.take("lin")
    clock.pass_time(days=1)
    limiter.take("lin")
    limiter.take("lin")
    with pytest.raises(TooManyRequestsError):
        limiter.take("lin")


def test_a_flood_is_written_down_once() -> None:
    clock = Clock()
    due = OncePer(60, clock=lambda: _seconds(clock))
    assert [due.is_due("a") for _ in range(3)] == [True, False, False]
    assert due.is_due("b")
    clock.pass_time(seconds=60)
    assert due.is_due("a")


def test_too_many_requests_say_when_to_come_back(gateway: Gateway) -> None:
    browser = gateway.sign_in("lin")
    gateway.app.state.door.limiter.__init__(0.001, 1)
    assert browser.get("/api/v1/session").status_code == 200
    response = browser.get("/api/v1/session")
    assert (response.status_code, response.json()["code"]) == (429, "too_many_requests")
    assert int(response.headers["Retry-After"]) > 0
