"""The mirror of the directory: in step after each sync, and closed to whoever left."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from zhiku_platform.access import Permission, permissions_of
from zhiku_platform.contracts.identity import DirectoryUser, Role
from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.keycloak import KeycloakServer
from zhiku_services.gateway.app import create_app, directory_sync, issuer_of
from zhiku_services.gateway.directory import find_principal
from zhiku_services.gateway.directory_sync import DirectoryEntry, DirectorySync, _Change
from zhiku_services.gateway.errors import DirectoryShrankError, DirectoryUnavailableError
from zhiku_services.gateway.models import DirectorySyncRow, SessionRow, UserRow
from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS

from .conftest import Clock, Gateway, Services
from .keycloak.conftest import Realm, admin_api, keycloak, keycloak_settings, realm

__all__ = ["admin_api", "keycloak", "keycloak_settings", "realm"]


@dataclass
class Company:
    """A directory that a test changes; `hidden` users are missing in the listing only.

    `meanwhile` happens once, after the next picture was taken and before it is handed out.
    """

    users: dict[str, DirectoryEntry] = field(default_factory=dict[str, DirectoryEntry])
    hidden: set[str] = field(default_factory=set[str])
    is_down: bool = False
    meanwhile: Callable[[], object] | None = None

    def read(self) -> Sequence[DirectoryEntry]:
        self._answer()
        picture = [entry for sub, entry in self.users.items() if sub not in self.hidden]
        self._let_time_pass()
        return picture

    def find(self, sub: str) -> DirectoryEntry | None:
        self._answer()
        picture = self.users.get(sub)
        self._let_time_pass()
        return picture

    def _let_time_pass(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()

    def _answer(self) -> None:
        if self.is_down:
            raise DirectoryUnavailableError("down", remedy="")

    def put(self, sub: str, *roles: Role, enabled: bool = True, groups: tuple[str, ...] = (), **fields: Any) -> None:
        user = DirectoryUser(
            sub=sub, username=sub, name=sub, roles=frozenset(roles), groups=frozenset(groups), **fields
        )
        self.users[sub] = DirectoryEntry(user, enabled)


@pytest.fixture
def company() -> Company:
    return Company({account.user.sub: DirectoryEntry(account.user) for account in DEMO_ACCOUNTS})


@pytest.fixture
def sync(gateway: Gateway, company: Company) -> DirectorySync:
    return directory_sync(gateway.settings, gateway.database, company, clock=gateway.clock)


def changes(gateway: Gateway, since: int = 0) -> list[tuple[str, str]]:
    """What syncs recorded: action and user."""
    events = gateway.audited_of_directory()[since:]
    return [(action, details["user"]) for action, details in events if "user" in details]


def test_a_second_run_changes_and_records_nothing(gateway: Gateway, company: Company, sync: DirectorySync) -> None:
    company.put("wang", Role.EMPLOYEE)
    assert sync.run().added == ["wang"]
    recorded = gateway.audited_of_directory()
    assert not sync.run().is_change
    assert gateway.audited_of_directory() == recorded


def test_who_is_disabled_loses_sessions_and_keys_at_once(
    gateway: Gateway, company: Company, sync: DirectorySync
) -> None:
    secret = gateway.create_key("zhao", "search")["secret"]
    browser, other = gateway.sign_in("zhao"), gateway.sign_in("lin")
    company.put("zhao", Role.EMPLOYEE, Role.KB_ADMIN, enabled=False)
    assert sync.run().deprovisioned == ["zhao"]
    assert browser.get("/api/v1/session").status_code == 401
    headers = {"Authorization": f"Bearer {secret}"}
    assert gateway.browse().get("/api/v1/documents/d1", headers=headers).status_code == 401
    assert other.get("/api/v1/session").status_code == 200
    assert gateway.principal("zhao") is None
    details = dict(gateway.audited_of_directory())["user.deprovisioned"]
    assert (details["reason"], details["sessions"], details["api_keys"]) == ("disabled", 2, 1)
    assert ("api_key.revoked", {"reason": "user_disabled", "owner": "zhao"}) in gateway.audited_of_directory()
    assert ("session.ended", {"reason": "user_disabled", "user": "zhao"}) in gateway.audited_of_directory()


def test_what_cannot_be_written_of_one_keeps_nobody_else_in(
    gateway: Gateway, company: Company, sync: DirectorySync, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.run()
    company.put("zhao", Role.EMPLOYEE, enabled=False)
    company.users.pop("lin")
    company.put("broken", Role.EMPLOYEE)
    apply = _Change.apply

    def apply_most(change: _Change, entry: DirectoryEntry) -> None:
        if entry.user.sub == "broken":
            raise RuntimeError("cannot be written")
        apply(change, entry)

    monkeypatch.setattr(_Change, "apply", apply_most)
    with pytest.raises(RuntimeError):
        sync.run()
    assert (gateway.principal("zhao"), gateway.principal("lin")) == (None, None)


def test_a_user_of_more_groups_than_an_event_holds_keeps_nobody_else_in(
    gateway: Gateway, company: Company, sync: DirectorySync
) -> None:
    sync.run()
    browser = gateway.sign_in("lin")
    groups = tuple(f"corp/emea/research-and-development/vision/project-{n:04}-{'x' * 40}" for n in range(700))
    company.put("big", Role.EMPLOYEE, groups=groups)
    del company.users["lin"]
    assert sync.run().deprovisioned == ["lin"]
    assert browser.get("/api/v1/session").status_code == 401
    (added,) = [details for _, details in gateway.audited_of_directory() if details.get("user") == "big"]
    assert added["groups_added_total"] == 700
    assert added["groups_added"] == sorted(groups)[: len(added["groups_added"])]


def test_a_sync_that_fails_for_a_reason_of_its_own_gives_the_turn_up(
    gateway: Gateway, company: Company, sync: DirectorySync, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Sequence[DirectoryEntry]:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(company, "read", fail)
    gateway.clock.pass_time(seconds=3600)
    with pytest.raises(ValueError, match="nobody"):
        sync.run_if_due(timedelta(minutes=1))
    with gateway.database.read() as session:
        row = session.get_one(DirectorySyncRow, sync.issuer)
    assert (row.lease_until, row.problem) == (None, "internal_error")


def test_who_left_cannot_sign_in_again_and_who_came_back_can(
    gateway: Gateway, company: Company, sync: DirectorySync
) -> None:
    secret = gateway.create_key("zhao", "search")["secret"]
    gone = company.users.pop("zhao")
    sync.run()
    browser = gateway.browse()
    begun = browser.get("/api/v1/auth/login")
    returned = browser.post(begun.headers["location"], data={"username": "zhao", "password": "demo"})
    assert browser.get(returned.headers["location"]).json()["code"] == "login_refused"
    assert ("session.refused", "anonymous", {"reason": "user_left"}) in gateway.audited()
    company.users["zhao"] = gone
    assert sync.run().reinstated == ["zhao"]
    assert gateway.sign_in("zhao").get("/api/v1/session").json()["roles"] == ["employee", "kb_admin"]
    headers = {"Authorization": f"Bearer {secret}"}
    assert gateway.browse().get("/api/v1/documents/d1", headers=headers).status_code == 401


def test_a_change_of_groups_holds_with_the_next_request(
    gateway: Gateway, company: Company, sync: DirectorySync
) -> None:
    browser = gateway.sign_in("zhao")
    assert browser.get("/api/v1/documents/d1").status_code == 200
    before = len(gateway.audited_of_directory())
    company.put("zhao", Role.EMPLOYEE, groups=("sales",))
    sync.run()
    assert browser.get("/api/v1/documents/d1").status_code == 404
    events = gateway.audited_of_directory()[before:]
    assert events[0] == ("user.changed", {"user": "zhao", "groups_added": ["sales"]})
    assert events[1] == (
        "user.changed",
        {"user": "zhao", "roles_removed": ["kb_admin"], "groups_removed": ["finance"]},
    )


@pytest.mark.parametrize(
    "held",
    [
        (Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN),
        (Role.SECURITY_ADMIN, Role.AUDIT_ADMIN),
        (Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN),
    ],
)
def test_who_holds_two_administrators_is_flagged_and_is_none(
    gateway: Gateway, company: Company, sync: DirectorySync, held: tuple[Role, ...]
) -> None:
    company.put("lin", Role.EMPLOYEE, *held)
    assert sync.run().conflicts == ["lin"]
    lin = gateway.principal("lin")
    assert lin is not None
    assert lin.roles == {Role.EMPLOYEE}
    assert permissions_of(lin).isdisjoint({Permission.AUDIT_READ, Permission.DIRECTORY_READ})
    assert ("user.conflict", "lin") in changes(gateway)
    recorded = len(gateway.audited_of_directory())
    assert sync.run().conflicts == ["lin"]
    assert len(gateway.audited_of_directory()) == recorded


def test_one_administrator_is_no_conflict(gateway: Gateway, company: Company, sync: DirectorySync) -> None:
    company.put("lin", Role.EMPLOYEE, Role.AUDIT_ADMIN)
    assert sync.run().conflicts == []
    lin = gateway.principal("lin")
    assert lin is not None
    assert Permission.AUDIT_READ in permissions_of(lin)


def test_a_directory_that_is_down_changes_nothing(gateway: Gateway, company: Company, sync: DirectorySync) -> None:
    browser = gateway.sign_in("lin")
    company.is_down = True
    with pytest.raises(DirectoryUnavailableError):
        sync.run()
    assert browser.get("/api/v1/session").status_code == 200
    with gateway.database.read() as session:
        row = session.get(DirectorySyncRow, issuer_of(gateway.settings))
    assert row is not None
    assert row.problem == "directory_unavailable"


def test_who_is_missing_in_the_listing_alone_stays(gateway: Gateway, company: Company, sync: DirectorySync) -> None:
    browser = gateway.sign_in("lin")
    company.hidden = {"lin"}
    assert not sync.run().is_change
    assert browser.get("/api/v1/session").status_code == 200


def test_a_directory_that_shrank_too_much_changes_nothing_until_told(
    gateway: Gateway, company: Company, sync: DirectorySync
) -> None:
    for n in range(15):
        company.put(f"u{n:02}", Role.EMPLOYEE)
    sync.run()
    for n in range(7):
        del company.users[f"u{n:02}"]
    with pytest.raises(DirectoryShrankError, match="7 of 20"):
        sync.run()
    assert gateway.principal("u00") is not None
    assert len(sync.run(allow_shrink=True).deprovisioned) == 7
    assert gateway.principal("u00") is None


def test_a_few_may_leave_in_one_day(company: Company, sync: DirectorySync) -> None:
    for n in range(15):
        company.put(f"u{n:02}", Role.EMPLOYEE)
    sync.run()
    for n in range(6):
        del company.users[f"u{n:02}"]
    assert len(sync.run().deprovisioned) == 6


def test_of_many_gateways_one_syncs_in_each_period(gateway: Gateway, company: Company, sync: DirectorySync) -> None:
    other = directory_sync(gateway.settings, gateway.database, company, clock=gateway.clock)
    gateway.clock.pass_time(hours=1)
    period = timedelta(seconds=60)
    assert sync.run_if_due(period) is not None
    assert other.run_if_due(period) is None
    gateway.clock.pass_time(seconds=60)
    assert other.run_if_due(period) is not None


def test_a_gateway_that_died_in_a_sync_gives_the_turn_up(gateway: Gateway, sync: DirectorySync) -> None:
    gateway.clock.pass_time(hours=1)
    period = timedelta(seconds=60)
    assert sync._claim(period)
    assert not sync._claim(period)
    gateway.clock.pass_time(minutes=11)
    assert sync._claim(period)


class TestASlowSync:
    """A sync that read the directory before something changed there and was written."""

    @pytest.fixture
    def other(self, gateway: Gateway, company: Company) -> DirectorySync:
        return directory_sync(gateway.settings, gateway.database, company, clock=gateway.clock)

    @pytest.fixture
    def leave(self, company: Company) -> Callable[[], object]:
        return lambda: company.put("zhao", Role.EMPLOYEE, enabled=False)

    def test_it_does_not_bring_back_who_was_found_gone_alone(
        self, gateway: Gateway, company: Company, sync: DirectorySync, other: DirectorySync, leave: Callable[[], object]
    ) -> None:
        company.meanwhile = lambda: (leave(), other.admit("zhao"))
        company.put("wang", Role.EMPLOYEE)
        assert sync.run().added == ["wang"]
        assert gateway.principal("zhao") is None

    @pytest.mark.parametrize("is_slow_alone", [True, False])
    def test_it_does_not_bring_back_who_a_later_sync_found_gone(
        self,
        gateway: Gateway,
        company: Company,
        sync: DirectorySync,
        other: DirectorySync,
        leave: Callable[[], object],
        is_slow_alone: bool,
    ) -> None:
        company.meanwhile = lambda: (leave(), other.run())
        if is_slow_alone:
            assert not sync.admit("zhao")
        else:
            assert not sync.run().is_change
        assert gateway.principal("zhao") is None
        assert [action for action, sub in changes(gateway) if sub == "zhao"][-1] == "user.deprovisioned"

    def test_it_does_not_give_rights_that_nobody_ever_saw(
        self, gateway: Gateway, company: Company, sync: DirectorySync, other: DirectorySync
    ) -> None:
        sync.run()
        before = company.users["lin"]
        company.put("lin", Role.EMPLOYEE, Role.SECURITY_ADMIN)
        company.meanwhile = lambda: (company.users.update(lin=before), other.run())
        assert not sync.run().is_change
        lin = gateway.principal("lin")
        assert lin is not None
        assert lin.roles == before.user.roles

    def test_it_does_not_end_who_came_back(
        self, gateway: Gateway, company: Company, sync: DirectorySync, other: DirectorySync
    ) -> None:
        there = company.users["zhao"]
        company.put("zhao", enabled=False)
        company.meanwhile = lambda: (company.users.update(zhao=there), other.admit("zhao"))
        sync.run()
        assert gateway.principal("zhao") is not None

    def test_two_looks_at_one_user_end_with_the_later(
        self, gateway: Gateway, company: Company, sync: DirectorySync, other: DirectorySync, leave: Callable[[], object]
    ) -> None:
        company.meanwhile = lambda: (leave(), other.admit("zhao"))
        assert not sync.admit("zhao")
        assert gateway.principal("zhao") is None

    def test_it_leaves_the_turn_to_the_later(
        self, gateway: Gateway, company: Company, sync: DirectorySync, other: DirectorySync
    ) -> None:
        gateway.clock.pass_time(hours=1)
        period = timedelta(seconds=60)

        def overtake() -> None:
            other.run()
            gateway.clock.pass_time(minutes=11)
            assert other._claim(period)
            # The run that holds the turn now has begun to write.
            number = other._take_number()
            with gateway.database.write() as session:
                other._written(session).written = number

        company.meanwhile = overtake
        sync.run()
        assert not sync._claim(period)


class TestWithADirectoryAtTheDoor:
    """The gateway with a directory connected: newcomers are looked up as they sign in."""

    @pytest.fixture
    def gateway(self, gateway: Gateway, company: Company) -> Gateway:
        door = gateway.app.state.door
        connected = directory_sync(gateway.settings, gateway.database, company, clock=gateway.clock)
        object.__setattr__(door, "directory", connected)
        return gateway

    def _try(self, gateway: Gateway, username: str) -> Any:
        browser = gateway.browse()
        begun = browser.get("/api/v1/auth/login")
        returned = browser.post(begun.headers["location"], data={"username": username, "password": "demo"})
        return browser.get(returned.headers["location"])

    def test_rights_are_those_of_this_moment(self, gateway: Gateway, company: Company) -> None:
        company.put("lin", Role.EMPLOYEE, Role.ML_ENGINEER, groups=("vision",))
        assert gateway.sign_in("lin").get("/api/v1/session").json()["roles"] == ["employee", "ml_engineer"]

    @pytest.mark.parametrize("is_gone", [True, False])
    def test_who_left_a_moment_ago_is_refused(self, gateway: Gateway, company: Company, is_gone: bool) -> None:
        if is_gone:
            del company.users["lin"]
        else:
            company.put("lin", enabled=False)
        assert self._try(gateway, "lin").json()["code"] == "login_refused"
        assert gateway.principal("lin") is None

    def test_a_renewal_that_is_refused_ends_the_keys_of_who_left(self, gateway: Gateway, company: Company) -> None:
        secret = gateway.create_key("zhao", "search")["secret"]
        browser = gateway.sign_in("zhao")
        company.put("zhao", Role.EMPLOYEE, enabled=False)
        with gateway.database.write() as session:
            session.execute(update(SessionRow).values(provider_tokens="rubbish"))
        gateway.clock.pass_time(seconds=301)
        assert browser.get("/api/v1/session").status_code == 401
        headers = {"Authorization": f"Bearer {secret}"}
        assert gateway.browse().get("/api/v1/documents/d1", headers=headers).status_code == 401

    def test_an_outage_lets_in_whom_the_mirror_knows(self, gateway: Gateway, company: Company) -> None:
        company.is_down = True
        assert self._try(gateway, "lin").status_code == 303

    def test_an_outage_keeps_a_stranger_out(
        self, settings: Settings, database: Database, gateway: Gateway, company: Company
    ) -> None:
        with database.write() as session:
            session.execute(delete(UserRow))
        company.is_down = True
        refused = self._try(gateway, "lin")
        assert (refused.status_code, refused.json()["code"]) == (503, "directory_unavailable")


def test_the_app_syncs_while_it_runs(
    settings: Settings, services: Services, database: Database, clock: Clock, company: Company
) -> None:
    company.put("wang", Role.EMPLOYEE)
    clock.pass_time(days=365)
    app = create_app(settings, database=database, upstreams=services.upstreams(), directory=company, clock=clock)

    async def scenario() -> None:
        async with app.router.lifespan_context(app):
            async with asyncio.timeout(10):
                while not _knows(database, settings, "wang"):
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def _knows(database: Database, settings: Settings, username: str) -> bool:
    with database.read() as session:
        return find_principal(username, issuer=issuer_of(settings), session=session) is not None


def test_a_user_disabled_in_keycloak_is_out(realm: Realm, keycloak: KeycloakServer, database: Database) -> None:
    realm.add_user("lin")
    realm.add_user("zhao")
    sync = directory_sync(realm.settings, database, realm.directory())
    assert sync.run().users == 2
    assert _knows(database, realm.settings, "lin")
    realm.disable("lin")
    realm.remove("zhao")
    assert set(sync.run().deprovisioned) == {realm.ids["lin"], realm.ids["zhao"]}
    assert not _knows(database, realm.settings, "lin")
    assert not sync.run().is_change
