"""The highest release that readers ever had: an answer of before a roll-back can be looked at again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "knowledge_base", sa.Column("highest_published", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute("UPDATE knowledge_base SET highest_published = published_release")


def downgrade() -> None:
    with op.batch_alter_table("knowledge_base") as batch:
        batch.drop_column("highest_published")
