"""Who is calling."""

from enum import StrEnum

from pydantic import Field

from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.wire import SEARCHABLE, Message


class PrincipalKind(StrEnum):
    USER = "user"
    SERVICE = "service"


class Role(StrEnum):
    """Realm roles. Rights on a knowledge base are grants, never roles.

    Nobody may hold two of the three administrators (`ADMINISTRATORS`).
    """

    EMPLOYEE = "employee"
    KB_ADMIN = "kb_admin"
    ML_ENGINEER = "ml_engineer"
    COMPLIANCE_REVIEWER = "compliance_reviewer"
    COMPLIANCE_APPROVER = "compliance_approver"
    SYSTEM_ADMIN = "system_admin"
    SECURITY_ADMIN = "security_admin"
    AUDIT_ADMIN = "audit_admin"
    SERVICE = "service"


ADMINISTRATORS = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN})
"""Who runs the machines, who gives rights and who keeps the record are three people (GB/T 22239, level 3)."""


class Principal(Message):
    """The caller. Groups come from our own mirror of the identity provider, never from a token.

    `scopes` narrows what the roles allow, for a caller who came with an API key; None narrows nothing.
    """

    sub: str = Field(min_length=1, max_length=200, pattern=SEARCHABLE)
    tenant: str = Field(min_length=1, max_length=100, pattern=SEARCHABLE)
    kind: PrincipalKind = PrincipalKind.USER
    name: str = ""
    groups: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    clearance: int = Field(default=0, ge=0, le=9)
    scopes: frozenset[ApiKeyScope] | None = None

    @property
    def tokens(self) -> frozenset[str]:
        """The ACL tokens this principal holds: `user:SUB`, `group:NAME` and `everyone`."""
        return frozenset({f"user:{self.sub}", "everyone", *(f"group:{name}" for name in self.groups)})


class DirectoryUser(Message):
    """A person as the identity provider's directory describes them; `sub` is what its tokens call them."""

    sub: str = Field(min_length=1, max_length=200)
    username: str = Field(max_length=200)
    name: str = Field(max_length=200)
    email: str = Field(default="", max_length=320)
    department: str = Field(default="", max_length=200)
    roles: frozenset[Role] = frozenset({Role.EMPLOYEE})
    groups: frozenset[str] = frozenset()
    clearance: int = Field(default=0, ge=0, le=9)
