"""The port of an erasure: every service that holds something of people answers `find` and `erase`.

    app = create_app(…, [router, internal, erasure.internal])
    app.state.personal_data = PersonalData(…)

To verify is to `find` again. Only governance may ask, which does so with the approval of two.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

import httpx2
from fastapi import Request

from zhiku_platform.access import Access, Permission, PrincipalSigner, require, service_principal
from zhiku_platform.clients.base import ServiceClient
from zhiku_platform.contracts.erasure import Disposition, Erased, EraseOrder, Found, Holdings, PersonSought
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.errors import ForbiddenError
from zhiku_platform.http import GuardedRouter

internal = GuardedRouter(prefix="/internal/personal-data", tags=["internal"])

ERASED = "erased"
"""What stands where a person's id stood in a record that stays."""

CanErase = Annotated[Access, require(Permission.PERSON_ERASE)]
_SEPARATORS = r"[\s\-]*"
_MANY_DIGITS = 6


class PersonalData(Protocol):
    """What one service holds of people. Both calls open their own transaction."""

    def find(self, access: Access, sought: PersonSought) -> list[Found]: ...

    def erase(self, access: Access, order: EraseOrder) -> dict[str, int]:
        """Erase in one transaction, after asking for holds, and leave no remains; return counts by kind.

        Raises:
            HeldError: a legal hold keeps something of it, and nothing was erased.
        """
        ...


class ErasureClient(ServiceClient):
    """One store, as the erasure desk asks it."""

    def __init__(self, service: str, http: httpx2.Client, signer: PrincipalSigner) -> None:
        super().__init__(http, signer)
        self.service = service

    def find(self, principal: Principal, sought: PersonSought) -> list[Found]:
        return self._call(principal, "POST", "/internal/personal-data/find", Holdings, sought).found

    def erase(self, principal: Principal, order: EraseOrder) -> dict[str, int]:
        """Erase, in one transaction of the store.

        Raises:
            RemoteProblemError: `held`, a legal hold keeps something of it.
        """
        return self._call(principal, "POST", "/internal/personal-data/erase", Erased, order).counts


class RemoteStore:
    """The same, built at each call: the service may come later than the desk."""

    def __init__(self, client: Callable[[], ErasureClient]) -> None:
        self._client = client

    def find(self, principal: Principal, sought: PersonSought) -> list[Found]:
        return self._client().find(principal, sought)

    def erase(self, principal: Principal, order: EraseOrder) -> dict[str, int]:
        return self._client().erase(principal, order)


class Mentions:
    """Whether texts hold one of the values, in any case and width.

    A value that begins or ends with a Latin letter or digit is a word of its own there; one of six digits or more may
    be split by spaces and hyphens.
    """

    def __init__(self, values: Sequence[str]) -> None:
        patterns = [_pattern(_fold(value)) for value in values]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def found_in(self, *texts: str | None) -> bool:
        pattern = self._pattern
        return pattern is not None and any(text and pattern.search(_fold(text)) for text in texts)


def found(kind: str, disposition: Disposition, ids: Sequence[str], groups: Sequence[str] = ()) -> list[Found]:
    """One line of a report, or none for nothing."""
    if not ids:
        return []
    return [Found(kind=kind, disposition=disposition, count=len(ids), ids=sorted(ids), groups=sorted(set(groups)))]


def counted(kind: str, disposition: Disposition, count: int) -> list[Found]:
    """The same for what has no ids that may be shown."""
    return [Found(kind=kind, disposition=disposition, count=count)] if count else []


@internal.post("/find")
def find_personal_data(access: CanErase, request: Request, sought: PersonSought) -> Holdings:
    """Say what is held of a person."""
    return Holdings(found=_store(access, request).find(access, sought))


@internal.post("/erase")
def erase_personal_data(access: CanErase, request: Request, order: EraseOrder) -> Erased:
    """Erase what is held of a person."""
    return Erased(counts=_store(access, request).erase(access, order))


def require_desk(access: Access) -> None:
    """Let nobody but governance through.

    Raises:
        ForbiddenError: it is another service.
    """
    if access.principal.sub != service_principal("governance", access.tenant).sub:
        raise ForbiddenError("Only the erasure desk may ask this.", remedy="Ask for an erasure at `/erasures`.")


def _store(access: Access, request: Request) -> PersonalData:
    require_desk(access)
    store: PersonalData = request.app.state.personal_data
    return store


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _pattern(value: str) -> str:
    if sum(character.isdigit() for character in value) >= _MANY_DIGITS:
        kept = [character for character in value if not character.isspace() and character != "-"]
        body = _SEPARATORS.join(re.escape(character) for character in kept)
    else:
        body = re.escape(value)
    before = r"(?<![0-9a-z])" if re.match(r"[0-9a-z]", value) else ""
    after = r"(?![0-9a-z])" if re.search(r"[0-9a-z]$", value) else ""
    return f"{before}(?:{body}){after}"
