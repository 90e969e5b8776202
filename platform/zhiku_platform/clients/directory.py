"""The mirror of the directory, typed."""

from collections.abc import Iterable, Sequence

from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.directory import HoldersQuery, People, Person, PersonQuery
from zhiku_platform.contracts.identity import Principal


class DirectoryClient(ServiceClient):
    """Answers the service accounts of knowledge and governance alone."""

    service = "directory"

    def holders(self, principal: Principal, tokens: Iterable[str]) -> Sequence[Person]:
        """Everybody who holds one of the ACL tokens; of their groups, only those that the tokens name."""
        query = HoldersQuery(tokens=sorted(set(tokens)))
        return self._call(principal, "POST", "/internal/directory/holders", People, query).people

    def person(self, principal: Principal, sub: str) -> Person | None:
        """One user with all groups; None if nobody of this name may sign in."""
        query = PersonQuery(sub=sub)
        found = self._call(principal, "POST", "/internal/directory/person", People, query).people
        return found[0] if found else None
