"""Since when the provider was asked in vain."""

import sqlalchemy as sa
from alembic import op

import zhiku_platform.db

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("session") as table:
        table.add_column(sa.Column("unanswered_since", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("session") as table:
        table.drop_column("unanswered_since")
