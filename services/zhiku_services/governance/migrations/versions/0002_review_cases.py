"""Review cases: no two decisions by one person, none by who the case is about, none taken back."""

import sqlalchemy as sa
from alembic import op

from zhiku_platform.db import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

VERDICTS = "('confirmed', 'dismissed')"
PLACES = ("first", "second", "third")
CHECKS = {
    "known_state": "state IN ('open', 'second', 'escalated', 'decided')",
    "known_severity": "severity IN ('low', 'medium', 'high')",
    "known_verdict": f"verdict IS NULL OR verdict IN {VERDICTS}",
    **{f"{place}_whole": f"({place} IS NULL) = ({place}_verdict IS NULL)" for place in PLACES},
    **{f"{place}_verdict_known": f"{place}_verdict IS NULL OR {place}_verdict IN {VERDICTS}" for place in PLACES},
    **{f"{place}_is_another": f"person IS NULL OR {place} IS NULL OR {place} <> person" for place in PLACES},
    "second_after_first": "second IS NULL OR (first IS NOT NULL AND second <> first)",
    "third_after_second": "third IS NULL OR (second IS NOT NULL AND third <> first AND third <> second)",
    "decided_with_verdict": "(state = 'decided') = (verdict IS NOT NULL)",
    "decided_by_somebody": "verdict IS NULL OR verdict = COALESCE(third_verdict, second_verdict, first_verdict)",
    "two_where_two_are_needed": (
        "verdict IS NULL OR NOT needs_second OR third IS NOT NULL"
        " OR (second IS NOT NULL AND first_verdict = second_verdict)"
    ),
}
FIXED = (
    "id",
    "tenant",
    "kind",
    "source_id",
    "subject_kind",
    "subject_id",
    "opened_at",
    "due_at",
    "person",
    "needs_second",
)
ONCE = tuple(f"{place}{part}" for place in PLACES for part in ("", "_verdict", "_reason", "_at")) + ("verdict",)


def upgrade() -> None:
    decisions = [
        column
        for place in PLACES
        for column in (
            sa.Column(place, sa.String(200), nullable=True),
            sa.Column(f"{place}_verdict", sa.String(10), nullable=True),
            sa.Column(f"{place}_reason", sa.Text(), nullable=True),
            sa.Column(f"{place}_at", UtcDateTime(), nullable=True),
        )
    ]
    op.create_table(
        "review_case",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("source_id", sa.String(200), nullable=False),
        sa.Column("subject_kind", sa.String(200), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("knowledge_base_id", sa.String(200), nullable=True),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("policy_digest", sa.String(64), nullable=True),
        sa.Column("person", sa.String(200), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("needs_second", sa.Boolean(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.String(200), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        *decisions,
        sa.Column("verdict", sa.String(10), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        *(sa.CheckConstraint(condition, name=f"case_{name}") for name, condition in CHECKS.items()),
    )
    op.create_index("ix_review_case_source", "review_case", ["tenant", "kind", "source_id"], unique=True)
    op.create_index("ix_review_case_queue", "review_case", ["tenant", "state", "due_at", "id"])
    op.create_index("ix_review_case_subject", "review_case", ["tenant", "subject_id"])
    op.create_table(
        "review_note",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("case_id", sa.String(40), sa.ForeignKey("review_case.id"), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_review_note_case_id", "review_note", ["case_id"])
    op.create_table(
        "sampling_rule",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("knowledge_base_id", sa.String(200), nullable=True),
        sa.Column("per_mille", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("per_mille BETWEEN 1 AND 1000", name="rule_share"),
    )
    op.create_index("ix_sampling_rule_tenant", "sampling_rule", ["tenant"])
    if op.get_bind().dialect.name == "postgresql":
        _protect_on_postgresql()
    else:
        _protect_on_sqlite()


def downgrade() -> None:
    for table in ("sampling_rule", "review_note", "review_case"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION guard_review_case()")


def _changed_wrong(differs: str) -> str:
    fixed = " OR ".join(f"NEW.{name} {differs} OLD.{name}" for name in FIXED)
    once = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} {differs} OLD.{name})" for name in ONCE)
    return f"{fixed} OR {once} OR (OLD.state = 'decided' AND NEW.state <> 'decided')"


def _protect_on_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION guard_review_case() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                RAISE EXCEPTION 'a review case is never deleted';
            ELSIF {_changed_wrong("IS DISTINCT FROM")} THEN
                RAISE EXCEPTION 'what was decided on a case never changes';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON review_case FOR EACH ROW EXECUTE FUNCTION guard_review_case()"
    )
    op.execute("ALTER TABLE review_case ENABLE ALWAYS TRIGGER guard")


def _protect_on_sqlite() -> None:
    for change, name, condition, message in (
        ("UPDATE", "changes", _changed_wrong("IS NOT"), "what was decided on a case never changes"),
        ("DELETE", "stays", "1", "a review case is never deleted"),
        # REPLACE deletes without asking a trigger for deletions.
        (
            "INSERT",
            "is_not_replaced",
            "EXISTS (SELECT 1 FROM review_case WHERE id = NEW.id)",
            "a review case is never replaced",
        ),
    ):
        op.execute(
            f"CREATE TRIGGER review_case_{name} BEFORE {change} ON review_case WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
