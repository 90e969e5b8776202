"""The erasure desk: one asks, every store says what it holds, two others agree to exactly that, and it is erased.

No transaction of ours is open while a store works, for it asks us for holds. What was done is written down store by
store, so that whoever comes after a crash goes on where it ended.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlmodel import Session, col, select

from zhiku_platform.access import Access, Permission, authorize, service_principal
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.contracts.erasure import (
    MAX_IDS,
    Certificate,
    Disposition,
    EraseOrder,
    Erasure,
    ErasureState,
    Found,
    NewErasure,
    PersonSought,
    Replayed,
    ReplayReport,
    SignedCertificate,
    StoreErased,
    StoreReport,
)
from zhiku_platform.contracts.governance import (
    Approval,
    ApprovalAction,
    ApprovalSubject,
    NewApproval,
    Resource,
    UseApproval,
)
from zhiku_platform.contracts.holds import Held, HoldScope, NewDeletion
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import Database, new_id
from zhiku_platform.errors import NotFoundError, UnprocessableError
from zhiku_platform.holds import HeldError
from zhiku_services.governance import holds, service
from zhiku_services.governance.erasing import PersonalData
from zhiku_services.governance.erasure_register import ErasureRegister, Registered
from zhiku_services.governance.errors import ErasureForgottenError, ErasureStateError
from zhiku_services.governance.models import AUDIT_OUTBOX, ErasureRow, ErasureStepRow

LOG = "audit"
"""The store that comes last: what the others say while they erase has to be in it first."""
ON_ITS_WAY = "event_on_its_way"
_WAITS = 40
_WAIT_S = 0.25
_HELD_AT_ONCE = 200
_CERTIFICATE = "zhiku-erasure-certificate-v1"
_NOT_REACHED = [
    "the vector engine's segments, until it compacts them",
    "backups, until they are restored and replayed or run out",
    "weights and datasets outside the platform",
    "files, sources and identity providers outside the platform",
]


class Store(Protocol):
    """A service that holds something of people; `ErasureClient` is one."""

    def find(self, principal: Principal, sought: PersonSought) -> list[Found]: ...

    def erase(self, principal: Principal, order: EraseOrder) -> dict[str, int]: ...


Certify = Callable[[Principal, str], SignedCertificate]
"""Signs the SHA-256, in hex, of a certificate."""


@dataclass(frozen=True)
class Desk:
    """What the desk works with. `stores` are asked in their order, governance itself before the log."""

    database: Database
    register: ErasureRegister
    stores: Mapping[str, Store]
    certify: Certify
    people: service.People
    wait: Callable[[float], None] = time.sleep


def request(access: Access, new: NewErasure, desk: Desk, *, now: datetime) -> Erasure:
    """Take down whom to erase, and why."""
    erasure_id = new_id("era")
    person = PersonSought(sub=new.sub, values=new.values)
    row = ErasureRow(
        id=erasure_id,
        tenant=access.tenant,
        sealed=desk.register.seal(erasure_id, person),
        reason=new.reason,
        legal_basis=new.legal_basis,
        due_at=new.due_at,
        requester=access.principal.sub,
        requester_name=access.principal.name[:200],
        created_at=now,
        state=ErasureState.REQUESTED,
        report=[],
        decided=[],
        left=[],
    )
    with desk.database.write() as session:
        session.add(row)
        event = event_of(access, "erasure.requested", row.id, due=new.due_at.isoformat(), values=len(new.values))
        sealed = {"reason": new.reason, "legal_basis": new.legal_basis}
        record(session, AUDIT_OUTBOX, event.model_copy(update={"sealed": sealed, "group": row.id}))
        session.flush()
        return _shown(row, session, desk)


def list_erasures(access: Access, desk: Desk, *, cursor: str, limit: int) -> Page[Erasure]:
    """Every erasure of the tenant, the newest first; whose they are is said one by one."""
    with desk.database.read() as session:
        query = select(ErasureRow).where(col(ErasureRow.tenant) == access.tenant)
        if cursor:
            query = query.where(col(ErasureRow.id) < cursor)
        rows = session.exec(query.order_by(col(ErasureRow.id).desc()).limit(limit + 1)).all()
        items = [_shown(row, session, desk).model_copy(update={"sub": None}) for row in rows[:limit]]
    return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)


def get(access: Access, erasure_id: str, desk: Desk) -> Erasure:
    """One erasure, and whose it is; that it was looked at is recorded."""
    with desk.database.write() as session:
        row = _row(access, erasure_id, session)
        record(session, AUDIT_OUTBOX, event_of(access, "erasure.viewed", row.id))
        return _shown(row, session, desk)


def withdraw(access: Access, erasure_id: str, desk: Desk) -> Erasure:
    """Take a request back that was not begun; whom it was about is forgotten."""
    with desk.database.write() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, ErasureState.REQUESTED, ErasureState.REPORTED)
        row.state, row.sealed, row.report = ErasureState.WITHDRAWN, None, []
        session.add(row)
        record(session, AUDIT_OUTBOX, event_of(access, "erasure.withdrawn", row.id))
        return _shown(row, session, desk)


def report(access: Access, erasure_id: str, decided: Sequence[str], desk: Desk, *, now: datetime) -> Erasure:
    """Ask every store what it holds, erase nothing, and note what was chosen of what is to be decided.

    Raises:
        ErasureStateError: it was begun, or is over.
        UnprocessableError: something was chosen that is not among what is to be decided.
    """
    person = _open(access, erasure_id, desk, ErasureState.REQUESTED, ErasureState.REPORTED)
    stores = _ask(access, person, decided, desk)
    choice = {
        each for store in stores for line in store.found if line.disposition is Disposition.DECIDE for each in line.ids
    }
    if unknown := sorted(set(decided) - choice):
        raise UnprocessableError(
            f"{len(unknown)} of what was chosen is not among what is to be decided.",
            remedy="Choose from the report's ids of the disposition `decide`.",
        )
    with desk.database.write() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, ErasureState.REQUESTED, ErasureState.REPORTED)
        row.report = [store.model_dump(mode="json") for store in stores]
        row.decided = sorted(set(decided))
        row.report_digest = _digest([desk.register.name(person), row.decided, row.report])
        row.reported_at, row.state = now, ErasureState.REPORTED
        session.add(row)
        counts: dict[str, Detail] = {store.store: sum(line.count for line in store.found) for store in stores}
        record(session, AUDIT_OUTBOX, event_of(access, "erasure.reported", row.id, **counts))
        return _shown(row, session, desk)


def ask(access: Access, erasure_id: str, desk: Desk, *, now: datetime) -> Approval:
    """Ask two others whether exactly what was reported may be erased."""
    with desk.database.write() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, ErasureState.REPORTED)
        new = NewApproval(subject=_subject(row), requester=access.principal, reason=row.reason)
        return service.request_approval(_own(access.tenant, Permission.APPROVAL_USE), new, session, now=now)


def is_running(access: Access, erasure_id: str, desk: Desk) -> bool:
    """Whether it was begun, so that going on takes no more approval."""
    with desk.database.read() as session:
        return _row(access, erasure_id, session).state == ErasureState.RUNNING


def run(access: Access, erasure_id: str, approval_id: str | None, desk: Desk, *, now: datetime) -> Erasure:
    """Erase, or go on with what was begun: store by store, each asked again at the end. Saying it again is safe.

    Raises:
        HeldError: a legal hold keeps something of it; what was erased before stays so.
        ErasureStateError: it is over.
        ConflictError: the approval is not to be used for this.
    """
    if approval_id is not None:
        _begin(access, erasure_id, approval_id, desk, now=now)
    with desk.database.read() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, ErasureState.RUNNING)
        person, order = _order(row, desk)
        done = {step.store for step in _steps(row, session) if step.is_done}
    if desk.register.line(erasure_id) is None:
        # Before anything of it is done: from here on a restored backup brings nobody back.
        groups = _groups(_ask(access, person, order.decided, desk), order.decided) | set(person.groups)
        person = _sought(person, sorted(groups)[:MAX_IDS])
        desk.register.append(erasure_id, access.tenant, person, order.decided, now=now)
        order = _ordered(erasure_id, person, order.decided)
    for name, store in _all(desk):
        if name in done:
            continue
        _note(erasure_id, name, _erase(name, store, order, access, desk), desk, now=now)
    return _conclude(access, erasure_id, person, desk, now=now)


def verify(access: Access, erasure_id: str, desk: Desk) -> list[StoreReport]:
    """Ask every store again what it holds of what was erased; an empty list is nothing.

    Raises:
        ErasureForgottenError: it is so long ago that nobody knows any more whose it was.
    """
    with desk.database.read() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, ErasureState.RUNNING, ErasureState.ERASED)
        person, order = _order(row, desk)
    left = _left(_ask(access, person, order.decided, desk), order.decided)
    with desk.database.write() as session:
        record(
            session, AUDIT_OUTBOX, event_of(access, "erasure.verified", erasure_id, left=[each.store for each in left])
        )
    return left


def certificate(access: Access, erasure_id: str, desk: Desk) -> Certificate:
    """The certificate of an erasure that is done.

    Raises:
        ErasureStateError: it is not done.
    """
    with desk.database.read() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, ErasureState.ERASED)
        return Certificate.model_validate(row.certificate)


def replay(desk: Desk, *, now: datetime) -> ReplayReport:
    """Repeat every erasure that was begun, as after the restore of a backup.

    Raises:
        HeldError: a legal hold keeps one of them, also one that the backup brought back.
    """
    lines = [(line, desk.register.person(line)) for line in desk.register.lines(now=now)]
    return ReplayReport(replayed=[_replay(line, person, desk) for line, person in lines if person is not None])


def _replay(line: Registered, person: PersonSought, desk: Desk) -> Replayed:
    access = _own(line.tenant, Permission.PERSON_ERASE)
    groups = _groups(_ask(access, person, line.decided, desk), line.decided) | set(person.groups)
    order = _ordered(line.id, _sought(person, sorted(groups)[:MAX_IDS]), line.decided)
    counts: dict[str, int] = {}
    for name, store in _all(desk):
        erased = _erase(name, store, order, access, desk)
        counts |= {f"{name}_{kind}": count for kind, count in erased.items() if count}
    left = [each.store for each in _left(_ask(access, order, line.decided, desk), line.decided)]
    with desk.database.write() as session:
        record(session, AUDIT_OUTBOX, event_of(access, "erasure.replayed", line.id, left=left, **counts))
    return Replayed(erasure_id=line.id, counts=counts, left=left)


def _erase(name: str, store: Store, order: EraseOrder, access: Access, desk: Desk) -> dict[str, int]:
    _check_holds(access, order, desk)
    if name == LOG:
        _settle(access.tenant, order, desk)
    return store.erase(_desk(access.tenant), order)


def _begin(access: Access, erasure_id: str, approval_id: str, desk: Desk, *, now: datetime) -> None:
    """Use the approval and begin, in one transaction; what was begun with it already goes on."""
    with desk.database.write() as session:
        row = _row(access, erasure_id, session)
        if row.state == ErasureState.RUNNING and row.approval_id == approval_id:
            return
        _check_state(row, ErasureState.REPORTED)
        wanted = UseApproval(subject=_subject(row), requester=access.principal, act_id=row.id)
        own = _own(access.tenant, Permission.APPROVAL_USE)
        claim = service.use(own, approval_id, wanted, session, people=desk.people, now=now)
        row.state, row.approval_id, row.begun_at = ErasureState.RUNNING, approval_id, now
        session.add(row)
        record(session, AUDIT_OUTBOX, event_of(access, "erasure.begun", row.id, approval=approval_id))
        service.complete(own, claim, session, now=now)


def _note(erasure_id: str, store: str, counts: Mapping[str, int], desk: Desk, *, now: datetime) -> None:
    """Write down that a store is done; what it said earlier is added up."""
    with desk.database.write() as session:
        step = session.get(ErasureStepRow, (erasure_id, store))
        before = step.counts if step is not None else {}
        added = {kind: before.get(kind, 0) + counts.get(kind, 0) for kind in {*before, *counts}}
        session.merge(ErasureStepRow(erasure_id=erasure_id, store=store, counts=added, is_done=True, at=now))


def _conclude(access: Access, erasure_id: str, person: PersonSought, desk: Desk, *, now: datetime) -> Erasure:
    """Ask every store again: nothing left is the end, and with anything left the store is open again."""
    with desk.database.read() as session:
        decided = _row(access, erasure_id, session).decided
    left = _left(_ask(access, person, decided, desk), decided)
    signed = None if left else _certified(access, erasure_id, desk, now=now)
    with desk.database.write() as session:
        row = _row(access, erasure_id, session)
        if row.state != ErasureState.RUNNING:
            # Somebody else was here at the same time.
            return _shown(row, session, desk)
        row.left = [each.model_dump(mode="json") for each in left]
        for step in _steps(row, session):
            if step.store == LOG or step.store in {each.store for each in left}:
                step.is_done = not left
                session.add(step)
        if signed is None:
            event = event_of(access, "erasure.incomplete", row.id, stores=[each.store for each in left])
        else:
            row.state, row.sealed, row.done_at = ErasureState.ERASED, None, now
            row.certificate = signed.model_dump(mode="json")
            event = event_of(access, "erasure.certified", row.id, certificate=_digest(signed.certificate))
        session.add(row)
        record(session, AUDIT_OUTBOX, event)
        session.flush()
        shown = _shown(row, session, desk)
    desk.database.scrub()
    return shown


def _certified(access: Access, erasure_id: str, desk: Desk, *, now: datetime) -> Certificate:
    with desk.database.read() as session:
        row = _row(access, erasure_id, session)
        said = {
            "format": _CERTIFICATE,
            "erasure": row.id,
            "tenant": row.tenant,
            "legal_basis": row.legal_basis,
            "approval": row.approval_id,
            "report": row.report_digest,
            "requested_at": row.created_at.isoformat(),
            "begun_at": row.begun_at.isoformat() if row.begun_at else None,
            "verified_at": now.isoformat(),
            "erased": {step.store: dict(sorted(step.counts.items())) for step in _steps(row, session)},
            "kept": _kept(row),
            "not_reached": _NOT_REACHED,
        }
    signed = desk.certify(_desk(access.tenant), _digest(said))
    return Certificate(certificate=said, note=signed.note, key=signed.key)


def _kept(row: ErasureRow) -> dict[str, int]:
    """What the report said that stays: evidence, and what was not chosen."""
    kept: dict[str, int] = {}
    for store in _reports(row.report):
        for found in store.found:
            rest = len(set(found.ids) - set(row.decided)) if found.disposition is Disposition.DECIDE else found.count
            if found.disposition is not Disposition.ERASE and rest:
                kept[f"{store.store}.{found.kind}"] = rest
    return kept


def _ask(access: Access, person: PersonSought, decided: Sequence[str], desk: Desk) -> list[StoreReport]:
    """Ask every store, the log with the record groups of what goes."""
    own = _desk(access.tenant)
    reports: list[StoreReport] = []
    for name, store in _all(desk):
        groups = sorted(_groups(reports, decided) | set(person.groups))[:MAX_IDS] if name == LOG else []
        reports.append(StoreReport(store=name, found=store.find(own, _sought(person, groups))))
    return reports


def _sought(person: PersonSought, groups: list[str]) -> PersonSought:
    return PersonSought(sub=person.sub, values=person.values, groups=groups)


def _left(reports: Sequence[StoreReport], decided: Sequence[str]) -> list[StoreReport]:
    """What should be gone and is not."""
    left = [
        StoreReport(store=each.store, found=[found for found in each.found if _should_be_gone(found, decided)])
        for each in reports
    ]
    return [each for each in left if each.found]


def _should_be_gone(found: Found, decided: Sequence[str]) -> bool:
    if found.disposition is Disposition.DECIDE:
        return not set(decided).isdisjoint(found.ids)
    return found.disposition is Disposition.ERASE


def _taken(found: Found, decided: Sequence[str]) -> list[str]:
    """The record groups of what goes."""
    if found.disposition is Disposition.ERASE:
        return found.groups
    return [group for group in found.groups if group in set(decided)]


def _settle(tenant: str, person: PersonSought, desk: Desk) -> None:
    """Wait until what the person did is in the log: it is forgotten there, and comes in later otherwise."""
    waiting = [store for name, store in _all(desk) if name != LOG]
    for _ in range(_WAITS):
        waiting = [
            store
            for store in waiting
            if any(each.kind == ON_ITS_WAY for each in store.find(_desk(tenant), _sought(person, [])))
        ]
        if not waiting:
            return
        desk.wait(_WAIT_S)


def _check_holds(access: Access, order: EraseOrder, desk: Desk) -> None:
    """That no hold keeps the person or what was chosen; the stores ask again for what they know of it."""
    held = [Held(scope=HoldScope.USER, id=order.sub)]
    held += [Held(scope=HoldScope.DOCUMENT, id=each) for each in order.decided]
    own = _own(access.tenant, Permission.HOLD_CHECK)
    for start in range(0, len(held), _HELD_AT_ONCE):
        deletion = NewDeletion(requester=access.principal.sub, things=held[start : start + _HELD_AT_ONCE])
        with desk.database.write() as session:
            is_held = holds.check(own, deletion, session).is_held
        if is_held:
            raise HeldError


def _order(row: ErasureRow, desk: Desk) -> tuple[PersonSought, EraseOrder]:
    """Whom and what to erase, with the record groups that are known to be theirs."""
    person = _person(row, desk)
    if person is None:
        raise ErasureForgottenError
    groups = _groups(_reports(row.report), row.decided) | set(person.groups)
    known = _sought(person, sorted(groups)[:MAX_IDS])
    return known, _ordered(row.id, known, row.decided)


def _groups(reports: Sequence[StoreReport], decided: Sequence[str]) -> set[str]:
    """The record groups of what goes."""
    return {group for store in reports for found in store.found for group in _taken(found, decided)}


def _ordered(erasure_id: str, person: PersonSought, decided: Sequence[str]) -> EraseOrder:
    return EraseOrder(
        erasure_id=erasure_id, sub=person.sub, values=person.values, groups=person.groups, decided=list(decided)
    )


def _open(access: Access, erasure_id: str, desk: Desk, *states: ErasureState) -> PersonSought:
    with desk.database.read() as session:
        row = _row(access, erasure_id, session)
        _check_state(row, *states)
        person = _person(row, desk)
    if person is None:
        raise ErasureForgottenError
    return person


def _person(row: ErasureRow, desk: Desk) -> PersonSought | None:
    """Who it is: as the register has it once it was begun, before that as the request has it."""
    line = desk.register.line(row.id)
    if line is not None:
        return desk.register.person(line)
    return None if row.sealed is None else desk.register.open(row.id, row.sealed)


def _subject(row: ErasureRow) -> ApprovalSubject:
    stores = _reports(row.report)
    lines = [found for store in stores for found in store.found]
    return ApprovalSubject(
        action=ApprovalAction.PERSON_ERASE,
        resource=Resource(kind="erasure", id=row.id, title=f"Erasure {row.id}"),
        terms={
            "report": row.report_digest,
            "reported_at": row.reported_at.isoformat() if row.reported_at else None,
            "legal_basis": row.legal_basis,
            "due_at": row.due_at.isoformat(),
            "erased_with_the_person": sum(line.count for line in lines if line.disposition is Disposition.ERASE),
            "chosen_besides": len(row.decided),
            "stores": [f"{store.store}: {sum(line.count for line in store.found)}" for store in stores],
        },
    )


def _row(access: Access, erasure_id: str, session: Session) -> ErasureRow:
    query = select(ErasureRow).where(col(ErasureRow.id) == erasure_id, col(ErasureRow.tenant) == access.tenant)
    row = session.exec(query.with_for_update().execution_options(populate_existing=True)).first()
    if row is None:
        raise NotFoundError("erasure")
    return row


def _steps(row: ErasureRow, session: Session) -> list[ErasureStepRow]:
    query = select(ErasureStepRow).where(col(ErasureStepRow.erasure_id) == row.id)
    return list(session.exec(query.order_by(col(ErasureStepRow.at), col(ErasureStepRow.store))))


def _check_state(row: ErasureRow, *allowed: ErasureState) -> None:
    if row.state not in allowed:
        raise ErasureStateError(
            f"This erasure is {row.state}.", remedy="Look at it, and do what its state lets you do next."
        )


def _reports(dumped: Sequence[dict[str, Any]]) -> list[StoreReport]:
    return [StoreReport.model_validate(each) for each in dumped]


def _all(desk: Desk) -> list[tuple[str, Store]]:
    """Every store, the log last."""
    named: dict[str, Store] = {**desk.stores, "governance": _Own(PersonalData(desk.database))}
    return sorted(named.items(), key=lambda each: each[0] == LOG)


@dataclass(frozen=True)
class _Own:
    """Governance's own tables as a store beside the others."""

    data: PersonalData

    def find(self, principal: Principal, sought: PersonSought) -> list[Found]:
        return self.data.find(authorize(principal, Permission.PERSON_ERASE), sought)

    def erase(self, principal: Principal, order: EraseOrder) -> dict[str, int]:
        return self.data.erase(authorize(principal, Permission.PERSON_ERASE), order)


def _own(tenant: str, permission: Permission) -> Access:
    return authorize(_desk(tenant), permission)


def _desk(tenant: str) -> Principal:
    return service_principal("governance", tenant)


def _digest(said: Any) -> str:
    """SHA-256 of canonical JSON, in hex."""
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(row: ErasureRow, session: Session, desk: Desk) -> Erasure:
    person = desk.register.open(row.id, row.sealed) if row.sealed is not None else None
    return Erasure(
        id=row.id,
        state=ErasureState(row.state),
        sub=None if person is None else person.sub,
        values=0 if person is None else len(person.values),
        reason=row.reason,
        legal_basis=row.legal_basis,
        due_at=row.due_at,
        requester=row.requester,
        requester_name=row.requester_name,
        created_at=row.created_at,
        report=_reports(row.report),
        report_digest=row.report_digest,
        reported_at=row.reported_at,
        decided=row.decided,
        approval_id=row.approval_id,
        begun_at=row.begun_at,
        erased=[StoreErased(store=step.store, counts=step.counts, at=step.at) for step in _steps(row, session)],
        left=_reports(row.left),
        done_at=row.done_at,
    )
