"""The tables are the declared ones, and those of the log refuse every change, whoever asks."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from zhiku_platform.contracts.audit import AuditEvent, Detail, ProducedEvent
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.audit.app import MIGRATIONS, AuditService
from zhiku_services.audit.checking import verify_database
from zhiku_services.audit.models import APPEND_ONLY, METADATA

from .conftest import Audit

REFUSAL = r"only grows|permission denied"

CHANGES = [
    "UPDATE entry SET payload = payload",
    "UPDATE entry SET payload = NULL WHERE idx = 0",
    "DELETE FROM entry",
    "DELETE FROM entry WHERE idx = 1",
    "UPDATE tile SET hashes = hashes",
    "DELETE FROM tile",
    "UPDATE checkpoint SET note = ''",
    "DELETE FROM checkpoint",
    "DELETE FROM cosignature",
    "DELETE FROM erasure",
    "UPDATE erasure SET what = ''",
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path}/audit.sqlite3"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_database")
    return Database("audit", url, METADATA)


@pytest.fixture
def audit(database: Database, tmp_path: Path) -> Audit:
    """A log on either database, with a full tile, two checkpoints, a cosignature and an erasure."""
    database.migrate(MIGRATIONS)
    settings = Settings(home=tmp_path)
    made = Audit(settings, database, AuditService(settings, database=database))
    made.fill(300)
    made.settle()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO cosignature VALUES (300, 'w', 'line')")
        connection.exec_driver_sql("INSERT INTO erasure VALUES ('e', 0, 'acme', 'group', 'g')")
    return made


def test_migrated_tables_are_the_declared_ones(database: Database) -> None:
    database.migrate(MIGRATIONS)
    database.migrate(MIGRATIONS)
    with database.engine.connect() as connection:
        # Alembic looks in the database's default schema; on PostgreSQL that is the service's own.
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)
        names = set(inspect(connection).get_table_names())
    database.close()

    assert differences == []
    assert names == {*METADATA.tables, "alembic_version"}


def test_the_log_refuses_every_change(audit: Audit) -> None:
    truncations = [] if audit.database.is_sqlite else [f"TRUNCATE {table.name}" for table in APPEND_ONLY]
    for change in [*CHANGES, *truncations]:
        with (
            pytest.raises(DBAPIError, match=r"only grows|permission denied"),
            audit.database.engine.begin() as connection,
        ):
            connection.exec_driver_sql(change)
    assert verify_database(audit.database, audit.trail.signer.public_key).events == 300
    audit.database.close()


def test_sqlites_replace_does_not_get_around_it(tmp_path: Path) -> None:
    database = Database("audit", f"sqlite:///{tmp_path}/audit.sqlite3", METADATA)
    database.migrate(MIGRATIONS)
    made = Audit(Settings(home=tmp_path), database, AuditService(Settings(home=tmp_path), database=database))
    made.fill(300)
    made.settle()
    for statement in (
        "REPLACE INTO entry VALUES (0, 'evt_x', x'00', x'00', x'00')",
        "REPLACE INTO entry SELECT 900, event_id, payload, leaf, chain FROM entry WHERE idx = 0",
        "INSERT OR REPLACE INTO tile VALUES (0, 0, x'00')",
        "REPLACE INTO checkpoint VALUES (300, 'forged', 0)",
    ):
        with pytest.raises(DBAPIError, match="only grows"), database.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    assert made.verify().ok
    database.close()


def test_the_same_log_grows_on_either_database(audit: Audit) -> None:
    for _ in range(3):
        audit.fill(150)
        audit.settle()
    verdict = audit.verify()
    assert (verdict.ok, verdict.events, verdict.tree_size) == (True, 750, 750)
    items = audit.get("/api/v1/audit-events?document=doc_7")["items"]
    assert [item["index"] for item in items] == [607, 457, 307, 7]
    for client in audit.clients.values():
        client.close()
    audit.database.close()


def test_a_log_of_before_the_mentions_is_searched_by_them(audit: Audit) -> None:
    details: dict[str, Detail] = {"documents": ["doc_1", "doc_2"]}
    answer = AuditEvent(action="answer.given", tenant="acme", actor="lin", subject="ans_1", details=details)
    audit.append(ProducedEvent(event=answer))
    audit.settle()
    before = audit.verify()
    with audit.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE mention")
        for name in ("knowledge_base", "document", "conversation"):
            connection.exec_driver_sql(f"ALTER TABLE facet ADD COLUMN {name} VARCHAR(200)")
            connection.exec_driver_sql(f"CREATE INDEX ix_facet_{name} ON facet ({name}, idx)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    audit.database.migrate(MIGRATIONS)
    assert audit.verify() == before
    assert before.ok
    items = audit.get("/api/v1/audit-events?document=doc_2")["items"]
    assert [item["subject"] for item in items] == ["ans_1", "doc_2"]
    for client in audit.clients.values():
        client.close()
    audit.database.close()
