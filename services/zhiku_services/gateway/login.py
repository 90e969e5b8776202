"""Signing in and out."""

import re
from collections.abc import Mapping

from anyio import to_thread

from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_services.gateway import provider_logouts, sessions
from zhiku_services.gateway.directory_sync import DirectorySync, StaticDirectory
from zhiku_services.gateway.door import Door
from zhiku_services.gateway.errors import DirectoryUnavailableError, LoginRefusedError
from zhiku_services.gateway.models import UserRow
from zhiku_services.gateway.oidc import Identity, Login

# One slash and then neither a second one nor a backslash, which browsers read as one; nothing invisible.
_LONGEST_PATH = 2000
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


def local_path(address: str) -> str:
    """`address`, if it leads back into this site, or else the first page: nobody is kept out for a link gone wrong."""
    return address if len(address) <= _LONGEST_PATH and _LOCAL_PATH.fullmatch(address) else "/"


async def finish(
    door: Door, query: Mapping[str, str], login: Login | None, old_cookie: str | None, client: str
) -> tuple[str, str]:
    """Turn what the provider sent back into a session: its cookie's value, and where to go.

    The session that the browser had before ends, so that no session outlives a change of user.

    Raises:
        LoginRefusedError: this browser did not begin this login, or the provider does not vouch for it.
        ProviderUnavailableError: the provider does not answer.
        DirectoryUnavailableError: somebody new comes, and their rights cannot be read.
    """
    try:
        begun = _check_return(door, query, login)
        identity = await door.openid.redeem(query["code"], begun)
        cookie = await to_thread.run_sync(_start_session, door, identity, old_cookie)
    except LoginRefusedError as error:
        await to_thread.run_sync(door.record_refusal, "login", error.reason, client)
        raise
    return cookie, begun.next


def _check_return(door: Door, query: Mapping[str, str], login: Login | None) -> Login:
    if login is None or query.get("state") != login.state:
        raise LoginRefusedError("state")
    if query.get("iss", door.issuer) != door.issuer:
        raise LoginRefusedError("iss")
    if "code" not in query:
        raise LoginRefusedError("provider")
    return login


def _start_session(door: Door, identity: Identity, old_cookie: str | None) -> str:
    _admit(door, identity.user)
    at = door.clock()
    with door.database.write() as session:
        if old_cookie is not None:
            sessions.end(old_cookie, digests=door.digests, at=at, session=session)
        if provider_logouts.has_ended(identity, issuer=door.issuer, session=session):
            raise LoginRefusedError("provider_logout")
        return sessions.start(
            door.issuer, identity, digests=door.digests, lifetimes=door.lifetimes, at=at, session=session
        )


def _admit(door: Door, user: DirectoryUser) -> None:
    """Let somebody in whom the directory knows and has not disabled, with the rights they have now.

    Where no directory is connected, whom the provider vouches for is an employee without groups.
    """
    sync = door.directory
    with door.database.read() as session:
        mirrored = session.get(UserRow, (door.issuer, user.sub))
    if sync is None:
        if mirrored is None:
            DirectorySync(StaticDirectory([user]), **door.mirror).admit(user.sub)
        elif not mirrored.is_active:
            raise LoginRefusedError("user_left")
        return
    try:
        may_come_in = sync.admit(user.sub)
    except DirectoryUnavailableError:
        if mirrored is None:
            raise
        may_come_in = mirrored.is_active
    if not may_come_in:
        raise LoginRefusedError("user_left")
