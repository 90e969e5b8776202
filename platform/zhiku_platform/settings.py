"""Every setting, read once at the edge and passed in.

Each default runs on a laptop. What would be unsafe beyond it refuses to serve anything but loopback.
"""

import ipaddress
import json
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from zhiku_platform.errors import UnsafeSettingsError, ZhikuError

_SERVICE_CLIENT = re.compile(r"svc-[a-z0-9-]{1,80}")
DEFAULT_SECRET = "laptop-only-change-me"  # noqa: S105 - a marker that is refused off loopback


class BadSettingError(ZhikuError):
    """A setting has a value that it does not take; the value, which may be a secret, is not repeated."""

    code = "bad_setting"
    title = "A setting is wrong"

    def __init__(self, error: ValidationError) -> None:
        said = [
            f"`ZHIKU_{'_'.join(str(part) for part in each['loc'][:1]).upper()}`: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        super().__init__("; ".join(said) + ".", remedy="Correct it, or leave it out for its default.")


class Settings(BaseSettings):
    """The settings of one process, from `ZHIKU_…` environment variables."""

    # A bad value may be a secret in the wrong place, so no error repeats it.
    model_config = SettingsConfigDict(env_prefix="ZHIKU_", frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".zhiku")
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None

    secret_key: SecretStr = SecretStr(DEFAULT_SECRET)
    """Signs the principal that one service passes to the next, and keys the session digests."""

    tenant: str = "default"

    database_url: str | None = None
    """PostgreSQL, `postgresql+psycopg://…`; None keeps one SQLite file per service under `home`."""

    broker_url: str = "memory://localhost/"
    milvus_uri: str | None = None
    """A Milvus server, `http://host:19530`; None is Milvus Lite under `home`."""
    milvus_token: SecretStr | None = None

    oidc_issuer: str | None = None
    """An OpenID provider; None is the embedded one, loopback only."""
    oidc_client_id: str = "zhiku-portal"
    oidc_client_secret: SecretStr | None = None
    oidc_internal_url: str | None = None
    """Where the gateway itself reaches the provider, if not at `oidc_issuer`; the issuer of tokens stays that one."""
    oidc_audience: str = "zhiku-api"
    """What access tokens of services must be made for."""
    oidc_service_clients: tuple[str, ...] = ()
    """The clients whose service accounts may call; as JSON, `ZHIKU_OIDC_SERVICE_CLIENTS='["svc-crawler"]'`."""
    oidc_step_up_acr: str | None = None
    """The authentication class that sensitive acts need besides a fresh login, such as `2`; None needs none."""
    oidc_outage_s: int = 3600
    """How long sessions go on while the provider cannot be asked whether they still live."""

    keycloak_url: str | None = None
    """Keycloak's Admin API, `http://keycloak:8080`; None reads no directory but the embedded one."""
    keycloak_realm: str | None = None
    """The realm with our users; None is the one that `oidc_issuer` ends in."""
    keycloak_client_id: str = "zhiku-sync"
    keycloak_client_secret: SecretStr | None = None
    keycloak_sync_s: int = Field(default=60, ge=10)
    """How often the directory is read; what changed there holds here after that long at most."""
    keycloak_admin_realm: str = "master"
    """Where the administrator is known whom `zhiku keycloak reconcile` acts as; serving needs none."""
    keycloak_admin_client_id: str = "admin-cli"
    keycloak_admin_client_secret: SecretStr | None = None
    keycloak_admin_username: str | None = None
    keycloak_admin_password: SecretStr | None = None

    models_dir: Path | None = None
    """Where model folders lie; None is `~/.zhiku/models`, which every `home` shares, for models never change."""
    chat_base_url: str | None = None
    """An OpenAI-compatible endpoint, such as vLLM's `http://host:8000/v1`; None is the in-process engine."""
    chat_api_key: SecretStr | None = None
    chat_model: str | None = None
    """The endpoint's model; without an endpoint a GGUF file or its folder, or `OWNER/REPOSITORY/FILE.gguf[@REVISION]`
    of a hub, which this process runs. None is the endpoint's only model, or the bundled one."""
    chat_context_tokens: int | None = Field(default=None, ge=512)
    """How much fits into the model; None asks the endpoint, and is 8,192 where it does not say; 4,096 of a file."""
    mlflow_url: str | None = None
    """An MLflow server that training runs are copied to when they end, such as `http://host:5000`; None is none."""
    mlflow_token: SecretStr | None = None
    guard_base_url: str | None = None
    """An OpenAI-compatible endpoint that serves a Qwen3Guard-Gen; None screens by terms and rules alone."""
    guard_api_key: SecretStr | None = None
    guard_model: str = "Qwen/Qwen3Guard-Gen-4B"
    guard_timeout_s: float = Field(default=5, gt=0)
    safety_policy: Path | None = None
    """A file with the verdicts of content safety, see docs/safety.md; None is the policy that Zhiku ships."""
    safety_terms: Path | None = None
    """A file with terms of one's own, which `zhiku safety import` writes; None are the shipped ones alone."""
    embedding_model: str | None = None
    """A local folder, or `OWNER/REPOSITORY[@REVISION]` of a hub; None is the bundled model."""
    embedding_backend: Literal["auto", "torch", "onnx", "openvino"] = "auto"

    session_idle_s: int = 8 * 3600
    session_absolute_s: int = 24 * 3600
    files_roots: tuple[Path, ...] = ()
    """The folders below which sources may read files; as JSON, `ZHIKU_FILES_ROOTS='["/srv/documents"]'`."""

    max_upload_bytes: int = 200 * 1024 * 1024
    rate_per_s: float = Field(default=50, gt=0)
    """Requests a second that one caller may keep up, and `rate_burst` how many at once; per gateway process."""
    rate_burst: int = Field(default=200, ge=1)
    worker_threads: int = 2
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None

    @field_validator("files_roots", "oidc_service_clients", mode="before")
    @classmethod
    def _read_json(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("oidc_service_clients", mode="after")
    @classmethod
    def _name_services(cls, clients: tuple[str, ...]) -> tuple[str, ...]:
        for client in clients:
            # The prefix keeps a service's name apart from every user's.
            if not _SERVICE_CLIENT.fullmatch(client):
                raise ValueError("clients of services are named `svc-…`, in small letters, digits and hyphens")
        return clients

    @model_validator(mode="after")
    def _refuse_unsafe_defaults(self) -> Self:
        if self.is_loopback:
            return self
        if self.secret_key.get_secret_value() == DEFAULT_SECRET:
            raise UnsafeSettingsError(
                "`ZHIKU_SECRET_KEY` still has its default.",
                remedy="Set it to at least 32 random characters before serving others.",
            )
        if len(self.secret_key.get_secret_value()) < 32:
            raise UnsafeSettingsError(
                "`ZHIKU_SECRET_KEY` is shorter than 32 characters.", remedy="Use 32 or more random characters."
            )
        if self.oidc_issuer is None:
            raise UnsafeSettingsError(
                "The embedded OpenID provider has demo accounts and serves loopback only.",
                remedy="Set `ZHIKU_OIDC_ISSUER` to your identity provider, or `ZHIKU_HOST` to 127.0.0.1.",
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach us, directly or through a proxy at `public_url`."""
        public_host = urlsplit(self.public_url).hostname if self.public_url else self.host
        return _is_loopback(self.host) and _is_loopback(public_host or "")

    @property
    def keycloak_realm_name(self) -> str:
        """The realm that the Admin API is asked about."""
        return self.keycloak_realm or (self.oidc_issuer or "").rstrip("/").rsplit("/realms/", 1)[-1]

    @property
    def base_url(self) -> str:
        """The address users see, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = urlsplit((self.public_url or f"http://{host}:{self.port}").rstrip("/"))
        # Browsers leave the usual port out of the origin and of their requests' host.
        usual = {"http": ":80", "https": ":443"}.get(address.scheme, "")
        return address._replace(netloc=address.netloc.removesuffix(usual) if usual else address.netloc).geturl()

    @property
    def models_folder(self) -> Path:
        return self.models_dir or Path.home() / ".zhiku" / "models"

    @property
    def blobs_folder(self) -> Path:
        return self.home / "blobs"

    @property
    def bundles_folder(self) -> Path:
        """Where trained models lie, each in a folder of its name."""
        return self.home / "bundles"

    def service_database_url(self, service: str) -> str:
        """Where `service` keeps its tables."""
        return self.database_url or f"sqlite:///{self.home / 'db' / service}.sqlite3"


def load_settings(**overrides: object) -> Settings:
    """Read the environment; an override of None counts as not given.

    Raises:
        UnsafeSettingsError: a default that is safe on a laptop only would serve others.
        BadSettingError: a value is not what the setting takes.
    """
    try:
        return Settings.model_validate({**_environment(), **{k: v for k, v in overrides.items() if v is not None}})
    except ValidationError as error:
        raise BadSettingError(error) from None


def misspelt_settings() -> dict[str, str]:
    """Environment variables that nothing reads and that look like a setting, with the setting that they look like."""
    known = [f"ZHIKU_{name.upper()}" for name in Settings.model_fields]
    given = [key for key in os.environ if key.startswith("ZHIKU_") and key not in known]
    near = {key: get_close_matches(key, known, n=1, cutoff=0.9) for key in given}
    return {key: matches[0] for key, matches in near.items() if matches}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _environment() -> dict[str, str]:
    names = {f"ZHIKU_{name.upper()}": name for name in Settings.model_fields}
    return {names[key]: value for key, value in os.environ.items() if key in names}
