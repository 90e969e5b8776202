"""The first tables, and what keeps the log append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = {"entry": "idx", "tile": "n", "checkpoint": "size", "cosignature": "size", "erasure": "id"}

POSTGRESQL_REFUSAL = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log only grows: % on % is refused', TG_OP, TG_TABLE_NAME;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "blob",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("record_group", sa.String(length=200), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_blob_group", "blob", ["tenant", "record_group"], unique=False)
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "cosignature",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("line", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("size", "key"),
    )
    op.create_table(
        "entry",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("what", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "facet",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("knowledge_base", sa.String(length=200), nullable=True),
        sa.Column("document", sa.String(length=200), nullable=True),
        sa.Column("conversation", sa.String(length=200), nullable=True),
        sa.Column("producer", sa.String(length=40), nullable=True),
        sa.Column("boot", sa.String(length=40), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index("ix_facet_action", "facet", ["tenant", "action", "idx"], unique=False)
    op.create_index("ix_facet_actor", "facet", ["tenant", "actor", "idx"], unique=False)
    op.create_index(
        "ix_facet_conversation",
        "facet",
        ["conversation", "idx"],
        unique=False,
        sqlite_where=sa.text("conversation IS NOT NULL"),
        postgresql_where=sa.text("conversation IS NOT NULL"),
    )
    op.create_index(
        "ix_facet_document",
        "facet",
        ["document", "idx"],
        unique=False,
        sqlite_where=sa.text("document IS NOT NULL"),
        postgresql_where=sa.text("document IS NOT NULL"),
    )
    op.create_index(
        "ix_facet_knowledge_base",
        "facet",
        ["knowledge_base", "idx"],
        unique=False,
        sqlite_where=sa.text("knowledge_base IS NOT NULL"),
        postgresql_where=sa.text("knowledge_base IS NOT NULL"),
    )
    op.create_index("ix_facet_stamp", "facet", ["producer", "boot", "seq"], unique=False)
    op.create_index("ix_facet_subject", "facet", ["tenant", "subject", "idx"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("n"),
        sa.UniqueConstraint("event_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "person",
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("sub", sa.String(length=200), nullable=False),
        sa.Column("pseudonym", sa.String(length=40), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sub"),
        sa.UniqueConstraint("pseudonym"),
    )
    op.create_table(
        "process",
        sa.Column("producer", sa.String(length=40), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("producer", "boot"),
    )
    op.create_table(
        "record_key",
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("record_group", sa.String(length=200), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "record_group"),
    )
    op.create_table(
        "saved_view",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_view_owner", "saved_view", ["tenant", "owner", "id"], unique=False)
    op.create_table(
        "tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "n"),
    )
    op.create_table(
        "tree",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "voided",
        sa.Column("producer", sa.String(length=40), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("producer", "boot", "seq"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRESQL_REFUSAL)
        for table in APPEND_ONLY:
            _protect_on_postgresql(table)
    else:
        for table in APPEND_ONLY:
            _protect_on_sqlite(table)


def _protect_on_postgresql(table: str) -> None:
    """Triggers hold against every role but who may drop them; the grants, against the service's own mistakes."""
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER")


def _protect_on_sqlite(table: str) -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, 'the audit log only grows: {change} on {table} is refused'); END"
        )
    # REPLACE deletes without asking a trigger for deletions.
    same = {
        "tile": "level = NEW.level AND n = NEW.n",
        "cosignature": "size = NEW.size AND key = NEW.key",
        "entry": "idx = NEW.idx OR event_id = NEW.event_id",
    }.get(table, f"{APPEND_ONLY[table]} = NEW.{APPEND_ONLY[table]}")
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
        f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"
        f" BEGIN SELECT RAISE(ABORT, 'the audit log only grows: REPLACE on {table} is refused'); END"
    )
