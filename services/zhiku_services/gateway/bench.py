"""What the gateway costs: the same call through it and past it, in turns, over real connections.

    python -m zhiku_services.gateway.bench

Two processes serve: a small service, and the gateway in front of it, which checks an API key against its
database, signs a principal and proxies over HTTP. This process asks both in turns and prints one object:
milliseconds at the 50th and 99th percentile of each, and their differences; and how long a running stream goes on
after the key that it was opened with was revoked.
"""

import asyncio
import json
import multiprocessing
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any

import httpx2
import uvicorn
from starlette.types import ASGIApp

from zhiku_platform.access import PRINCIPAL_HEADER, Access, Permission, PrincipalSigner, authorize, require
from zhiku_platform.contracts.gateway import ApiKeyScope, CreatedApiKey, NewApiKey
from zhiku_platform.contracts.identity import DirectoryUser
from zhiku_platform.db import utc_now
from zhiku_platform.http import GuardedRouter, Stream
from zhiku_platform.http import create_app as create_service_app
from zhiku_platform.settings import Settings
from zhiku_services.gateway import api_keys
from zhiku_services.gateway.app import create_app, issuer_of, open_database, seed_directory
from zhiku_services.gateway.digests import Digests
from zhiku_services.gateway.directory import find_principal
from zhiku_services.gateway.streams import ASK_EVERY_S

_PATH = "/api/v1/models"
_STREAM = "/api/v1/answers/{answer_id}/stream"
_USER = DirectoryUser(sub="bench", username="bench", name="Bench")


def measure(requests: int = 2000, warm_up: int = 200) -> dict[str, float | int]:
    """Ask the service and the gateway in turns, `requests` times each, one at a time."""
    with _served() as (settings, ports):
        return _ask(settings, _make_key(settings).secret, ports, requests, warm_up)


def measure_cuts(streams: int = 100) -> dict[str, float | int]:
    """Open `streams` streams, one after another, revoke the key of each at a random moment, and wait for its end."""
    moments = random.Random(7)  # noqa: S311 - no secret
    lags: list[float] = []
    with _served() as (settings, (_, gateway_port)), httpx2.Client(base_url=f"http://127.0.0.1:{gateway_port}") as http:
        _wait_for(http)
        for _ in range(streams):
            key = _make_key(settings)
            headers = {"Authorization": f"Bearer {key.secret}"}
            with http.stream("GET", _STREAM.format(answer_id="ans_1"), headers=headers) as response:
                chunks = response.iter_raw()
                next(chunks)
                time.sleep(moments.uniform(0, ASK_EVERY_S))
                _revoke(settings, key.key.id)
                revoked = time.perf_counter()
                for _chunk in chunks:
                    pass
                lags.append((time.perf_counter() - revoked) * 1000)
    cuts = quantiles(lags, n=100)
    return {
        "streams": streams,
        "cut_p50_ms": round(cuts[49]),
        "cut_p99_ms": round(cuts[98]),
        "cut_max_ms": round(max(lags)),
    }


@contextmanager
def _served() -> Iterator[tuple[Settings, tuple[int, int]]]:
    """The two processes on a home of their own; gives the ports of the service and the gateway."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), rate_per_s=1e6, rate_burst=10**6)
        _make_key(settings)
        ports = _free_port(), _free_port()
        processes = [_start(_serve_service, settings, ports[0]), _start(_serve_gateway, settings, ports[1], ports[0])]
        try:
            yield settings, ports
        finally:
            for process in processes:
                process.terminate()
                process.join()


def _ask(settings: Settings, key: str, ports: tuple[int, int], requests: int, warm_up: int) -> dict[str, float | int]:
    service_port, gateway_port = ports
    signer = PrincipalSigner(settings.secret_key.get_secret_value())
    principal = _principal(settings)
    with (
        httpx2.Client(base_url=f"http://127.0.0.1:{service_port}") as direct,
        httpx2.Client(
            base_url=f"http://127.0.0.1:{gateway_port}", headers={"Authorization": f"Bearer {key}"}
        ) as through,
    ):
        _wait_for(direct)
        _wait_for(through)
        direct_ms: list[float] = []
        through_ms: list[float] = []
        for n in range(requests + warm_up):
            past = _time_ms(direct, {PRINCIPAL_HEADER: signer.sign(principal)})
            door = _time_ms(through, {})
            if n >= warm_up:
                direct_ms.append(past)
                through_ms.append(door)
    return _report(direct_ms, through_ms)


def _report(direct_ms: list[float], through_ms: list[float]) -> dict[str, float | int]:
    added = [through - direct for direct, through in zip(direct_ms, through_ms, strict=True)]
    found: dict[str, float | int] = {"requests": len(direct_ms)}
    for name, values in (("direct", direct_ms), ("gateway", through_ms), ("added", added)):
        cuts = quantiles(values, n=100)
        found |= {f"{name}_p50_ms": round(cuts[49], 2), f"{name}_p99_ms": round(cuts[98], 2)}
    return found


def _time_ms(client: httpx2.Client, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    client.get(_PATH, headers=headers).raise_for_status()
    return (time.perf_counter() - started) * 1000


def _make_key(settings: Settings) -> CreatedApiKey:
    database = open_database(settings)
    seed_directory(settings, database, [_USER])
    access = authorize(_principal(settings), Permission.API_KEY_MANAGE)
    with database.write() as session:
        created = api_keys.create(
            access,
            NewApiKey(name="bench", scopes=[ApiKeyScope.ASK]),
            issuer=issuer_of(settings),
            digests=Digests(settings.secret_key.get_secret_value()),
            at=utc_now(),
            session=session,
        )
    database.close()
    return created


def _revoke(settings: Settings, key_id: str) -> None:
    database = open_database(settings)
    access = authorize(_principal(settings), Permission.API_KEY_MANAGE)
    with database.write() as session:
        api_keys.revoke(access, key_id, issuer=issuer_of(settings), at=utc_now(), session=session)
    database.close()


def _principal(settings: Settings) -> Any:
    database = open_database(settings)
    with database.read() as session:
        found = find_principal(_USER.username, issuer=issuer_of(settings), session=session)
    database.close()
    return found


def _start(target: Callable[..., None], *args: object) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=args, daemon=True)
    process.start()
    return process


def _serve_service(settings: Settings, port: int) -> None:
    router = GuardedRouter()

    @router.get(_PATH)
    async def models(access: Annotated[Access, require(Permission.MODEL_READ)]) -> dict[str, str]:
        return {"sub": access.principal.sub, "filler": "x" * 1000}

    @router.get(_STREAM)
    async def stream(access: Annotated[Access, require(Permission.CONVERSATION_READ)], answer_id: str) -> Stream:
        del access, answer_id
        return Stream(_ticks(), media_type="text/event-stream")

    _serve(create_service_app("inference", settings, [router]), port)


async def _ticks() -> AsyncIterator[bytes]:
    while True:
        yield b": tick\n\n"
        await asyncio.sleep(0.05)


def _serve_gateway(settings: Settings, port: int, service_port: int) -> None:
    client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{service_port}")
    _serve(
        create_app(settings, database=open_database(settings), upstreams={"inference": client, "assistant": client}),
        port,
    )


def _serve(app: ASGIApp, port: int) -> None:
    uvicorn.run(app, port=port, log_level="error", access_log=False)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(client: httpx2.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/healthz").raise_for_status()
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    sys.stdout.write(json.dumps({**measure(), **measure_cuts()}) + "\n")
