"""A governance service on SQLite or PostgreSQL, with a clock and a directory that tests turn."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from zhiku_platform.access import PRINCIPAL_HEADER, PrincipalSigner, service_principal
from zhiku_platform.clients.governance import GovernanceClient
from zhiku_platform.contracts.directory import Person
from zhiku_platform.contracts.governance import (
    Approval,
    ApprovalAction,
    ApprovalSubject,
    Claim,
    NewApproval,
    Resource,
    UseApproval,
)
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.contracts.retention import Kept
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import create_database, postgres_database, postgres_url
from zhiku_services.governance.app import MIGRATIONS, create_app, open_database
from zhiku_services.governance.models import Base

__all__ = ["postgres_database", "postgres_url"]

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
APPROVER = frozenset({Role.EMPLOYEE, Role.COMPLIANCE_APPROVER})

ZHAO = Principal(sub="zhao", tenant="acme", name="赵敏", roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}))
FANG = Principal(sub="fang", tenant="acme", name="方圆", roles=APPROVER)
WU = Principal(sub="wu", tenant="acme", name="吴越", roles=APPROVER)
HE = Principal(sub="he", tenant="acme", name="何其", roles=APPROVER)
LIN = Principal(sub="lin", tenant="acme", name="林晓", roles=frozenset({Role.EMPLOYEE}))
STRANGER = Principal(sub="olga", tenant="other", name="Olga", roles=APPROVER)

DELETION = ApprovalSubject(
    action=ApprovalAction.KNOWLEDGE_BASE_DELETE,
    resource=Resource(kind="knowledge_base", id="kb_1", title="Handbook"),
    terms={"documents": 3, "contents": "a1"},
)


@dataclass
class Directory:
    """Who may sign in now, with which roles."""

    people: dict[str, frozenset[Role]] = field(
        default_factory=lambda: {each.sub: each.roles for each in (ZHAO, FANG, WU, HE, LIN)}
    )

    def person(self, principal: Principal, sub: str) -> Person | None:
        assert principal.sub == "svc-governance"
        return Person(sub=sub, name=sub, roles=self.people[sub]) if sub in self.people else None


@dataclass
class Governance:
    """One service. `now` stands still until a test moves it."""

    http: TestClient
    database: Database
    directory: Directory
    signer: PrincipalSigner
    now: datetime = START

    @property
    def client(self) -> GovernanceClient:
        return GovernanceClient(self.http, self.signer)

    def pass_time(self, **passed: float) -> None:
        self.now += timedelta(**passed)

    def call(self, principal: Principal, method: str, path: str, body: Any = None) -> httpx2.Response:
        headers = {PRINCIPAL_HEADER: self.signer.sign(principal)}
        response: httpx2.Response = self.http.request(method, path, headers=headers, json=body)
        return response

    def ask(
        self,
        subject: ApprovalSubject = DELETION,
        requester: Principal = ZHAO,
        *,
        service: str = "knowledge",
        reason: str = "No longer needed",
    ) -> Approval:
        new = NewApproval(subject=subject, requester=requester, reason=reason)
        return self.client.request(service_principal(service, "acme"), new)

    def approve(self, approval: Approval, *approvers: Principal) -> httpx2.Response:
        """The last answer."""
        path = f"/api/v1/approvals/{approval.id}/approve"
        answers = [self.call(each, "POST", path, {"digest": approval.digest}) for each in approvers]
        return answers[-1]

    def approved(self, subject: ApprovalSubject = DELETION) -> Approval:
        approval = self.ask(subject)
        assert self.approve(approval, FANG, WU).status_code == 200
        return self.get(approval.id)

    def use(
        self,
        approval: Approval,
        subject: ApprovalSubject = DELETION,
        requester: Principal = ZHAO,
        *,
        service: str = "knowledge",
        act: str = "act_1",
    ) -> Claim:
        wanted = UseApproval(subject=subject, requester=requester, act_id=act)
        return self.client.use(service_principal(service, "acme"), approval.id, wanted)

    def complete(self, claim: Claim) -> None:
        self.client.complete(service_principal("knowledge", "acme"), claim)

    def get(self, approval_id: str, principal: Principal = ZHAO) -> Approval:
        return Approval.model_validate(self.call(principal, "GET", f"/api/v1/approvals/{approval_id}").json())

    def events(self) -> list[tuple[str, str]]:
        """Action and actor of each event, in order."""
        with self.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT action, actor FROM audit_outbox ORDER BY seq")
            return [(action, actor) for action, actor in rows]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with every table and no row."""
    home = tmp_path_factory.mktemp("migrated")
    open_database(Settings(home=home)).close()
    return home / "db" / "governance.sqlite3"


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """The same on PostgreSQL."""
    address = create_database(postgres_url)
    database = Database("governance", address, Base.metadata)
    database.migrate(MIGRATIONS)
    database.close()
    return address


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The service's database, on both engines."""
    if request.param == "sqlite":
        copy = tmp_path / "governance.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), copy)
        url = f"sqlite:///{copy}"
    else:
        url = create_database(request.getfixturevalue("migrated_postgres"), copy=True)
    database = Database("governance", url, Base.metadata)
    yield database
    database.close()


def _hundred_less(principal: Principal, days: int) -> int:
    return 100 - days


@pytest.fixture
def governance(database: Database, tmp_path: Path) -> Iterator[Governance]:
    directory = Directory()
    settings = Settings(home=tmp_path)
    count_due = {Kept.CONVERSATIONS: _hundred_less}
    app = create_app(settings, database=database, people=directory, count_due=count_due, clock=lambda: made.now)
    # Without its lifespan: what has run out is written down when a test says so.
    http = TestClient(app)
    made = Governance(http, database, directory, app.state.signer)
    yield made
    http.close()
