"""`zhiku doctor`: is everything here that Zhiku needs?"""

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from zhiku_platform.errors import ZhikuError
from zhiku_platform.settings import DEFAULT_SECRET, Settings, misspelt_settings
from zhiku_services.commands.home import AsJson, Home, settings_for
from zhiku_services.commands.output import print_json, print_table
from zhiku_services.embedded.home import is_running

_FREE_GB = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty when it is well."""

    check: str
    state: Literal["ok", "warning", "error"]
    found: str
    remedy: str = ""


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Look at this machine, the home and the models; exit 1 if something must be mended."""
    try:
        findings = list(examine(settings_for(home)))
    except ZhikuError as error:
        # Without settings nothing else can be looked at.
        findings = [Finding("settings", "error", error.detail, error.remedy)]
    if as_json:
        print_json({"checks": [vars(finding) for finding in findings]})
    else:
        print_table(("check", "state", "found", "remedy"), [(f.check, f.state, f.found, f.remedy) for f in findings])
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, in the order in which it matters."""
    yield _python()
    yield from _settings()
    yield _exposure(settings)
    yield _disk(settings.home)
    yield from _models(settings)
    yield _safety(settings)
    yield _portal()
    yield _instance(settings)
    yield from _audit(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("Python", "ok", version)
    return Finding("Python", "error", version, "Use Python 3.11 or 3.12.")


def _settings() -> Iterator[Finding]:
    for given, meant in misspelt_settings().items():
        yield Finding("settings", "warning", f"{given} is no setting and is not read", f"Did you mean {meant}?")


def _exposure(settings: Settings) -> Finding:
    """Who can reach us, and what is to be set before others may."""
    if not settings.is_loopback:
        return Finding("reach", "ok", f"others, at {settings.base_url}")
    missing = [
        name
        for name, is_missing in (
            ("ZHIKU_SECRET_KEY", settings.secret_key.get_secret_value() == DEFAULT_SECRET),
            ("ZHIKU_OIDC_ISSUER", settings.oidc_issuer is None),
        )
        if is_missing
    ]
    remedy = f"Before others may reach it, set {' and '.join(missing)}." if missing else ""
    return Finding("reach", "ok", "this machine alone", remedy)


def _disk(home: Path) -> Finding:
    place = next(parent for parent in (home, *home.parents) if parent.exists())
    free = shutil.disk_usage(place).free / 1e9
    if free >= _FREE_GB:
        return Finding("disk", "ok", f"{free:.0f} GB free")
    return Finding("disk", "warning", f"{free:.1f} GB free", f"Keep {_FREE_GB} GB free at {place}.")


def _models(settings: Settings) -> Iterator[Finding]:
    from zhiku_services.inference.catalogue import resolve_embedding
    from zhiku_services.inference.chat_models import choose_chat

    def chat() -> str:
        if settings.chat_base_url is not None:
            return f"{settings.chat_model or 'the default model'} at {settings.chat_base_url}"
        return choose_chat(settings).find().info.id

    checks: dict[str, Callable[[], str]] = {
        "embedding model": lambda: resolve_embedding(settings).id,
        "chat model": chat,
    }
    for name, check in checks.items():
        try:
            yield Finding(name, "ok", check())
        except ZhikuError as error:
            yield Finding(name, "error", error.detail, error.remedy)


def _safety(settings: Settings) -> Finding:
    """The policy and the terms that the settings name, and one harmless text put before the guard model."""
    from zhiku_platform.contracts.safety import ScreenRequest, Surface
    from zhiku_services.safety.service import open_safety

    try:
        with closing(open_safety(settings)) as safety:
            safety.screen(ScreenRequest(surface=Surface.QUESTION, texts=["How many days of leave do I get?"]))
    except ZhikuError as error:
        return Finding("content safety", "error", error.detail, error.remedy)
    guard = f"{settings.guard_model} at {settings.guard_base_url}" if settings.guard_base_url else "no guard model"
    return Finding("content safety", "ok", f"policy {safety.mark.version} by the settings, {guard}")


def _portal() -> Finding:
    import zhiku_services.gateway

    index = Path(zhiku_services.gateway.__file__).parent / "static" / "index.html"
    if index.is_file():
        return Finding("portal", "ok", "built")
    return Finding("portal", "warning", "not built", "Run `make setup`.")


def _audit(settings: Settings) -> Iterator[Finding]:
    from zhiku_services.audit.app import AuditFolders
    from zhiku_services.audit.spool import count_unreadable

    spool = AuditFolders.of(settings).spool
    unreadable = count_unreadable(spool)
    if unreadable:
        remedy = f"Keep {spool}: they may be evidence. Find out whether the spool's key or the file was changed."
        yield Finding("audit spool", "error", f"{unreadable} lines that nobody can read", remedy)


def _instance(settings: Settings) -> Finding:
    if is_running(settings.home):
        return Finding("instance", "ok", f"running on {settings.home}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        taken = probe.connect_ex((settings.host, settings.port)) == 0
    if taken:
        return Finding(
            "port", "warning", f"{settings.port} is taken by another program", "Start with `zhiku up --port`."
        )
    return Finding("instance", "ok", "not running")
