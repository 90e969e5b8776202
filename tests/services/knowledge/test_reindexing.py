"""An index belongs to one embedding model, and is made anew for another without losing or showing a passage more."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from zhiku_platform.settings import Settings
from zhiku_platform.testing.embedding import hashed_vector
from zhiku_services.knowledge.app import create_app
from zhiku_services.knowledge.index import IndexMismatchError
from zhiku_services.knowledge.reindexing import IndexModel, count_passages, reindex, require_model

from ..local_holds import LocalHolds
from .conftest import LIN, ZHAO, Knowledge
from .memory_index import MemoryIndex

OLD, NEW = IndexModel("old", "aa"), IndexModel("new", "bb")
LEAVE = "Annual leave is 15 days."


def embed(texts: Sequence[str]) -> list[list[float]]:
    return [list(hashed_vector(text)) for text in texts]


@pytest.fixture
def filled(knowledge: Knowledge) -> Knowledge:
    """Passages that all may read, that one department may read, and that no release shows any more."""
    require_model(knowledge.database, OLD)
    handbook = knowledge.create("Handbook", "group:engineering")
    knowledge.publish(handbook, "leave", LEAVE)
    knowledge.publish(handbook, "pay", "The annual pay of the board.", readers=["group:finance"])
    knowledge.publish(handbook, "rules", "The old annual rules.")
    knowledge.publish(handbook, "rules", "The new annual rules.", version="v2", fence=2)
    knowledge.publish(handbook, "parts", "A first annual part.", final=False)
    return knowledge


def test_an_index_of_another_model_is_refused(filled: Knowledge) -> None:
    require_model(filled.database, OLD)
    require_model(filled.database, IndexModel("old"))
    for other in (NEW, IndexModel("old", "bb")):
        with pytest.raises(IndexMismatchError) as told:
            require_model(filled.database, other)
        assert "zhiku reindex" in told.value.remedy


def test_an_empty_index_takes_any_model(knowledge: Knowledge) -> None:
    require_model(knowledge.database, OLD)
    require_model(knowledge.database, NEW)
    require_model(knowledge.database, NEW)


def test_an_index_made_anew_finds_the_same_for_the_same_people(filled: Knowledge, tmp_path: Path) -> None:
    made = MemoryIndex()
    steps: list[int] = []
    assert reindex(filled.database, made, NEW, embed, steps.append) == OLD
    assert sum(steps) == count_passages(filled.database) - 1
    require_model(filled.database, NEW)

    app = create_app(
        Settings(home=tmp_path),
        database=filled.database,
        index=made,
        blobs=filled.blobs,
        embed=lambda _, query: hashed_vector(query),
        check_holds=LocalHolds().check,
    )
    with TestClient(app) as http:
        anew = Knowledge(http, filled.database, made, filled.blobs)
        assert sorted(anew.search(LIN, "annual")) == sorted(filled.search(LIN, "annual"))
        assert sorted(anew.search(ZHAO, "annual")) == sorted(filled.search(ZHAO, "annual"))
    assert "The annual pay of the board." not in filled.search(LIN, "annual")
    assert "A first annual part." not in [row.text for row in made.rows()]


def test_an_index_half_made_anew_serves_no_model_until_it_is_whole(filled: Knowledge) -> None:
    made = MemoryIndex()

    def fail(_: Sequence[str]) -> list[list[float]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindex(filled.database, made, NEW, fail)
    for model in (OLD, NEW):
        with pytest.raises(IndexMismatchError, match="half"):
            require_model(filled.database, model)
    assert reindex(filled.database, made, NEW, embed) == OLD
    require_model(filled.database, NEW)
