"""No sequence of calls by one person completes what takes two, nor any sequence what takes more than have agreed.

A state machine calls the service as several people do, each in several guises: after another login, with other groups,
with an API key, by services that own the act and ones that do not, again and again, with waits in between. What really
happened, by people and not by guises, is kept beside it, and every act that is let through is held against that.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from zhiku_platform.contracts.gateway import ApiKeyScope
from zhiku_platform.contracts.governance import RULES, Approval, ApprovalAction, ApprovalSubject, Claim, Resource
from zhiku_platform.contracts.identity import Principal, PrincipalKind, Role
from zhiku_platform.db import Database
from zhiku_platform.errors import RemoteProblemError
from zhiku_platform.settings import Settings
from zhiku_services.governance.app import create_app
from zhiku_services.governance.models import ApprovalRow, Base

from .conftest import DELETION, FANG, HE, WU, ZHAO, Directory, Governance

ALL_ROLES = frozenset(Role) - {Role.SERVICE}
MALLORY = Principal(sub="mallory", tenant="acme", name="Mallory", roles=ALL_ROLES)

SUBJECTS = [
    DELETION,
    DELETION.model_copy(update={"terms": {"documents": 4}}),
    ApprovalSubject(action=ApprovalAction.AUDIT_EXPORT, resource=Resource(kind="audit_log", id="log", title="Log")),
    ApprovalSubject(
        action=ApprovalAction.PERSONAL_DATA_REVEAL, resource=Resource(kind="finding", id="kb_1", title="Handbook")
    ),
]
OWNERS = {subject.digest: next(iter(sorted(RULES[subject.action].owners))) for subject in SUBJECTS}


def guises(person: Principal) -> list[Principal]:
    """The same person, as the gateway may describe them at one time or another."""
    return [
        person,
        person.model_copy(update={"name": "Renamed", "groups": frozenset({"finance", "legal"})}),
        person.model_copy(update={"roles": frozenset({Role.EMPLOYEE, Role.COMPLIANCE_APPROVER}), "clearance": 9}),
        person.model_copy(update={"scopes": frozenset(ApiKeyScope)}),
        person.model_copy(update={"kind": PrincipalKind.SERVICE}),
    ]


class World(RuleBasedStateMachine):
    """`voted` is who really agreed to what; `acted` is what was let through, by approval."""

    approvals: Bundle[Approval] = Bundle("approvals")
    claims: Bundle[Claim] = Bundle("claims")
    template: Path
    people: tuple[Principal, ...] = (MALLORY, FANG, WU)

    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory()
        copy = Path(self.folder.name) / "governance.sqlite3"
        shutil.copy(self.template, copy)
        self.database = Database("governance", f"sqlite:///{copy}", Base.metadata)
        directory = Directory({each.sub: each.roles for each in self.people})
        app = create_app(
            Settings(home=Path(self.folder.name)),
            database=self.database,
            people=directory,
            clock=lambda: self.governance.now,
        )
        self.governance = Governance(TestClient(app), self.database, directory, app.state.signer)
        self.asked: dict[str, tuple[str, ApprovalSubject]] = {}
        self.voted: dict[str, set[str]] = {}
        self.completed: dict[str, int] = {}

    def pick(self, who: int, guise: int) -> Principal:
        person = self.people[who % len(self.people)]
        return guises(person)[guise]

    @rule(target=approvals, who=st.integers(0, 2), subject=st.sampled_from(SUBJECTS))
    def ask(self, who: int, subject: ApprovalSubject) -> Approval:
        person = self.pick(who, 0)
        asked = self.governance.ask(subject, person, service=OWNERS[subject.digest])
        self.asked[asked.id] = (person.sub, subject)
        self.voted.setdefault(asked.id, set())
        return asked

    @rule(approval=approvals, who=st.integers(0, 2), guise=st.integers(0, 4), other=st.sampled_from(SUBJECTS))
    def approve(self, approval: Approval, who: int, guise: int, other: ApprovalSubject) -> None:
        person = self.pick(who, guise)
        shown = approval if guise < 2 else approval.model_copy(update={"digest": other.digest})
        if self.governance.approve(shown, person).status_code == 200:
            self.voted[approval.id].add(person.sub)

    @rule(approval=approvals, who=st.integers(0, 2), step=st.sampled_from(["refuse", "withdraw"]))
    def end(self, approval: Approval, who: int, step: str) -> None:
        body = {"reason": "Not to be done"} if step == "refuse" else None
        self.governance.call(self.pick(who, 0), "POST", f"/api/v1/approvals/{approval.id}/{step}", body)

    @rule(
        target=claims,
        approval=approvals,
        who=st.integers(0, 2),
        guise=st.integers(0, 4),
        subject=st.sampled_from([None, *SUBJECTS]),
        service=st.sampled_from([None, "knowledge", "audit", "vault", "governance"]),
        act=st.sampled_from(["act_1", "act_2"]),
    )
    def use(
        self,
        approval: Approval,
        who: int,
        guise: int,
        subject: ApprovalSubject | None,
        service: str | None,
        act: str,
    ) -> Claim:
        person = self.pick(who, guise)
        requester, approved = self.asked[approval.id]
        wanted = subject or approved
        try:
            claim = self.governance.use(approval, wanted, person, service=service or OWNERS[wanted.digest], act=act)
        except RemoteProblemError:
            return Claim(approval_id=approval.id, act_id=act, fence=1)
        others = self.voted[approval.id] - {requester}
        assert len(others) >= RULES[wanted.action].approvers, f"{others} are not enough"
        assert person.sub == requester
        assert wanted.digest == approved.digest
        assert self.governance.now < approval.expires_at
        assert approval.id not in self.completed
        assert all(Role.COMPLIANCE_APPROVER in self.governance.directory.people.get(sub, ()) for sub in others)
        return claim

    @rule(claim=claims)
    def complete(self, claim: Claim) -> None:
        try:
            self.governance.complete(claim)
        except RemoteProblemError:
            return
        assert self.completed.setdefault(claim.approval_id, claim.fence) == claim.fence

    @rule(minutes=st.sampled_from([1, 6, 60 * 30]))
    def wait(self, minutes: int) -> None:
        self.governance.pass_time(minutes=minutes)

    @rule(who=st.integers(1, 2), stays=st.booleans())
    def change_roles(self, who: int, stays: bool) -> None:
        person = self.people[who % len(self.people)]
        self.governance.directory.people[person.sub] = person.roles if stays else frozenset({Role.EMPLOYEE})

    @invariant()
    def every_row_has_its_people(self) -> None:
        if not hasattr(self, "asked"):
            return
        with self.database.engine.connect() as connection:
            rows = connection.execute(select(ApprovalRow.__table__)).mappings().all()  # type: ignore[attr-defined]  # SQLModel adds it
        for row in rows:
            if row["state"] in {"approved", "used"}:
                assert len(self.voted[row["id"]] - {row["requester"]}) >= row["needed"]

    def teardown(self) -> None:
        if hasattr(self, "asked"):
            self.governance.http.close()
            self.database.close()
            self.folder.cleanup()


class Alone(World):
    """Mallory has every role there is, and nobody else is there."""

    people = (MALLORY,)

    @invariant()
    def nothing_is_ever_approved(self) -> None:
        if hasattr(self, "asked"):
            assert not self.completed
            with self.database.engine.connect() as connection:
                states = set(connection.exec_driver_sql("SELECT state FROM approval").scalars())
            assert not states & {"approved", "used"}


@pytest.fixture
def template(migrated_sqlite: Path) -> Iterator[Path]:
    World.template = migrated_sqlite
    yield migrated_sqlite
    del World.template


RUNS = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("machine", [World, Alone])
def test_no_sequence_of_calls_gets_around_it(template: Path, machine: type[World]) -> None:
    run_state_machine_as_test(machine, settings=RUNS)


def test_the_votes_of_one_person_from_many_threads_are_one(governance: Governance) -> None:
    asked = governance.ask()
    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda _: governance.approve(asked, FANG).status_code, range(8)))
    assert sorted(codes) == [200] + [409] * 7
    assert [vote.sub for vote in governance.get(asked.id).approvals] == ["fang"]


def test_of_three_who_agree_at_once_two_count(governance: Governance) -> None:
    asked = governance.ask()
    with ThreadPoolExecutor(3) as threads:
        codes = list(threads.map(lambda who: governance.approve(asked, who).status_code, (FANG, WU, HE)))
    assert sorted(codes) == [200, 200, 409]
    voted = {vote.sub for vote in governance.get(asked.id).approvals}
    assert len(voted) == 2


def test_of_many_who_act_at_once_one_may(governance: Governance) -> None:
    approved = governance.approved()

    def use(n: int) -> str:
        try:
            return governance.use(approved, act=f"act_{n}").approval_id
        except RemoteProblemError as refused:
            return refused.remote_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(use, range(8))) == [*["approval_in_use"] * 7, approved.id]


def test_a_refusal_and_an_act_at_once_are_one_or_the_other(governance: Governance) -> None:
    approved = governance.approved()
    path = f"/api/v1/approvals/{approved.id}/refuse"
    with ThreadPoolExecutor(2) as threads:
        refusal = threads.submit(governance.call, HE, "POST", path, {"reason": "Not to be done"})
        act = threads.submit(governance.use, approved)
        was_refused = refusal.result().status_code == 200
        was_used = act.exception() is None
    assert was_refused is not was_used
    assert governance.get(approved.id).state == ("refused" if was_refused else "used")


def test_the_same_request_from_many_threads_is_one(governance: Governance) -> None:
    with ThreadPoolExecutor(8) as threads:
        asked = {each.id for each in threads.map(lambda _: governance.ask(requester=ZHAO), range(8))}
    assert len(asked) == 1
