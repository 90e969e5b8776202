"""For services that delete: ask for holds last, in the transaction that deletes, after what is deleted is locked.

    holds.check(access, [Held(scope=HoldScope.USER, id=owner)])
    holds.check(access, with_documents(knowledge_base_id, document_ids))

What was checked before a hold was placed counts as deleted before it. Without an answer nothing is deleted.
"""

from collections.abc import Callable, Iterable, Sequence

from zhiku_platform.access import Access, service_principal
from zhiku_platform.clients.governance import GovernanceClient
from zhiku_platform.contracts.holds import Held, HoldScope, NewDeletion
from zhiku_platform.errors import ConflictError

CheckHolds = Callable[[Access, Sequence[Held]], None]
"""`Holds.check` of one service."""

_AT_ONCE = 200


def with_documents(knowledge_base_id: str, document_ids: Iterable[str]) -> list[Held]:
    """Documents and their knowledge base: a hold on any of them keeps it."""
    documents = [Held(scope=HoldScope.DOCUMENT, id=document_id) for document_id in document_ids]
    return [Held(scope=HoldScope.KNOWLEDGE_BASE, id=knowledge_base_id), *documents]


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
        own = service_principal(self._service, access.tenant)
        for start in range(0, len(things), _AT_ONCE):
            some = list(things[start : start + _AT_ONCE])
            deletion = NewDeletion(requester=access.principal.sub, things=some)
            if self._client().check_holds(own, deletion).is_held:
                raise HeldError
