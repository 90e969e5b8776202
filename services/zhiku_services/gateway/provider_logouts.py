"""Back-channel logout: the provider tells us that a session ended, and we end ours.

A session is refused by its name *and* by when the provider vouched for it, for a provider may use the name of an
ended session again.
"""

from datetime import datetime, timedelta

from anyio import to_thread
from sqlmodel import Session, col, delete

from zhiku_services.gateway import sessions
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.errors import LogoutRefusedError, TokenInvalidError
from zhiku_services.gateway.models import LogoutTokenRow, ProviderLogoutRow
from zhiku_services.gateway.oidc import Identity
from zhiku_services.gateway.tokens import ProviderLogout

_PURPOSE = "logout-token"
# No ID token from before a logout is believed for longer, so nothing can begin a session with one.
_REMEMBERED = timedelta(minutes=20)


async def accept(door: Door, token: str, client: str) -> None:
    """End the sessions that a logout token names.

    Raises:
        LogoutRefusedError: the token fails a check, or was used before.
        ProviderUnavailableError: the provider's keys cannot be read.
    """
    try:
        logout = await door.openid.logout(token)
        await to_thread.run_sync(_end, door, logout)
    except TokenInvalidError as error:
        await to_thread.run_sync(door.record_refusal, "logout", f"logout_token:{error.reason}", client)
        raise LogoutRefusedError from error


def has_ended(identity: Identity, *, issuer: str, session: Session) -> bool:
    """Whether the provider ended this session, or all of this user's, after it vouched for it."""
    named = [("sid", identity.provider_session), ("sub", identity.user.sub)]
    found = [session.get(ProviderLogoutRow, (issuer, kind, value)) for kind, value in named if value is not None]
    return any(row is not None and identity.vouched_at <= row.at for row in found)


def _end(door: Door, logout: ProviderLogout) -> None:
    at = door.clock()
    with door.database.write() as session:
        _use_once(door, logout, at, session)
        _remember(door.issuer, logout, at, session)
        sessions.end_vouched_until(
            logout.at, issuer=door.issuer, sid=logout.sid, sub=logout.sub, at=at, session=session
        )


def _use_once(door: Door, logout: ProviderLogout, at: datetime, session: Session) -> None:
    session.exec(delete(LogoutTokenRow).where(col(LogoutTokenRow.expires_at) < at))
    digest = door.digests.of(_PURPOSE, f"{door.issuer} {logout.token_id}")
    if session.get(LogoutTokenRow, digest) is not None:
        raise TokenInvalidError("jti")
    session.add(LogoutTokenRow(digest=digest, expires_at=logout.expires_at))
    session.flush()


def _remember(issuer: str, logout: ProviderLogout, at: datetime, session: Session) -> None:
    session.exec(delete(ProviderLogoutRow).where(col(ProviderLogoutRow.expires_at) < at))
    kind, value = ("sub", logout.sub) if logout.sid is None else ("sid", logout.sid)
    known = session.get(ProviderLogoutRow, (issuer, kind, value))
    if known is None or known.at < logout.at:
        session.merge(
            ProviderLogoutRow(
                issuer=issuer, kind=kind, value=str(value), at=logout.at, expires_at=logout.at + _REMEMBERED
            )
        )
        session.flush()
