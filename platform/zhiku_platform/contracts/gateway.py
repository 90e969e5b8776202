"""Sessions and API keys: what the public door itself owns."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from zhiku_platform.contracts.wire import Message, PlainText


class Session(Message):
    """The signed-in user. `csrf_token` goes into the `X-CSRF-Token` header of every change."""

    sub: str
    name: str
    email: str
    department: str
    roles: list[str]
    permissions: list[str]
    csrf_token: str
    expires_at: datetime


class ApiKeyScope(StrEnum):
    """What a key may be used for; never more than its owner may do."""

    ASK = "ask"
    SEARCH = "search"
    INGEST = "ingest"
    AUDIT = "audit"


class NewApiKey(Message):
    name: PlainText = Field(min_length=1, max_length=100)
    scopes: list[ApiKeyScope] = Field(min_length=1)
    expires_in_days: int = Field(default=90, ge=1, le=365)


class ApiKey(Message):
    id: str
    name: str
    prefix: str
    scopes: list[ApiKeyScope]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class CreatedApiKey(Message):
    """The only time the key itself is shown."""

    key: ApiKey
    secret: str
