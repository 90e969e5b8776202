"""Retention rules: each change is a row of its own, and bears the approval that allowed it."""

import sqlalchemy as sa
from alembic import op

from zhiku_platform.db import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_rule",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("changed_by", sa.String(200), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("approval_id", sa.String(40), sa.ForeignKey("approval.id"), nullable=False, unique=True),
        sa.CheckConstraint("days IS NULL OR days > 0", name="retention_days"),
    )
    op.create_index("ix_retention_rule_kind", "retention_rule", ["tenant", "kind", "changed_at"])


def downgrade() -> None:
    op.drop_table("retention_rule")
