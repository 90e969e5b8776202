"""Datasets of what users said of their answers: with their consent, and for those alone who may read the sources."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from zhiku_platform.contracts.assistant import LearnableAnswer, Rating
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import AclToken
from zhiku_services.finetune.datasets.examples import Example, Origin, Provenance, Turn

_AT_ONCE = 500
_NOBODY = "finetune-audience"
"""Reads by no name of its own: no grant or ACL gives it anything but by a group, or as one of everyone."""


class Feedback(Protocol):
    """Called from worker threads; `FeedbackClient` is one."""

    def learnable_answers(self, tenant: str) -> Iterable[LearnableAnswer]: ...


class Documents(Protocol):
    """Called from worker threads; `KnowledgeClient` is one."""

    def readable_documents(
        self, principal: Principal, document_ids: list[str], *, released: bool = False
    ) -> set[str]: ...


def example_of(said: LearnableAnswer) -> Example:
    """A correction is better than the answer that it corrects; else the answer is liked or not."""
    question = Turn(role="user", content=said.question)
    answer = Turn(role="assistant", content=said.answer)
    is_corrected = bool(said.correction)
    return Example(
        messages=(question, Turn(role="assistant", content=said.correction) if is_corrected else answer),
        rejected=answer if is_corrected else None,
        is_good=is_corrected or said.rating is Rating.UP,
        provenance=Provenance(
            origin=Origin.CORRECTION if is_corrected else Origin.FEEDBACK,
            source="feedback",
            answer_id=said.answer_id,
            documents=tuple(said.document_ids),
            author=said.asked_by,
            has_consent=True,
        ),
    )


def readable_by_all(
    audience: Collection[AclToken], tenant: str, document_ids: Collection[str], documents: Documents
) -> set[str]:
    """Those of the documents that everybody in the audience may read now.

    Somebody may read what a person with nothing but one token of theirs may read, so a document is asked for on behalf
    of a person of each token, without clearance.
    """
    readable = set(document_ids)
    for token in audience:
        found: set[str] = set()
        wanted = sorted(readable)
        for start in range(0, len(wanted), _AT_ONCE):
            one = wanted[start : start + _AT_ONCE]
            found |= documents.readable_documents(_holder_of(token, tenant), one, released=True)
        readable &= found
    return readable


def may_still_be_learnt(
    examples: Sequence[Example], audience: Collection[AclToken], tenant: str, feedback: Feedback, documents: Documents
) -> bool:
    """Whether no consent was taken back, and nobody of the audience lost a source, since a dataset was frozen."""
    allowed = {said.answer_id for said in feedback.learnable_answers(tenant)}
    wanted = documents_of(examples)
    has_consent = all(example.provenance.answer_id in allowed for example in examples)
    return has_consent and readable_by_all(audience, tenant, wanted, documents) == wanted


def _holder_of(token: AclToken, tenant: str) -> Principal:
    kind, _, name = token.partition(":")
    return Principal(
        sub=name if kind == "user" else _NOBODY,
        tenant=tenant,
        groups=frozenset({name}) if kind == "group" else frozenset(),
        roles=frozenset({Role.EMPLOYEE}),
    )


def documents_of(examples: Sequence[Example]) -> set[str]:
    """Every document that an example stems from."""
    return {document for example in examples for document in example.provenance.documents}
