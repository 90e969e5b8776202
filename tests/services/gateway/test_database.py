"""The gateway's tables on both databases."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from zhiku_platform.db import Database
from zhiku_platform.settings import Settings
from zhiku_platform.testing.servers import create_database, postgres_url
from zhiku_services.gateway.app import open_database, seed_directory
from zhiku_services.gateway.models import Base
from zhiku_services.identity_provider.accounts import DEMO_ACCOUNTS

from .conftest import Gateway

__all__ = ["postgres_url"]


def test_the_migrations_make_the_tables_of_the_models(gateway: Gateway) -> None:
    with gateway.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


@pytest.mark.slow
class TestOnPostgres:
    """The same door, with its tables in PostgreSQL."""

    @pytest.fixture
    def database(self, settings: Settings, postgres_url: str) -> Iterator[Database]:
        address = create_database(postgres_url)
        database = open_database(settings.model_copy(update={"database_url": address}))
        seed_directory(settings, database, [account.user for account in DEMO_ACCOUNTS])
        yield database
        database.close()

    def test_the_migrations_make_the_tables_of_the_models(self, gateway: Gateway) -> None:
        with gateway.database.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []

    def test_signing_in_and_a_key_work(self, gateway: Gateway) -> None:
        created = gateway.create_key("zhao", "search")
        headers = {"Authorization": f"Bearer {created['secret']}"}
        assert gateway.browse().get("/api/v1/documents/d1", headers=headers).json()["sub"] == "zhao"
        owner = gateway.sign_in("zhao")
        assert owner.delete(f"/api/v1/api-keys/{created['key']['id']}").status_code == 204
        assert gateway.browse().get("/api/v1/documents/d1", headers=headers).status_code == 401
        assert owner.post("/api/v1/auth/logout").status_code == 204
        assert [action for action, _, _ in gateway.audited()] == [
            "session.started",
            "api_key.created",
            "session.started",
            "api_key.revoked",
            "api_key.refused",
            "session.ended",
        ]

    def test_a_session_is_renewed_and_outlives_an_outage(self, gateway: Gateway) -> None:
        browser = gateway.sign_in("lin")
        for is_down in (True, False):
            gateway.provider.is_down = is_down
            gateway.clock.pass_time(seconds=301)
            assert browser.get("/api/v1/session").status_code == 200
        gateway.provider.is_down = True
        gateway.clock.pass_time(hours=2)
        assert browser.get("/api/v1/session").status_code == 200
        gateway.clock.pass_time(seconds=3601)
        assert browser.get("/api/v1/session").status_code == 503
