"""Leaves an audit event of what a known caller was refused: a missing permission or role, or a login too old.

The event names the route's template and never the address, which may hold ids of what the caller may not see.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiku_platform.audit import AuditEvent, Outcome, record
from zhiku_platform.contracts.identity import Principal
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.models import AUDIT_OUTBOX

RECORD_EVERY_S = 60
_STEP_UP = b"insufficient_user_authentication"


@dataclass(frozen=True)
class Denial:
    """Who was refused what; `route` is a method and a template, such as `GET /api/v1/documents/{document_id}`."""

    tenant: str
    actor: str
    route: str
    reason: str


class Denials:
    """Counts refusals: the first is recorded at once, the others together, so that a flood writes two events."""

    def __init__(self) -> None:
        self._more: dict[Denial, int] = {}

    def is_first(self, denial: Denial) -> bool:
        """Count a refusal, and say whether it is the first since the last `take`."""
        is_first = denial not in self._more
        self._more[denial] = 0 if is_first else self._more[denial] + 1
        return is_first

    def take(self) -> dict[Denial, int]:
        """How often each came after its first time, and begin anew."""
        more, self._more = self._more, {}
        return {denial: times for denial, times in more.items() if times}


class RecordDenials:
    """ASGI middleware: looks at the status of each response to a known caller."""

    def __init__(self, app: ASGIApp, door: Door, denials: Denials) -> None:
        self._app = app
        self._door = door
        self._denials = denials
        self._threads = CapacityLimiter(4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            reason = _reason(message) if message["type"] == "http.response.start" else None
            principal: Principal | None = scope.get("state", {}).get("principal")
            if reason is not None and principal is not None and "route" in scope:
                route = f"{scope['method']} {scope['route'].path}"
                denial = Denial(principal.tenant, principal.sub, route, reason)
                if self._denials.is_first(denial):
                    await to_thread.run_sync(record_denials, self._door, [(denial, 1)], limiter=self._threads)
            await send(message)

        await self._app(scope, receive, watched)


def record_denials(door: Door, denials: Iterable[tuple[Denial, int]]) -> None:
    """Write refusals into the outbox, each with the number of times. Blocks on the database."""
    with door.database.write() as session:
        for denial, times in denials:
            event = AuditEvent(
                action="access.denied",
                tenant=denial.tenant,
                actor=denial.actor,
                subject=denial.route[:200],
                outcome=Outcome.DENIED,
                details={"reason": denial.reason, "times": times},
                at=door.clock(),
            )
            record(session, AUDIT_OUTBOX, event)


def _reason(message: Message) -> str | None:
    """Why a response refuses; None if it does not, or refuses for want of credentials or of manners."""
    if message["status"] == 403:
        return "forbidden"
    challenges = [value for name, value in message["headers"] if name.lower() == b"www-authenticate"]
    return "step_up_required" if any(_STEP_UP in value for value in challenges) else None
