"""What a grant on a knowledge base lets its holder do there."""

from zhiku_platform.contracts.knowledge import GrantRole
from zhiku_platform.errors import NotFoundError
from zhiku_services.knowledge.errors import RoleTooSmallError
from zhiku_services.knowledge.models import KnowledgeBaseRow
from zhiku_services.knowledge.repository import ROLE_RANK, KnowledgeRepository


def viewable(repository: KnowledgeRepository, knowledge_base_id: str) -> tuple[KnowledgeBaseRow, GrantRole]:
    """The knowledge base and the caller's role on it.

    Raises:
        NotFoundError: it is missing, or the caller may not view it.
    """
    found = repository.knowledge_base(knowledge_base_id)
    if found is None:
        raise NotFoundError("knowledge base")
    return found


def require_role(repository: KnowledgeRepository, knowledge_base_id: str, role: GrantRole) -> KnowledgeBaseRow:
    """The knowledge base, if the caller has at least `role` on it.

    Raises:
        NotFoundError: it is missing, or the caller may not even view it.
        RoleTooSmallError: the caller may view it and no more.
    """
    row, held = viewable(repository, knowledge_base_id)
    check_role(held, role)
    return row


def check_role(held: GrantRole, needed: GrantRole) -> None:
    """Refuse a role that is too small.

    Raises:
        RoleTooSmallError: `held` does not include `needed`.
    """
    if ROLE_RANK[held] < ROLE_RANK[needed]:
        raise RoleTooSmallError(
            f"This needs the role `{needed}` on the knowledge base.", remedy="Ask one of its owners for that role."
        )
