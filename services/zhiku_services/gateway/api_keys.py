"""API keys: `zk_PREFIX_SECRET`, shown once, kept as a keyed digest, narrowed to scopes, and never eternal."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import bindparam, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from zhiku_platform.access import Access
from zhiku_platform.audit import AuditEvent, Outcome, event_of, record
from zhiku_platform.contracts.gateway import ApiKey, ApiKeyScope, CreatedApiKey, NewApiKey
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import new_id
from zhiku_platform.errors import NotFoundError
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.directory import USER_COLUMNS, SelectedRow, principal_of
from zhiku_services.gateway.models import AUDIT_OUTBOX, ApiKeyRow, UserRow

Reason = Literal["wrong_secret", "expired", "revoked", "owner_left"]

_PURPOSE = "api-key"
_FORM = re.compile(r"zk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_TOUCH = timedelta(seconds=60)
_FIND = (
    columns(
        col(ApiKeyRow.id),
        col(ApiKeyRow.digest),
        col(ApiKeyRow.scopes),
        col(ApiKeyRow.expires_at),
        col(ApiKeyRow.last_used_at),
        col(ApiKeyRow.revoked_at),
        col(UserRow.is_active),
        *USER_COLUMNS,
    )
    .join(UserRow, (col(UserRow.issuer) == col(ApiKeyRow.issuer)) & (col(UserRow.sub) == col(ApiKeyRow.sub)))
    .where(col(ApiKeyRow.prefix) == bindparam("prefix"), col(ApiKeyRow.issuer) == bindparam("issuer"))
)


@dataclass(frozen=True)
class KeyHolder:
    """The owner of a good key, narrowed to the key's scopes."""

    key_id: str
    principal: Principal
    is_stale: bool
    """Whether its use should be written down; once a minute is enough."""


@dataclass(frozen=True)
class RefusedKey:
    """A key that exists and may not be used, or not with this secret."""

    key_id: str
    tenant: str
    sub: str
    reason: Reason


def create(
    access: Access, new: NewApiKey, *, issuer: str, digests: Digests, at: datetime, session: Session
) -> CreatedApiKey:
    """Make a key for the caller; this is the only time that its secret is seen."""
    prefix = secrets.token_hex(6)
    secret = f"zk_{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        id=new_id("key"),
        prefix=prefix,
        digest=digests.of(_PURPOSE, secret),
        issuer=issuer,
        sub=access.principal.sub,
        name=new.name,
        scopes=sorted(set(new.scopes)),
        created_at=at,
        expires_at=at + timedelta(days=new.expires_in_days),
    )
    session.add(row)
    record(
        session,
        AUDIT_OUTBOX,
        event_of(access, "api_key.created", row.id, scopes=row.scopes, expires_at=row.expires_at.isoformat()),
    )
    session.flush()
    return CreatedApiKey(key=_message(row), secret=secret)


def list_own(access: Access, *, issuer: str, session: Session) -> Page[ApiKey]:
    """The caller's keys that were not revoked, newest first."""
    rows = session.exec(
        select(ApiKeyRow)
        .where(
            ApiKeyRow.issuer == issuer,
            ApiKeyRow.sub == access.principal.sub,
            col(ApiKeyRow.revoked_at).is_(None),
        )
        .order_by(col(ApiKeyRow.id).desc())
    )
    return Page(items=[_message(row) for row in rows])


def revoke(access: Access, key_id: str, *, issuer: str, at: datetime, session: Session) -> None:
    """Revoke one of the caller's keys; it is refused from the next request on.

    Raises:
        NotFoundError: missing, somebody else's, or revoked before.
    """
    row = session.get(ApiKeyRow, key_id)
    if row is None or row.revoked_at is not None or (row.issuer, row.sub) != (issuer, access.principal.sub):
        raise NotFoundError("API key")
    row.revoked_at = at
    record(session, AUDIT_OUTBOX, event_of(access, "api_key.revoked", row.id))
    session.flush()


def revoke_all_of(sub: str, *, issuer: str, actor: str, reason: str, at: datetime, session: Session) -> int:
    """Revoke every key of a user who left, and return how many there were."""
    rows = session.exec(
        select(ApiKeyRow).where(ApiKeyRow.issuer == issuer, ApiKeyRow.sub == sub, col(ApiKeyRow.revoked_at).is_(None))
    ).all()
    user = session.get_one(UserRow, (issuer, sub))
    for row in rows:
        row.revoked_at = at
        event = AuditEvent(
            action="api_key.revoked",
            tenant=user.tenant,
            actor=actor,
            subject=row.id,
            details={"reason": reason, "owner": sub},
            at=at,
        )
        record(session, AUDIT_OUTBOX, event)
    session.flush()
    return len(rows)


def find(
    secret: str, *, issuer: str, digests: Digests, at: datetime, session: Session
) -> KeyHolder | RefusedKey | None:
    """Who holds `secret`; None if there is no such key at all."""
    form = _FORM.fullmatch(secret)
    if form is None:
        return None
    row = session.connection().execute(_FIND, {"prefix": form[1], "issuer": issuer}).first()
    if row is None:
        return None
    if reason := _refusal(row, secret, digests, at):
        return RefusedKey(row.id, row.tenant, row.sub, reason)
    return KeyHolder(
        key_id=row.id,
        principal=principal_of(row, row.scopes),
        is_stale=row.last_used_at is None or at - row.last_used_at >= _TOUCH,
    )


def touch(key_id: str, *, at: datetime, session: Session) -> None:
    """Write down that a key was used."""
    session.exec(update(ApiKeyRow).where(col(ApiKeyRow.id) == key_id).values(last_used_at=at))


def record_refusal(refused: RefusedKey, *, at: datetime, session: Session) -> None:
    """Leave a trace of somebody who tried a key that exists."""
    record(
        session,
        AUDIT_OUTBOX,
        AuditEvent(
            action="api_key.refused",
            tenant=refused.tenant,
            # Who knows only the key's public part may be anybody.
            actor="anonymous" if refused.reason == "wrong_secret" else refused.sub,
            subject=refused.key_id,
            outcome=Outcome.DENIED,
            details={"reason": refused.reason, "owner": refused.sub},
            at=at,
        ),
    )


def _refusal(row: SelectedRow, secret: str, digests: Digests, at: datetime) -> Reason | None:
    if not digests.matches(_PURPOSE, secret, row.digest):
        return "wrong_secret"
    if row.revoked_at is not None:
        return "revoked"
    if not row.is_active:
        return "owner_left"
    return "expired" if row.expires_at <= at else None


def _message(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=f"zk_{row.prefix}",
        scopes=[ApiKeyScope(scope) for scope in row.scopes],
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
