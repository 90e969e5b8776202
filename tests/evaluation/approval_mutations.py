"""Takes away one rule of four eyes after another, in the code and in the database, and demands that the tests notice.

    .venv/bin/python tests/evaluation/approval_mutations.py             the table of docs/governance.md, as Markdown
    .venv/bin/python tests/evaluation/approval_mutations.py --only NAME

A rule of the code is taken away by replacing one function in a process of its own, a rule of the database by taking the
constraint or the trigger out of the SQLite file that the tests copy. Each mutant is met by the fast tests of the
service. Exit status 1 if they stay green for any, or are red without one.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, text, true, update
from sqlmodel import col

from zhiku_platform.contracts.governance import RULES, ApprovalAction, ApprovalState
from zhiku_platform.db import Database
from zhiku_services.governance import app, repository, service
from zhiku_services.governance.models import ApprovalRow
from zhiku_services.governance.repository import ApprovalRepository

ROOT = Path(__file__).resolve().parents[2]
_UNCHANGED = "unchanged"


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _deciding_unasked(access: Any, approval_id: str, session: Any) -> ApprovalRow:
    return service._locked(session, access.principal, approval_id)


def _any_owner(access: Any, action: ApprovalAction, requester: Any) -> Any:
    return RULES[action]


def _only_the_digest(row: ApprovalRow, subject: Any) -> None:
    if row.digest != subject.digest:
        raise service._mismatch()


def _only_the_thing(row: ApprovalRow, subject: Any) -> None:
    if (row.action, row.resource_id) != (subject.action, subject.resource.id):
        raise service._mismatch()


def _usable_again(row: ApprovalRow, now: Any) -> bool:
    if row.state != ApprovalState.USED:
        service._check_open(row, now, ApprovalState.APPROVED)
    return row.state == ApprovalState.USED


def _never_expired(row: ApprovalRow, now: Any) -> ApprovalState:
    return ApprovalState(row.state)


def _complete_anything(self: Any, approval_id: str, *, act_id: str, fence: int, now: Any) -> bool:
    del act_id, fence
    done = update(ApprovalRow).where(col(ApprovalRow.id) == approval_id).values(completed_at=now)
    return bool(self._session.connection().execute(done).rowcount)


def _see_all(self: Any, session: Any, viewer: Any, *, sees_all: bool) -> None:
    del sees_all
    self._session, self._viewer = session, viewer
    self._visible = self._tenant()


CODE: dict[str, tuple[str, object, str, Any]] = {
    "own-request": ("nobody decides on their own request", service, "_to_decide", _deciding_unasked),
    "person": ("keys and services decide nothing", service, "_is_person", lambda _: True),
    "requester": ("only who asked acts and withdraws", service, "_check_requester", _nothing),
    "subject": ("an approval is for this act alone", service, "_check_subject", _nothing),
    "digest": ("an approval is for exactly what was shown", service, "_check_subject", _only_the_thing),
    "resource": ("the refusal says whether the act is another one", service, "_check_subject", _only_the_digest),
    "state": ("what has ended is over", service, "_check_open", _nothing),
    "usable": ("an act that is done is done", service, "_check_usable", _usable_again),
    "lease": ("of two claims the second waits", service, "LEASE_S", 0),
    "expiry": ("what has run out is expired at once", service, "_state", _never_expired),
    "approvers": ("who approved may still do so when it is used", service, "_check_approvers", _nothing),
    "owner": ("a service acts in its own matters alone", service, "_check_owner", _any_owner),
    "event": ("every step is recorded", service, "_record", _nothing),
    "sweep": ("what has run out is written down", service, "due", lambda *_, **__: []),
    "fence": ("an earlier claim is worth nothing", ApprovalRepository, "complete", _complete_anything),
    "visible": ("others' approvals do not exist", ApprovalRepository, "__init__", _see_all),
    "tenant": ("another tenant's approvals do not exist", ApprovalRepository, "_tenant", lambda _: true()),
    "overdue": ("what has run out is not listed as open", repository, "_in_state", lambda *_: true()),
}

# Without `known_state`: the triggers let no row into an unknown state either.
CHECKS = {
    "known_action": "an unknown action is refused",
    "enough_people": "nobody lowers the number of approvers",
    "first_is_another": "the first approver is not the requester",
    "second_is_another": "the second approver is a third person",
    "approved_by_people": "no row is approved or used without its approvers",
    "break_glass_goes_back": "glass is broken for going back alone",
    "a_digest": "a row has a digest",
    "somebody_asked": "a row has a requester and a reason",
    "somebody_approved": "an approver has a name",
    "refused_by_somebody": "a refusal has somebody and a reason",
    "completed_when_used": "nothing is done that was not used",
    "claimed_when_used": "used is what was claimed",
    "ends_later": "a row ends after it began",
}
TRIGGERS = {
    "begins": "a row begins without approvers",
    "changes": "what is approved never changes, and what has ended stays",
    "stays": "no row is deleted",
    "is_not_replaced": "no row is replaced",
}


def without_check(name: str) -> Callable[[Connection], None]:
    def take(connection: Connection) -> None:
        (table,) = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'approval'").scalars()
        start = table.index(f"CONSTRAINT {name} CHECK (") + len(f"CONSTRAINT {name} CHECK (")
        end, depth = start, 1
        while depth:
            depth += {"(": 1, ")": -1}.get(table[end], 0)
            end += 1
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        changed = {"sql": f"{table[:start]}1{table[end - 1 :]}"}
        connection.execute(text("UPDATE sqlite_master SET sql = :sql WHERE name = 'approval'"), changed)
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")

    return take


def without_trigger(name: str) -> Callable[[Connection], None]:
    return lambda connection: connection.exec_driver_sql(f"DROP TRIGGER approval_{name}").close()


def opened_without(take: Callable[[Connection], None]) -> Callable[[Any], Database]:
    opened = app.open_database

    def open_database(settings: Any) -> Database:
        database = opened(settings)
        with database.engine.begin() as connection:
            take(connection)
        return database

    return open_database


def run(name: str) -> int:
    """Meet one mutant in this process; return pytest's exit status."""
    with ExitStack() as stack:
        if name in CODE:
            _, owner, attribute, instead = CODE[name]
            stack.enter_context(patch.object(owner, attribute, instead))
        elif name != _UNCHANGED:
            kind, _, rule = name.partition(":")
            take = without_check(rule) if kind == "check" else without_trigger(rule)
            stack.enter_context(patch.object(app, "open_database", opened_without(take)))
        arguments = ["-q", "-x", "-m", "not slow", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
        # pytest is imported here before it could rewrite the asserts of its plugins.
        arguments += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
        tests = ["test_service.py", "test_constraints.py", "test_four_eyes.py"]
        return int(pytest.main([*arguments, *(str(ROOT / "tests/services/governance" / each) for each in tests)]))


def all_rules() -> dict[str, str]:
    rules = {name: says for name, (says, *_) in CODE.items()}
    rules |= {f"check:{name}": says for name, says in CHECKS.items()}
    return rules | {f"trigger:{name}": says for name, says in TRIGGERS.items()}


def first_failure(output: str) -> str:
    found = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return found[0].split("::")[1].split("[")[0].split(" ")[0] if found else ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        return run(arguments.run)
    wanted = {name: says for name, says in all_rules().items() if arguments.only in {None, name}}
    print("| rule taken away | where | noticed by |\n| --- | --- | --- |")
    survivors = 0
    for name, says in {_UNCHANGED: "", **wanted}.items():
        command = [sys.executable, __file__, "--run", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        failed = first_failure(done.stdout)
        is_right = done.returncode == 0 if name == _UNCHANGED else done.returncode == 1 and failed != ""
        survivors += not is_right
        if name == _UNCHANGED and not is_right:
            print(done.stdout[-3000:], file=sys.stderr)
        if name != _UNCHANGED:
            noticed = f"`{failed}`" if is_right else "**nobody**"
            print(f"| {says} | `{name}` | {noticed} |", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
