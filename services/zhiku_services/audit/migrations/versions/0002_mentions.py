"""Search by all that an entry is about, not by one document or knowledge base of it."""

import sqlalchemy as sa
from alembic import op

from zhiku_services.audit.facets import every_mention

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REPLACED = ("knowledge_base", "document", "conversation")


def upgrade() -> None:
    mention = op.create_table(
        "mention",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("idx", "kind", "value"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mention_value", "mention", ["kind", "value", "idx"], unique=False)
    connection = op.get_bind()
    for page in every_mention(connection):
        if page:
            rows = [{"idx": idx, "kind": kind, "value": value} for idx, kind, value in page]
            connection.execute(sa.insert(mention), rows)
    for name in REPLACED:
        op.drop_index(f"ix_facet_{name}", table_name="facet")
    with op.batch_alter_table("facet") as batch:
        for name in REPLACED:
            batch.drop_column(name)
