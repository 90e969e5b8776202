"""Whom a model that learns from a dataset may answer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("training_dataset") as table:
        table.add_column(sa.Column("audience", sa.JSON(), nullable=True))
