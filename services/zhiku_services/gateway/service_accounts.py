"""Services that call with an access token of their own, got from the provider by client credentials.

A token gives the role of a service and nothing else, and only to the clients that the settings name.
"""

from dataclasses import dataclass

from anyio import to_thread

from zhiku_platform.contracts.identity import Principal, PrincipalKind, Role
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.errors import TokenInvalidError


def is_token(secret: str) -> bool:
    """Whether a bearer's secret looks like a token of the provider; an API key has no dots."""
    return secret.count(".") == 2


@dataclass(frozen=True)
class Service:
    """A service that showed a token which is good now."""

    principal: Principal


async def find_service(door: Door, token: str, client: str) -> Service | None:
    """The service that a token was given to; None if it is worth nothing, which is written down.

    Raises:
        ProviderUnavailableError: the provider's keys cannot be read.
    """
    try:
        return await _service_of(door, token)
    except TokenInvalidError as error:
        await to_thread.run_sync(door.record_refusal, "token", f"access_token:{error.reason}", client)
        return None


async def find_service_again(door: Door, token: str) -> Service | None:
    """The same while a request goes on: None once the token has run out, or its key was withdrawn.

    Raises:
        ProviderUnavailableError: the provider's keys cannot be read.
    """
    try:
        return await _service_of(door, token)
    except TokenInvalidError:
        return None


async def _service_of(door: Door, token: str) -> Service | None:
    settings = door.settings
    if not settings.oidc_service_clients:
        return None
    caller = await door.openid.service_caller(
        token, audience=settings.oidc_audience, clients=settings.oidc_service_clients
    )
    return Service(
        Principal(
            sub=caller.client_id,
            tenant=settings.tenant,
            kind=PrincipalKind.SERVICE,
            name=caller.client_id,
            roles=frozenset({Role.SERVICE}),
        )
    )
