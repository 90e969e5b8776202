"""Step-up: what is sensitive needs a login that is fresh, and strong enough, not just a session.

The route answers 401 `step_up_required` with the address to sign in at; the provider is asked for a new login
by `max_age` and `acr_values` (OpenID Connect Core 3.1.2.1, RFC 9470).
"""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request

from zhiku_platform.access import Permission
from zhiku_services.gateway.door import door_of
from zhiku_services.gateway.errors import StepUpRequiredError
from zhiku_services.gateway.sessions import SignedIn

MAX_AGE_S: Final = 300
"""How old a login may be for what is sensitive."""

SENSITIVE: Final = frozenset(
    {
        Permission.AUDIT_REVEAL,
        Permission.AUDIT_EXPORT,
        Permission.APPROVAL_DECIDE,
        Permission.ERASURE_REQUEST,
        Permission.HOLD_PLACE,
        Permission.RETENTION_CHANGE,
    }
)
"""Permissions whose every use is sensitive."""
_CHANGES: Final = frozenset({Permission.SAFETY_MANAGE})
"""Permissions with which one may look without, and change only with a fresh login."""
_ADDRESSES: Final = frozenset({("POST", "/api/v1/knowledge-bases/{knowledge_base_id}/deletion")})


def is_sensitive(method: str, path: str, permission: Permission) -> bool:
    """Whether a route of the gateway's table needs a fresh login."""
    return (
        permission in SENSITIVE
        or (permission in _CHANGES and method not in {"GET", "HEAD"})
        or (method, path) in _ADDRESSES
    )


class RequireStepUp:
    """The FastAPI dependency behind `require_step_up`."""

    def __init__(self, max_age_s: int) -> None:
        self.max_age_s = max_age_s

    async def __call__(self, request: Request) -> None:
        door = door_of(request)
        acr = door.settings.oidc_step_up_acr
        signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
        # An API key and a service have no login, so nothing about them can be fresh.
        if signed_in is not None and signed_in.authenticated_at is not None:
            is_fresh = door.clock() - signed_in.authenticated_at <= timedelta(seconds=self.max_age_s)
            if is_fresh and (acr is None or signed_in.acr == acr):
                return
        raise StepUpRequiredError(self.max_age_s, acr, _login_url(self.max_age_s, acr))


def require_step_up(max_age_s: int) -> Any:
    """Declare that a route needs a login of the last `max_age_s` seconds, in the class of `oidc_step_up_acr`."""
    return Depends(RequireStepUp(max_age_s))


def _login_url(max_age_s: int, acr: str | None) -> str:
    query = {"max_age": max_age_s, **({} if acr is None else {"acr_values": acr})}
    return f"/api/v1/auth/login?{urlencode(query)}"
