"""Erasures: none is begun without its approval, what was begun stays so, and none is deleted."""

import sqlalchemy as sa
from alembic import op

from zhiku_platform.db import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHECKS = {
    "known_state": "state IN ('requested', 'reported', 'running', 'erased', 'withdrawn')",
    "somebody_asked": "requester <> '' AND reason <> '' AND legal_basis <> ''",
    "reported_with_digest": "state NOT IN ('reported', 'running', 'erased') OR length(report_digest) = 64",
    "begun_with_approval": "state NOT IN ('running', 'erased') OR (approval_id IS NOT NULL AND begun_at IS NOT NULL)",
    "erased_with_certificate": "(state = 'erased') = (certificate IS NOT NULL AND done_at IS NOT NULL)",
    "forgotten_when_over": "state NOT IN ('erased', 'withdrawn') OR sealed IS NULL",
}
FIXED = ("id", "tenant", "reason", "legal_basis", "due_at", "requester", "created_at")
BEGUN = ("report_digest", "approval_id", "begun_at")


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("legal_basis", sa.String(200), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("requester", sa.String(200), nullable=False),
        sa.Column("requester_name", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("report_digest", sa.String(64), nullable=True),
        sa.Column("reported_at", UtcDateTime(), nullable=True),
        sa.Column("decided", sa.JSON(), nullable=False),
        sa.Column("approval_id", sa.String(40), nullable=True),
        sa.Column("begun_at", UtcDateTime(), nullable=True),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("certificate", sa.JSON(), nullable=True),
        *(sa.CheckConstraint(condition, name=f"erasure_{name}") for name, condition in CHECKS.items()),
    )
    op.create_index("ix_erasure_tenant", "erasure", ["tenant", "id"])
    op.create_table(
        "erasure_step",
        sa.Column("erasure_id", sa.String(40), sa.ForeignKey("erasure.id"), primary_key=True),
        sa.Column("store", sa.String(40), primary_key=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _protect_on_postgresql()
    else:
        _protect_on_sqlite()


def downgrade() -> None:
    op.drop_table("erasure_step")
    op.drop_table("erasure")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION guard_erasure()")


def _changed_wrong(differs: str) -> str:
    fixed = [f"NEW.{name} {differs} OLD.{name}" for name in FIXED]
    begun = [f"(OLD.state IN ('running', 'erased') AND NEW.{name} {differs} OLD.{name})" for name in BEGUN]
    over = [
        "(OLD.state IN ('erased', 'withdrawn') AND NEW.state <> OLD.state)",
        "(OLD.state = 'running' AND NEW.state NOT IN ('running', 'erased'))",
    ]
    return " OR ".join([*fixed, *begun, *over])


def _protect_on_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION guard_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                RAISE EXCEPTION 'an erasure is never deleted';
            ELSIF TG_OP = 'INSERT' THEN
                IF NEW.state <> 'requested' THEN
                    RAISE EXCEPTION 'an erasure begins as a request';
                END IF;
            ELSIF {_changed_wrong("IS DISTINCT FROM")} THEN
                RAISE EXCEPTION 'what was approved of an erasure never changes';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON erasure"
        " FOR EACH ROW EXECUTE FUNCTION guard_erasure()"
    )
    op.execute("ALTER TABLE erasure ENABLE ALWAYS TRIGGER guard")


def _protect_on_sqlite() -> None:
    for change, name, condition, message in (
        ("UPDATE", "changes", _changed_wrong("IS NOT"), "what was approved of an erasure never changes"),
        ("DELETE", "stays", "1", "an erasure is never deleted"),
        ("INSERT", "begins", "NEW.state <> 'requested'", "an erasure begins as a request"),
        # REPLACE deletes without asking a trigger for deletions.
        (
            "INSERT",
            "is_not_replaced",
            "EXISTS (SELECT 1 FROM erasure WHERE id = NEW.id)",
            "an erasure is never replaced",
        ),
    ):
        op.execute(
            f"CREATE TRIGGER erasure_{name} BEFORE {change} ON erasure WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
