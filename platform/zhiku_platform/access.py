"""Who may do what: permissions, and the proof that somebody checked.

A route without a permission cannot be declared (`http.GuardedRouter` refuses it at import), and a function
that touches tenant data takes an `Access`, which only `require` makes.
"""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, final

from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.identity import ADMINISTRATORS, Principal, PrincipalKind, Role
from zhiku_platform.errors import ForbiddenError, NotSignedInError

PRINCIPAL_HEADER = "Zhiku-Principal"
_LIFETIME_S = 60
_LEEWAY_S = 30


class Permission(StrEnum):
    """What can be done, as `resource:action`."""

    KNOWLEDGE_BASE_READ = "knowledge_base:read"
    KNOWLEDGE_BASE_CREATE = "knowledge_base:create"
    KNOWLEDGE_BASE_MANAGE = "knowledge_base:manage"
    RELEASE_MANAGE = "release:manage"
    DOCUMENT_READ = "document:read"
    DOCUMENT_WRITE = "document:write"
    PASSAGE_PUBLISH = "passage:publish"
    SEARCH = "search:run"
    SOURCE_MANAGE = "source:manage"
    ASK = "assistant:ask"
    CONVERSATION_READ = "conversation:read"
    RECEIPT_READ = "receipt:read"
    RECEIPT_REVIEW = "receipt:review"
    MODEL_READ = "model:read"
    INFERENCE_RUN = "inference:run"
    API_KEY_MANAGE = "api_key:manage"
    SESSION_OWN = "session:own"
    DIRECTORY_READ = "directory:read"
    ACCESS_EXPLAIN = "access:explain"
    AUDIT_APPEND = "audit:append"
    AUDIT_READ = "audit:read"
    AUDIT_REVEAL = "audit:reveal"
    AUDIT_EXPORT = "audit:export"
    APPROVAL_OWN = "approval:own"
    APPROVAL_DECIDE = "approval:decide"
    APPROVAL_USE = "approval:use"
    REVIEW_OPEN = "review:open"
    REVIEW_DECIDE = "review:decide"
    REVIEW_CONFIGURE = "review:configure"
    SAFETY_MANAGE = "safety_policy:manage"
    HOLD_READ = "legal_hold:read"
    HOLD_PLACE = "legal_hold:place"
    HOLD_CHECK = "legal_hold:check"
    RETENTION_READ = "retention_rule:read"
    RETENTION_CHANGE = "retention_rule:change"
    RETENTION_APPLY = "retention_rule:apply"
    ERASURE_READ = "erasure:read"
    ERASURE_REQUEST = "erasure:request"
    PERSON_ERASE = "person:erase"
    TRAINING_MANAGE = "training:manage"
    FEEDBACK_COLLECT = "feedback:collect"


_OWN = frozenset({Permission.API_KEY_MANAGE, Permission.SESSION_OWN, Permission.APPROVAL_OWN})
_READER = _OWN | {
    Permission.KNOWLEDGE_BASE_READ,
    Permission.DOCUMENT_READ,
    Permission.SEARCH,
    Permission.ASK,
    Permission.CONVERSATION_READ,
    Permission.RECEIPT_READ,
    Permission.MODEL_READ,
    Permission.INFERENCE_RUN,
}
# Managing a knowledge base and writing documents need a grant on it as well; the role only opens the door.
_EMPLOYEE = _READER | {
    Permission.KNOWLEDGE_BASE_MANAGE,
    Permission.RELEASE_MANAGE,
    Permission.DOCUMENT_WRITE,
    Permission.ACCESS_EXPLAIN,
}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.EMPLOYEE: _EMPLOYEE,
        Role.KB_ADMIN: _EMPLOYEE | {Permission.KNOWLEDGE_BASE_CREATE, Permission.SOURCE_MANAGE},
        Role.ML_ENGINEER: _READER | {Permission.TRAINING_MANAGE},
        Role.COMPLIANCE_REVIEWER: _READER
        | {
            Permission.RECEIPT_REVIEW,
            Permission.AUDIT_READ,
            Permission.AUDIT_REVEAL,
            Permission.AUDIT_EXPORT,
            Permission.REVIEW_DECIDE,
            Permission.SAFETY_MANAGE,
            Permission.HOLD_READ,
            Permission.HOLD_PLACE,
            Permission.RETENTION_READ,
            Permission.RETENTION_CHANGE,
            Permission.ERASURE_READ,
            Permission.ERASURE_REQUEST,
        },
        Role.COMPLIANCE_APPROVER: _READER
        | {
            Permission.RECEIPT_REVIEW,
            Permission.AUDIT_READ,
            Permission.APPROVAL_DECIDE,
            Permission.REVIEW_DECIDE,
            Permission.REVIEW_CONFIGURE,
            Permission.SAFETY_MANAGE,
            Permission.HOLD_READ,
            Permission.RETENTION_READ,
            Permission.ERASURE_READ,
        },
        # An administrator's role opens no content: whoever also works here has the role of an employee besides.
        Role.SYSTEM_ADMIN: _OWN | {Permission.MODEL_READ},
        Role.SECURITY_ADMIN: _OWN | {Permission.DIRECTORY_READ, Permission.ACCESS_EXPLAIN},
        Role.AUDIT_ADMIN: _OWN | {Permission.AUDIT_READ, Permission.AUDIT_EXPORT},
        Role.SERVICE: frozenset(
            {
                Permission.PASSAGE_PUBLISH,
                Permission.INFERENCE_RUN,
                Permission.MODEL_READ,
                Permission.AUDIT_APPEND,
                Permission.DIRECTORY_READ,
                Permission.APPROVAL_USE,
                Permission.REVIEW_OPEN,
                Permission.HOLD_CHECK,
                Permission.RETENTION_APPLY,
                Permission.PERSON_ERASE,
                Permission.FEEDBACK_COLLECT,
            }
        ),
    }
)

_SEARCH = frozenset(
    {
        Permission.KNOWLEDGE_BASE_READ,
        Permission.DOCUMENT_READ,
        Permission.SEARCH,
        Permission.MODEL_READ,
        Permission.INFERENCE_RUN,
    }
)

SCOPE_PERMISSIONS: Mapping[ApiKeyScope, frozenset[Permission]] = MappingProxyType(
    {
        ApiKeyScope.SEARCH: _SEARCH,
        # An answer quotes what a search finds, so whoever may ask may search.
        ApiKeyScope.ASK: _SEARCH | {Permission.ASK, Permission.CONVERSATION_READ, Permission.RECEIPT_READ},
        ApiKeyScope.INGEST: frozenset(
            {
                Permission.KNOWLEDGE_BASE_READ,
                Permission.DOCUMENT_READ,
                Permission.DOCUMENT_WRITE,
                Permission.SOURCE_MANAGE,
            }
        ),
        # For a witness, which watches the log from another machine.
        ApiKeyScope.AUDIT: frozenset({Permission.AUDIT_READ}),
    }
)
"""What each scope of an API key opens at most; its owner's roles must give the permission as well."""


def permissions_of(principal: Principal) -> frozenset[Permission]:
    """Every permission that the principal's roles give and, for an API key, its scopes let through."""
    roles = effective_roles(principal.roles)
    held: frozenset[Permission] = frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))
    if principal.scopes is None:
        return held
    return held & frozenset().union(*(SCOPE_PERMISSIONS[scope] for scope in principal.scopes))


def effective_roles(roles: frozenset[Role]) -> frozenset[Role]:
    """The roles that count: whoever is given two of the three administrators is none of them."""
    return roles - ADMINISTRATORS if len(roles & ADMINISTRATORS) > 1 else roles


def permission_matrix() -> str:
    """Role × permission as a Markdown table, for the documentation."""
    roles = list(ROLE_PERMISSIONS)
    rows = [
        [f"`{permission}`", *("●" if permission in ROLE_PERMISSIONS[role] else "" for role in roles)]
        for permission in sorted(Permission)
    ]
    table = [["permission", *roles], ["---", *[":-:"] * len(roles)], *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in table)


@final
class Access:
    """Proof that `principal` holds `permission`. Made by `require` and `authorize`, by nobody else."""

    __slots__ = ("permission", "principal")

    def __init__(self, principal: Principal, permission: Permission, *, _made_by: object) -> None:
        if _made_by is not _SEAL:
            raise TypeError("an Access is made by `require` or `authorize`")
        self.principal = principal
        self.permission = permission

    @property
    def tenant(self) -> str:
        return self.principal.tenant

    def __repr__(self) -> str:
        return f"Access({self.principal.sub}, {self.permission})"


_SEAL = object()


def authorize(principal: Principal, permission: Permission) -> Access:
    """Check one permission.

    Raises:
        ForbiddenError: none of the principal's roles gives it.
    """
    if permission not in permissions_of(principal):
        raise ForbiddenError(
            f"This needs the permission `{permission}`.", remedy="Ask an administrator for a role that has it."
        )
    return Access(principal, permission, _made_by=_SEAL)


class RequirePermission:
    """The FastAPI dependency behind `require`; the router finds it in a route's dependencies.

    The principal is the one that the gateway's middleware put into the request's state, or else the signed
    one that another service sent along.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Access:
        resolved: Principal | None = getattr(request.state, "principal", None)
        if resolved is not None:
            return authorize(resolved, self.permission)
        signer: PrincipalSigner = request.app.state.signer
        token = request.headers.get(PRINCIPAL_HEADER)
        if token is None:
            raise NotSignedInError("No principal came with this request.", remedy="Sign in first.")
        return authorize(signer.verify(token), self.permission)


def require(permission: Permission) -> Any:
    """Declare what a route needs: `Annotated[Access, require(Permission.SEARCH)]`."""
    return Depends(RequirePermission(permission))


def public(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark an endpoint as open to everybody; each is listed in the test of strangers."""
    endpoint.__zhiku_public__ = True  # type: ignore[attr-defined]  # a function has no declared extra attributes
    return endpoint


class PrincipalSigner:
    """Signs and verifies the principal that travels between services, as a JWT of 60 s."""

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key = OctKey.import_key(secret.encode().ljust(32, b"\0"))
        self._clock = clock

    def sign(self, principal: Principal) -> str:
        now = int(self._clock())
        claims = {
            "iss": "zhiku",
            "aud": "zhiku-internal",
            "iat": now,
            "exp": now + _LIFETIME_S,
            "principal": principal.model_dump(mode="json"),
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    def verify(self, token: str) -> Principal:
        """Read the principal out of a token.

        Raises:
            NotSignedInError: the token is forged, expired or not for us.
        """
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": "zhiku"},
            aud={"essential": True, "value": "zhiku-internal"},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
            registry.validate(claims)
            return Principal.model_validate(claims["principal"])
        except (JoseError, ValueError) as error:
            raise NotSignedInError("The principal of this request is not valid.", remedy="Sign in again.") from error


def service_principal(name: str, tenant: str) -> Principal:
    """The principal of one of our own services, such as `svc-ingestion`."""
    return Principal(
        sub=f"svc-{name}", tenant=tenant, kind=PrincipalKind.SERVICE, name=name, roles=frozenset({Role.SERVICE})
    )
