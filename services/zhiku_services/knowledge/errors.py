"""What can go wrong in the knowledge service.

ZhikuError
├── ConflictError
│   ├── NameTakenError            409  name_taken
│   ├── LastOwnerError            409  last_owner
│   ├── StaleFenceError           409  stale_fence
│   ├── ReleasePrunedError        409  release_pruned
│   └── KnowledgeBaseInUseError   409  knowledge_base_in_use
└── ForbiddenError
    └── RoleTooSmallError         403  role_too_small
"""

from zhiku_platform.errors import ConflictError, ForbiddenError


class NameTakenError(ConflictError):
    code = "name_taken"


class LastOwnerError(ConflictError):
    code = "last_owner"


class StaleFenceError(ConflictError):
    """A worker whose lease has passed to another tried to write."""

    code = "stale_fence"


class ReleasePrunedError(ConflictError):
    """The index no longer holds what this release held."""

    code = "release_pruned"


class KnowledgeBaseInUseError(ConflictError):
    code = "knowledge_base_in_use"


class RoleTooSmallError(ForbiddenError):
    """The caller may see the knowledge base, so it is told which role it lacks."""

    code = "role_too_small"
