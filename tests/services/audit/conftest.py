"""The audit service on SQLite, with folders of its own, and calls as one principal or another."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from zhiku_platform.access import PRINCIPAL_HEADER, Access, Permission, PrincipalSigner, authorize, service_principal
from zhiku_platform.contracts.audit import AuditEvent, Detail, ExportRequest, ProducedEvent, Stamp
from zhiku_platform.contracts.identity import Principal, Role
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import postgres_database, postgres_url
from zhiku_services.audit.app import AuditService, open_database
from zhiku_services.audit.canonical import read
from zhiku_services.audit.checking import read_anchors, verify_database
from zhiku_services.audit.models import ENTRY, METADATA
from zhiku_services.audit.sequencer import sequence
from zhiku_services.audit.service import Trail, export
from zhiku_services.audit.verifier import Verdict
from zhiku_services.audit.worker import seal

__all__ = ["postgres_database", "postgres_url"]

CHEN = Principal(sub="chen", tenant="acme", roles=frozenset({Role.COMPLIANCE_REVIEWER}))
DIANA = Principal(sub="diana", tenant="acme", roles=frozenset({Role.AUDIT_ADMIN}))
LIN = Principal(sub="lin", tenant="acme", roles=frozenset({Role.EMPLOYEE}))
STRANGER = Principal(sub="olga", tenant="other", roles=frozenset({Role.COMPLIANCE_REVIEWER}))
KNOWLEDGE = service_principal("knowledge", "acme")


def published(
    n: int, *, actor: str = "lin", tenant: str = "acme", stamp: Stamp | None = None, **details: Detail
) -> ProducedEvent:
    """The event that document `n` was published."""
    event = AuditEvent(
        action="document.published", tenant=tenant, actor=actor, subject=f"doc_{n}", details={"n": n, **details}
    )
    return ProducedEvent(event=event, stamp=stamp)


@dataclass
class Audit:
    """One audit service. Nothing moves on its own: `settle` does what the worker would."""

    settings: Settings
    database: Database
    service: AuditService
    clients: dict[str, TestClient] = field(default_factory=dict)

    @property
    def trail(self) -> Trail:
        return self.service.trail

    def append(self, *events: ProducedEvent) -> None:
        self.trail.intake.append(events)

    def fill(self, count: int, *, batch: int = 100) -> None:
        """Append `count` events, in batches."""
        for start in range(0, count, batch):
            self.append(*(published(n) for n in range(start, min(count, start + batch))))

    def settle(self) -> None:
        """Sequence all that waits, and have it signed."""
        while sequence(self.database):
            pass
        seal(self.database, self.trail.signer)

    def verify(self) -> Verdict:
        anchors = read_anchors([self.settings.home / "audit" / "signer"])
        return verify_database(self.database, self.trail.signer.public_key, anchors, pepper=self.trail.keys.pepper)

    def events(self) -> list[dict[str, Any]]:
        """The log, from its first entry on."""
        with self.database.engine.connect() as connection:
            return [read(payload) for payload in connection.scalars(select(ENTRY.c.payload).order_by(ENTRY.c.idx))]

    def actions(self) -> list[str]:
        return [event["type"].removeprefix("zhiku.") for event in self.events()]

    def client(self, principal: Principal = CHEN) -> TestClient:
        signer: PrincipalSigner = self.service.app.state.signer
        if principal.sub not in self.clients:
            self.clients[principal.sub] = TestClient(
                self.service.app, headers={PRINCIPAL_HEADER: signer.sign(principal)}
            )
        return self.clients[principal.sub]

    def export(self, path: Path, wanted: dict[str, str] | None = None, *, principal: Principal = DIANA) -> Path:
        """An evidence bundle, as if it had been approved."""
        request = ExportRequest.model_validate({"reason": "The yearly review", "filter": wanted or {}})
        with path.open("wb") as target:
            access = authorize(principal, Permission.AUDIT_EXPORT)
            export(access, request, self.trail, target, approval="apr_" + "0" * 28)
        return path

    def get(self, path: str, principal: Principal = CHEN) -> Any:
        return _ok(self.client(principal).get(path))

    def post(self, path: str, body: dict[str, Any], principal: Principal = CHEN) -> Any:
        return _ok(self.client(principal).post(path, json=body))

    def sql(self, *statements: str, unprotected: bool = True) -> None:
        """Edit the tables as an administrator of the database would, who also knows how to remove a trigger."""
        with self.database.engine.begin() as connection:
            if unprotected:
                names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()
                for name in names.all():
                    connection.exec_driver_sql(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.exec_driver_sql(statement)


def _ok(response: httpx2.Response) -> Any:
    assert response.status_code < 400, response.text
    return response.json() if response.content else None


MakeAudit = Callable[..., Audit]


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file that the migrations have made, to be copied: they take longer than most tests."""
    home = tmp_path_factory.mktemp("empty")
    open_database(Settings(home=home)).close()
    return home / "db" / "audit.sqlite3"


@pytest.fixture
def make_audit(tmp_path: Path, empty_tables: Path) -> Iterator[MakeAudit]:
    """Build the service on the same home again and again, as restarts do."""
    databases: list[Database] = []

    def make(home: str = "home") -> Audit:
        built = Settings(home=tmp_path / home)
        tables = built.home / "db" / "audit.sqlite3"
        if not tables.exists():
            tables.parent.mkdir(parents=True)
            shutil.copy(empty_tables, tables)
        database = Database("audit", built.service_database_url("audit"), METADATA)
        databases.append(database)
        return Audit(built, database, AuditService(built, database=database))

    yield make
    for database in databases:
        database.close()


@pytest.fixture
def audit(make_audit: MakeAudit) -> Iterator[Audit]:
    made = make_audit()
    yield made
    for client in made.clients.values():
        client.close()


@pytest.fixture
def reviewer() -> Access:
    return authorize(CHEN, Permission.AUDIT_READ)
