"""The migrations make the tables of the models, and lose nothing on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from zhiku_platform.db import Database
from zhiku_services.knowledge.app import MIGRATIONS
from zhiku_services.knowledge.models import OPEN_RELEASE, Base

NOW = "2026-11-01 08:00:00.000000"
BEFORE_RELEASES = [
    (
        "INSERT INTO knowledge_base (id, tenant, name, description, language, release, created_by, created_at)"
        f" VALUES ('kb_1', 'acme', 'Handbook', 'D', 'en', 7, 'zhao', '{NOW}')"
    ),
    (
        'INSERT INTO "grant" (id, tenant, knowledge_base_id, subject, role, granted_by, created_at)'
        f" VALUES ('grt_1', 'acme', 'kb_1', 'user:zhao', 'owner', 'zhao', '{NOW}')"
    ),
    "INSERT INTO acl (acl_id, inherited, level) VALUES (0, true, 0)",
    *(
        "INSERT INTO document (id, tenant, knowledge_base_id, path, title, media_type, blob, size_bytes, content_hash,"
        " acl_id, active_version, fence, passages, updated_at) VALUES"
        f" ('{name}', 'acme', 'kb_1', '{name}.txt', 'T', 'text/plain', 'b', 1, 'h', 0, {version}, 1, 1, '{NOW}')"
        for name, version in (("doc", "'v2'"), ("empty", "'v1'"), ("deleted", "NULL"))
    ),
    *(
        "INSERT INTO passage (id, tenant, knowledge_base_id, document_id, version_id, ordinal, kind, text,"
        " heading_path, regions, language, tokens, content_hash, released_from, released_to) VALUES"
        f" ('{name}', 'acme', 'kb_1', 'doc', '{version}', 0, 'text', 'x', '[]', '[]', 'en', 1, 'h', {start}, {end})"
        for name, version, start, end in (("psg_1", "v1", 2, 5), ("psg_2", "v2", 5, OPEN_RELEASE))
    ),
    "INSERT INTO vector_removal (passage_id) VALUES ('psg_1')",
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without a table."""
    url = f"sqlite:///{tmp_path}/empty.sqlite3"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_database")
    database = Database("knowledge", url, Base.metadata)
    yield database
    database.close()


def test_the_migrations_make_the_tables_of_the_models(empty: Database) -> None:
    empty.migrate(MIGRATIONS)
    with empty.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_what_was_there_before_releases_is_there_afterwards(empty: Database) -> None:
    empty.migrate(MIGRATIONS, "0001")
    with empty.engine.begin() as connection:
        for statement in BEFORE_RELEASES:
            connection.execute(text(statement))
    empty.migrate(MIGRATIONS)

    def rows(query: str) -> list[tuple[object, ...]]:
        with empty.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    columns = "name, publishing, published_release, draft_release, oldest_release"
    assert rows(f"SELECT {columns} FROM knowledge_base") == [("Handbook", "auto", 7, 8, 7)]
    assert rows('SELECT id, subject, role FROM "grant"') == [("grt_1", "user:zhao", "owner")]
    assert rows('SELECT number, created_by FROM "release"') == [(7, "zhao")]
    assert rows("SELECT document_id, version_id, path, released_from FROM document_version ORDER BY document_id") == [
        ("doc", "v2", "doc.txt", 5),
        ("empty", "v1", "empty.txt", 7),
    ]
    assert rows("SELECT id FROM document ORDER BY id") == [("deleted",), ("doc",), ("empty",)]
    assert rows("SELECT id FROM passage ORDER BY id") == [("psg_1",), ("psg_2",)]
    assert rows("SELECT passage_id FROM vector_change") == [("psg_1",)]
    assert empty.is_sqlite is False or rows("PRAGMA foreign_key_check") == []


def test_two_knowledge_bases_may_have_one_name(empty: Database) -> None:
    empty.migrate(MIGRATIONS)
    with empty.engine.begin() as connection:
        for at in (1, 2):
            connection.execute(
                text(
                    "INSERT INTO knowledge_base (id, tenant, name, description, language, publishing,"
                    " published_release, draft_release, oldest_release, created_by, created_at) VALUES"
                    f" ('kb_{at}', 'acme', 'Plans', '', 'en', 'auto', 0, 1, 0, 'zhao', '{NOW}')"
                )
            )
