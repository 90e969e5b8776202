"""What governance itself holds of a person: what they wrote on cases, and what names them there.

Approvals, opinions on cases and legal holds are evidence of who decided what: triggers keep them, and reports say so.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, delete, select, update

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.erasure import Disposition, EraseOrder, Found, PersonSought
from zhiku_platform.db import Database
from zhiku_platform.erasure import ERASED, Mentions, found
from zhiku_services.governance.models import (
    AUDIT_OUTBOX,
    ApprovalRow,
    CaseNoteRow,
    CaseRow,
    HoldRow,
    RetentionRuleRow,
    SamplingRuleRow,
)


@dataclass(frozen=True)
class PersonalData:
    """Notes on cases, and the records that stay."""

    database: Database

    def find(self, access: Access, sought: PersonSought) -> list[Found]:
        with self.database.read() as session:
            person = _Person(session, access, sought)
            return [
                *found("note", Disposition.ERASE, person.notes()),
                *found("note_of_another", Disposition.DECIDE, person.notes_of_others()),
                *found("sampling_rule", Disposition.ERASE, person.rules()),
                *found("approval", Disposition.KEEP, person.kept(ApprovalRow, "requester", "approver_1", "approver_2")),
                *found("review_case", Disposition.KEEP, person.kept(CaseRow, "person", "first", "second", "third")),
                *found("legal_hold", Disposition.KEEP, person.kept(HoldRow, "held_id", "placed_by", "released_by")),
                *found("retention_rule", Disposition.KEEP, person.kept(RetentionRuleRow, "changed_by")),
            ]

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        with self.database.write() as session:
            person = _Person(session, access, order)
            notes = set(person.notes()) | (set(person.notes_of_others()) & set(order.decided))
            rules = person.rules()
            for note_id in sorted(notes):
                session.exec(delete(CaseNoteRow).where(col(CaseNoteRow.id) == note_id))
            for rule_id in rules:
                session.exec(
                    update(SamplingRuleRow).where(col(SamplingRuleRow.id) == rule_id).values(created_by=ERASED)
                )
            counts = {"note": len(notes), "sampling_rule": len(rules)}
            if any(counts.values()):
                record(session, AUDIT_OUTBOX, event_of(access, "person.erased", order.erasure_id, **counts))
        self.database.scrub()
        return counts


class _Person:
    """The rows of one person in one transaction."""

    def __init__(self, session: Session, access: Access, sought: PersonSought) -> None:
        self._session = session
        self._tenant = access.tenant
        self._sub = sought.sub
        self._mentions = Mentions(sought.values)

    def notes(self) -> list[str]:
        return [row.id for row in self._notes(col(CaseNoteRow.author) == self._sub)]

    def notes_of_others(self) -> list[str]:
        rows = self._notes(col(CaseNoteRow.author) != self._sub)
        return [row.id for row in rows if self._mentions.found_in(row.text)]

    def rules(self) -> list[str]:
        query = select(SamplingRuleRow.id).where(
            col(SamplingRuleRow.tenant) == self._tenant, col(SamplingRuleRow.created_by) == self._sub
        )
        return list(self._session.exec(query))

    def kept(self, table: Any, *columns: str) -> list[str]:
        """Records that name them by id, and stay."""
        named = or_(*(col(getattr(table, name)) == self._sub for name in columns))
        return list(self._session.exec(select(table.id).where(col(table.tenant) == self._tenant, named)))

    def _notes(self, condition: ColumnElement[bool]) -> list[CaseNoteRow]:
        query = select(CaseNoteRow).join(CaseRow).where(col(CaseRow.tenant) == self._tenant, condition)
        return list(self._session.exec(query))
