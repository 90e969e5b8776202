"""The erasure desk on the real stores of the assistant, the audit log and governance itself."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from zhiku_platform.access import Permission, authorize, service_principal
from zhiku_platform.audit import OutboxRelay, record
from zhiku_platform.contracts.audit import AuditEvent
from zhiku_platform.contracts.erasure import EraseOrder, Found, PersonSought, SignedCertificate
from zhiku_platform.contracts.governance import Approval
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.db import utc_now
from zhiku_platform.erasure import PersonalData
from zhiku_platform.holds import Holds
from zhiku_platform.settings import Settings
from zhiku_services.assistant.app import open_database as open_assistant
from zhiku_services.assistant.erasing import PersonalData as Conversations
from zhiku_services.assistant.models import AUDIT_OUTBOX as ASSISTANT_OUTBOX
from zhiku_services.assistant.models import AnswerRow, ConversationRow, ReceiptRow
from zhiku_services.audit.app import AuditService
from zhiku_services.audit.app import open_database as open_audit
from zhiku_services.audit.erasing import PersonalData as Log
from zhiku_services.audit.verifier import Note, VerifierKey
from zhiku_services.governance.app import create_app
from zhiku_services.governance.app import open_database as open_governance
from zhiku_services.governance.models import AUDIT_OUTBOX as GOVERNANCE_OUTBOX

from .conftest import FANG, START, WU, Directory, Governance

SUN = Principal(sub="sun", tenant="acme", name="孙悦", roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_REVIEWER}))
ALL = Principal(sub="sun", tenant="acme", name="孙悦", roles=frozenset(Role) - {Role.SERVICE})
DESK = service_principal("governance", "acme")
CANARY = "canary-7731"
PERSON = PersonSought(sub="lin", values=[CANARY, "林晓"])
NEW = {
    **PERSON.model_dump(exclude={"groups"}),
    "reason": "They asked for it on 20 November",
    "legal_basis": "PIPL 47",
    "due_at": "2026-12-20T00:00:00Z",
}


class CrashError(BaseException):
    """The process dies."""


@dataclass
class InProcess:
    """A service's store without its HTTP face, which dies at its `dies_at`th call, before or after it works."""

    data: PersonalData
    world: "World"

    def find(self, principal: Principal, sought: PersonSought) -> list[Found]:
        return self.data.find(authorize(principal, Permission.PERSON_ERASE), sought)

    def erase(self, principal: Principal, order: EraseOrder) -> dict[str, int]:
        self.world.step()
        counts = self.data.erase(authorize(principal, Permission.PERSON_ERASE), order)
        self.world.step()
        return counts


@dataclass
class World:
    """The services of one home, as often as it is opened."""

    home: Path
    dies_at: int = 0
    steps: int = 0
    now: datetime = START
    closing: list[Callable[[], object]] = field(default_factory=list)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.dies_at:
            raise CrashError

    def open(self) -> None:
        settings = Settings(home=self.home)
        self.assistant, self.log, database = open_assistant(settings), open_audit(settings), open_governance(settings)
        self.audit = AuditService(settings, database=self.log)
        self.relays = [
            OutboxRelay(self.assistant, ASSISTANT_OUTBOX, self.audit.intake.append),
            OutboxRelay(database, GOVERNANCE_OUTBOX, self.audit.intake.append),
        ]
        holds = Holds("assistant", lambda: self.governance.client)
        stores = {
            "audit": InProcess(Log(self.audit.trail), self),
            "assistant": InProcess(Conversations(self.assistant, holds), self),
        }
        directory = Directory()
        directory.people |= {"sun": SUN.roles}
        app = create_app(
            settings, database=database, people=directory, stores=stores, certify=self.certify, clock=lambda: self.now
        )
        app.state.desk = type(app.state.desk)(**{**vars(app.state.desk), "wait": lambda _: self.relay()})
        http = TestClient(app)
        self.governance = Governance(http, database, directory, app.state.signer)
        self.closing = [http.close, self.assistant.close, self.log.close, database.close]

    def close(self) -> None:
        for each in self.closing:
            each()

    def certify(self, principal: Principal, digest: str) -> SignedCertificate:
        assert principal == DESK
        signer = self.audit.trail.signer
        return SignedCertificate(note=signer.sign_erasure(digest), key=signer.public_key)

    def relay(self) -> None:
        for each in self.relays:
            each.relay()

    def call(self, method: str, path: str, body: Any = None, principal: Principal = SUN) -> httpx2.Response:
        return self.governance.call(principal, method, f"/api/v1/erasures{path}", body)

    def say(self, owner: str, text: str, n: int) -> None:
        """A conversation with one answer, as the assistant would have kept it."""
        at = utc_now()
        with self.assistant.write() as session:
            session.add(
                ConversationRow(
                    id=f"cnv_{n}", tenant="acme", owner=owner, title=text, knowledge_base_ids=[], created_at=at,
                    updated_at=at,
                )
            )  # fmt: skip
            session.flush()
            session.add(
                AnswerRow(
                    id=f"ans_{n}", tenant="acme", owner=owner, conversation_id=f"cnv_{n}", question=text, state="done",
                    sentences=[], citations=[], searched=[], timings_ms={}, lease_until=at, created_at=at,
                )
            )  # fmt: skip
            body = json.dumps({"question": text})
            session.add(
                ReceiptRow(answer_id=f"ans_{n}", tenant="acme", owner=owner, body=body, sha256="0" * 64, created_at=at)
            )
            event = AuditEvent(
                action="question.asked", tenant="acme", actor=owner, subject=f"ans_{n}", sealed={"question": text},
                group=f"cnv_{n}",
            )  # fmt: skip
            record(session, ASSISTANT_OUTBOX, event)

    def reported(self, *decided: str) -> str:
        erasure_id: str = self.call("POST", "", NEW).json()["id"]
        response = self.call("POST", f"/{erasure_id}/report", {"decided": list(decided)})
        assert response.status_code == 200, response.text
        return erasure_id

    def approved(self, erasure_id: str) -> str:
        asked = self.call("POST", f"/{erasure_id}/run")
        assert asked.status_code == 202, asked.text
        approval = Approval.model_validate_json(asked.content)
        assert self.governance.approve(approval, FANG, WU).status_code == 200
        return f"/{erasure_id}/run?approval={approval.id}"

    def conversations(self) -> set[str]:
        with self.assistant.read() as session:
            return set(session.exec(select(ConversationRow.id)))

    def bytes_hold(self, text: str) -> list[str]:
        """The files of the home that hold a text, byte by byte."""
        files = [each for each in self.home.rglob("*") if each.is_file()]
        return sorted(str(each.relative_to(self.home)) for each in files if text.encode() in each.read_bytes())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.open()
    world.say("lin", f"How much leave do I, {CANARY}, have?", 1)
    world.say("zhao", "Is 林晓 away?", 2)
    world.say("zhao", "How much leave is there?", 3)
    world.relay()
    yield world
    world.close()


def found(response: httpx2.Response) -> dict[str, list[str]]:
    return {
        f"{store['store']}.{line['kind']}": line["ids"]
        for store in response.json()["report"]
        for line in store["found"]
        if line["ids"]
    }


def test_a_report_says_what_every_store_holds_and_erases_nothing(world: World) -> None:
    erasure_id: str = world.call("POST", "", NEW).json()["id"]
    report = world.call("POST", f"/{erasure_id}/report", {})
    assert found(report) == {
        "assistant.conversation": ["cnv_1"],
        "assistant.receipt": ["ans_1"],
        "assistant.conversation_of_another": ["cnv_2"],
        "audit.record_group": ["cnv_1"],
    }
    chosen = world.call("POST", f"/{erasure_id}/report", {"decided": ["cnv_2"]})
    assert found(chosen)["audit.record_group"] == ["cnv_1", "cnv_2"]
    assert world.conversations() == {"cnv_1", "cnv_2", "cnv_3"}
    assert world.call("GET", f"/{erasure_id}").json()["sub"] == "lin"
    assert CANARY not in world.call("GET", f"/{erasure_id}").text
    assert world.call("POST", f"/{erasure_id}/report", {"decided": ["cnv_3"]}).status_code == 422


def test_two_others_agree_and_the_person_is_gone(world: World) -> None:
    erasure_id = world.reported("cnv_2")
    acting = world.approved(erasure_id)
    done = world.call("POST", acting)
    assert (done.status_code, done.json()["state"]) == (200, "erased"), done.text
    assert world.conversations() == {"cnv_3"}
    assert world.call("POST", f"/{erasure_id}/verify").json() == {"left": []}
    assert world.call("POST", acting).json()["code"] == "erasure_state"
    assert world.call("GET", f"/{erasure_id}").json()["sub"] is None
    world.relay()
    world.close()
    assert world.bytes_hold(CANARY) == []
    assert world.bytes_hold("林晓") == []
    world.open()


def test_the_certificate_is_checked_with_the_logs_key_alone(world: World) -> None:
    erasure_id = world.reported()
    assert world.call("GET", f"/{erasure_id}/certificate").json()["code"] == "erasure_state"
    assert world.call("POST", world.approved(erasure_id)).json()["state"] == "erased"
    signed = world.call("GET", f"/{erasure_id}/certificate", principal=FANG).json()
    said = json.dumps(signed["certificate"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    note = Note.parse(signed["note"])
    assert VerifierKey.parse(signed["key"]).signed(note)
    assert note.body.decode().splitlines()[1] == sha256(said.encode()).hexdigest()
    assert signed["certificate"]["erased"]["assistant"] == {"conversation": 1, "receipt": 1}
    assert signed["certificate"]["kept"]["assistant.conversation_of_another"] == 1
    assert CANARY not in said


def test_an_approval_is_for_the_report_that_was_shown(world: World) -> None:
    erasure_id = world.reported()
    acting = world.approved(erasure_id)
    assert world.call("POST", f"/{erasure_id}/report", {"decided": ["cnv_2"]}).status_code == 200
    assert world.call("POST", acting).json()["code"] == "approval_mismatch"
    other = world.reported()
    approval = acting.rpartition("=")[2]
    assert world.call("POST", f"/{other}/run?approval={approval}").json()["code"] == "approval_for_another"
    assert len(world.conversations()) == 3


def test_a_hold_stops_it_before_anything_is_gone(world: World) -> None:
    erasure_id = world.reported("cnv_2")
    acting = world.approved(erasure_id)
    held = {"held": {"scope": "user", "id": "lin"}, "matter": "Case 2026-17", "reason": "A court asked for it"}
    assert world.governance.call(SUN, "POST", "/api/v1/legal-holds", held).status_code == 201
    refused = world.call("POST", acting)
    assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert len(world.conversations()) == 3


@pytest.mark.parametrize("dies_at", range(1, 5))
def test_who_comes_after_a_crash_goes_on_where_it_ended(world: World, dies_at: int) -> None:
    erasure_id = world.reported("cnv_2")
    acting = world.approved(erasure_id)
    world.dies_at = world.steps + dies_at
    with pytest.raises(CrashError):
        world.call("POST", acting)
    world.close()
    world.open()
    assert world.call("GET", f"/{erasure_id}").json()["state"] == "running"
    done = world.call("POST", f"/{erasure_id}/run")
    assert done.json()["state"] == "erased", done.text
    assert world.conversations() == {"cnv_3"}
    assert world.call("POST", f"/{erasure_id}/verify").json() == {"left": []}


def test_a_restored_backup_is_erased_again(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    world.relay()
    erasure_id = world.reported("cnv_2")
    acting = world.approved(erasure_id)
    world.relay()
    world.close()
    backup = tmp_path_factory.mktemp("backup") / "db"
    shutil.copytree(world.home / "db", backup)
    world.open()
    assert world.call("POST", acting).json()["state"] == "erased"
    world.close()
    shutil.rmtree(world.home / "db")
    shutil.copytree(backup, world.home / "db")
    world.open()
    assert world.conversations() == {"cnv_1", "cnv_2", "cnv_3"}
    replayed = world.governance.call(DESK, "POST", "/internal/erasures/replay")
    assert [each["left"] for each in replayed.json()["replayed"]] == [[]], replayed.text
    assert world.conversations() == {"cnv_3"}
    store = InProcess(Log(world.audit.trail), world)
    groups = PERSON.model_copy(update={"groups": ["cnv_1", "cnv_2"]})
    assert store.find(DESK, groups) == []
    again = world.governance.call(DESK, "POST", "/internal/erasures/replay").json()["replayed"]
    assert [(each["counts"], each["left"]) for each in again] == [({}, [])]
    assert world.governance.call(SUN, "POST", "/internal/erasures/replay").status_code == 403
    assert erasure_id == again[0]["erasure_id"]


def test_after_the_longest_life_of_a_backup_nobody_knows_whose_it_was(world: World) -> None:
    erasure_id = world.reported()
    assert world.call("POST", world.approved(erasure_id)).json()["state"] == "erased"
    world.now += timedelta(days=91)
    assert world.governance.call(DESK, "POST", "/internal/erasures/replay").json() == {"replayed": []}
    assert world.call("POST", f"/{erasure_id}/verify").json()["code"] == "erasure_forgotten"


def test_only_reviewers_ask_and_other_tenants_see_nothing(world: World) -> None:
    erasure_id = world.reported()
    lin = Principal(sub="lin", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
    stranger = SUN.model_copy(update={"tenant": "other"})
    assert world.call("GET", "", principal=lin).status_code == 403
    assert world.call("POST", "", NEW, principal=FANG).status_code == 403
    assert world.call("POST", f"/{erasure_id}/run", principal=FANG).status_code == 403
    assert world.call("GET", "", principal=stranger).json()["items"] == []
    for path in ("", "/certificate"):
        assert world.call("GET", f"/{erasure_id}{path}", principal=stranger).status_code == 404
    for path in ("/run", "/verify", "/withdraw"):
        assert world.call("POST", f"/{erasure_id}{path}", principal=stranger).status_code == 404


def test_what_is_withdrawn_forgets_whom_it_was_about(world: World) -> None:
    erasure_id = world.reported()
    acting = world.approved(erasure_id)
    assert world.call("POST", f"/{erasure_id}/withdraw").json()["state"] == "withdrawn"
    assert world.call("POST", acting).json()["code"] == "erasure_state"
    assert len(world.conversations()) == 3
    with world.governance.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT sealed FROM erasure").scalar() is None


MOVES = st.lists(
    st.sampled_from(["request", "report", "ask", "approve", "run", "resume", "verify", "certificate", "replay", "use"]),
    min_size=1,
    max_size=12,
)


@given(moves=MOVES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sequence_of_one_persons_calls_erases(world: World, moves: list[str]) -> None:
    """With every role that a person can have."""
    erasure_id, approval = world.call("POST", "", NEW, principal=ALL).json()["id"], "apr_" + "0" * 28
    for move in moves:
        if move == "request":
            erasure_id = world.call("POST", "", NEW, principal=ALL).json()["id"]
        elif move == "ask":
            asked = world.call("POST", f"/{erasure_id}/run", principal=ALL).json()
            approval = asked["id"] if str(asked.get("id", "")).startswith("apr_") else approval
        elif move == "approve":
            shown = world.governance.call(ALL, "GET", f"/api/v1/approvals/{approval}").json()
            vote = {"digest": shown.get("digest", "0" * 64)}
            world.governance.call(ALL, "POST", f"/api/v1/approvals/{approval}/approve", vote)
        elif move == "run":
            world.call("POST", f"/{erasure_id}/run?approval={approval}", principal=ALL)
        elif move == "replay":
            assert world.governance.call(ALL, "POST", "/internal/erasures/replay").status_code == 403
        elif move == "use":
            world.governance.call(ALL, "POST", f"/internal/approvals/{approval}/use", {})
        elif move == "certificate":
            assert world.call("GET", f"/{erasure_id}/certificate", principal=ALL).status_code == 409
        else:
            decided = {"decided": ["cnv_2"]} if move == "report" else None
            path = "run" if move == "resume" else move
            world.call("POST", f"/{erasure_id}/{path}", decided, principal=ALL)
    assert len(world.conversations()) == 3


BEGUN = (
    "INSERT INTO erasure (id, tenant, reason, legal_basis, due_at, requester, requester_name, created_at, state,"
    " report, report_digest, decided, approval_id, begun_at, \"left\") SELECT 'era_x', tenant, reason, legal_basis,"
    " due_at, requester, requester_name, created_at, 'running', report, report_digest, decided, 'apr_x', created_at,"
    ' "left" FROM erasure'
)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM erasure",
        "UPDATE erasure SET state = 'running', approval_id = NULL",
        "UPDATE erasure SET state = 'erased'",
        "UPDATE erasure SET tenant = 'other'",
        BEGUN,
    ],
)
def test_nobody_begins_one_behind_the_service(world: World, statement: str) -> None:
    world.reported()
    with pytest.raises(DBAPIError), world.governance.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
