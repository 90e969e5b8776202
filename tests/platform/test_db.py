"""Transactions, ids and times, the same on SQLite and PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import MetaData
from sqlalchemy.exc import StatementError
from sqlmodel import Field, SQLModel, select

from zhiku_platform.db import Database, UtcDateTime, new_id


class Base(SQLModel):
    metadata = MetaData()


class Note(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)


NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database("notes", f"sqlite:///{tmp_path}/notes.sqlite3", Base.metadata)
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


def notes(database: Database) -> list[datetime]:
    with database.read() as session:
        return list(session.exec(select(Note.at)))


def test_a_time_comes_back_aware_in_utc(database: Database) -> None:
    with database.write() as session:
        session.add(Note(at=NOON.astimezone(timezone(timedelta(hours=8)))))
    assert [(at, at.utcoffset()) for at in notes(database)] == [(NOON, timedelta(0))]


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), database.write() as session:
        session.add(Note(at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point of this test


def test_an_error_rolls_everything_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.add(Note(at=NOON))
        session.flush()
        raise ZeroDivisionError
    assert notes(database) == []


def test_a_read_leaves_nothing_behind(database: Database) -> None:
    with database.read() as session:
        session.add(Note(at=NOON))
        session.flush()
    assert notes(database) == []


def test_commit_callbacks_run_after_a_commit_only(database: Database) -> None:
    seen: list[int] = []
    database.on_commit(lambda: seen.append(len(notes(database))))
    with pytest.raises(ZeroDivisionError), database.write():
        raise ZeroDivisionError
    with database.write() as session:
        session.add(Note(at=NOON))
    assert seen == [1]


def test_ids_sort_by_age_and_do_not_repeat() -> None:
    ids = [new_id("doc") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [id_[:16] for id_ in ids] == sorted(id_[:16] for id_ in ids)
