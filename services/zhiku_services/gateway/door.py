"""What the gateway's edges share, built once in `app.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from starlette.requests import Request

from zhiku_platform.access import PrincipalSigner
from zhiku_platform.audit import AuditEvent, Outcome, record
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_services.gateway import api_keys, sessions
from zhiku_services.gateway.api_keys import KeyHolder, RefusedKey
from zhiku_services.gateway.cookies import Cookies
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.directory_sync import DirectorySync
from zhiku_services.gateway.limits import OncePer, RateLimiter
from zhiku_services.gateway.models import AUDIT_OUTBOX
from zhiku_services.gateway.oidc import OpenIdClient
from zhiku_services.gateway.sessions import Lifetimes, SignedIn


class Mirror(TypedDict):
    """Whose users are mirrored where; what a `DirectorySync` needs besides the directory."""

    database: Database
    issuer: str
    tenant: str
    clock: Callable[[], datetime]


@dataclass(frozen=True)
class Door:
    """The public door: who comes in, how often, and with what."""

    settings: Settings
    database: Database
    signer: PrincipalSigner
    digests: Digests
    lifetimes: Lifetimes
    cookies: Cookies
    openid: OpenIdClient
    limiter: RateLimiter
    refusals: OncePer
    clock: Callable[[], datetime]
    directory: DirectorySync | None = None
    """Keeps the mirror in step with the provider's directory; None where none is connected."""

    @property
    def issuer(self) -> str:
        return self.openid.issuer

    @property
    def mirror(self) -> Mirror:
        return Mirror(database=self.database, issuer=self.issuer, tenant=self.settings.tenant, clock=self.clock)

    def signed_in(self, cookie: str) -> SignedIn | None:
        """The session of a cookie, its use written down. Blocks on the database."""
        at = self.clock()
        with self.database.read() as session:
            found = sessions.find(
                cookie,
                issuer=self.issuer,
                digests=self.digests,
                lifetimes=self.lifetimes,
                at=at,
                session=session,
            )
        if found is not None and found.is_stale:
            with self.database.write() as session:
                sessions.touch(found.session_id, at=at, session=session)
        return found

    def key_holder(self, secret: str) -> KeyHolder | None:
        """Who holds an API key, its use or its refusal written down. Blocks on the database."""
        at = self.clock()
        with self.database.read() as session:
            found = api_keys.find(secret, issuer=self.issuer, digests=self.digests, at=at, session=session)
        if isinstance(found, RefusedKey):
            if self.refusals.is_due(found.key_id):
                with self.database.write() as session:
                    api_keys.record_refusal(found, at=at, session=session)
            return None
        if found is not None and found.is_stale:
            with self.database.write() as session:
                api_keys.touch(found.key_id, at=at, session=session)
        return found

    def record_refusal(self, what: str, reason: str, client: str) -> None:
        """Leave a trace of a `what` (a login, a token) that was refused; at most one a while for each client."""
        if not self.refusals.is_due(f"{what}:{client}"):
            return
        with self.database.write() as session:
            event = AuditEvent(
                action="session.refused",
                tenant=self.settings.tenant,
                actor="anonymous",
                subject=self.issuer[:200],
                outcome=Outcome.DENIED,
                details={"reason": reason},
                at=self.clock(),
            )
            record(session, AUDIT_OUTBOX, event)


def door_of(request: Request) -> Door:
    """The door of the app that handles `request`."""
    door: Door = request.app.state.door
    return door
