"""What the mirror of the directory tells the knowledge service, so that it can explain who sees what."""

from pydantic import Field

from zhiku_platform.contracts.identity import Role
from zhiku_platform.contracts.knowledge import AclToken
from zhiku_platform.contracts.wire import SEARCHABLE, Message


class Person(Message):
    """Somebody who may sign in, with what rights depend on and no more."""

    sub: str
    name: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    clearance: int = Field(default=0, ge=0, le=9)


class HoldersQuery(Message):
    """Whom to name: everybody who holds one of these ACL tokens."""

    tokens: list[AclToken] = Field(max_length=20_000)


class PersonQuery(Message):
    sub: str = Field(min_length=1, max_length=200, pattern=SEARCHABLE)


class People(Message):
    """Active users, in the order of their `sub`."""

    people: list[Person]
