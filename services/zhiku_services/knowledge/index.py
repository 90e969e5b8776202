"""Where vectors and words are searched, and how far a caller may look.

The index holds ids, rights and numbers, and the words of a passage as stems; it never holds what we
show. A search takes a `Scope`, which has no default: there is no way to write one that looks everywhere.

    ZhikuError
    ├── UnsafeIdError               422  unsafe_id
    ├── IndexMismatchError          500  index_mismatch
    ├── IndexUnavailableError       503  index_unavailable
    └── WordSearchUnavailableError  503  word_search_unavailable
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol

from zhiku_platform.errors import ServiceUnavailableError, UnprocessableError, ZhikuError


class UnsafeIdError(UnprocessableError):
    """An id or number that may not enter a filter."""

    code = "unsafe_id"


class IndexMismatchError(ZhikuError):
    """The stored collection was made for vectors of another length."""

    code = "index_mismatch"
    title = "The vector index does not fit the embedding model"


class IndexUnavailableError(ServiceUnavailableError):
    """The engine did not answer, or another process holds its file."""

    code = "index_unavailable"


class WordSearchUnavailableError(ServiceUnavailableError):
    """The engine has no BM25."""

    code = "word_search_unavailable"


class Acls(Enum):
    """`ALL` stands for every passage of a knowledge base that has no document ACLs."""

    ALL = "all"


ALL_ACLS: Final = Acls.ALL
MAX_FREQUENCY: Final = 1_000
"""A word that more passages hold is as common as one that so many do."""
OPEN_RELEASE: Final = 2**62
"""`released_to` of a passage that no release has retired."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One passage as the index holds it.

    Readers of release `r` see it when `released_from <= r < released_to`. `text` is what word search
    sees, raw: title, headings and text, see `ranking.words_of_passage`. `vector` is of unit length.
    """

    passage_id: str
    tenant: str
    kb_id: str
    document_id: str
    acl_id: int
    level: int
    released_from: int
    text: str
    vector: Sequence[float]
    released_to: int = OPEN_RELEASE


@dataclass(frozen=True, slots=True)
class Place:
    """Who may see a passage, in `released_from <= release < released_to`."""

    acl_id: int
    level: int
    released_from: int
    released_to: int


@dataclass(frozen=True, slots=True)
class KnowledgeBaseScope:
    """What a caller may see of one knowledge base, at one release. An empty `acl_ids` is nothing."""

    kb_id: str
    acl_ids: frozenset[int] | Literal[Acls.ALL]
    release: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see. `level` is the clearance: rows of a higher level do not exist for it."""

    tenant: str
    level: int
    knowledge_bases: tuple[KnowledgeBaseScope, ...]

    def __post_init__(self) -> None:
        if len({kb.kb_id for kb in self.knowledge_bases}) < len(self.knowledge_bases):
            raise ValueError("a scope names each knowledge base once")


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found. `score` is a cosine for dense search and BM25 for words."""

    passage_id: str
    score: float


@dataclass(frozen=True, slots=True)
class IndexCapabilities:
    """What the engine behind an index can do; differences are declared here and nowhere else."""

    engine: Literal["milvus-lite", "milvus"]
    version: tuple[int, ...]
    word_search: bool
    dense_index: Literal["FLAT", "HNSW"]


class VectorIndex(Protocol):
    """Passages by meaning and by words, within a scope. Safe to call from several threads.

    Every call raises `IndexUnavailableError` when the engine does not answer and `UnsafeIdError`
    when an id or number may not enter a filter. Hits come best first, ties in the order of ids.
    """

    @property
    def capabilities(self) -> IndexCapabilities: ...

    def upsert(self, rows: Sequence[IndexRow]) -> None:
        """Write rows by passage id; the next search of this index sees them."""
        ...

    def place(self, passage_ids: Sequence[str], place: Place) -> None:
        """Change whom the filter lets see passages, and in which releases; unknown ids are passed over."""
        ...

    def delete(self, passage_ids: Sequence[str]) -> None:
        """Remove passages from every release; unknown ids are passed over."""
        ...

    def search_dense(
        self, vector: Sequence[float], scope: Scope, limit: int, *, within: Collection[str] | None = None
    ) -> list[Hit]:
        """Find the passages nearest by cosine; `within` narrows the search to these passage ids."""
        ...

    def search_bm25(self, text: str, scope: Scope, limit: int, *, within: Collection[str] | None = None) -> list[Hit]:
        """Find the passages that share words with `text`; none share, none are found.

        Raises:
            WordSearchUnavailableError: see `capabilities.word_search`.
        """
        ...

    def frequencies(self, words: Sequence[str], scope: Scope) -> dict[str, int]:
        """Count the passages in a scope that hold each word, up to `MAX_FREQUENCY`.

        Words are as `content_words` has them.

        Raises:
            WordSearchUnavailableError: see `capabilities.word_search`.
        """
        ...

    def count(self, scope: Scope) -> int:
        """Count the passages in a scope."""
        ...

    def flush(self) -> None:
        """Make what was written durable before returning."""
        ...

    def close(self) -> None:
        """Let go of the engine and its file."""
        ...
