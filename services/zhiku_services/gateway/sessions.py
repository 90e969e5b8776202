"""Signed-in browsers: the cookie's value lives in the browser alone, we keep its digest."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, bindparam, func, or_, update
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
from zhiku_services.gateway.oidc import Identity, ProviderTokens

_ACTOR = "svc-gateway"
"""Who ended a session that its user did not, in the audit trail."""
_PURPOSE = "session"
_CSRF = "csrf"
_TOKENS = "provider-tokens"
_SHORTEST_RENEWAL_S = 30
_LONGEST_RENEWAL_S = 900
_RENEWAL_LEASE = timedelta(seconds=30)
_RENEWAL_PAUSE = timedelta(seconds=30)

_FIND = (
    columns(
        col(SessionRow.id),
        col(SessionRow.expires_at),
        col(SessionRow.last_seen_at),
        col(SessionRow.authenticated_at),
        col(SessionRow.acr),
        col(SessionRow.renew_at),
        col(SessionRow.unanswered_since),
        col(UserRow.email),
        col(UserRow.department),
        *USER_COLUMNS,
    )
    .join(UserRow, (col(UserRow.issuer) == col(SessionRow.issuer)) & (col(UserRow.sub) == col(SessionRow.sub)))
    .where(
        col(SessionRow.digest) == bindparam("digest"),
        col(SessionRow.issuer) == bindparam("issuer"),
        col(UserRow.is_active),
    )
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
    authenticated_at: datetime | None
    """When its user last proved who they are, by the provider's word; None if it did not say."""
    acr: str | None
    renew_at: datetime | None
    """When the provider should be asked whether the session still lives; None if it cannot be."""
    unanswered_since: datetime | None
    """When the provider was first asked without an answer since; None after it answered."""


def start(
    issuer: str,
    identity: Identity,
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
        sub=identity.user.sub,
        provider_session=identity.provider_session,
        vouched_at=identity.vouched_at,
        authenticated_at=identity.authenticated_at,
        acr=identity.acr,
        provider_tokens=_seal(identity.tokens, cookie, digests),
        renew_at=_renew_at(identity.tokens, at),
        created_at=at,
        last_seen_at=at,
        expires_at=at + lifetimes.absolute,
    )
    session.add(row)
    _record(session, "session.started", row, session.get_one(UserRow, (issuer, row.sub)), at)
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
        authenticated_at=row.authenticated_at,
        acr=row.acr,
        renew_at=row.renew_at,
        unanswered_since=row.unanswered_since,
    )


def touch(session_id: str, *, at: datetime, session: Session) -> None:
    """Write down that a session was used."""
    session.exec(update(SessionRow).where(col(SessionRow.id) == session_id).values(last_seen_at=at))


def claim_renewal(signed_in: SignedIn, *, at: datetime, session: Session) -> bool:
    """Whether the caller is the one whose turn it is to renew a session.

    A refresh token may work once, so two renewals at the same time would end the session. Who got the turn and
    never came back gives it up after 30 s. The claim counts as unanswered until the answer comes, lest callers who
    hang up in between go on for ever.
    """
    claimed = session.exec(
        update(SessionRow)
        .where(
            col(SessionRow.id) == signed_in.session_id,
            col(SessionRow.renew_at) <= at,
            or_(col(SessionRow.renewing_until).is_(None), col(SessionRow.renewing_until) <= at),
        )
        .values(
            renewing_until=at + _RENEWAL_LEASE,
            unanswered_since=func.coalesce(col(SessionRow.unanswered_since), at),
        )
    )
    return cast("CursorResult[Any]", claimed).rowcount == 1


def postpone_renewal(signed_in: SignedIn, *, at: datetime, session: Session) -> datetime:
    """Give the turn up without an answer, and return when to ask again."""
    renew_at = at + _RENEWAL_PAUSE
    values = {"renew_at": renew_at, "renewing_until": None}
    session.exec(update(SessionRow).where(col(SessionRow.id) == signed_in.session_id).values(**values))
    return renew_at


def tokens_of(signed_in: SignedIn, *, digests: Digests, session: Session) -> ProviderTokens | None:
    """The provider's tokens of a session; None if there are none, or they were sealed by another secret."""
    row = session.get(SessionRow, signed_in.session_id)
    if row is None or row.provider_tokens is None:
        return None
    opened = digests.unseal(_TOKENS, signed_in.cookie, row.provider_tokens)
    return None if opened is None else ProviderTokens(**json.loads(opened))


def renewed(
    signed_in: SignedIn, tokens: ProviderTokens, *, digests: Digests, at: datetime, session: Session
) -> datetime | None:
    """Keep a session's new tokens, and return when to renew it next.

    When its user last signed in stays as it was: a renewal proves nothing about who sits there.
    """
    renew_at = _renew_at(tokens, at)
    session.exec(
        update(SessionRow)
        .where(col(SessionRow.id) == signed_in.session_id)
        .values(
            provider_tokens=_seal(tokens, signed_in.cookie, digests),
            renew_at=renew_at,
            renewing_until=None,
            unanswered_since=None,
        )
    )
    return renew_at


def end(cookie: str, *, digests: Digests, at: datetime, session: Session, reason: str | None = None) -> None:
    """End a session, if there is one; `reason` says why, unless its user asked for it."""
    rows = session.exec(select(SessionRow).where(SessionRow.digest == digests.of(_PURPOSE, cookie)))
    _end_all(rows, reason=reason, actor=None if reason is None else _ACTOR, at=at, session=session)


def end_all_of(sub: str, *, issuer: str, reason: str, actor: str, at: datetime, session: Session) -> int:
    """End every session of a user for `actor`, and return how many there were."""
    rows = session.exec(select(SessionRow).where(SessionRow.issuer == issuer, SessionRow.sub == sub))
    return _end_all(rows, reason=reason, actor=actor, at=at, session=session)


def end_vouched_until(
    until: datetime, *, issuer: str, sid: str | None, sub: str | None, at: datetime, session: Session
) -> int:
    """End the sessions that the provider ended: of `sid`, or all of `sub` where that is None.

    A session that it vouched for later than `until` lives on, for a provider may use a `sid` again.
    """
    named = SessionRow.sub == sub if sid is None else SessionRow.provider_session == sid
    query = select(SessionRow).where(SessionRow.issuer == issuer, named)
    rows = [row for row in session.exec(query) if (row.vouched_at or row.created_at) <= until]
    return _end_all(rows, reason="provider_logout", actor=_ACTOR, at=at, session=session)


def _end_all(
    rows: Iterable[SessionRow], *, reason: str | None, actor: str | None, at: datetime, session: Session
) -> int:
    """End sessions; without an `actor` each user ends their own."""
    ended = 0
    for row in rows:
        user = session.get(UserRow, (row.issuer, row.sub))
        session.delete(row)
        ended += 1
        if user is not None:
            why = {} if reason is None else {"reason": reason}
            _record(session, "session.ended", row, user, at, actor=actor, **why)
    session.flush()
    return ended


def _seal(tokens: ProviderTokens, cookie: str, digests: Digests) -> str:
    return digests.seal(_TOKENS, cookie, json.dumps(asdict(tokens)))


def _renew_at(tokens: ProviderTokens, at: datetime) -> datetime | None:
    if tokens.refresh_token is None:
        return None
    return at + timedelta(seconds=min(max(tokens.lifetime_s, _SHORTEST_RENEWAL_S), _LONGEST_RENEWAL_S))


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


def _record(
    session: Session,
    action: str,
    row: SessionRow,
    user: UserRow,
    at: datetime,
    *,
    actor: str | None = None,
    **details: str,
) -> None:
    event = AuditEvent(
        action=action,
        tenant=user.tenant,
        actor=actor or user.sub,
        subject=row.id,
        details={**details, "user": user.sub} if actor else dict(details),
        at=at,
    )
    record(session, AUDIT_OUTBOX, event)
