"""The tables of the gateway."""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime

from sqlalchemy import JSON, MetaData, Text
from sqlmodel import Field, SQLModel

from zhiku_platform.audit import audit_outbox
from zhiku_platform.db import UtcDateTime


class Base(SQLModel):
    metadata = MetaData()


AUDIT_OUTBOX = audit_outbox(Base.metadata)


class UserRow(Base, table=True):
    """Our mirror of the identity provider's directory: roles and groups come from here, never from a token.

    The issuer belongs to the key, so that a new provider's `lin` is not the old one's.
    """

    __tablename__ = "directory_user"

    issuer: str = Field(primary_key=True, max_length=300)
    sub: str = Field(primary_key=True, max_length=200)
    tenant: str = Field(max_length=100)
    username: str = Field(max_length=200)
    name: str = Field(max_length=200)
    email: str = Field(max_length=320)
    department: str = Field(max_length=200)
    roles: list[str] = Field(sa_type=JSON)
    groups: list[str] = Field(sa_type=JSON)
    clearance: int
    is_active: bool = True
    """Whether the directory still knows the user, enabled; if not, no session and no key of theirs works."""
    updated_at: datetime = Field(sa_type=UtcDateTime)
    picture: int = 0
    """The number of the last look at this user alone; what an earlier picture of the directory says is out of date."""


class SessionRow(Base, table=True):
    """A signed-in browser. The cookie's value is not here: only its keyed digest.

    `provider_tokens` is sealed under a key made of the cookie, so that it opens for the browser alone.
    """

    __tablename__ = "session"

    id: str = Field(primary_key=True, max_length=40)
    digest: str = Field(max_length=64, unique=True)
    issuer: str = Field(max_length=300)
    sub: str = Field(max_length=200, index=True)
    provider_session: str | None = Field(default=None, max_length=200, index=True)
    vouched_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the provider signed the ID token: a logout ends what it vouched for until then, and no later."""
    authenticated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acr: str | None = Field(default=None, max_length=100)
    provider_tokens: str | None = Field(default=None, sa_type=Text)
    renew_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the provider is asked next whether the session still lives; None if it gave no refresh token."""
    renewing_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    unanswered_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ApiKeyRow(Base, table=True):
    """An API key. Its secret is not here: only its keyed digest."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True, max_length=40)
    prefix: str = Field(max_length=20, unique=True)
    digest: str = Field(max_length=64)
    issuer: str = Field(max_length=300)
    sub: str = Field(max_length=200, index=True)
    name: str = Field(max_length=100)
    scopes: list[str] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ProviderLogoutRow(Base, table=True):
    """The provider's word that a session (`kind` is `sid`) or all sessions of a user (`sub`) ended at a time.

    Kept until no ID token from before it could still begin a session.
    """

    __tablename__ = "provider_logout"

    issuer: str = Field(primary_key=True, max_length=300)
    kind: str = Field(primary_key=True, max_length=3)
    value: str = Field(primary_key=True, max_length=200)
    at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class LogoutTokenRow(Base, table=True):
    """A logout token that was used, by its digest; kept until it would have expired."""

    __tablename__ = "logout_token"

    digest: str = Field(primary_key=True, max_length=64)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class DirectorySyncRow(Base, table=True):
    """The last sync of an issuer's directory; who holds the lease runs the next one."""

    __tablename__ = "directory_sync"

    issuer: str = Field(primary_key=True, max_length=300)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pictures: int = 0
    """How often the directory was looked at: each look takes the next number before it reads."""
    written: int = 0
    """The number of the newest whole picture that was written, or is being."""
    users: int = 0
    problem: str | None = Field(default=None, max_length=100)
