"""Keeps the mirror of the directory in step, and ends what belongs to users who left.

The same code reads Keycloak and the embedded provider's accounts; only the `Directory` differs. Roles and groups
come this way and no other: a token's own are never looked at. Each look at the directory has a number, taken before
it reads, and what it found is never written over something that a later look found.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import CursorResult, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from zhiku_platform.audit import AuditEvent, Outcome, listed, record
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.contracts.identity import ADMINISTRATORS, DirectoryUser, Role
from zhiku_platform.db import Database
from zhiku_platform.errors import ZhikuError
from zhiku_platform.telemetry import get_logger
from zhiku_services.gateway import api_keys, sessions
from zhiku_services.gateway.errors import DirectoryShrankError, DirectoryUnavailableError
from zhiku_services.gateway.models import AUDIT_OUTBOX, DirectorySyncRow, UserRow

log = get_logger(__name__)

ACTOR = "svc-directory"
"""Who did it, in the audit trail."""

_SUBJECT = "directory"
_UNFORESEEN = "internal_error"
_LEASE = timedelta(minutes=10)
_TRIES = 3
_BATCH = 500
_MAY_GO = 5
_MAY_GO_SHARE = 0.3
_PROFILE = ("username", "name", "email", "department", "clearance")

T = TypeVar("T")


@dataclass(frozen=True)
class DirectoryEntry:
    """A user as the directory has them now; one who is not enabled may not come in."""

    user: DirectoryUser
    is_enabled: bool = True


class Directory(Protocol):
    """Where users, groups and roles are kept."""

    def read(self) -> Sequence[DirectoryEntry]:
        """Every user.

        Raises:
            DirectoryUnavailableError: it cannot be read whole; a part is never returned.
        """
        ...

    def find(self, sub: str) -> DirectoryEntry | None:
        """One user, read anew; None if there is no such user.

        Raises:
            DirectoryUnavailableError: it does not answer.
        """
        ...


class StaticDirectory:
    """A directory that is a list, such as the embedded provider's accounts."""

    def __init__(self, users: Iterable[DirectoryUser]) -> None:
        self._entries = {user.sub: DirectoryEntry(user) for user in users}

    def read(self) -> Sequence[DirectoryEntry]:
        return list(self._entries.values())

    def find(self, sub: str) -> DirectoryEntry | None:
        return self._entries.get(sub)


@dataclass
class SyncReport:
    """What one sync did; each list holds the `sub` of users."""

    users: int = 0
    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    reinstated: list[str] = field(default_factory=list[str])
    deprovisioned: list[str] = field(default_factory=list[str])
    conflicts: list[str] = field(default_factory=list[str])
    """Holders of two of the three administrators; they get the rights of none."""

    @property
    def is_change(self) -> bool:
        return bool(self.added or self.changed or self.reinstated or self.deprovisioned)


class DirectorySync:
    """Brings the mirror of one issuer's users in step with its directory. Blocks on both."""

    def __init__(
        self,
        directory: Directory,
        *,
        database: Database,
        issuer: str,
        tenant: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._database = database
        self._issuer = issuer
        self._tenant = tenant
        self._clock = clock

    def run(self, *, allow_shrink: bool = False) -> SyncReport:
        """Read the directory and write what differs; a second run changes nothing.

        Whoever is disabled, or gone and confirmed to be, loses every session and API key in the same
        transaction. A run that a later one overtakes writes nothing more.

        Raises:
            DirectoryUnavailableError: it cannot be read whole; nothing was changed.
            DirectoryShrankError: more users are gone than a day brings, and `allow_shrink` is not set; nothing
                was changed.
        """
        number = self._take_number()
        try:
            report = self._run(number, allow_shrink=allow_shrink)
        except ZhikuError as error:
            self._finish(number, problem=error.code)
            raise
        except Exception:
            # Whatever it is, the next run is not to wait for the end of this one's lease.
            self._finish(number, problem=_UNFORESEEN)
            raise
        self._finish(number, users=report.users)
        return report

    def run_if_due(self, period: timedelta) -> SyncReport | None:
        """Run, unless another process does or has done so less than `period` ago.

        Raises: as `run`.
        """
        return self.run() if self._claim(period) else None

    def admit(self, sub: str) -> bool:
        """Bring one user in step, and say whether they may come in; for somebody who is just signing in.

        Raises:
            DirectoryUnavailableError: it does not answer, or not before it changed again.
        """
        for _ in range(_TRIES):
            number = self._take_number()
            entry = self._directory.find(sub)
            if self._write_one(sub, entry, number):
                return entry is not None and entry.is_enabled
        raise DirectoryUnavailableError(
            "The directory changes faster than it is read.", remedy="Try again in a moment."
        )

    def event(
        self, session: Session, action: str, details: Mapping[str, Detail], outcome: Outcome = Outcome.DONE
    ) -> None:
        """Record what the sync did, in the transaction that does it."""
        event = AuditEvent(
            action=action,
            tenant=self._tenant,
            actor=ACTOR,
            subject=_SUBJECT,
            outcome=outcome,
            details=dict(details),
            at=self._clock(),
        )
        record(session, AUDIT_OUTBOX, event)

    @property
    def issuer(self) -> str:
        return self._issuer

    @property
    def tenant(self) -> str:
        return self._tenant

    def _take_number(self) -> int:
        """The number of a look at the directory, to be taken before it reads.

        Whatever was written under a later number is newer, however long this look takes.
        """
        self._ensure_row()
        take = (
            update(DirectorySyncRow)
            .where(col(DirectorySyncRow.issuer) == self._issuer)
            .values(pictures=col(DirectorySyncRow.pictures) + 1)
            .returning(col(DirectorySyncRow.pictures))
        )
        with self._database.write() as session:
            return cast("int", session.execute(take).scalar_one())

    def _written(self, session: Session) -> DirectorySyncRow:
        """The row that says what was written, held until the transaction ends."""
        query = select(DirectorySyncRow).where(DirectorySyncRow.issuer == self._issuer)
        return session.exec(query.with_for_update()).one()

    def _write_one(self, sub: str, entry: DirectoryEntry | None, number: int) -> bool:
        """Write what a look at one user found, unless something newer was written; then return False."""
        with self._database.write() as session:
            if self._written(session).written > number:
                return False
            before = session.get(UserRow, (self._issuer, sub))
            if before is not None and before.picture > number:
                return False
            change = _Change(self, session, self._clock(), SyncReport(), number)
            if entry is None:
                change.deprovision(sub, "gone")
            else:
                change.apply(entry)
            row = session.get(UserRow, (self._issuer, sub))
            if row is not None:
                row.picture = number
            return True

    def _run(self, number: int, *, allow_shrink: bool) -> SyncReport:
        entries = self._directory.read()
        report = SyncReport(users=sum(entry.is_enabled for entry in entries))
        gone = self._gone({entry.user.sub for entry in entries}, allow_shrink=allow_shrink)
        # Those who leave come first, in transactions of their own: nothing about another user may keep them in.
        leaving: list[DirectoryEntry | str] = [*gone, *(entry for entry in entries if not entry.is_enabled)]
        staying: list[DirectoryEntry | str] = [entry for entry in entries if entry.is_enabled]
        for batch in [*_batches(leaving, _BATCH), *_batches(staying, _BATCH)]:
            with self._database.write() as session:
                sync = self._written(session)
                if sync.written > number:
                    log.info("directory_sync_overtaken", number=number, by=sync.written)
                    break
                sync.written = number
                change = _Change(self, session, self._clock(), report, number)
                for item in batch:
                    if isinstance(item, str):
                        change.deprovision(item, "gone")
                    else:
                        change.apply(item)
        if report.is_change:
            with self._database.write() as session:
                self._record_run(session, report)
        return report

    def _gone(self, found: set[str], *, allow_shrink: bool) -> list[str]:
        """Who is in the mirror and not in the directory, each asked for by name.

        A listing read page by page misses somebody whenever somebody else is deleted meanwhile.
        """
        with self._database.read() as session:
            known = session.exec(
                select(UserRow.sub).where(UserRow.issuer == self._issuer, col(UserRow.is_active))
            ).all()
        missing = [sub for sub in known if sub not in found]
        if len(missing) > max(_MAY_GO, _MAY_GO_SHARE * len(known)) and not allow_shrink:
            raise DirectoryShrankError(len(missing), len(known))
        return [sub for sub in missing if self._directory.find(sub) is None]

    def _record_run(self, session: Session, report: SyncReport) -> None:
        lists = {name: len(found) for name, found in vars(report).items() if isinstance(found, list)}
        self.event(session, "directory.synced", {"users": report.users, **lists})

    def _claim(self, period: timedelta) -> bool:
        at = self._clock()
        claim = (
            update(DirectorySyncRow)
            .where(
                col(DirectorySyncRow.issuer) == self._issuer,
                or_(col(DirectorySyncRow.lease_until).is_(None), col(DirectorySyncRow.lease_until) <= at),
                or_(col(DirectorySyncRow.finished_at).is_(None), col(DirectorySyncRow.finished_at) <= at - period),
            )
            .values(lease_until=at + _LEASE)
        )
        self._ensure_row()
        with self._database.write() as session:
            return cast("CursorResult[Any]", session.exec(claim)).rowcount == 1

    def _ensure_row(self) -> None:
        with self._database.read() as session:
            if session.get(DirectorySyncRow, self._issuer) is not None:
                return
        # Another process may make it in the same moment.
        with contextlib.suppress(IntegrityError), self._database.write() as session:
            session.add(DirectorySyncRow(issuer=self._issuer))

    def _finish(self, number: int, *, users: int | None = None, problem: str | None = None) -> None:
        with self._database.write() as session:
            row = self._written(session)
            if row.written > number:
                # Turn and outcome belong to the run that came later.
                return
            row.lease_until = None
            row.finished_at = self._clock()
            row.problem = problem
            row.users = row.users if users is None else users


class _Change:
    """Writes one user after the other within a transaction, each with its audit event."""

    def __init__(self, sync: DirectorySync, session: Session, at: datetime, report: SyncReport, number: int) -> None:
        self._sync = sync
        self._session = session
        self._at = at
        self._report = report
        self._number = number

    def apply(self, entry: DirectoryEntry) -> None:
        """Write what the directory says about one user, unless they were looked at since."""
        user = entry.user
        row = self._session.get(UserRow, (self._sync.issuer, user.sub))
        if row is not None and row.picture > self._number:
            return
        if not entry.is_enabled:
            if row is not None:
                self.deprovision(user.sub, "disabled")
            return
        if row is None:
            self._add(user)
        else:
            self._update(row, user)
        if len(user.roles & ADMINISTRATORS) > 1:
            self._report.conflicts.append(user.sub)

    def deprovision(self, sub: str, reason: str) -> None:
        """End everything that a user who left could still come in with."""
        row = self._session.get(UserRow, (self._sync.issuer, sub))
        if row is None or not row.is_active or row.picture > self._number:
            return
        row.is_active = False
        row.updated_at = self._at
        why = f"user_{reason}"
        ended = sessions.end_all_of(
            sub, issuer=self._sync.issuer, reason=why, actor=ACTOR, at=self._at, session=self._session
        )
        revoked = api_keys.revoke_all_of(
            sub, issuer=self._sync.issuer, actor=ACTOR, reason=why, at=self._at, session=self._session
        )
        details: dict[str, Detail] = {"reason": reason, "sessions": ended, "api_keys": revoked}
        self._event("user.deprovisioned", sub, {**details, "roles_removed": row.roles})
        self._report.deprovisioned.append(sub)

    def _add(self, user: DirectoryUser) -> None:
        row = row_of(user, self._sync.issuer, self._sync.tenant, self._at)
        self._session.add(row)
        self._event("user.added", user.sub, _held(row))
        self._flag_conflict(user, before=frozenset())
        self._report.added.append(user.sub)

    def _update(self, row: UserRow, user: DirectoryUser) -> None:
        fresh = row_of(user, row.issuer, row.tenant, self._at)
        if not row.is_active:
            # Nothing of theirs works yet, so all that they hold now is new.
            self._event("user.reinstated", user.sub, _held(fresh))
            self._report.reinstated.append(user.sub)
        elif self._record_changes(row, fresh):
            self._report.changed.append(user.sub)
        else:
            return
        self._flag_conflict(user, before=frozenset(Role(role) for role in row.roles))
        for name in (*_PROFILE, "roles", "groups"):
            setattr(row, name, getattr(fresh, name))
        row.is_active = True
        row.updated_at = self._at

    def _record_changes(self, row: UserRow, fresh: UserRow) -> bool:
        """Record what a user gained and lost, and say whether anything differs at all."""
        gained = {**_more("roles_added", row.roles, fresh.roles), **_more("groups_added", row.groups, fresh.groups)}
        lost = {**_more("roles_removed", fresh.roles, row.roles), **_more("groups_removed", fresh.groups, row.groups)}
        if fresh.clearance != row.clearance:
            (gained if fresh.clearance > row.clearance else lost)["clearance"] = fresh.clearance
        if gained:
            self._event("user.changed", row.sub, gained)
        if lost:
            self._event("user.changed", row.sub, lost)
        return bool(gained or lost) or any(getattr(row, name) != getattr(fresh, name) for name in _PROFILE)

    def _flag_conflict(self, user: DirectoryUser, *, before: frozenset[Role]) -> None:
        held = user.roles & ADMINISTRATORS
        if len(held) > 1 and held != before & ADMINISTRATORS:
            roles: list[str] = sorted(held)
            self._event("user.conflict", user.sub, {"roles_added": roles}, Outcome.DENIED)

    def _event(self, action: str, sub: str, details: Mapping[str, Detail], outcome: Outcome = Outcome.DONE) -> None:
        self._sync.event(self._session, action, {"user": sub, **details}, outcome)


def row_of(user: DirectoryUser, issuer: str, tenant: str, at: datetime) -> UserRow:
    """A user as a row of the mirror."""
    return UserRow(
        issuer=issuer,
        sub=user.sub,
        tenant=tenant,
        username=user.username,
        name=user.name,
        email=user.email,
        department=user.department,
        roles=sorted(user.roles),
        groups=sorted(user.groups),
        clearance=user.clearance,
        is_active=True,
        updated_at=at,
    )


def _held(row: UserRow) -> dict[str, Detail]:
    return {"roles_added": row.roles, **listed("groups_added", row.groups)}


def _more(name: str, before: Iterable[str], after: Iterable[str]) -> dict[str, Detail]:
    more = sorted(set(after) - set(before))
    return listed(name, more) if more else {}


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
