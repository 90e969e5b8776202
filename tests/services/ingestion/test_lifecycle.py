"""The state machine, step by step, on each database; the test is the worker."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from zhiku_platform.contracts.ingestion import DocumentNote, VersionState
from zhiku_platform.db import Database, utc_now
from zhiku_platform.errors import RemoteProblemError, ServiceUnavailableError
from zhiku_platform.text.document import ParsedDocument
from zhiku_services.ingestion import leases, pipeline, pushing, sweeper, tasks
from zhiku_services.ingestion.leases import LeaseLostError
from zhiku_services.ingestion.models import AUDIT_OUTBOX, TASK_OUTBOX, DocumentRow, VersionRow
from zhiku_services.ingestion.parsing.errors import ParserCrashedError
from zhiku_services.ingestion.pipeline import OnProgress
from zhiku_services.ingestion.states import WORKING, Trace
from zhiku_services.ingestion.timing import Timing

from .conftest import EDITOR, OWNER, VIEWER, House

CORRUPT_PDF = "%PDF-1.7\nthis is no pdf\n%%EOF\n"


def with_parse(house: House, parse: Callable[[Path], None]) -> tasks.TaskContext:
    """The house's tasks, where something happens at the end of each parse."""
    real = house.service.tasks.worker.parse

    def parse_and_more(path: Path, *, file_name: str, on_progress: OnProgress) -> ParsedDocument:
        document = real(path, file_name=file_name, on_progress=on_progress)
        parse(path)
        return document

    return replace(house.service.tasks, worker=replace(house.service.tasks.worker, parse=parse_and_more))


def crash(_: Path) -> None:
    raise ParserCrashedError("The parser ended by itself (signal SIGSEGV).")


def document_of(house: House, document_id: str) -> DocumentRow:
    with house.database.read() as session:
        found = session.get(DocumentRow, document_id)
    assert found is not None
    return found


def actions(house: House) -> list[str]:
    with house.database.read() as session:
        return [row.action for row in session.connection().execute(select(AUDIT_OUTBOX).order_by(AUDIT_OUTBOX.c.seq))]


def test_what_was_accepted_is_queued_with_its_task(house: House) -> None:
    version = house.upload("Some text that was written.")

    assert version.state == VersionState.QUEUED
    assert version.progress.queue_position == 1
    assert not version.unchanged
    with house.database.read() as session:
        waiting = [(row.task, row.arguments) for row in session.connection().execute(select(TASK_OUTBOX))]
    assert waiting == [("ingestion.process", [version.id])]
    assert house.blobs.path(version.content_hash).read_bytes() == b"Some text that was written."  # type: ignore[arg-type]
    assert actions(house) == ["document.accepted"]


def test_a_worker_indexes_it(house: House) -> None:
    version = house.work(house.upload("The canteen opens at noon.").id)

    assert version.state == VersionState.INDEXED
    assert (version.attempt, version.passages, version.reason) == (1, 1, None)
    assert house.found("canteen") == ["The canteen opens at noon."]
    assert actions(house) == ["document.accepted", "document.indexed"]


def test_the_same_bytes_again_change_nothing(house: House) -> None:
    first = house.work(house.upload("The canteen opens at noon.").id)
    embedded = len(house.embedder.texts)

    again = house.upload("The canteen opens at noon.")

    assert (again.id, again.unchanged, again.state) == (first.id, True, VersionState.INDEXED)
    assert house.work(first.id).attempt == 1
    assert len(house.embedder.texts) == embedded


def test_the_same_bytes_at_another_place_are_another_document(house: House) -> None:
    first = house.upload("The canteen opens at noon.", path="a.txt")
    second = house.upload("The canteen opens at noon.", path="b.txt")

    assert first.document_id != second.document_id


def test_a_newer_version_takes_the_place_of_the_older(house: House) -> None:
    first = house.work(house.upload("The canteen opens at noon.").id)
    second = house.upload("The canteen opens at eleven.")
    assert house.found("canteen") == ["The canteen opens at noon."]

    house.work(second.id)

    assert house.version(first.id).state == VersionState.SUPERSEDED
    assert house.found("canteen") == ["The canteen opens at eleven."]
    assert second.document_id == first.document_id


def test_a_newer_version_stops_the_worker_on_the_older(house: House) -> None:
    first = house.upload("The canteen opens at noon.")
    context = with_parse(house, lambda _: newer.append(house.upload("The canteen opens at eleven.").id))
    newer: list[str] = []

    tasks.process(first.id, context)

    assert house.version(first.id).state == VersionState.SUPERSEDED
    assert house.found("canteen") == []
    house.work(newer[0])
    assert house.found("canteen") == ["The canteen opens at eleven."]


def test_bad_input_fails_at_once_with_its_reason(house: House) -> None:
    version = house.work(house.upload(CORRUPT_PDF, path="report.pdf").id)

    assert version.state == VersionState.FAILED
    assert version.attempt == 1
    assert version.reason is not None
    assert version.reason.code == "corrupt"
    assert version.reason.stage == "parsing"
    assert version.reason.remedy
    assert not version.reason.may_pass_later
    assert actions(house)[-1] == "document.failed"


def test_what_preflight_refuses_is_never_parsed(house: House) -> None:
    context = with_parse(house, crash)

    version = house.upload("", path="empty.txt")
    tasks.process(version.id, context)

    ended = house.version(version.id)
    assert ended.reason is not None
    assert (ended.state, ended.reason.code, ended.reason.stage) == (
        VersionState.FAILED,
        "empty_file",
        "preflight",
    )


def test_three_crashes_of_the_parser_end_in_quarantine(house: House) -> None:
    version = house.upload("Poison.")
    context = with_parse(house, crash)

    states = []
    for _ in range(4):
        tasks.process(version.id, context)
        states.append(house.version(version.id).state)

    assert states == [VersionState.QUEUED, VersionState.QUEUED, *[VersionState.QUARANTINED] * 2]
    ended = house.version(version.id)
    assert ended.reason is not None
    assert (ended.attempt, ended.reason.code, ended.reason.stage) == (3, "parser_crashed", "parsing")
    assert ended.reason.may_pass_later
    assert actions(house)[-1] == "document.quarantined"


def test_a_defect_of_ours_is_an_attempt_too(house: House) -> None:
    version = house.upload("Unlucky.")

    def defect(_: Path) -> None:
        raise ZeroDivisionError

    for _ in range(3):
        tasks.process(version.id, with_parse(house, defect))

    ended = house.version(version.id)
    assert ended.reason is not None
    assert (ended.state, ended.reason.code) == (VersionState.QUARANTINED, "internal")
    assert "ZeroDivisionError" in ended.reason.detail


def test_a_retry_starts_with_all_attempts(house: House) -> None:
    version = house.upload("Poison.")
    for _ in range(3):
        tasks.process(version.id, with_parse(house, crash))

    assert house.client.retry(EDITOR, version.id).state == VersionState.QUEUED
    ended = house.work(version.id)

    assert (ended.state, ended.attempt, ended.reason) == (VersionState.INDEXED, 1, None)


def test_an_absent_service_costs_no_attempt(house: House) -> None:
    version = house.upload("Patience.")
    house.knowledge_switch.on = True
    for _ in range(5):
        house.knowledge_switch.before = lambda path: _switch(house, path, on=False)
        tasks.process(version.id, house.service.tasks)
        house.knowledge_switch.before = lambda path: _switch(house, path, on=True)
        waiting = house.version(version.id)
        assert (waiting.state, waiting.attempt) == (VersionState.QUEUED, 0)
        assert waiting.reason is not None
        assert waiting.reason.code == "unavailable"
        make_due(house, version.id)

    assert house.work(version.id).state == VersionState.INDEXED


def _switch(house: House, path: str, *, on: bool) -> None:
    house.knowledge_switch.on = on or path != "/internal/publish"


def make_due(house: House, version_id: str) -> None:
    """Let the pause of a version be over."""
    with house.database.write() as session:
        version = session.get(VersionRow, version_id)
        assert version is not None
        version.not_before = None


def test_waiting_ends_after_a_day(house: House) -> None:
    version = house.upload("Patience.")
    house.knowledge_switch.before = lambda path: _switch(house, path, on=False)
    tasks.process(version.id, house.service.tasks)
    with house.database.write() as session:
        row = session.get(VersionRow, version.id)
        assert row is not None
        row.deferred_since = utc_now() - timedelta(days=2)
        row.not_before = None

    tasks.process(version.id, house.service.tasks)
    house.knowledge_switch.before = lambda path: _switch(house, path, on=True)

    ended = house.version(version.id)
    assert ended.reason is not None
    assert (ended.state, ended.reason.code) == (VersionState.FAILED, "unavailable")


def test_a_version_that_waits_is_not_claimed_before_its_time(house: House) -> None:
    version = house.upload("Patience.")
    with house.database.write() as session:
        row = session.get(VersionRow, version.id)
        assert row is not None
        row.not_before = utc_now() + timedelta(hours=1)

    assert house.work(version.id).state == VersionState.QUEUED


def test_what_the_parser_noted_is_shown_with_the_version(house: House) -> None:
    mail = (
        "From: a@example.com\nSubject: Plan\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nSee the plan.\n"
        "--x\nContent-Type: application/pdf; name=plan.pdf\n\n%PDF\n--x--\n"
    )
    version = house.work(house.upload(mail, path="plan.eml", readers=["group:hr"]).id)

    assert version.notes == [DocumentNote(code="attachment", count=1, names=["plan.pdf"])]
    (hidden,) = house.client.versions(OWNER, knowledge_base_id=house.knowledge_base_id).items
    assert (hidden.title, hidden.notes) == ("", [])


def test_cancel_fences_off_the_worker(house: House) -> None:
    version = house.upload("Never to be seen.")

    def cancel(_: Path) -> None:
        house.client.cancel(EDITOR, version.id)

    tasks.process(version.id, with_parse(house, cancel))

    assert house.version(version.id).state == VersionState.CANCELLED
    assert house.found("seen") == []
    assert actions(house) == ["document.accepted", "document.cancelled"]


def test_who_has_lost_a_document_stops_cutting_it(house: House) -> None:
    version = house.upload("One sentence. " * 1_000)
    worker = house.service.tasks.worker
    lease = pipeline.claim(version.id, worker)
    assert lease is not None
    counted = 0

    def count(text: str, /) -> int:
        nonlocal counted
        counted += 1
        if counted == 3:
            lease.lose()
        return worker.count_tokens(text)

    pipeline.work(lease, replace(worker, count_tokens=count))

    assert counted == 3


def test_a_cancel_between_publishing_and_the_last_write_takes_the_document_out(house: House) -> None:
    version = house.upload("Never to be seen.")

    cancel_after_publishing(house, version.id)

    assert house.version(version.id).state == VersionState.CANCELLED
    house.push(version.document_id)
    assert house.found("seen") == []
    assert document_of(house, version.document_id).pending == ""


def test_a_cancel_of_a_newer_version_brings_the_older_back(house: House) -> None:
    first = house.work(house.upload("The canteen opens at noon.").id)
    second = house.upload("The canteen opens at eleven.")

    cancel_after_publishing(house, second.id)
    assert house.version(first.id).state == VersionState.QUEUED
    house.work(first.id)

    assert house.version(first.id).state == VersionState.INDEXED
    assert house.version(second.id).state == VersionState.CANCELLED
    assert house.found("canteen") == ["The canteen opens at noon."]


def test_a_stopped_version_is_retried_once_the_older_is_back(house: House) -> None:
    first = house.work(house.upload("The canteen opens at noon.").id)
    second = house.upload("The canteen opens at eleven.")
    cancel_after_publishing(house, second.id)
    with pytest.raises(RemoteProblemError) as refused:
        house.client.retry(EDITOR, second.id)
    assert refused.value.remote_code == "not_stopped"
    house.work(first.id)

    assert house.client.retry(EDITOR, second.id).state == VersionState.QUEUED
    house.work(second.id)

    assert house.version(first.id).state == VersionState.SUPERSEDED
    assert house.found("canteen") == ["The canteen opens at eleven."]


def test_a_newer_version_ends_all_that_stopped_before_it(house: House) -> None:
    first = house.work(house.upload("The canteen opens at noon.").id)
    second = house.upload("The canteen opens at eleven.")
    cancel_after_publishing(house, second.id)
    third = house.upload("The canteen is closed.")
    house.work(first.id)
    house.work(third.id)

    states = [house.version(version.id).state for version in (first, second, third)]
    assert states == [VersionState.SUPERSEDED, VersionState.SUPERSEDED, VersionState.INDEXED]
    assert house.found("canteen") == ["The canteen is closed."]


def test_parts_of_a_cancelled_newer_version_are_dropped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PART", 1)
    house.work(house.upload("The canteen opens at noon.", path="a.md").id)
    second = house.upload("\n\n".join(f"# Day {n}\n\n" + "The canteen is closed. " * 60 for n in range(3)), path="a.md")
    parts: list[str] = []

    def cancel_at_the_second(path: str) -> None:
        if path == "/internal/publish":
            parts.append(path)
            if len(parts) == 2:
                house.client.cancel(EDITOR, second.id)

    house.knowledge_switch.before = cancel_at_the_second
    tasks.process(second.id, house.service.tasks)
    document = document_of(house, second.document_id)
    assert (document.trace, document.pending) == (Trace.PARTS, "discard")
    house.knowledge_switch.calls.clear()
    house.push(second.document_id)

    assert "/internal/retire" in house.knowledge_switch.calls
    document = document_of(house, second.document_id)
    assert (document.trace, document.pending) == (Trace.NONE, "")
    assert house.found("canteen") == ["The canteen opens at noon."]


def test_readers_narrowed_before_the_worker_knows_that_all_can_see_it_are_told(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    context = house.service.tasks
    publish = context.worker.knowledge.publish

    class Silent:
        def __getattr__(self, name: str) -> object:
            return getattr(context.worker.knowledge, name)

        def publish(self, *arguments: object) -> object:
            publish(*arguments)  # type: ignore[arg-type]
            raise ServiceUnavailableError("The answer was lost.", remedy="Wait.")

    lease = pipeline.claim(version.id, context.worker)
    assert lease is not None
    pipeline.work(lease, replace(context.worker, knowledge=Silent()))  # type: ignore[arg-type]
    assert house.found("canteen", by=VIEWER) != []

    house.upload("The canteen opens at noon.", readers=["user:edda"])
    house.push(version.document_id)

    assert house.found("canteen", by=VIEWER) == []
    assert house.found("canteen", by=EDITOR) != []
    assert document_of(house, version.document_id).pending == ""


def test_readers_narrowed_before_it_is_visible_stay_to_be_told(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    house.knowledge_switch.before = lambda path: _switch(house, path, on=False)
    tasks.process(version.id, house.service.tasks)
    house.knowledge_switch.on = True

    house.upload("The canteen opens at noon.", readers=["user:edda"])
    house.push(version.document_id)

    assert document_of(house, version.document_id).pending == "acl"


def cancel_after_publishing(house: House, version_id: str) -> None:
    """Cancel when the final part has reached the knowledge service and the worker does not know it yet."""
    context = house.service.tasks
    lease = pipeline.claim(version_id, context.worker)
    assert lease is not None
    publish = context.worker.knowledge.publish

    class Cancelling:
        def __getattr__(self, name: str) -> object:
            return getattr(context.worker.knowledge, name)

        def publish(self, *arguments: object) -> object:
            result = publish(*arguments)  # type: ignore[arg-type]
            house.client.cancel(EDITOR, version_id)
            return result

    pipeline.work(lease, replace(context.worker, knowledge=Cancelling()))  # type: ignore[arg-type]


def test_cancelling_twice_is_cancelling_once(house: House) -> None:
    version = house.upload("Never to be seen.")

    assert house.client.cancel(EDITOR, version.id).state == VersionState.CANCELLED
    assert house.client.cancel(EDITOR, version.id).state == VersionState.CANCELLED
    assert actions(house).count("document.cancelled") == 1


@pytest.mark.parametrize("then", ["cancel", "retry"])
def test_an_indexed_version_is_neither_cancelled_nor_retried(house: House, then: str) -> None:
    version = house.work(house.upload("Done.").id)

    with pytest.raises(RemoteProblemError) as refused:
        getattr(house.client, then)(EDITOR, version.id)

    assert refused.value.remote.status == 409
    assert refused.value.remote_code == {"cancel": "already_ended", "retry": "not_stopped"}[then]


def test_an_old_version_is_not_retried_over_a_newer(house: House) -> None:
    first = house.work(house.upload(CORRUPT_PDF, path="a.pdf").id)
    house.upload("%PDF-1.7\nneither", path="a.pdf")

    with pytest.raises(RemoteProblemError) as refused:
        house.client.retry(EDITOR, first.id)

    assert refused.value.remote_code == "newer_version_exists"


def test_a_failed_newer_version_leaves_the_older_in_the_index(house: House) -> None:
    house.work(house.upload("The canteen opens at noon.", path="a.txt").id)
    newer = house.work(house.upload("", path="a.txt").id)

    assert newer.state == VersionState.FAILED
    assert house.found("canteen") == ["The canteen opens at noon."]
    assert house.upload("The canteen opens at noon.", path="a.txt").unchanged
    assert house.version(newer.id).state == VersionState.SUPERSEDED


def test_a_deleted_document_leaves_index_and_blob_store(house: House) -> None:
    version = house.work(house.upload("Forget this sentence.").id)

    house.client.delete_document(EDITOR, version.document_id)
    house.client.delete_document(EDITOR, version.document_id)
    house.push(version.document_id)
    pushing.drop_blob(version.content_hash, database=house.database, blobs=house.blobs, check_holds=house.holds.check)

    assert house.found("sentence") == []
    assert list(house.blobs.names()) == []
    assert actions(house).count("document.deleted") == 1
    with pytest.raises(RemoteProblemError) as missing:
        house.client.cancel(EDITOR, version.id)
    assert missing.value.remote.status == 404


def test_deleting_waits_for_a_knowledge_service_that_is_away(house: House) -> None:
    version = house.work(house.upload("Forget this sentence.").id)
    house.client.delete_document(EDITOR, version.document_id)
    house.knowledge_switch.on = False
    with pytest.raises(Exception, match="knowledge is away"):
        house.push(version.document_id)
    house.knowledge_switch.on = True

    later = utc_now() + timedelta(seconds=Timing().repush_s + 1)
    assert sweeper.repush(house.database, Timing(), now=later) == 1
    house.push(version.document_id)

    assert house.found("sentence") == []


def test_shared_bytes_stay_until_the_last_document_goes(house: House) -> None:
    first = house.work(house.upload("Twice the same.", path="a.txt").id)
    second = house.work(house.upload("Twice the same.", path="b.txt").id)

    house.client.delete_document(EDITOR, first.document_id)
    pushing.drop_blob(first.content_hash, database=house.database, blobs=house.blobs, check_holds=house.holds.check)
    assert len(list(house.blobs.names())) == 1
    house.client.delete_document(EDITOR, second.document_id)
    pushing.drop_blob(first.content_hash, database=house.database, blobs=house.blobs, check_holds=house.holds.check)

    assert list(house.blobs.names()) == []


def test_a_document_deleted_and_uploaded_again_is_indexed_whichever_task_comes_first(house: House) -> None:
    version = house.work(house.upload("Back again.").id)
    house.client.delete_document(EDITOR, version.document_id)

    again = house.upload("Back again.")
    assert not again.unchanged
    house.work(again.id)
    house.push(version.document_id)

    assert house.version(again.id).state == VersionState.INDEXED
    assert house.found("again") == ["Back again."]


def test_a_document_that_came_back_shows_and_holds_nothing_of_before(house: House) -> None:
    before = house.work(house.upload("Forget this.").id)
    house.client.delete_document(EDITOR, before.document_id)
    again = house.upload("Back again.")
    house.push(before.document_id)
    with house.database.read() as session:
        sent = {(row.task, *row.arguments) for row in session.connection().execute(select(TASK_OUTBOX))}

    listed = house.client.versions(EDITOR, knowledge_base_id=house.knowledge_base_id).items
    assert [version.id for version in listed] == [again.id]
    with pytest.raises(RemoteProblemError):
        house.version(before.id)
    assert ("ingestion.drop_blob", before.content_hash) in sent
    tasks.drop_blob(before.content_hash, house.service.tasks)
    assert list(house.blobs.names()) == [again.content_hash]


def test_the_acl_of_a_deleted_document_does_not_come_back(house: House) -> None:
    version = house.upload("Back again.", readers=["user:edda"])
    house.client.delete_document(EDITOR, version.document_id)

    house.upload("Back again.")

    assert document_of(house, version.document_id).readers is None


def test_a_lost_worker_is_replaced_and_cannot_write_any_more(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    worker = house.service.tasks.worker
    lost = pipeline.claim(version.id, worker)
    assert lost is not None
    after = utc_now() + timedelta(seconds=worker.timing.lease_s + 1)

    assert sweeper.release_lost(house.database, worker.timing, now=utc_now()) == 0
    assert sweeper.release_lost(house.database, worker.timing, now=after) == 1
    assert house.work(version.id).attempt == 2

    pipeline.work(lost, worker)
    with pytest.raises(LeaseLostError), house.database.write() as session:
        leases.advance(session, lost, lost.stage, trace=Trace.PARTS, lease_s=60)
    assert house.version(version.id).state == VersionState.INDEXED
    assert house.found("canteen") == ["The canteen opens at noon."]


def test_a_worker_that_was_lost_while_it_published_changes_nothing_visible(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    worker = house.service.tasks.worker
    after = utc_now() + timedelta(seconds=worker.timing.lease_s + 1)

    def lose(path: str) -> None:
        if path == "/internal/publish" and not taken:
            taken.append(sweeper.release_lost(house.database, worker.timing, now=after))
            house.work(version.id)

    taken: list[int] = []
    house.knowledge_switch.before = lose
    house.work(version.id)

    assert taken == [1]
    assert house.version(version.id).state == VersionState.INDEXED
    assert house.found("canteen") == ["The canteen opens at noon."]


def test_who_has_a_version_anew_and_who_lost_it_are_kept_apart(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    worker = house.service.tasks.worker
    first = pipeline.claim(version.id, worker)
    assert first is not None
    with worker.keeper.hold(first):
        house.client.cancel(EDITOR, version.id)
        house.client.retry(EDITOR, version.id)
        second = pipeline.claim(version.id, worker)
        assert second is not None
        with worker.keeper.hold(second):
            second.done = first.done = 1
            worker.keeper.tick()
            second.check()
            with pytest.raises(LeaseLostError):
                first.check()


def test_an_orderly_stop_costs_no_attempt(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    keeper = house.service.tasks.worker.keeper
    tasks.process(version.id, with_parse(house, lambda _: keeper.let_go()))
    assert house.version(version.id).state in WORKING

    assert keeper.give_back() == 1

    given = house.version(version.id)
    assert (given.state, given.attempt, given.reason) == (VersionState.QUEUED, 0, None)


def test_what_was_stored_and_never_accepted_is_removed(house: House) -> None:
    version = house.upload("The canteen opens at noon.")
    orphan = house.blobs.put(io.BytesIO(b"Nobody refers to this."), max_bytes=100)
    timing = house.service.tasks.worker.timing
    tomorrow = utc_now() + timedelta(seconds=timing.orphan_s + 60)

    assert sweeper.drop_orphans(house.database, house.blobs, timing, now=utc_now()) == 0
    assert sweeper.drop_orphans(house.database, house.blobs, timing, now=tomorrow) == 1
    tasks.drop_blob(orphan.name, house.service.tasks)

    assert list(house.blobs.names()) == [version.content_hash]


def test_workers_lost_in_parsing_three_times_end_in_quarantine(house: House) -> None:
    version = house.upload("Poison for the whole process.")
    worker = house.service.tasks.worker

    for _ in range(3):
        assert pipeline.claim(version.id, worker) is not None
        sweeper.release_lost(house.database, worker.timing, now=utc_now() + timedelta(hours=1))

    ended = house.version(version.id)
    assert ended.reason is not None
    assert (ended.state, ended.attempt, ended.reason.code) == (VersionState.QUARANTINED, 3, "worker_lost")


def test_workers_lost_after_parsing_cost_no_attempt_but_not_for_ever(house: House) -> None:
    version = house.upload("Innocent.")
    worker = house.service.tasks.worker

    for number in range(worker.timing.max_lost):
        assert house.version(version.id).attempt == 0, number
        lease = pipeline.claim(version.id, worker)
        assert lease is not None
        lease.enter(VersionState.EMBEDDING)
        with house.database.write() as session:
            leases.advance(session, lease, lease.stage, trace=Trace.PARTS, lease_s=60)
        sweeper.release_lost(house.database, worker.timing, now=utc_now() + timedelta(hours=1))

    assert house.version(version.id).state == VersionState.QUARANTINED


def test_of_many_claims_one_wins(house: House) -> None:
    version = house.upload("Wanted.")
    worker = house.service.tasks.worker
    start = threading.Barrier(8)

    def claim(_: int) -> int | None:
        start.wait()
        lease = pipeline.claim(version.id, worker)
        return None if lease is None else lease.fence

    with ThreadPoolExecutor(8) as threads:
        fences = [fence for fence in threads.map(claim, range(8)) if fence is not None]

    assert fences == [1]
    assert house.version(version.id).attempt == 1


def test_many_uploads_of_one_path_at_once_make_one_document(house: House) -> None:
    start = threading.Barrier(6)

    def upload(number: int) -> str:
        start.wait()
        return house.upload(f"Draft {number}.").document_id

    with ThreadPoolExecutor(6) as threads:
        documents = set(threads.map(upload, range(6)))

    assert len(documents) == 1
    with house.database.read() as session:
        states = sorted(
            session.scalars(select(col(VersionRow.state)).where(col(VersionRow.document_id).in_(documents)))
        )
    assert states == ["queued", *["superseded"] * 5]


def test_every_claim_raises_the_fence(house: House) -> None:
    version = house.upload("Poison.")
    fences = []
    for _ in range(3):
        tasks.process(version.id, with_parse(house, crash))
        fences.append(document_of(house, version.document_id).fence)

    assert fences == [1, 2, 3]


def test_a_task_for_nothing_does_nothing(house: House) -> None:
    tasks.process("ver_missing", house.service.tasks)
    tasks.push("doc_missing", house.service.tasks)
    tasks.sync("syn_missing", house.service.tasks)
    tasks.drop_blob("0" * 64, house.service.tasks)

    assert actions(house) == []


def test_a_large_document_is_published_in_parts_and_seen_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PART", 3)
    monkeypatch.setattr(pipeline, "EMBED_BATCH", 2)
    text = "\n\n".join(f"# Section {n}\n\n" + f"Rule {n} says something. " * 60 for n in range(7))
    seen: list[int] = []

    def look(path: str) -> None:
        if path.endswith("publish"):
            seen.append(len(house.found("rule")))

    house.knowledge_switch.before = look

    version = house.work(house.upload(text, path="rules.md").id)

    assert version.passages == 7
    assert seen == [0, 0, 0]
    assert len(house.found("rule")) == 7


def test_a_document_without_a_searchable_word_fails_by_name(house: House) -> None:
    version = house.work(house.upload("   \n\n  \n", path="blank.md").id)

    assert version.state == VersionState.FAILED
    assert version.reason is not None
    assert version.reason.code == "empty_file"


def test_a_deleted_knowledge_base_fails_its_documents(house: House, database: Database) -> None:
    version = house.upload("Homeless.")
    with database.write() as session:
        row = session.get(VersionRow, version.id)
        assert row is not None
        row.knowledge_base_id = "kb_gone"

    tasks.process(version.id, house.service.tasks)

    with database.read() as session:
        row = session.get(VersionRow, version.id)
    assert row is not None
    assert (row.state, row.reason_code) == ("failed", "not_found")
