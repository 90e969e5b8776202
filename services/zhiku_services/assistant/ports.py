"""What the assistant needs of other services; the typed clients have these methods.

`KnowledgeClient` is a `Knowledge`; `InferenceClient` and `ChatClient` together are an `Inference`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from zhiku_platform.access import Access
from zhiku_platform.contracts.audit import LoggedReceipt
from zhiku_platform.contracts.holds import Held
from zhiku_platform.contracts.identity import Principal
from zhiku_platform.contracts.inference import ChatDelta, ChatRequest, ModelList
from zhiku_platform.contracts.knowledge import KnowledgeBase, SearchRequest, SearchResult
from zhiku_platform.contracts.retention import RetentionRule
from zhiku_platform.contracts.safety import Screening, StreamStep, StreamStepped, Surface


class Knowledge(Protocol):
    """Called from worker threads."""

    def search(self, principal: Principal, request: SearchRequest) -> SearchResult: ...

    def readable_passages(self, principal: Principal, passage_ids: list[str]) -> set[str]: ...

    def knowledge_bases(self, principal: Principal) -> list[KnowledgeBase]: ...


class AuditLog(Protocol):
    """Called from worker threads; `AuditClient` is one."""

    def logged_receipt(self, principal: Principal, answer_id: str) -> LoggedReceipt: ...


class Safety(Protocol):
    """Called from worker threads; `SafetyClient` is one."""

    def screen(self, principal: Principal, surface: Surface, texts: Sequence[str]) -> Screening: ...

    def step(self, principal: Principal, step: StreamStep) -> StreamStepped: ...


class Holds(Protocol):
    """Called from worker threads; `zhiku_platform.holds.Holds` is one."""

    def check(self, access: Access, things: Sequence[Held]) -> None: ...


RetentionRules = Callable[[Principal], list[RetentionRule]]
"""Called from worker threads; `GovernanceClient.retention_rules` is one."""


class Inference(Protocol):
    """`models` is called from worker threads, `stream_chat` on the event loop."""

    def models(self, principal: Principal) -> ModelList: ...

    def stream_chat(self, principal: Principal, request: ChatRequest) -> AsyncIterator[ChatDelta]: ...
