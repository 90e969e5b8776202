"""Nobody sees what they may not, whatever happens, and everybody finds what they may.

The fast tests take some hundred steps; the slow ones as many as `ZHIKU_ACCESS_STEPS` says. Both write down how many
they took.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from zhiku_platform.db import Database
from zhiku_services.knowledge.app import MIGRATIONS
from zhiku_services.knowledge.index import VectorIndex
from zhiku_services.knowledge.models import Base

from .access_machine import Company, TwoWorlds
from .access_world import World
from .memory_index import BreakableIndex, MemoryIndex

SEEDED = "ZHIKU_ACCESS_STEPS" not in os.environ
"""The suite takes the same steps each time; whoever asks for a number of steps gets others each time."""
STEPS = int(os.environ.get("ZHIKU_ACCESS_STEPS", "2000"))
"""Steps of the slow tests, over both machines."""
STEPS_A_RUN = 50
STEPS_A_ROUND = 4_000
SHRINK = os.environ.get("ZHIKU_ACCESS_SHRINK", "1") == "1"


def make_world(folder: Path) -> World:
    database = Database("knowledge", f"sqlite:///{folder}/knowledge.sqlite3", Base.metadata)
    database.migrate(MIGRATIONS)
    return World(database, folder, MemoryIndex())


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    base = tmp_path_factory.mktemp("access")
    for name in ("full", "sparse"):
        (base / name).mkdir()
    made = make_world(base / "full"), make_world(base / "sparse")
    yield made
    for world in made:
        world.close()
        world.database.close()


def run(machine: type[RuleBasedStateMachine], steps: int, *, seeded: bool) -> None:
    """Run as many histories as make `steps` steps."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // STEPS_A_RUN),
            stateful_step_count=STEPS_A_RUN,
            deadline=None,
            derandomize=seeded,
            database=None,
            phases=[Phase.generate, *([Phase.shrink] if SHRINK else [])],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


def steps_of(machine: type[Company] | type[TwoWorlds], steps: int, *, seeded: bool) -> Counter[str]:
    """Run a machine and return how many steps of each kind it took."""
    machine.steps.clear()
    run(machine, steps, seeded=seeded)
    return machine.steps


def test_every_answer_holds_all_that_may_be_seen_and_nothing_else(worlds: tuple[World, World]) -> None:
    Company.world = worlds[0]
    assert steps_of(Company, 150, seeded=True).total() >= 120


def test_what_is_out_of_sight_changes_nothing_in_sight(worlds: tuple[World, World]) -> None:
    TwoWorlds.worlds = worlds
    assert steps_of(TwoWorlds, 50, seeded=True).total() >= 40


@pytest.mark.slow
def test_the_same_over_many_steps(
    worlds: tuple[World, World], record_testsuite_property: Callable[[str, object], None]
) -> None:
    Company.world, TwoWorlds.worlds = worlds[0], worlds
    taken: Counter[str] = Counter()
    while taken.total() < STEPS:
        rest = min(STEPS - taken.total(), STEPS_A_ROUND)
        taken += steps_of(Company, rest * 3 // 4, seeded=SEEDED)
        taken += steps_of(TwoWorlds, rest // 4, seeded=SEEDED)
        requests = sum(world.requests for world in worlds)
        print(f"{taken.total()} steps, {requests} requests: {dict(taken.most_common())}", flush=True)  # noqa: T201 - the count is the result
    record_testsuite_property("access_steps", taken.total())


@pytest.mark.slow
def test_every_answer_holds_on_a_real_engine(tmp_path: Path, migrated_sqlite: Path, index: VectorIndex) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "knowledge.sqlite3")
    database = Database("knowledge", f"sqlite:///{tmp_path}/knowledge.sqlite3", Base.metadata)
    with closing(database), closing(World(database, tmp_path, BreakableIndex(index))) as Company.world:
        assert steps_of(Company, 200, seeded=True).total() >= 150


@pytest.mark.slow
def test_every_answer_holds_on_postgresql(tmp_path: Path, postgres_service_database: Database) -> None:
    with closing(World(postgres_service_database, tmp_path, MemoryIndex())) as Company.world:
        assert steps_of(Company, 200, seeded=True).total() >= 150
