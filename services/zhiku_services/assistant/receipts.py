"""Receipts: what each answer stands on, fixed by a digest that the audit log carries."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.assistant import (
    Answer,
    AnswerState,
    Integrity,
    Receipt,
    ReceiptModel,
    ReceiptPassage,
    ReceiptRights,
    ReceiptSentence,
    Reconstruction,
    Replay,
    ReplayedPassage,
    RevealRequest,
    SealedReceipt,
)
from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.knowledge import FoundPassage, SearchRequest
from zhiku_platform.contracts.safety import Category, Severity, Surface, Verdict
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import NotFoundError, RemoteProblemError
from zhiku_services.assistant.answering.draft import Decision, Draft, ModelUse
from zhiku_services.assistant.answering.pipeline import SEARCH_LIMIT
from zhiku_services.assistant.errors import ReceiptTouchedError
from zhiku_services.assistant.models import AUDIT_OUTBOX, AnswerRow, ReceiptRow
from zhiku_services.assistant.ports import AuditLog, Knowledge
from zhiku_services.assistant.repository import AssistantRepository, ReceiptReview
from zhiku_services.assistant.visibility import look, passages_of, visible_answer

MASKED = "•••"


def receipt_of(
    access: Access, answer_id: str, conversation_id: str, asked_at: datetime, draft: Draft, state: AnswerState
) -> Receipt:
    """Write the receipt of a finished draft."""
    passage_of = {citation.n: citation.passage_id for citation in draft.citations}
    return Receipt(
        answer_id=answer_id,
        conversation_id=conversation_id or None,
        tenant=access.tenant,
        asked_by=access.principal.sub,
        asked_at=asked_at,
        answered_at=utc_now(),
        question=draft.question,
        rewritten_question=draft.rewritten_question,
        query=draft.query,
        knowledge_base_ids=list(draft.knowledge_base_ids),
        rights=_rights(access.principal),
        searched=list(draft.searched),
        releases=dict(draft.releases),
        passages=[_passage(found, set(passage_of.values())) for found in draft.read],
        model=_model(draft.model_use),
        policy_decisions=_decisions(draft),
        state=state,
        mode=draft.mode,
        sentences=_sentences(draft, passage_of),
        timings_ms=dict(draft.timings_ms),
        problem=draft.problem.code if draft.problem else None,
    )


def receipt_of_interrupted(so_far: dict[str, Any], draft: Draft) -> Receipt:
    """The receipt of an answer whose process died, with the sentences that were kept."""
    passage_of = {citation.n: citation.passage_id for citation in draft.citations}
    receipt = Receipt.model_validate(so_far)
    cited = set(passage_of.values())
    return receipt.model_copy(
        update={
            "answered_at": utc_now(),
            "state": AnswerState.FAILED,
            "mode": None,
            "passages": [one.model_copy(update={"is_cited": one.passage_id in cited}) for one in receipt.passages],
            "sentences": _sentences(draft, passage_of),
            "problem": draft.problem.code if draft.problem else None,
        }
    )


def _decisions(draft: Draft) -> list[str]:
    """The safety policy that was asked, and what it decided: surface, category, severity, verdict."""
    if draft.policy is None:
        return []
    decided = [
        f"safety {one.surface} {one.category} {one.severity.name.lower()} {one.verdict}"
        for one in sorted(draft.decisions)
    ]
    return [f"safety policy {draft.policy.version} {draft.policy.digest}", *decided]


def decisions_of(receipt: Receipt) -> tuple[list[Decision], str | None]:
    """What the safety policy decided, and the policy's digest, read back from a receipt; None without a policy."""
    if not receipt.policy_decisions:
        return [], None
    policy, *lines = receipt.policy_decisions
    words = [line.split(" ") for line in lines]
    decided = [
        Decision(Surface(surface), Category(category), Severity[severity.upper()], Verdict(verdict))
        for _, surface, category, severity, verdict in words
    ]
    return decided, policy.rsplit(" ", 1)[-1]


def _sentences(draft: Draft, passage_of: Mapping[int, str]) -> list[ReceiptSentence]:
    return [
        ReceiptSentence(sha256=_digest(one.text), citations=[passage_of[n] for n in one.citations])
        for one in draft.sentences
    ]


def stored(receipt: Receipt) -> ReceiptRow:
    """The receipt as its row: canonical JSON, and its SHA-256."""
    body, digest = _seal(receipt)
    return ReceiptRow(
        answer_id=receipt.answer_id,
        tenant=receipt.tenant,
        owner=receipt.asked_by,
        body=body,
        sha256=digest,
        created_at=receipt.answered_at,
    )


def _seal(receipt: Receipt) -> tuple[str, str]:
    body = json.dumps(
        receipt.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return body, _digest(body)


def get_own(access: Access, answer_id: str, session: Session) -> SealedReceipt:
    """The receipt of one of the caller's answers.

    Raises:
        NotFoundError: the answer is missing, another user's, or still being written.
    """
    row = AssistantRepository(session, access).receipt(answer_id)
    if row is None:
        raise NotFoundError("receipt")
    return SealedReceipt(receipt=Receipt.model_validate_json(row.body), canonical=row.body, sha256=row.sha256)


@dataclass(frozen=True, slots=True)
class Review:
    """What a review of receipts asks."""

    database: Database
    knowledge: Knowledge
    audit: AuditLog


def reconstruct(access: Access, answer_id: str, reveal: RevealRequest | None, review: Review) -> Reconstruction:
    """Show a reviewer what an answer stood on; that it was looked at is recorded first.

    Raises:
        NotFoundError: there is no such receipt in the reviewer's tenant.
    """
    with review.database.write() as session:
        row, answer = _reviewed(access, answer_id, session)
        event = event_of(access, "receipt.reviewed" if reveal is None else "receipt.revealed", answer_id)
        if reveal is not None:
            event = event.model_copy(update={"sealed": {"reason": reveal.reason}, "group": answer_id})
        record(session, AUDIT_OUTBOX, event)
        body = row.body
    integrity = _integrity(access, answer_id, body, review.audit)
    receipt = Receipt.model_validate_json(body)
    cited = passages_of([answer]) if answer is not None else []
    sight = look(access.principal, [*cited, *(one.passage_id for one in receipt.passages)], review.knowledge)
    shown = None if answer is None else visible_answer(answer, sight)
    receipt = receipt.model_copy(update={"searched": sight.names(receipt.searched)})
    return Reconstruction(
        receipt=receipt if reveal is not None else _masked_receipt(receipt),
        sha256=_digest(body),
        integrity=integrity,
        answer=shown if reveal is not None or shown is None else _masked_answer(shown),
        readable=[one.passage_id for one in receipt.passages if sight.shows([one.passage_id])],
    )


def _masked_receipt(receipt: Receipt) -> Receipt:
    """Without what tells who asked: their name, their groups, their words."""
    return receipt.model_copy(
        update={
            "asked_by": MASKED,
            "question": MASKED,
            "rewritten_question": receipt.rewritten_question and MASKED,
            "query": receipt.query and MASKED,
            "rights": receipt.rights.model_copy(update={"groups": [MASKED]}),
        }
    )


def _masked_answer(answer: Answer) -> Answer:
    return answer.model_copy(update={"question": MASKED, "rewritten_question": answer.rewritten_question and MASKED})


def _integrity(access: Access, answer_id: str, body: str, audit: AuditLog) -> Integrity:
    """Compare a stored receipt with the audit log, which whoever changes the receipt cannot change as well."""
    logged = audit.logged_receipt(access.principal, answer_id)
    if logged.sha256 is not None and logged.sha256 != _digest(body):
        return Integrity.TOUCHED
    return Integrity.INTACT if logged.is_proven else Integrity.UNPROVEN


def replay(access: Access, answer_id: str, review: Review) -> Replay:
    """Run the search of an answer again, as the one who asked, and compare; recorded first.

    Raises:
        NotFoundError: there is no such receipt in the reviewer's tenant.
        ReceiptTouchedError: the audit log holds another digest; the rights in it may be anybody's.
    """
    with review.database.write() as session:
        row, _ = _reviewed(access, answer_id, session)
        record(session, AUDIT_OUTBOX, event_of(access, "receipt.replayed", answer_id))
        body = row.body
    if _integrity(access, answer_id, body, review.audit) is Integrity.TOUCHED:
        raise ReceiptTouchedError
    receipt = Receipt.model_validate_json(body)
    found = _search_again(receipt, review.knowledge)
    return _compared(receipt, {one.passage.id: one.passage.content_hash for one in found})


def _search_again(receipt: Receipt, knowledge: Knowledge) -> Sequence[FoundPassage]:
    """What the search finds at the releases of then; nothing if who asked has lost one of the knowledge bases."""
    if receipt.query is None:
        return []
    request = SearchRequest(
        query=receipt.query,
        knowledge_base_ids=sorted(receipt.releases) or receipt.knowledge_base_ids,
        limit=SEARCH_LIMIT,
        releases=receipt.releases,
    )
    try:
        return knowledge.search(_principal_of(receipt), request).passages
    except RemoteProblemError as error:
        if error.remote_code != "not_found":
            raise
        return []


def _compared(receipt: Receipt, now: dict[str, str]) -> Replay:
    then = {one.passage_id: one.content_hash for one in receipt.passages}
    ranks_then = {passage_id: rank for rank, passage_id in enumerate(then, 1)}
    ranks_now = {passage_id: rank for rank, passage_id in enumerate(now, 1)}
    passages = [
        ReplayedPassage(
            passage_id=passage_id,
            rank_then=ranks_then.get(passage_id),
            rank_now=ranks_now.get(passage_id),
            is_unchanged=then[passage_id] == now[passage_id] if passage_id in then and passage_id in now else None,
        )
        for passage_id in {**then, **now}
    ]
    return Replay(answer_id=receipt.answer_id, is_same=list(then.items()) == list(now.items()), passages=passages)


def _reviewed(access: Access, answer_id: str, session: Session) -> tuple[ReceiptRow, AnswerRow | None]:
    review = ReceiptReview(session, access)
    row = review.receipt(answer_id)
    if row is None:
        raise NotFoundError("receipt")
    return row, review.answer(answer_id)


def _principal_of(receipt: Receipt) -> Principal:
    rights = receipt.rights
    return Principal(
        sub=receipt.asked_by,
        tenant=receipt.tenant,
        groups=frozenset(rights.groups),
        roles=frozenset(Role(role) for role in rights.roles),
        clearance=rights.clearance,
        scopes=None if rights.scopes is None else frozenset(ApiKeyScope(scope) for scope in rights.scopes),
    )


def _rights(principal: Principal) -> ReceiptRights:
    held = {
        "groups": sorted(principal.groups),
        "roles": sorted(principal.roles),
        "scopes": None if principal.scopes is None else sorted(principal.scopes),
        "clearance": principal.clearance,
    }
    # Without who asked, so that a masked receipt cannot be guessed open.
    fingerprint = _digest(json.dumps({"tenant": principal.tenant, **held}, sort_keys=True))
    return ReceiptRights.model_validate({**held, "fingerprint": fingerprint})


def _passage(found: FoundPassage, cited: set[str]) -> ReceiptPassage:
    passage = found.passage
    return ReceiptPassage(
        passage_id=passage.id,
        document_id=passage.document_id,
        knowledge_base_id=passage.knowledge_base_id,
        content_hash=passage.content_hash,
        score=round(found.score, 6),
        is_cited=passage.id in cited,
    )


def _model(use: ModelUse | None) -> ReceiptModel | None:
    if use is None:
        return None
    return ReceiptModel(
        id=use.model,
        sha256=use.sha256,
        prompt_version=use.prompt_version,
        prompt_sha256=use.prompt_sha256,
        prompt_tokens=use.prompt_tokens,
        completion_tokens=use.completion_tokens,
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
