"""What the database itself refuses, to whoever writes behind the service."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from zhiku_platform.contracts.governance import RULES, ApprovalAction

from .conftest import FANG, Governance

NEW = {
    "id": "apr_x", "tenant": "acme", "action": "knowledge_base.delete", "resource_kind": "knowledge_base",
    "resource_id": "kb_1", "resource_title": "T", "terms": "{}", "digest": "a" * 64, "requester": "zhao",
    "requester_name": "Z", "reason": "Because", "created_at": "2026-11-23 09:00:00.000000",
    "expires_at": "2026-11-26 09:00:00.000000", "needed": 2, "is_break_glass": False, "state": "waiting", "fence": 0,
}  # fmt: skip


def insert(governance: Governance, changed: dict[str, object] | None = None, *, verb: str = "INSERT") -> None:
    row = NEW | (changed or {})
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    with governance.database.engine.begin() as connection:
        connection.execute(text(f"{verb} INTO approval ({names}) VALUES ({values})"), row)


def write(governance: Governance, change: str, where: str = "id = 'apr_x'") -> None:
    with governance.database.engine.begin() as connection:
        connection.execute(text(f"UPDATE approval SET {change} WHERE {where}"))


def refused(governance: Governance, change: str) -> None:
    before = rows(governance)
    with pytest.raises(DBAPIError):
        write(governance, change)
    assert rows(governance) == before


def rows(governance: Governance) -> list[tuple[object, ...]]:
    with governance.database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM approval ORDER BY id"))]


@pytest.mark.parametrize(
    "change",
    [
        "state = 'approved'",
        "state = 'used', act_id = 'act_1'",
        "approver_1 = 'fang', state = 'approved'",
        "approver_2 = 'fang', state = 'approved'",
        "approver_1 = 'zhao'",
        "approver_1 = ''",
        "approver_1 = 'fang', approver_2 = 'fang', state = 'approved'",
        "approver_1 = 'fang', approver_2 = 'zhao', state = 'approved'",
        "approver_1 = 'zhao', approver_2 = 'fang', state = 'approved'",
        "needed = 1, approver_1 = 'fang', state = 'approved'",
        "needed = 0",
        "is_break_glass = true, state = 'approved'",
        "is_break_glass = true",
        "action = 'personal_data.reveal', needed = 1, approver_1 = 'fang', state = 'approved'",
        "requester = 'somebody'",
        f"digest = '{'b' * 64}'",
        "terms = '{\"documents\": 1}'",
        "resource_id = 'kb_2'",
        "reason = 'Another'",
        "expires_at = '2036-11-26 09:00:00.000000'",
        "tenant = 'other'",
        "id = 'apr_y'",
        "state = 'agreed'",
        "state = 'refused'",
        "completed_at = '2026-11-23 09:00:00.000000'",
        "act_id = 'act_1', fence = 1",
    ],
)
def test_a_request_becomes_nothing_by_an_update(governance: Governance, change: str) -> None:
    insert(governance)
    refused(governance, change)


AGREED = "approver_1 = 'fang', approver_2 = 'wu', state = 'approved'"


@pytest.mark.parametrize(
    "change",
    [
        "approver_1 = 'he'",
        "approver_2 = 'he'",
        "approver_2 = NULL",
        "state = 'waiting'",
        f"digest = '{'b' * 64}'",
        "requester = 'fang'",
        "requester = 'he'",
        "needed = 1",
        "state = 'used'",
        "state = 'used', act_id = 'act_1', fence = 0",
    ],
)
def test_what_was_agreed_to_stays_what_it_is(governance: Governance, change: str) -> None:
    insert(governance)
    write(governance, AGREED)
    refused(governance, change)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'approved'",
        "state = 'approved', act_id = NULL",
        "state = 'waiting', act_id = NULL",
        "act_id = 'act_2'",
        "act_id = 'act_2', fence = 1",
        "act_id = 'act_2', fence = 2",
        "fence = 2",
        "completed_at = NULL",
    ],
)
def test_what_was_used_and_done_is_over(governance: Governance, change: str) -> None:
    insert(governance)
    write(governance, AGREED)
    write(governance, "state = 'used', act_id = 'act_1', fence = 1")
    write(governance, "completed_at = '2026-11-23 09:30:00.000000'")
    refused(governance, change)


@pytest.mark.parametrize("state", ["refused", "expired", "withdrawn"])
def test_what_has_ended_does_not_come_back(governance: Governance, state: str) -> None:
    insert(governance)
    write(governance, f"state = '{state}', refused_by = 'fang', refusal_reason = 'No'")
    for change in ("state = 'waiting'", "state = 'approved'", AGREED):
        refused(governance, change)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "approved"},
        {"state": "approved", "approver_1": "fang", "approver_2": "wu"},
        {"state": "used", "act_id": "act_1", "approver_1": "fang", "approver_2": "wu"},
        {"approver_1": "fang"},
        {"state": "used", "act_id": "act_1", "is_break_glass": True},
        {"is_break_glass": True},
        {"action": "release.roll_back", "is_break_glass": True},
        {"action": "coffee.brew"},
        {"needed": 1},
        {"action": "personal_data.reveal", "needed": 0},
        {"requester": ""},
        {"digest": "short"},
        {"expires_at": "2026-11-23 09:00:00.000000"},
    ],
)
def test_no_row_is_born_approved(governance: Governance, wrong: dict[str, object]) -> None:
    with pytest.raises(DBAPIError):
        insert(governance, wrong)
    assert rows(governance) == []


@pytest.mark.parametrize("action", list(ApprovalAction))
def test_the_database_and_the_table_of_rules_agree(governance: Governance, action: ApprovalAction) -> None:
    needed = RULES[action].approvers
    for wrong in {0, 1, 2, 3} - {needed}:
        with pytest.raises(DBAPIError):
            insert(governance, {"action": action, "needed": wrong})
    insert(governance, {"action": action, "needed": needed})
    broken: dict[str, object] = {
        "id": "apr_y",
        "action": action,
        "needed": needed,
        "is_break_glass": True,
        "state": "used",
        "act_id": "a",
    }
    if RULES[action].may_break_glass:
        insert(governance, broken)
    else:
        with pytest.raises(DBAPIError):
            insert(governance, broken)


def test_no_row_is_deleted_or_replaced(governance: Governance) -> None:
    asked = governance.ask()
    before = rows(governance)
    statements = ["DELETE FROM approval"]
    statements += ["TRUNCATE approval"] if not governance.database.is_sqlite else []
    for statement in statements:
        with pytest.raises(DBAPIError), governance.database.engine.begin() as connection:
            connection.execute(text(statement))
    if governance.database.is_sqlite:
        duplicates: list[dict[str, object]] = [{"id": asked.id}, {"digest": asked.digest}]
        for taken in duplicates:
            with pytest.raises(DBAPIError):
                insert(governance, taken, verb="INSERT OR REPLACE")
    assert rows(governance) == before


def test_the_service_itself_fails_where_its_rules_would_not_hold(
    governance: Governance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the check of one's own request gone, the database still refuses the vote."""
    asked = governance.ask(requester=FANG)
    monkeypatch.setattr(
        "zhiku_services.governance.service._to_decide",
        lambda access, approval_id, session: _row(session, approval_id),
    )
    assert governance.approve(asked, FANG).status_code == 500
    assert governance.get(asked.id, FANG).approvals == []


def _row(session: object, approval_id: str) -> object:
    from sqlmodel import Session

    from zhiku_services.governance.models import ApprovalRow

    assert isinstance(session, Session)
    return session.get_one(ApprovalRow, approval_id)
