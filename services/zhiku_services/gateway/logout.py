"""Signing out: here, and at the identity provider."""

from anyio import to_thread

from zhiku_platform.telemetry import get_logger
from zhiku_services.gateway import sessions
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.errors import ProviderUnavailableError
from zhiku_services.gateway.oidc import ProviderTokens
from zhiku_services.gateway.sessions import SignedIn

log = get_logger(__name__)


async def leave(door: Door, signed_in: SignedIn) -> str | None:
    """End a session, take its refresh token back, and return the ID token that names it at the provider.

    Our session ends even if the provider does not answer; its refresh token then goes unused until it expires.
    """
    tokens = await to_thread.run_sync(_end, door, signed_in)
    if tokens is None:
        return None
    try:
        await door.openid.revoke(tokens)
    except ProviderUnavailableError as error:
        log.warning("refresh_token_not_revoked", code=error.code)
    return tokens.id_token


async def provider_address(door: Door, id_token: str | None) -> str:
    """Where the browser ends the provider's session; our own start page if the provider has no such address.

    Raises:
        ProviderUnavailableError: the provider's configuration cannot be read.
    """
    home = f"{door.settings.base_url}/"
    return await door.openid.end_session_url(id_token, home) or home


def _end(door: Door, signed_in: SignedIn) -> ProviderTokens | None:
    with door.database.write() as session:
        tokens = sessions.tokens_of(signed_in, digests=door.digests, session=session)
        sessions.end(signed_in.cookie, digests=door.digests, at=door.clock(), session=session)
    return tokens
