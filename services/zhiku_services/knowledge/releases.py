"""Releases of a knowledge base: a draft that ingestion writes, numbered states that stay, a pointer for readers.

Documents and passages carry the interval of releases that hold them, in the tables and in the index. So closing the
draft writes one row, and publishing or rolling back moves one number, whatever the size. Deleting a document and
changing who may read it are no part of a release: they hold in all of them at once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from zhiku_platform.access import Access
from zhiku_platform.audit import event_of, record
from zhiku_platform.contracts.audit import Detail
from zhiku_platform.contracts.knowledge import (
    Change,
    DocumentChange,
    GrantRole,
    NewRelease,
    PassageChange,
    Publishing,
    Release,
    ReleaseDiff,
    ReleaseState,
)
from zhiku_platform.contracts.wire import Page
from zhiku_platform.db import utc_now
from zhiku_platform.errors import NotFoundError
from zhiku_services.knowledge.errors import ReleasePrunedError
from zhiku_services.knowledge.models import AUDIT_OUTBOX, OPEN_RELEASE, KnowledgeBaseRow, ReleaseRow
from zhiku_services.knowledge.passages import to_passage
from zhiku_services.knowledge.repository import (
    Hydrated,
    KnowledgeRepository,
    ReleaseView,
    leave_index,
    note_vectors,
)
from zhiku_services.knowledge.roles import check_role, require_role
from zhiku_services.knowledge.viewing import View

KEPT_RELEASES = 100
"""Releases that the index holds, besides all since the published one. Where every document makes a release of its
own, a replaced text leaves the index after that many more."""


def list_releases(
    access: Access, knowledge_base_id: str, session: Session, *, cursor: str, limit: int
) -> Page[Release]:
    """The draft and the releases before it, the latest first; editors and owners only."""
    repository = KnowledgeRepository(session, access)
    knowledge_base = require_role(repository, knowledge_base_id, GrantRole.EDITOR)
    before = min(int(cursor), OPEN_RELEASE) if cursor.isdecimal() else knowledge_base.draft_release
    rows = repository.releases(knowledge_base, before=before, limit=limit + 1)
    items = [_release(row, knowledge_base) for row in rows[:limit]]
    following = str(items[-1].number) if len(rows) > limit else None
    return Page(items=items if cursor else [_draft(knowledge_base), *items], next_cursor=following)


def create_release(access: Access, knowledge_base_id: str, new: NewRelease, session: Session) -> Release:
    """Close the draft under its number, and publish it if asked; owners only."""
    repository = KnowledgeRepository(session, access)
    knowledge_base = require_role(repository, knowledge_base_id, GrantRole.OWNER)
    repository.lock(knowledge_base)
    row = _close_draft(access, knowledge_base, session, note=new.note)
    record(session, AUDIT_OUTBOX, event_of(access, "release.created", knowledge_base.id, release=row.number))
    if new.publish:
        _point_to(access, knowledge_base, row.number, session)
    _prune(knowledge_base, session)
    session.flush()
    return _release(row, knowledge_base)


def publish_release(access: Access, knowledge_base_id: str, number: int, session: Session) -> Release:
    """Show a release to readers from the next question on, be it later or earlier than the present one; owners only.

    An earlier one is rolling back. The knowledge base then waits for its owners: were it left to publish by itself,
    the next document would undo it.

    Raises:
        NotFoundError: there is no release of this number; the draft is none yet.
        ReleasePrunedError: the index no longer holds it.
    """
    repository = KnowledgeRepository(session, access)
    knowledge_base = require_role(repository, knowledge_base_id, GrantRole.OWNER)
    repository.lock(knowledge_base)
    row = next(iter(repository.releases(knowledge_base, before=number + 1, limit=1)), None)
    if row is None or row.number != number:
        raise NotFoundError("release")
    _check_kept(knowledge_base, number)
    _point_to(access, knowledge_base, number, session)
    if number < knowledge_base.draft_release - 1 and knowledge_base.publishing != Publishing.MANUAL:
        details: dict[str, Detail] = {"publishing": "manual", "publishing_before": str(knowledge_base.publishing)}
        event = event_of(access, "knowledge_base.changed", knowledge_base.id, fields=["publishing"], **details)
        record(session, AUDIT_OUTBOX, event)
        knowledge_base.publishing = Publishing.MANUAL
    _prune(knowledge_base, session)
    session.flush()
    return _release(row, knowledge_base)


def follow_draft(access: Access, knowledge_base: KnowledgeBaseRow, session: Session) -> None:
    """After a change of the draft: publish it, if the knowledge base does that by itself."""
    if knowledge_base.publishing == Publishing.AUTO:
        row = _close_draft(access, knowledge_base, session, note="")
        _point_to(access, knowledge_base, row.number, session, automatic=True)
        _prune(knowledge_base, session)
    session.flush()


def first_release(access: Access, knowledge_base: KnowledgeBaseRow) -> ReleaseRow:
    """The empty release that every knowledge base begins with."""
    return _row(access, knowledge_base, 0, note="")


def view_releases(
    viewable: Sequence[tuple[KnowledgeBaseRow, GrantRole]], numbers: Mapping[str, int], *, for_service: bool
) -> ReleaseView:
    """Let an editor or owner look at releases, be it the draft.

    A viewer may not even name the published one: which numbers exist tells of documents that it may not see. A
    service that acts for a viewer has the numbers of earlier answers, and may name those.

    Raises:
        RoleTooSmallError: the caller is a viewer of one of the knowledge bases.
        NotFoundError: a number is not reached yet.
        ReleasePrunedError: the index no longer holds one of the releases.
    """
    for knowledge_base, role in viewable:
        number = numbers.get(knowledge_base.id)
        if number is None:
            continue
        if not (for_service and number <= knowledge_base.highest_published):
            check_role(role, GrantRole.EDITOR)
        if number > knowledge_base.draft_release:
            raise NotFoundError("release")
        _check_kept(knowledge_base, number)
    return ReleaseView(numbers)


def diff(
    access: Access, knowledge_base_id: str, before: int, after: int, session: Session, *, cursor: str, limit: int
) -> ReleaseDiff:
    """What became of each document from one release to another, in the order of ids; editors and owners only.

    Documents that the caller may not read are neither listed nor counted.

    Raises:
        NotFoundError: one of the numbers is not reached yet.
    """
    repository = KnowledgeRepository(session, access)
    knowledge_base = require_role(repository, knowledge_base_id, GrantRole.EDITOR)
    views = [_past_view(knowledge_base, number) for number in (before, after)]
    changes = _compare(*(_documents(repository.passage_hashes(knowledge_base_id, view)) for view in views))
    rest = [change for change in changes if change.document_id > cursor]
    kinds = Counter(change.change for change in changes)
    return ReleaseDiff(
        before=before,
        after=after,
        documents_added=kinds[Change.ADDED],
        documents_removed=kinds[Change.REMOVED],
        documents_changed=kinds[Change.CHANGED],
        passages_added=sum(change.passages_added for change in changes),
        passages_removed=sum(change.passages_removed for change in changes),
        items=rest[:limit],
        next_cursor=rest[limit - 1].document_id if len(rest) > limit else None,
    )


def diff_document(
    access: Access, knowledge_base_id: str, before: int, after: int, document_id: str, session: Session
) -> tuple[Page[PassageChange], set[View]]:
    """The passages of one document that left and that came, in reading order; editors and owners only.

    Raises:
        NotFoundError: neither release holds the document, or it is hidden.
    """
    repository = KnowledgeRepository(session, access)
    knowledge_base = require_role(repository, knowledge_base_id, GrantRole.EDITOR)
    old, new = (
        repository.released_passages(knowledge_base_id, document_id, _past_view(knowledge_base, number))
        for number in (before, after)
    )
    if not old and not new:
        raise NotFoundError("document")
    removed = _without(old, new)
    added = _without(new, old)
    changes = [
        *(PassageChange(change=Change.REMOVED, passage=to_passage(*each)) for each in removed),
        *(PassageChange(change=Change.ADDED, passage=to_passage(*each)) for each in added),
    ]
    views = {View(document_id, knowledge_base_id, version.version_id) for _, version in [*removed, *added]}
    return Page(items=changes), views


@dataclass
class _Held:
    """A document in one release."""

    title: str
    hashes: Counter[str] = field(default_factory=Counter)


def _documents(rows: Sequence[tuple[str, str, str]]) -> dict[str, _Held]:
    found: dict[str, _Held] = {}
    for document_id, title, content_hash in rows:
        found.setdefault(document_id, _Held(title)).hashes[content_hash] += 1
    return found


def _compare(old: dict[str, _Held], new: dict[str, _Held]) -> list[DocumentChange]:
    changes: list[DocumentChange] = []
    for document_id in sorted(old.keys() | new.keys()):
        before, after = old.get(document_id), new.get(document_id)
        held = after or before
        assert held is not None
        kept = before.hashes & after.hashes if before and after else Counter[str]()
        if before and after and before == after:
            continue
        changes.append(
            DocumentChange(
                document_id=document_id,
                title=held.title,
                change=Change.ADDED if before is None else Change.REMOVED if after is None else Change.CHANGED,
                passages_added=(after.hashes - kept).total() if after else 0,
                passages_removed=(before.hashes - kept).total() if before else 0,
                passages_kept=kept.total(),
            )
        )
    return changes


def _without(these: Sequence[Hydrated], those: Sequence[Hydrated]) -> list[Hydrated]:
    left = Counter(passage.content_hash for passage, _ in those)
    rest: list[Hydrated] = []
    for passage, version in these:
        if left[passage.content_hash]:
            left[passage.content_hash] -= 1
        else:
            rest.append((passage, version))
    return rest


def _past_view(knowledge_base: KnowledgeBaseRow, number: int) -> ReleaseView:
    """A release as the tables have it; they keep what the index has let go."""
    if number > knowledge_base.draft_release:
        raise NotFoundError("release")
    return ReleaseView({knowledge_base.id: number})


def _check_kept(knowledge_base: KnowledgeBaseRow, number: int) -> None:
    if number < knowledge_base.oldest_release:
        raise ReleasePrunedError(
            "This release has left the index.", remedy="Choose a later one, or index its documents again."
        )


def _close_draft(access: Access, knowledge_base: KnowledgeBaseRow, session: Session, *, note: str) -> ReleaseRow:
    row = _row(access, knowledge_base, knowledge_base.draft_release, note)
    session.add(row)
    knowledge_base.draft_release += 1
    return row


def _row(access: Access, knowledge_base: KnowledgeBaseRow, number: int, note: str) -> ReleaseRow:
    return ReleaseRow(
        knowledge_base_id=knowledge_base.id,
        number=number,
        tenant=knowledge_base.tenant,
        note=note,
        created_by=access.principal.sub,
        created_at=utc_now(),
    )


def _point_to(
    access: Access, knowledge_base: KnowledgeBaseRow, number: int, session: Session, *, automatic: bool = False
) -> None:
    """Show a release to readers; an `automatic` one was closed by the same change of the draft."""
    before = knowledge_base.published_release
    action = "release.rolled_back" if number < before else "release.published"
    event = event_of(access, action, knowledge_base.id, release=number, before=before, automatic=automatic)
    record(session, AUDIT_OUTBOX, event)
    knowledge_base.published_release = number
    knowledge_base.highest_published = max(knowledge_base.highest_published, number)


def _prune(knowledge_base: KnowledgeBaseRow, session: Session) -> None:
    """Let the index drop what only releases hold that are too old to be published again."""
    oldest = min(knowledge_base.published_release, knowledge_base.draft_release - KEPT_RELEASES)
    if oldest <= knowledge_base.oldest_release:
        return
    session.flush()
    note_vectors(session, leave_index(session, knowledge_base.id, knowledge_base.oldest_release, oldest))
    knowledge_base.oldest_release = oldest


def _release(row: ReleaseRow, knowledge_base: KnowledgeBaseRow) -> Release:
    return Release(
        knowledge_base_id=row.knowledge_base_id,
        number=row.number,
        state=_state(row.number, knowledge_base),
        note=row.note,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _state(number: int, knowledge_base: KnowledgeBaseRow) -> ReleaseState:
    if number == knowledge_base.published_release:
        return ReleaseState.PUBLISHED
    return ReleaseState.PRUNED if number < knowledge_base.oldest_release else ReleaseState.KEPT


def _draft(knowledge_base: KnowledgeBaseRow) -> Release:
    return Release(
        knowledge_base_id=knowledge_base.id,
        number=knowledge_base.draft_release,
        state=ReleaseState.DRAFT,
        note="",
        created_by=None,
        created_at=None,
    )
