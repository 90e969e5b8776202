"""Who was shown what: it is in the audit trail before it leaves the service."""

import threading
from dataclasses import dataclass

from cachetools import TTLCache

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.knowledge import SearchRequest, SearchResult
from zhiku_platform.db import Database, new_id
from zhiku_services.knowledge.models import AUDIT_OUTBOX

_ONCE_IN_S = 300
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class View:
    """A version of a document."""

    document_id: str
    knowledge_base_id: str
    version_id: str


class Views:
    """Records what is shown. A reader who pages through a document leaves one event in five minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: TTLCache[tuple[str, str, View], bool] = TTLCache(_REMEMBERED, _ONCE_IN_S)
        self._lock = threading.Lock()

    def shown(self, access: Access, view: View) -> None:
        """Record that the caller is shown a document, unless that was recorded just now."""
        key = access.tenant, access.principal.sub, view
        with self._lock:
            if key in self._recent:
                return
        event = event_of(
            access,
            "document.viewed",
            view.document_id,
            knowledge_base=view.knowledge_base_id,
            version=view.version_id,
        )
        with self._database.write() as session:
            record(session, AUDIT_OUTBOX, event)
        # Only now: what could not be recorded is to be recorded by the next attempt.
        with self._lock:
            self._recent[key] = True

    def found(self, access: Access, request: SearchRequest, result: SearchResult) -> None:
        """Record a search with what it found; the query is sealed, in a record group of its own."""
        passages = [found.passage for found in result.passages]
        event = event_of(
            access,
            "search.run",
            new_id("qry"),
            mode=request.mode.value,
            passages=[passage.id for passage in passages],
            content_hashes=[passage.content_hash for passage in passages],
            documents=list(dict.fromkeys(passage.document_id for passage in passages)),
            knowledge_bases=list(dict.fromkeys(passage.knowledge_base_id for passage in passages)),
        )
        event = event.model_copy(update={"sealed": {"query": request.query}, "group": event.subject})
        with self._database.write() as session:
            record(session, AUDIT_OUTBOX, event)
