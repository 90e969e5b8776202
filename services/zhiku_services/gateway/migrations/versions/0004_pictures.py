"""Numbers of looks at the directory, so that an older picture never overwrites a newer one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("directory_user") as table:
        table.add_column(sa.Column("picture", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("directory_sync") as table:
        table.add_column(sa.Column("pictures", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("written", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("directory_sync") as table:
        table.drop_column("written")
        table.drop_column("pictures")
    with op.batch_alter_table("directory_user") as table:
        table.drop_column("picture")
