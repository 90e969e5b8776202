"""Approvals, and what keeps them honest whoever writes: who approved, what, and once."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import zhiku_platform.db

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TWO_PEOPLE = (
    "knowledge_base.delete",
    "audit.export",
    "safety_policy.change",
    "privacy_policy.change",
    "person.erase",
    "retention.change",
    "legal_hold.release",
    "model_release.publish",
    "prompt.publish",
    "release.roll_back",
)
ONE_PERSON = ("personal_data.reveal",)


def _listed(words) -> str:
    return ", ".join(f"'{word}'" for word in words)


# A comparison with NULL is neither true nor false, and a CHECK lets that pass: every NULL is asked for by name.
CHECKS = {
    "known_action": f"action IN ({_listed(TWO_PEOPLE + ONE_PERSON)})",
    "known_state": "state IN ('waiting', 'approved', 'refused', 'expired', 'used', 'withdrawn')",
    "enough_people": f"needed = CASE WHEN action IN ({_listed(ONE_PERSON)}) THEN 1 ELSE 2 END",
    "first_is_another": "approver_1 IS NULL OR approver_1 <> requester",
    "second_is_another": (
        "approver_2 IS NULL OR (approver_1 IS NOT NULL AND approver_2 <> requester AND approver_2 <> approver_1)"
    ),
    "approved_by_people": (
        "state NOT IN ('approved', 'used') OR is_break_glass"
        " OR (approver_1 IS NOT NULL AND (needed = 1 OR approver_2 IS NOT NULL))"
    ),
    "break_glass_goes_back": "NOT is_break_glass OR (action = 'release.roll_back' AND state = 'used')",
    "a_digest": "length(digest) = 64",
    "somebody_asked": "requester <> '' AND reason <> ''",
    "somebody_approved": "approver_1 IS NULL OR approver_1 <> ''",
    "refused_by_somebody": "state <> 'refused' OR (refused_by IS NOT NULL AND refusal_reason IS NOT NULL)",
    "completed_when_used": "completed_at IS NULL OR state = 'used'",
    "claimed_when_used": "(state = 'used') = (act_id IS NOT NULL)",
    "ends_later": "expires_at > created_at",
}

FIXED = (
    "id", "tenant", "action", "resource_kind", "resource_id", "resource_title", "digest", "requester",
    "requester_name", "reason", "created_at", "expires_at", "needed", "is_break_glass",
)
ONCE = (
    "approver_1", "approver_1_name", "approver_1_at", "approver_2", "approver_2_name", "approver_2_at",
    "refused_by", "refused_by_name", "refusal_reason", "completed_at",
)
STEPS = {
    "waiting": ("waiting", "approved", "refused", "expired", "withdrawn"),
    "approved": ("approved", "refused", "expired", "withdrawn", "used"),
    "used": ("used",),
}


def upgrade() -> None:
    op.create_table(
        "audit_outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", zhiku_platform.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "approval",
        _text("id", 40),
        _text("tenant", 100),
        _text("action", 80),
        _text("resource_kind", 40),
        _text("resource_id", 200),
        _text("resource_title", 500),
        sa.Column("terms", sa.JSON(), nullable=False),
        _text("digest", 64),
        _text("requester", 200),
        _text("requester_name", 200),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("created_at", nullable=False),
        _time("expires_at", nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("is_break_glass", sa.Boolean(), nullable=False),
        _text("state", 10),
        _text("approver_1", 200, nullable=True),
        _text("approver_1_name", 200, nullable=True),
        _time("approver_1_at"),
        _text("approver_2", 200, nullable=True),
        _text("approver_2_name", 200, nullable=True),
        _time("approver_2_at"),
        _text("refused_by", 200, nullable=True),
        _text("refused_by_name", 200, nullable=True),
        sa.Column("refusal_reason", sa.Text(), nullable=True),
        _time("ended_at"),
        _text("act_id", 64, nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        _time("lease_until"),
        _time("completed_at"),
        sa.PrimaryKeyConstraint("id"),
        *(sa.CheckConstraint(condition, name=name) for name, condition in CHECKS.items()),
    )
    op.create_index("ix_approval_state", "approval", ["tenant", "state", "id"], unique=False)
    op.create_index("ix_approval_requester", "approval", ["tenant", "requester", "id"], unique=False)
    op.create_index(
        "ix_approval_open",
        "approval",
        ["tenant", "requester", "action", "resource_id", "digest"],
        unique=True,
        sqlite_where=sa.text("state IN ('waiting', 'approved')"),
        postgresql_where=sa.text("state IN ('waiting', 'approved')"),
    )
    if op.get_bind().dialect.name == "postgresql":
        _protect_on_postgresql()
    else:
        _protect_on_sqlite()


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def _time(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, zhiku_platform.db.UtcDateTime(timezone=True), nullable=nullable)


def _born_wrong() -> str:
    """A new row waits for people, or breaks glass."""
    return (
        "NEW.approver_1 IS NOT NULL OR NEW.approver_2 IS NOT NULL OR NEW.completed_at IS NOT NULL"
        " OR NOT ((NEW.state = 'waiting' AND NOT NEW.is_break_glass) OR (NEW.state = 'used' AND NEW.is_break_glass))"
    )


def _changed_wrong(differs: str, terms_differ: str) -> str:
    steps = " OR ".join(
        f"(OLD.state = '{before}' AND NEW.state IN ({_listed(allowed)}))" for before, allowed in STEPS.items()
    )
    fixed = " OR ".join(f"NEW.{name} {differs} OLD.{name}" for name in FIXED)
    once = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} {differs} OLD.{name})" for name in ONCE)
    voted = f"NEW.approver_1 {differs} OLD.approver_1 OR NEW.approver_2 {differs} OLD.approver_2"
    claimed = f"NEW.act_id {differs} OLD.act_id OR NEW.fence {differs} OLD.fence"
    return (
        f"NOT ({steps}) OR {fixed} OR {terms_differ} OR {once} OR (OLD.state <> 'waiting' AND ({voted}))"
        f" OR (({claimed}) AND (NEW.fence <= OLD.fence OR OLD.completed_at IS NOT NULL))"
    )


def _protect_on_postgresql() -> None:
    """Triggers hold against every role but who may drop them."""
    changed = _changed_wrong("IS DISTINCT FROM", "NEW.terms::text IS DISTINCT FROM OLD.terms::text")
    op.execute(
        f"""
        CREATE FUNCTION guard_approval() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
                RAISE EXCEPTION 'an approval is never deleted';
            ELSIF TG_OP = 'INSERT' THEN
                IF {_born_wrong()} THEN
                    RAISE EXCEPTION 'an approval begins without approvers';
                END IF;
            ELSIF {changed} THEN
                RAISE EXCEPTION 'this change of an approval is refused';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON approval"
        " FOR EACH ROW EXECUTE FUNCTION guard_approval()"
    )
    op.execute(
        "CREATE TRIGGER guard_all BEFORE TRUNCATE ON approval FOR EACH STATEMENT EXECUTE FUNCTION guard_approval()"
    )
    for trigger in ("guard", "guard_all"):
        op.execute(f"ALTER TABLE approval ENABLE ALWAYS TRIGGER {trigger}")
    op.execute("REVOKE DELETE, TRUNCATE ON approval FROM PUBLIC, CURRENT_USER")


def _protect_on_sqlite() -> None:
    _refuse("INSERT", "begins", _born_wrong(), "an approval begins without approvers")
    changed = _changed_wrong("IS NOT", "NEW.terms IS NOT OLD.terms")
    _refuse("UPDATE", "changes", changed, "this change of an approval is refused")
    _refuse("DELETE", "stays", "1", "an approval is never deleted")
    # REPLACE deletes without asking a trigger for deletions.
    known = (
        "EXISTS (SELECT 1 FROM approval WHERE id = NEW.id OR (state IN ('waiting', 'approved')"
        " AND NEW.state IN ('waiting', 'approved')"
        " AND tenant = NEW.tenant AND requester = NEW.requester AND action = NEW.action"
        " AND resource_id = NEW.resource_id AND digest = NEW.digest))"
    )
    _refuse("INSERT", "is_not_replaced", known, "an approval is never replaced")


def _refuse(change: str, name: str, condition: str, message: str) -> None:
    op.execute(
        f"CREATE TRIGGER approval_{name} BEFORE {change} ON approval WHEN {condition}"
        f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )
