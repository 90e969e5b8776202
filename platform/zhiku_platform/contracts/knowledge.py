"""Knowledge bases, grants, documents, passages and search."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from zhiku_platform.contracts.wire import Message


class GrantRole(StrEnum):
    """What a user or group may do with a knowledge base; each includes the ones before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"


class KnowledgeBase(Message):
    id: str
    name: str
    description: str
    language: Literal["zh", "en", "mixed"]
    role: GrantRole
    documents: int
    created_at: datetime


class NewKnowledgeBase(Message):
    name: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=2000)
    language: Literal["zh", "en", "mixed"] = "mixed"


class KnowledgeBaseChange(Message):
    name: str | None = Field(default=None, min_length=1, max_length=100)
    description: str | None = Field(default=None, max_length=2000)


class NewGrant(Message):
    """`subject` is an ACL token: `user:SUB`, `group:NAME` or `everyone`."""

    subject: str = Field(pattern=r"^(user:.{1,200}|group:.{1,200}|everyone)$")
    role: GrantRole


class Grant(NewGrant):
    id: str
    knowledge_base_id: str
    granted_by: str
    created_at: datetime


class Region(Message):
    """A rectangle on a page: points from the top left corner, `x0 < x1`, `y0 < y1`. Pages count from 1."""

    page: int = Field(ge=1)
    x0: float
    y0: float
    x1: float
    y1: float


class PassageKind(StrEnum):
    TEXT = "text"
    TABLE = "table"


class PassageDraft(Message):
    """A passage before it has an id. `text` is what we show and cite.

    `heading_path` goes from the outermost heading inward. `page` is the first page, slide or sheet,
    from 1, or None where the format has none; `regions` is empty where the format has no layout.
    """

    ordinal: int = Field(ge=0)
    kind: PassageKind = PassageKind.TEXT
    text: str = Field(min_length=1)
    heading_path: list[str] = []
    page: int | None = Field(default=None, ge=1)
    regions: list[Region] = []
    language: Literal["zh", "en", "other"] = "other"
    tokens: int = Field(ge=0)


class PublishedPassage(Message):
    """A passage with its vector, ready for the index."""

    draft: PassageDraft
    vector: list[float]


class DocumentTarget(Message):
    """Which document a version belongs to, and who may read it.

    `readers` are ACL tokens; None means that everyone who may view the knowledge base may read it.
    An empty list means nobody.
    """

    document_id: str
    knowledge_base_id: str
    source_id: str | None = None
    path: str
    title: str
    media_type: str
    blob: str
    size_bytes: int
    content_hash: str
    level: int = Field(default=0, ge=0, le=9)
    readers: list[str] | None = None
    pages: int | None = None


class PublishRequest(Message):
    """Replace what the index holds of one document by these passages. Re-running converges.

    Large documents come in several parts: `part` counts from 0, only the last has `final` true, and
    nothing of a version is visible before its final part. `fence` is the lease token of the worker;
    a smaller one than was seen is refused.
    """

    target: DocumentTarget
    version_id: str
    fence: int
    part: int
    final: bool
    embedding_model: str
    passages: list[PublishedPassage]


class PublishResult(Message):
    document_id: str
    version_id: str
    passages: int
    retired: int


class RetireRequest(Message):
    """Take a document out of the index and out of sight."""

    tenant: str
    document_id: str
    fence: int


class Retired(Message):
    document_id: str
    passages: int


class Document(Message):
    """A document that the caller may read."""

    id: str
    knowledge_base_id: str
    title: str
    path: str
    media_type: str
    size_bytes: int
    pages: int | None
    passages: int
    content_hash: str
    level: int
    readers: list[str] | None
    updated_at: datetime


class DocumentAcl(Message):
    readers: list[str] | None
    level: int = Field(default=0, ge=0, le=9)


class Passage(Message):
    """A passage that the caller may read now."""

    id: str
    document_id: str
    knowledge_base_id: str
    document_title: str
    ordinal: int
    kind: PassageKind
    text: str
    heading_path: list[str]
    page: int | None
    regions: list[Region]
    language: Literal["zh", "en", "other"]
    content_hash: str


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    BM25 = "bm25"


class SearchRequest(Message):
    """`knowledge_base_ids` empty means every knowledge base the caller may view."""

    query: str = Field(min_length=1, max_length=4000)
    knowledge_base_ids: list[str] = Field(default=[], max_length=100)
    limit: int = Field(default=10, ge=1, le=50)
    mode: SearchMode = SearchMode.HYBRID


class FoundPassage(Message):
    """`score` is the fused score in 0..1; `cosine` the dense similarity, None if only words matched.

    `word_overlap` is the share of the query's content words, weighed by rarity, that the passage holds.
    """

    passage: Passage
    score: float
    cosine: float | None
    word_overlap: float


class SearchResult(Message):
    """Best first. `searched` names what the caller could search, and only that.

    `relevance` is the calibrated probability, 0..1, that the best few passages answer the query.
    """

    passages: list[FoundPassage]
    relevance: float
    searched: list[str]
    timings_ms: dict[str, float]


class PassageIds(Message):
    """Some passages by id. As an answer: those that the caller may read now."""

    passage_ids: list[str] = Field(max_length=500)


class AuthorizeRequest(Message):
    knowledge_base_id: str
    role: GrantRole


class Authorized(Message):
    knowledge_base_id: str
    name: str
    role: GrantRole
