"""Names and digests of passages, and how rows become what callers see."""

import hashlib

from zhiku_platform.contracts.knowledge import (
    Passage,
    PassageDraft,
    PassageKind,
    PublishRequest,
    Region,
)
from zhiku_services.knowledge.models import DocumentVersionRow, PassageRow


def digest(text: str) -> str:
    """SHA-256 of the text in UTF-8, as 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def passage_id(request: PublishRequest, draft: PassageDraft) -> str:
    """The same passage of the same version under the same model has the same id, so that writing again converges."""
    parts = (
        request.target.document_id,
        request.version_id,
        str(draft.ordinal),
        digest(draft.text),
        request.embedding_model,
    )
    return f"psg_{digest(chr(31).join(parts))[:32]}"


def to_passage(row: PassageRow, document: DocumentVersionRow) -> Passage:
    """Render a hydrated passage."""
    return Passage.model_validate(
        {
            "id": row.id,
            "document_id": row.document_id,
            "knowledge_base_id": row.knowledge_base_id,
            "document_title": document.title,
            "ordinal": row.ordinal,
            "kind": PassageKind(row.kind),
            "text": row.text,
            "heading_path": row.heading_path,
            "page": row.page,
            "regions": [Region.model_validate(region) for region in row.regions],
            "language": row.language,
            "content_hash": row.content_hash,
        }
    )
