"""What stands where the assistant's and the knowledge service's clients stand."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from zhiku_platform.contracts.assistant import LearnableAnswer
from zhiku_platform.contracts.identity import Principal


@dataclass
class Said:
    """What users said of answers, by tenant."""

    answers: dict[str, list[LearnableAnswer]] = field(default_factory=dict[str, list[LearnableAnswer]])

    def learnable_answers(self, tenant: str) -> Iterator[LearnableAnswer]:
        return iter(self.answers.get(tenant, []))


@dataclass
class Read:
    """Which ACL tokens open which document, as the knowledge service has it: any one of them does."""

    readers: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def readable_documents(self, principal: Principal, document_ids: list[str], *, released: bool = False) -> set[str]:
        assert len(document_ids) <= 500
        assert released
        return {each for each in document_ids if self.readers.get(each, set()) & principal.tokens}
