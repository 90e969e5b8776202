"""Builds the embedded OpenID provider."""

import time
from collections.abc import Callable

from fastapi import FastAPI

from zhiku_platform.errors import UnsafeSettingsError
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.identity_provider.grants import Client, Memory, Provider
from zhiku_services.identity_provider.keys import KeyRing
from zhiku_services.identity_provider.routes import REALM, router


def create_app(settings: Settings, *, clock: Callable[[], float] = time.time) -> FastAPI:
    """Build the provider for the realm `zhiku` at `base_url`; its paths carry their full prefix.

    Raises:
        UnsafeSettingsError: others than this machine could reach it; its passwords are public.
    """
    if not settings.is_loopback:
        raise UnsafeSettingsError(
            "The embedded OpenID provider has demo accounts and serves loopback only.",
            remedy="Set `ZHIKU_OIDC_ISSUER` to your identity provider.",
        )
    app = create_service_app("identity_provider", settings, [router])
    app.state.issuer = settings.base_url + REALM
    app.state.keys = KeyRing(settings.home / "identity" / "keys.json", clock=clock)
    app.state.memory = Memory(clock)
    client = Client(settings.oidc_client_id, f"{settings.base_url}/api/v1/auth/callback")
    app.state.provider = Provider(app.state.issuer, client, app.state.keys, app.state.memory)
    return app
