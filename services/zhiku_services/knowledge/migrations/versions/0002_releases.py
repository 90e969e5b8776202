"""Releases: a pointer to the published one, versions of documents with intervals, and names that may repeat.

A name taken by a knowledge base that the caller may not view must not be refused, so names are no longer unique.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import zhiku_platform.db

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPEN = 2**62
_DESCRIPTION = ("path", "title", "media_type", "blob", "size_bytes", "content_hash", "pages")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_knowledge_base()
    else:
        _alter_knowledge_base()
    _create_tables()
    _fill_tables()
    for column in _DESCRIPTION:
        op.drop_column("document", column)
    op.drop_table("vector_removal")
    op.create_index(
        "ix_passage_knowledge_base_released_to", "passage", ["knowledge_base_id", "released_to"], unique=False
    )


def _alter_knowledge_base() -> None:
    op.drop_constraint("knowledge_base_tenant_name_key", "knowledge_base", type_="unique")
    op.alter_column("knowledge_base", "release", new_column_name="published_release")
    for name, kind, value in (
        ("publishing", sqlmodel.sql.sqltypes.AutoString(length=10), "'auto'"),
        ("draft_release", sa.BigInteger(), "published_release + 1"),
        ("oldest_release", sa.BigInteger(), "published_release"),
    ):
        op.add_column("knowledge_base", sa.Column(name, kind, nullable=True))
        op.execute(f"UPDATE knowledge_base SET {name} = {value}")
        op.alter_column("knowledge_base", name, nullable=False)


def _rebuild_knowledge_base() -> None:
    """Build the table anew, for SQLite cannot drop a constraint.

    Dropping a table deletes its rows first, and that takes the grants along: they are kept aside. The documents'
    references are checked at the end of the transaction, when the rows are back.
    """
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute('CREATE TEMPORARY TABLE kept_grant AS SELECT * FROM "grant"')
    op.execute("CREATE TEMPORARY TABLE kept_knowledge_base AS SELECT * FROM knowledge_base")
    op.drop_index("ix_knowledge_base_tenant", table_name="knowledge_base")
    op.drop_table("knowledge_base")
    op.create_table(
        "knowledge_base",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("tenant", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("description", sqlmodel.sql.sqltypes.AutoString(length=2000), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("publishing", sqlmodel.sql.sqltypes.AutoString(length=10), nullable=False),
        sa.Column("published_release", sa.BigInteger(), nullable=False),
        sa.Column("draft_release", sa.BigInteger(), nullable=False),
        sa.Column("oldest_release", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("created_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_knowledge_base_tenant", "knowledge_base", ["tenant"], unique=False)
    op.execute(
        "INSERT INTO knowledge_base (id, tenant, name, description, language, publishing, published_release,"
        " draft_release, oldest_release, created_by, created_at) SELECT id, tenant, name, description, language,"
        ' \'auto\', "release", "release" + 1, "release", created_by, created_at FROM kept_knowledge_base'
    )
    op.execute('DELETE FROM "grant"')
    op.execute('INSERT INTO "grant" SELECT * FROM kept_grant')
    op.execute("DROP TABLE kept_grant")
    op.execute("DROP TABLE kept_knowledge_base")


def _create_tables() -> None:
    op.create_table(
        "release",
        sa.Column("knowledge_base_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("note", sqlmodel.sql.sqltypes.AutoString(length=2000), nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("created_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["knowledge_base_id"], ["knowledge_base.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("knowledge_base_id", "number"),
    )
    op.create_table(
        "document_version",
        sa.Column("document_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("version_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(length=150), nullable=False),
        sa.Column("blob", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("released_from", sa.BigInteger(), nullable=False),
        sa.Column("released_to", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("document_id", "version_id"),
    )
    op.create_table(
        "vector_change",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("passage_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )


def _fill_tables() -> None:
    """Take over what is there: each knowledge base's one release, each document's one version."""
    op.execute(
        'INSERT INTO "release" (knowledge_base_id, number, tenant, note, created_by, created_at)'
        " SELECT id, published_release, tenant, '', created_by, created_at FROM knowledge_base"
    )
    # A version without a passage has no interval to take over; the only release left to see it in is the published.
    op.execute(
        "INSERT INTO document_version (document_id, version_id, path, title, media_type, blob, size_bytes,"
        " content_hash, pages, passages, released_from, released_to, updated_at)"
        " SELECT d.id, d.active_version, d.path, d.title, d.media_type, d.blob, d.size_bytes, d.content_hash, d.pages,"
        " d.passages, coalesce((SELECT min(p.released_from) FROM passage p WHERE p.document_id = d.id"
        f" AND p.version_id = d.active_version), k.published_release), {_OPEN}, d.updated_at"
        " FROM document d JOIN knowledge_base k ON k.id = d.knowledge_base_id WHERE d.active_version IS NOT NULL"
    )
    op.execute("INSERT INTO vector_change (passage_id) SELECT passage_id FROM vector_removal")


def downgrade() -> None:
    raise NotImplementedError("what releases hold cannot be told in the tables before; restore a backup")
