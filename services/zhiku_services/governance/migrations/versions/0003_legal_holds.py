"""Legal holds: what one keeps never changes, and it ends with an approval alone."""

import sqlalchemy as sa
from alembic import op

from zhiku_platform.db import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CHECKS = {
    "somebody_placed_it": "placed_by <> '' AND reason <> '' AND matter <> ''",
    "released_by_somebody": "(released_at IS NULL) = (released_by IS NULL)",
    "released_with_approval": "(released_at IS NULL) = (approval_id IS NULL)",
}
FIXED = ("id", "tenant", "scope", "held_id", "matter", "reason", "placed_by", "placed_by_name", "placed_at")
ONCE = ("released_by", "released_at", "approval_id")


def upgrade() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("held_id", sa.String(200), nullable=False),
        sa.Column("matter", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_by", sa.String(200), nullable=False),
        sa.Column("placed_by_name", sa.String(200), nullable=False),
        sa.Column("placed_at", UtcDateTime(), nullable=False),
        sa.Column("released_by", sa.String(200), nullable=True),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("approval_id", sa.String(40), nullable=True),
        *(sa.CheckConstraint(condition, name=f"hold_{name}") for name, condition in CHECKS.items()),
    )
    op.create_index("ix_legal_hold_held", "legal_hold", ["tenant", "scope", "held_id"])
    if op.get_bind().dialect.name == "postgresql":
        _protect_on_postgresql()
    else:
        _protect_on_sqlite()


def downgrade() -> None:
    op.drop_table("legal_hold")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION guard_legal_hold()")


def _changed_wrong(differs: str) -> str:
    fixed = [f"NEW.{name} {differs} OLD.{name}" for name in FIXED]
    once = [f"(OLD.{name} IS NOT NULL AND NEW.{name} {differs} OLD.{name})" for name in ONCE]
    return " OR ".join([*fixed, *once])


def _protect_on_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION guard_legal_hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                RAISE EXCEPTION 'a legal hold is never deleted';
            ELSIF {_changed_wrong("IS DISTINCT FROM")} THEN
                RAISE EXCEPTION 'what a legal hold keeps never changes';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON legal_hold FOR EACH ROW EXECUTE FUNCTION guard_legal_hold()"
    )
    op.execute("ALTER TABLE legal_hold ENABLE ALWAYS TRIGGER guard")


def _protect_on_sqlite() -> None:
    for change, name, condition, message in (
        ("UPDATE", "changes", _changed_wrong("IS NOT"), "what a legal hold keeps never changes"),
        ("DELETE", "stays", "1", "a legal hold is never deleted"),
        # REPLACE deletes without asking a trigger for deletions.
        (
            "INSERT",
            "is_not_replaced",
            "EXISTS (SELECT 1 FROM legal_hold WHERE id = NEW.id)",
            "a legal hold is never replaced",
        ),
    ):
        op.execute(
            f"CREATE TRIGGER legal_hold_{name} BEFORE {change} ON legal_hold WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
