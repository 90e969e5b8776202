"""What the mirror of the directory tells other services; an app of its own, so that no public address leads here."""

from typing import Annotated

from fastapi import Request

from zhiku_platform.access import Access, Permission, require
from zhiku_platform.contracts.directory import HoldersQuery, People, PersonQuery
from zhiku_platform.db import ReadSession
from zhiku_platform.http import GuardedRouter
from zhiku_services.gateway import directory

internal = GuardedRouter(prefix="/internal/directory", tags=["internal"])

CanReadDirectory = Annotated[Access, require(Permission.DIRECTORY_READ)]


@internal.post("/holders")
def list_holders(access: CanReadDirectory, request: Request, session: ReadSession, query: HoldersQuery) -> People:
    """Name everybody who holds one of these ACL tokens."""
    return directory.holders(access, frozenset(query.tokens), issuer=request.app.state.issuer, session=session)


@internal.post("/person")
def get_person(access: CanReadDirectory, request: Request, session: ReadSession, query: PersonQuery) -> People:
    """Say what one user holds."""
    return directory.person(access, query.sub, issuer=request.app.state.issuer, session=session)
