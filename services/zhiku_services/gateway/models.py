"""The tables of the gateway."""

# SQLModel types `__tablename__` as a descriptor; a plain string is what it documents and takes.
# pyright: reportAssignmentType=false

from datetime import datetime

from sqlalchemy import JSON, MetaData
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
    updated_at: datetime = Field(sa_type=UtcDateTime)


class SessionRow(Base, table=True):
    """A signed-in browser. The cookie's value is not here: only its keyed digest."""

    __tablename__ = "session"

    id: str = Field(primary_key=True, max_length=40)
    digest: str = Field(max_length=64, unique=True)
    issuer: str = Field(max_length=300)
    sub: str = Field(max_length=200, index=True)
    provider_session: str | None = Field(default=None, max_length=200)
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
