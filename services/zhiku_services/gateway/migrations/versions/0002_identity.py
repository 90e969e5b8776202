"""Renewed sessions, logouts by the provider, step-up, and users who left."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import zhiku_platform.db

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("directory_user") as table:
        table.add_column(sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("session") as table:
        table.add_column(sa.Column("vouched_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("authenticated_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("acr", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=True))
        table.add_column(sa.Column("provider_tokens", sa.Text(), nullable=True))
        table.add_column(sa.Column("renew_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("renewing_until", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True))
        table.create_index(op.f("ix_session_provider_session"), ["provider_session"], unique=False)
    op.create_table(
        "provider_logout",
        sa.Column("issuer", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=3), nullable=False),
        sa.Column("value", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "kind", "value"),
    )
    op.create_index(op.f("ix_provider_logout_expires_at"), "provider_logout", ["expires_at"], unique=False)
    op.create_table(
        "logout_token",
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("expires_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_logout_token_expires_at"), "logout_token", ["expires_at"], unique=False)
    op.create_table(
        "directory_sync",
        sa.Column("issuer", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("lease_until", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("finished_at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("problem", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=True),
        sa.PrimaryKeyConstraint("issuer"),
    )


def downgrade() -> None:
    op.drop_table("directory_sync")
    op.drop_table("logout_token")
    op.drop_table("provider_logout")
    with op.batch_alter_table("session") as table:
        table.drop_index(op.f("ix_session_provider_session"))
        for column in ("renewing_until", "renew_at", "provider_tokens", "acr", "authenticated_at", "vouched_at"):
            table.drop_column(column)
    with op.batch_alter_table("directory_user") as table:
        table.drop_column("is_active")
