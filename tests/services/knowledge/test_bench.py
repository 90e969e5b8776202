"""The benchmark of releases measures what it says, and what it finds holds at a small size too."""

from pathlib import Path

import pytest

from zhiku_services.knowledge.bench import bench_releases


@pytest.mark.slow
def test_rolling_back_and_revoking_take_far_less_than_a_second(tmp_path: Path) -> None:
    result = bench_releases(tmp_path, passages=5_000, rounds=20, report=lambda _: None)
    assert result["move_ms"]["p99"] < 1000
    assert (result["wrong_after_move"], result["found_after_revoking"], result["not_found_while_granted"]) == (0, 0, 0)
