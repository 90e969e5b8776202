"""Which knowledge bases were deleted, so that other services can drop what they keep of them."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import zhiku_platform.db

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deleted_knowledge_base",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("tenant", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("deleted_by", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("deleted_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("deleted_knowledge_base")
