"""Signed-in browsers: the cookie's value lives in the browser alone, we keep its digest."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, delete, select

from zhiku_platform.access import permissions_of
from zhiku_platform.audit import AuditEvent, record
from zhiku_platform.contracts.gateway import Session as SessionMessage
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.db import new_id
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.directory import USER_COLUMNS, principal_of
from zhiku_services.gateway.models import AUDIT_OUTBOX, SessionRow, UserRow

_PURPOSE = "session"
_CSRF = "csrf"

_FIND = (
    columns(
        col(SessionRow.id),
        col(SessionRow.expires_at),
        col(SessionRow.last_seen_at),
        col(UserRow.email),
        col(UserRow.department),
        *USER_COLUMNS,
    )
    .join(UserRow, (col(UserRow.issuer) == col(SessionRow.issuer)) & (col(UserRow.sub) == col(SessionRow.sub)))
    .where(col(SessionRow.digest) == bindparam("digest"), col(SessionRow.issuer) == bindparam("issuer"))
)


@dataclass(frozen=True)
class Lifetimes:
    """How long a session lasts without being used, and at most."""

    idle: timedelta
    absolute: timedelta

    @property
    def touch(self) -> timedelta:
        """How old the record of its last use may get before it is written again."""
        return min(timedelta(seconds=60), self.idle / 10)


@dataclass(frozen=True)
class SignedIn:
    """A session that was found good."""

    session_id: str
    cookie: str
    principal: Principal
    email: str
    department: str
    expires_at: datetime
    is_stale: bool
    """Whether its use should be written down; see `Lifetimes.touch`."""


def start(
    issuer: str,
    sub: str,
    provider_session: str | None,
    *,
    digests: Digests,
    lifetimes: Lifetimes,
    at: datetime,
    session: Session,
) -> str:
    """Begin a session for a user of the mirror, and return the new cookie's value."""
    session.exec(delete(SessionRow).where(col(SessionRow.expires_at) < at))
    cookie = secrets.token_urlsafe(32)
    row = SessionRow(
        id=new_id("ses"),
        digest=digests.of(_PURPOSE, cookie),
        issuer=issuer,
        sub=sub,
        provider_session=provider_session,
        created_at=at,
        last_seen_at=at,
        expires_at=at + lifetimes.absolute,
    )
    session.add(row)
    user = session.get_one(UserRow, (issuer, sub))
    _record(session, "session.started", row, user, at)
    session.flush()
    return cookie


def find(
    cookie: str, *, issuer: str, digests: Digests, lifetimes: Lifetimes, at: datetime, session: Session
) -> SignedIn | None:
    """The session of a cookie, or None if there is none, or none any more.

    A session that another issuer vouched for ends with the switch to a new one.
    """
    wanted = {"digest": digests.of(_PURPOSE, cookie), "issuer": issuer}
    row = session.connection().execute(_FIND, wanted).first()
    if row is None:
        return None
    if row.expires_at <= at or row.last_seen_at + lifetimes.idle <= at:
        return None
    return SignedIn(
        session_id=row.id,
        cookie=cookie,
        principal=principal_of(row),
        email=row.email,
        department=row.department,
        expires_at=min(row.expires_at, row.last_seen_at + lifetimes.idle),
        is_stale=at - row.last_seen_at >= lifetimes.touch,
    )


def touch(session_id: str, *, at: datetime, session: Session) -> None:
    """Write down that a session was used."""
    session.exec(update(SessionRow).where(col(SessionRow.id) == session_id).values(last_seen_at=at))


def end(cookie: str, *, digests: Digests, at: datetime, session: Session) -> None:
    """End a session, if there is one."""
    row = session.exec(select(SessionRow).where(SessionRow.digest == digests.of(_PURPOSE, cookie))).first()
    if row is None:
        return
    user = session.get(UserRow, (row.issuer, row.sub))
    session.delete(row)
    if user is not None:
        _record(session, "session.ended", row, user, at)
    session.flush()


def csrf_token(cookie: str, digests: Digests) -> str:
    """The token that our pages send with each change; it is worth nothing with another session."""
    return digests.of(_CSRF, cookie)


def is_csrf_token(token: str, cookie: str, digests: Digests) -> bool:
    """Whether `token` belongs to the session of `cookie`."""
    return digests.matches(_CSRF, cookie, token)


def describe(signed_in: SignedIn, digests: Digests) -> SessionMessage:
    """What the portal learns about its user."""
    principal = signed_in.principal
    return SessionMessage(
        sub=principal.sub,
        name=principal.name,
        email=signed_in.email,
        department=signed_in.department,
        roles=sorted(principal.roles),
        permissions=sorted(permissions_of(principal)),
        csrf_token=csrf_token(signed_in.cookie, digests),
        expires_at=signed_in.expires_at,
    )


def _record(session: Session, action: str, row: SessionRow, user: UserRow, at: datetime) -> None:
    event = AuditEvent(action=action, tenant=user.tenant, actor=user.sub, subject=row.id, at=at)
    record(session, AUDIT_OUTBOX, event)
