"""Puts the demo company's handbook into a home; doing it again brings it up to date."""

from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.ingestion import NewSource, Source
from zhiku_platform.contracts.knowledge import GrantRole, KnowledgeBase, NewGrant, NewKnowledgeBase
from zhiku_platform.errors import NotFoundError
from zhiku_services.embedded.clients import Clients
from zhiku_services.embedded.demo import HANDBOOK

NAME = "Luyu handbook 鹭屿员工手册"
OWNER = "zhao"


def seed(clients: Clients) -> None:
    """Create the knowledge base and its source unless they are there, and ask for a sync."""
    owner = clients.principal(OWNER)
    source = _source(clients, owner, _knowledge_base(clients, owner))
    clients.ingestion.sync_source(owner, source.id)


def _knowledge_base(clients: Clients, owner: Principal) -> KnowledgeBase:
    try:
        return clients.knowledge_base(owner, NAME)
    except NotFoundError:
        pass
    created = clients.knowledge.create_knowledge_base(
        owner, NewKnowledgeBase(name=NAME, description="The demo company's handbook, in Chinese and English.")
    )
    clients.knowledge.grant(owner, created.id, NewGrant(subject="everyone", role=GrantRole.VIEWER))
    return created


def _source(clients: Clients, owner: Principal, knowledge_base: KnowledgeBase) -> Source:
    for source in clients.ingestion.sources(owner, limit=200).items:
        if source.knowledge_base_id == knowledge_base.id:
            return source
    return clients.ingestion.create_source(
        owner, NewSource(knowledge_base_id=knowledge_base.id, name="handbook", config={"folder": str(HANDBOOK)})
    )
