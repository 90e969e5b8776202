"""Knowledge bases, grants, documents, passages and search."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from zhiku_platform.contracts.safety import Category
from zhiku_platform.contracts.wire import Message, PlainText

"""Text that every database can store: PostgreSQL has no place for a NUL."""

ReleaseNumber = Annotated[int, Field(ge=0, lt=2**62)]

AclToken = Annotated[str, Field(pattern=r"^(user:[^\x00\n]{1,200}|group:[^\x00\n]{1,200}|everyone)$")]
"""Who: `user:SUB`, `group:NAME` or `everyone`."""


class GrantRole(StrEnum):
    """What a user or group may do with a knowledge base; each includes the ones before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"


class Publishing(StrEnum):
    """When readers see what ingestion brings: at once, or when an owner publishes a release."""

    AUTO = "auto"
    MANUAL = "manual"


class KnowledgeBase(Message):
    """`documents` counts those of the published release that the caller may read.

    The number of a release tells of documents that the caller may not see, so it is for editors and owners.
    """

    id: str
    name: str
    description: str
    language: Literal["zh", "en", "mixed"]
    role: GrantRole
    documents: int
    publishing: Publishing = Publishing.AUTO
    published_release: int | None = None
    created_at: datetime


class NewKnowledgeBase(Message):
    name: PlainText = Field(min_length=1, max_length=100)
    description: PlainText = Field(default="", max_length=2000)
    language: Literal["zh", "en", "mixed"] = "mixed"
    publishing: Publishing = Publishing.AUTO


class KnowledgeBaseChange(Message):
    name: PlainText | None = Field(default=None, min_length=1, max_length=100)
    description: PlainText | None = Field(default=None, max_length=2000)
    publishing: Publishing | None = None


class ReleaseState(StrEnum):
    """`kept` can be published and searched again; of a `pruned` one the index holds nothing any more."""

    DRAFT = "draft"
    PUBLISHED = "published"
    KEPT = "kept"
    PRUNED = "pruned"


class Release(Message):
    """A numbered state of a knowledge base. The draft is the next number, and the only one that still changes."""

    knowledge_base_id: str
    number: int
    state: ReleaseState
    note: str
    created_by: str | None
    created_at: datetime | None


class NewRelease(Message):
    """Close the draft under its number; `publish` shows it to readers in the same step."""

    note: PlainText = Field(default="", max_length=2000)
    publish: StrictBool = False


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class DocumentChange(Message):
    """What became of one document between two releases. Passages are compared by the hash of their content.

    `title` is that of the later release, or of the earlier one for a document that is gone.
    """

    document_id: str
    title: str
    change: Change
    passages_added: int
    passages_removed: int
    passages_kept: int


class ReleaseDiff(Message):
    """From release `before` to release `after`, as far as the caller may read the documents now.

    Totals are over the whole difference, `items` is one page of it.
    """

    before: int
    after: int
    documents_added: int
    documents_removed: int
    documents_changed: int
    passages_added: int
    passages_removed: int
    items: list[DocumentChange]
    next_cursor: str | None = None


class NewGrant(Message):
    """`subject` is an ACL token: `user:SUB`, `group:NAME` or `everyone`."""

    subject: AclToken
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
    An empty list means nobody. They hold if `acl_revision` is later than the last one that was told: what somebody
    has set here since then stays.
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
    readers: list[AclToken] | None = None
    acl_revision: int = Field(default=0, ge=0)
    pages: int | None = None


class PublishRequest(Message):
    """Replace what the index holds of one document by these passages. Re-running converges.

    Large documents come in several parts: `part` counts from 0, only the last has `final` true, and
    nothing of a version is visible before its final part. `fence` is the lease token of the worker;
    a smaller one than was seen is refused.
    """

    target: DocumentTarget
    version_id: str
    fence: StrictInt
    part: StrictInt
    final: StrictBool
    embedding_model: str
    passages: list[PublishedPassage]


class PublishResult(Message):
    document_id: str
    version_id: str
    passages: int
    retired: int


class RetireRequest(Message):
    """Take a document out of the index and out of sight; `only_unseen` takes no more than what no release holds."""

    tenant: str
    document_id: str
    fence: StrictInt
    only_unseen: StrictBool = False


class Retired(Message):
    document_id: str
    passages: int


class Document(Message):
    """A document that the caller may read; `readers` are all of its ACL for its editors, and else the caller's own."""

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
    """`readers` None means everyone who may view the knowledge base, an empty list nobody.

    `revision` is ingestion's: one that is not later than the last is left out. A person's own change has none.
    """

    readers: list[AclToken] | None = Field(max_length=5000)
    level: int = Field(default=0, ge=0, le=9)
    revision: int | None = Field(default=None, ge=0)


class Passage(Message):
    """A passage that the caller may read now.

    `warnings` are what the safety policy warns of in it, told to callers of the API alone: services screen themselves.
    """

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
    warnings: list[Category] = []


class PassageChange(Message):
    """A passage that one of two releases holds and the other does not."""

    change: Literal[Change.ADDED, Change.REMOVED]
    passage: Passage


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    BM25 = "bm25"


class SearchRequest(Message):
    """`knowledge_base_ids` empty means every knowledge base the caller may view.

    `release` looks at another release than the published one of the one knowledge base named; it needs the role of an
    editor. `releases` does so for several, by their ids. A service that runs an answer's search again for its user
    may also name a release up to the published one where that user is a viewer.
    """

    query: PlainText = Field(min_length=1, max_length=4000)
    knowledge_base_ids: list[PlainText] = Field(default=[], max_length=100)
    limit: int = Field(default=10, ge=1, le=50)
    mode: SearchMode = SearchMode.HYBRID
    release: ReleaseNumber | None = None
    releases: dict[str, ReleaseNumber] = Field(default={}, max_length=100)

    @model_validator(mode="after")
    def _releases_are_of_what_is_named(self) -> Self:
        named = set(self.knowledge_base_ids)
        if self.release is not None and (len(named) != 1 or self.releases):
            raise ValueError("`release` is of one knowledge base: name exactly one, and no `releases`")
        if not named.issuperset(self.releases):
            raise ValueError("`releases` are of knowledge bases that are named")
        return self

    @property
    def numbers(self) -> dict[str, int]:
        """The releases asked for, by knowledge base."""
        if self.release is not None:
            return {self.knowledge_base_ids[0]: self.release}
        return self.releases


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

    `relevance` is the calibrated probability, 0..1, that the best few passages answer the query. `releases` maps the
    ids of knowledge bases to the release that was searched: to callers of the API of those alone that they may edit,
    to services, which record it in receipts, of all.
    """

    passages: list[FoundPassage]
    relevance: float
    searched: list[str]
    timings_ms: dict[str, float]
    releases: dict[str, int] = {}


class PassageIds(Message):
    """Some passages by id. As an answer: those that the caller may read now."""

    passage_ids: list[str] = Field(max_length=500)


class DocumentIds(Message):
    """Some documents by id. As an answer: those that the caller may read now.

    With `released` a document that readers were never shown is left out; without, its ACL decides.
    """

    document_ids: list[str] = Field(max_length=500)
    released: StrictBool = False


class KnowledgeBaseIds(Message):
    """Some knowledge bases by id. As an answer: those that were deleted."""

    knowledge_base_ids: list[str] = Field(max_length=500)


class AuthorizeRequest(Message):
    knowledge_base_id: str
    role: GrantRole


class Authorized(Message):
    knowledge_base_id: str
    name: str
    role: GrantRole


class GivenRole(Message):
    subject: AclToken
    role: GrantRole


class AccessPath(Message):
    """One way to a document: the grant that opens the knowledge base, and the ACL token that names its holder.

    `reader` is None where the document leaves it to the knowledge base.
    """

    grant: AclToken
    role: GrantRole
    reader: AclToken | None


class Reader(Message):
    sub: str
    name: str
    because: list[AccessPath]


class DocumentReaders(Message):
    """Who may read a document, and why: a grant on its knowledge base, its ACL, and a clearance of its `level`.

    `acl` None leaves it to the grants. Without a directory, groups stand for their members and `readers` is empty.
    `title` is given to owners of the knowledge base. Whoever merely reads the document sees their own part alone.
    """

    document_id: str
    knowledge_base_id: str
    title: str | None
    level: int
    acl: list[AclToken] | None
    grants: list[GivenRole]
    readers: list[Reader]
    is_directory_known: bool


class ReadableDocument(Message):
    document_id: str
    title: str | None


class ReadableAcl(Message):
    """Documents that share an ACL. `readers` are the tokens in it that the user holds; None leaves it to the grants."""

    readers: list[AclToken] | None
    level: int
    documents: int
    items: list[ReadableDocument]


class ReadableKnowledgeBase(Message):
    id: str
    name: str
    role: GrantRole
    grants: list[GivenRole]
    documents: int
    acls: list[ReadableAcl]


class Readable(Message):
    """What a user may read, and why. `groups` and `clearance` are None where no directory tells them.

    To an owner it shows their own knowledge bases, and there the documents that they may read themselves.
    """

    sub: str
    groups: list[str] | None
    clearance: int | None
    knowledge_bases: list[ReadableKnowledgeBase]
