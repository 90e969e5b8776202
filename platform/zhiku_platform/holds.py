"""For services that delete: ask for holds last, in the transaction that deletes, after what is deleted is locked.

    holds.check(access, [Held(scope=HoldScope.USER, id=owner)])

What was checked before a hold was placed counts as deleted before it. Without an answer nothing is deleted.
"""

from collections.abc import Callable, Sequence

from zhiku_platform.access import Access, service_principal
from zhiku_platform.clients.governance import GovernanceClient
from zhiku_platform.contracts.holds import Held, NewDeletion
from zhiku_platform.errors import ConflictError


class HeldError(ConflictError):
    """A legal hold keeps it. For what matter is not said."""

    code = "held"
    title = "Kept by a legal hold"

    def __init__(self) -> None:
        super().__init__("This must be kept for now, so it was not deleted.", remedy="Ask compliance.")


class Holds:
    """The holds, as one service asks for them. `client` is asked for at each call: it may be built later."""

    def __init__(self, service: str, client: Callable[[], GovernanceClient]) -> None:
        self._service = service
        self._client = client

    def check(self, access: Access, things: Sequence[Held]) -> None:
        """Return if nothing keeps any of the things.

        Raises:
            HeldError: a hold keeps one of them.
            ServiceUnavailableError: governance does not answer.
        """
        deletion = NewDeletion(requester=access.principal.sub, things=list(things))
        own = service_principal(self._service, access.tenant)
        if self._client().check_holds(own, deletion).is_held:
            raise HeldError
