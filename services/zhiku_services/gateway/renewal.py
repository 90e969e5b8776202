"""Asks the provider, now and then, whether a session still lives there.

That is how we learn of an end that nobody told us about: a session ended by an administrator, a password
changed, a user disabled.
"""

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime, timedelta

from anyio import CapacityLimiter, to_thread

from zhiku_services.gateway import sessions
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.errors import DirectoryUnavailableError, ProviderUnavailableError, RenewalRefusedError
from zhiku_services.gateway.oidc import ProviderTokens
from zhiku_services.gateway.sessions import SignedIn

_LOOK_EVERY_S = 0.05
_LOOKS = 100


async def renew_if_due(door: Door, found: SignedIn, threads: CapacityLimiter) -> SignedIn | None:
    """The session, renewed if it is time to; None if the provider ended it.

    One request renews and waits for the provider; others that come meanwhile wait for it a few seconds, for after a
    long pause nobody has asked yet whether the session lives. While the provider cannot be asked, the session goes on
    for `oidc_outage_s` from the first attempt.

    Raises:
        ProviderUnavailableError: it could not be asked for longer than that.
    """
    at = door.clock()
    if found.renew_at is None:
        return found
    if at < found.renew_at:
        return _despite_outage(door, found)
    claimed, tokens = await to_thread.run_sync(_claim, door, found, at, limiter=threads)
    if not claimed:
        return await _wait_for_renewal(door, found, threads)
    return await _renew(door, found, tokens, at, threads)


async def _renew(
    door: Door, found: SignedIn, tokens: ProviderTokens | None, at: datetime, threads: CapacityLimiter
) -> SignedIn | None:
    if tokens is None:
        return await to_thread.run_sync(_end, door, found, "tokens_lost", limiter=threads)
    try:
        fresh = await door.openid.renew(tokens, found.principal.sub)
    except RenewalRefusedError:
        return await to_thread.run_sync(_end, door, found, "provider_ended", limiter=threads)
    except ProviderUnavailableError:
        return _despite_outage(door, await to_thread.run_sync(_postpone, door, found, at, limiter=threads))
    return await to_thread.run_sync(_keep, door, found, fresh, limiter=threads)


async def _wait_for_renewal(door: Door, found: SignedIn, threads: CapacityLimiter) -> SignedIn | None:
    """The session as another request's renewal leaves it; as it is, if that takes too long."""
    again: SignedIn | None = found
    for _ in range(_LOOKS):
        again = await to_thread.run_sync(door.signed_in, found.cookie, limiter=threads)
        if again is None or again.renew_at != found.renew_at:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    return None if again is None else _despite_outage(door, again)


def _despite_outage(door: Door, found: SignedIn) -> SignedIn:
    since = found.unanswered_since
    if since is not None and door.clock() - since > timedelta(seconds=door.settings.oidc_outage_s):
        raise ProviderUnavailableError("token endpoint")
    return found


def _claim(door: Door, found: SignedIn, at: datetime) -> tuple[bool, ProviderTokens | None]:
    with door.database.write() as session:
        if not sessions.claim_renewal(found, at=at, session=session):
            return False, None
        return True, sessions.tokens_of(found, digests=door.digests, session=session)


def _postpone(door: Door, found: SignedIn, at: datetime) -> SignedIn:
    with door.database.write() as session:
        renew_at = sessions.postpone_renewal(found, at=at, session=session)
    return replace(found, renew_at=renew_at, unanswered_since=found.unanswered_since or at)


def _keep(door: Door, found: SignedIn, fresh: ProviderTokens) -> SignedIn:
    with door.database.write() as session:
        renew_at = sessions.renewed(found, fresh, digests=door.digests, at=door.clock(), session=session)
    return replace(found, renew_at=renew_at, unanswered_since=None)


def _end(door: Door, found: SignedIn, reason: str) -> None:
    if door.directory is not None:
        # Perhaps the user left: then their keys end now, and not with the next sync.
        with contextlib.suppress(DirectoryUnavailableError):
            door.directory.admit(found.principal.sub)
    with door.database.write() as session:
        sessions.end(found.cookie, digests=door.digests, at=door.clock(), session=session, reason=reason)
