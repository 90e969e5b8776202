"""Settings refuse what is unsafe off loopback."""

import traceback
from pathlib import Path

import pytest

from zhiku_platform.errors import UnsafeSettingsError
from zhiku_platform.settings import BadSettingError, Settings, load_settings, misspelt_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZHIKU_HOME", "ZHIKU_HOST", "ZHIKU_SECRET_KEY", "ZHIKU_OIDC_ISSUER"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.10"])
def test_every_default_serves_loopback(host: str) -> None:
    assert load_settings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "zhiku.example"])
def test_the_default_secret_refuses_to_serve_others(host: str) -> None:
    with pytest.raises(UnsafeSettingsError, match="ZHIKU_SECRET_KEY"):
        load_settings(host=host)


def test_a_short_secret_refuses_to_serve_others() -> None:
    with pytest.raises(UnsafeSettingsError, match="32"):
        load_settings(host="0.0.0.0", secret_key="short", oidc_issuer="https://id.example")


def test_the_embedded_provider_refuses_to_serve_others() -> None:
    with pytest.raises(UnsafeSettingsError, match="demo accounts"):
        load_settings(host="0.0.0.0", secret_key="x" * 40)


def test_a_safe_deployment_is_accepted() -> None:
    settings = load_settings(host="0.0.0.0", secret_key="x" * 40, oidc_issuer="https://id.example")
    assert not settings.is_loopback


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZHIKU_HOME", str(tmp_path))
    assert load_settings().service_database_url("knowledge") == f"sqlite:///{tmp_path}/db/knowledge.sqlite3"


def test_a_secret_never_shows_in_a_representation() -> None:
    assert "hunter2" not in repr(load_settings(secret_key="hunter2"))


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIKU_DATABASE_URI", "postgresql+psycopg://db")
    monkeypatch.setenv("ZHIKU_PORT", "8001")
    monkeypatch.setenv("ZHIKU_EVAL_DATA", "/data")
    assert misspelt_settings() == {"ZHIKU_DATABASE_URI": "ZHIKU_DATABASE_URL"}


def test_a_bad_setting_is_named_and_its_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIKU_SECRET_KEY", "supersecret1")
    monkeypatch.setenv("ZHIKU_PORT", "supersecret2")
    with pytest.raises(BadSettingError, match="ZHIKU_PORT") as caught:
        load_settings()
    shown = "".join(traceback.format_exception(caught.value))
    assert "supersecret" not in shown


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ({"port": 80}, "http://127.0.0.1"),
        ({"public_url": "https://zhiku.example:443/"}, "https://zhiku.example"),
        ({"public_url": "http://zhiku.example:443"}, "http://zhiku.example:443"),
        ({"port": 8080}, "http://127.0.0.1:8080"),
        ({"host": "::1", "port": 80}, "http://[::1]"),
    ],
)
def test_the_address_is_as_browsers_write_it(given: dict[str, object], base: str) -> None:
    safe = {"secret_key": "a" * 40, "oidc_issuer": "https://id.example"}
    assert Settings.model_validate({**safe, **given}).base_url == base
